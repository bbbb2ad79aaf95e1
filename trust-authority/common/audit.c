/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/common/audit.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/log.h"

#define KIND "audit"
#define HEAD_KIND "audit-head"
#define HEAD_KEY "head"
#define TRIES 1000		/* to be next in the chain */

/* RFC 8785: sorted, no space, and texts as jansson writes them, as long as
 * they have no control characters (where it writes \u001F for \u001f) and
 * numbers are whole and below 2^53. clean() sees to both. */
#define CANONICAL (JSON_COMPACT | JSON_SORT_KEYS)

static json_t *
clean_text(const char *text)
{
	char copy[AUDIT_TEXT_MAX + 1];
	size_t n = strlen(text);
	json_t *out;

	if (n >= sizeof(copy))
		n = sizeof(copy) - 1;
	memcpy(copy, text, n);
	copy[n] = '\0';
	for (char *p = copy; *p != '\0'; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = ' ';
	if ((out = json_string(copy)) != NULL)
		return out;
	/* Not UTF-8, or cut within a character. */
	for (char *p = copy; *p != '\0'; p++)
		if ((unsigned char)*p >= 0x80)
			*p = '?';
	return json_string(copy);
}

static json_t *
clean(const json_t *value, int depth)
{
	json_t *out, *copy;
	const char *name;
	json_t *member;

	if (json_is_string(value))
		return clean_text(json_string_value(value));
	if (json_is_integer(value) &&
	    llabs(json_integer_value(value)) < INT64_C(1) << 53)
		return json_integer(json_integer_value(value));
	if (json_is_boolean(value))
		return json_boolean(json_is_true(value));
	if (!json_is_object(value) || depth == 0)
		return clean_text("?");
	out = json_object();
	json_object_foreach((json_t *)(uintptr_t)value, name, member) {
		json_t *key = clean_text(name);

		copy = clean(member, depth - 1);
		json_object_set_new(out, json_string_value(key), copy);
		json_decref(key);
	}
	return out;
}

static json_t *
now(void)
{
	struct timespec t;
	char text[48], all[64];
	struct tm tm;

	clock_gettime(CLOCK_REALTIME, &t);
	gmtime_r(&t.tv_sec, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(all, sizeof(all), "%s.%03ldZ", text, t.tv_nsec / 1000000);
	return json_string(all);
}

static json_t *
make_record(const struct audit_entry *e, uint64_t seq)
{
	return json_pack("{sI so so so so* so* so so*}", "seq",
	    (json_int_t)seq, "time", now(), "who", clean_text(e->who), "what",
	    clean_text(e->what), "object",
	    e->object != NULL ? clean_text(e->object) : NULL, "from",
	    e->from != NULL ? clean_text(e->from) : NULL, "result",
	    clean_text(e->result), "detail",
	    e->detail != NULL ? clean(e->detail, 4) : NULL);
}

static void
to_hex(const uint8_t hash[AUDIT_HASH_SIZE], char out[2 * AUDIT_HASH_SIZE + 1])
{
	for (size_t i = 0; i < AUDIT_HASH_SIZE; i++)
		snprintf(out + 2 * i, 3, "%02x", hash[i]);
}

/* hash becomes that of record after it. */
static int
extend(uint8_t hash[AUDIT_HASH_SIZE], const json_t *record)
{
	char *text = json_dumps(record, CANONICAL);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	int ok = text != NULL && ctx != NULL &&
	    EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1 &&
	    EVP_DigestUpdate(ctx, hash, AUDIT_HASH_SIZE) == 1 &&
	    EVP_DigestUpdate(ctx, text, strlen(text)) == 1 &&
	    EVP_DigestFinal_ex(ctx, hash, NULL) == 1;

	EVP_MD_CTX_free(ctx);
	free(text);
	return ok ? 0 : ERR_CRYPTO;
}

/* The store's value of a record, and what is exported. Releases record. */
static char *
make_line(json_t *record, const uint8_t before[AUDIT_HASH_SIZE],
    uint8_t hash[AUDIT_HASH_SIZE])
{
	char prev[2 * AUDIT_HASH_SIZE + 1], own[2 * AUDIT_HASH_SIZE + 1];
	char *text = NULL;
	json_t *line;

	memcpy(hash, before, AUDIT_HASH_SIZE);
	if (record != NULL && extend(hash, record) == 0) {
		to_hex(before, prev);
		to_hex(hash, own);
		line = json_pack("{ss ss sO}", "prev", prev, "hash", own,
		    "record", record);
		text = json_dumps(line, CANONICAL);
		json_decref(line);
	}
	json_decref(record);
	return text;
}

static int
from_hex(const json_t *value, uint8_t hash[AUDIT_HASH_SIZE])
{
	const char *text = json_string_value(value);

	if (text == NULL || strlen(text) != 2 * AUDIT_HASH_SIZE ||
	    strspn(text, "0123456789abcdef") != 2 * AUDIT_HASH_SIZE)
		return ERR_FORMAT;
	for (size_t i = 0; i < AUDIT_HASH_SIZE; i++) {
		unsigned int byte = 0;

		(void)sscanf(text + 2 * i, "%2x", &byte);
		hash[i] = (uint8_t)byte;
	}
	return 0;
}

/* {"seq": N, "hash": "..."}; *version 0: no record yet. */
static int
read_head(struct store *store, struct audit_chain *head, uint64_t *version,
    struct err *err)
{
	struct store_record r;
	json_t *value = NULL;
	json_int_t seq;
	int rc;

	memset(head, 0, sizeof(*head));
	*version = 0;
	rc = store_get(store, HEAD_KIND, HEAD_KEY, &r, err);
	if (rc == ERR_NOTFOUND) {
		rc = 0;
		goto out;
	}
	if (rc < 0)
		goto out;
	*version = r.version;
	value = json_loadb(r.value, r.size, JSON_REJECT_DUPLICATES, NULL);
	seq = json_integer_value(json_object_get(value, "seq"));
	if (seq <= 0 ||
	    from_hex(json_object_get(value, "hash"), head->hash) < 0)
		rc = err_set(err, ERR_AUTH, "the audit record's head is "
		    "damaged: somebody has changed it; compare the records "
		    "with what syslog received");
	else
		head->seq = (uint64_t)seq;
out:
	json_decref(value);
	store_record_reset(&r);
	return rc;
}

static void
seq_key(uint64_t seq, char key[24])
{
	snprintf(key, 24, "%020" PRIu64, seq);
}

/* One try. */
static int
append(struct store *store, const struct audit_entry *entry,
    struct store_op *ops, size_t count, size_t *failed, struct err *err)
{
	struct audit_chain head, next;
	char key[24], *line = NULL, *end = NULL;
	char hex[2 * AUDIT_HASH_SIZE + 1];
	uint64_t version;
	int rc;

	if ((rc = read_head(store, &head, &version, err)) < 0)
		return rc;
	next.seq = head.seq + 1;
	line = make_line(make_record(entry, next.seq), head.hash, next.hash);
	to_hex(next.hash, hex);
	if (line == NULL || asprintf(&end, "{\"seq\":%" PRIu64
	    ",\"hash\":\"%s\"}", next.seq, hex) < 0) {
		end = NULL;
		rc = err_set(err, ERR_SYSTEM, "no memory for an audit record");
		goto out;
	}
	seq_key(next.seq, key);
	ops[count] = (struct store_op){ STORE_PUT, HEAD_KIND, HEAD_KEY, end,
		strlen(end), version };
	ops[count + 1] = (struct store_op){ STORE_PUT, KIND, key, line,
		strlen(line), 0 };
	rc = store_commit(store, ops, count + 2, NULL, failed, err);
	if (rc == 0)
		log_event(LOG_LEVEL_INFO, "audit", "seq=%" PRIu64 " hash=%s "
		    "record=%s", next.seq, hex, line);
out:
	free(line);
	free(end);
	return rc;
}

static void
pause_briefly(int tries)
{
	uint32_t random = 0;
	struct timespec t = { 0, 0 };

	(void)!getrandom(&random, sizeof(random), 0);
	t.tv_nsec = (long)(random % (tries < 10 ? 2000000u : 20000000u));
	(void)nanosleep(&t, NULL);
}

int
audit_commit(struct store *store, const struct audit_entry *entry,
    const struct store_op *ops, size_t count, size_t *failed,
    struct err *err)
{
	struct store_op all[STORE_OPS_MAX];
	size_t bad = 0;
	int rc;

	if (count > STORE_OPS_MAX - 2)
		return err_set(err, ERR_USAGE, "too many changes at once");
	for (size_t i = 0; i < count; i++)
		all[i] = ops[i];
	for (int tries = 0; ; tries++) {
		rc = append(store, entry, all, count, &bad, err);
		if ((rc != ERR_STALE && rc != ERR_EXISTS) || bad < count ||
		    tries == TRIES)
			break;
		pause_briefly(tries);
	}
	if (failed != NULL)
		*failed = bad;
	/* Not the caller's versions: another's record was always first. */
	if ((rc == ERR_STALE || rc == ERR_EXISTS) && bad >= count)
		return err_set(err, ERR_BUSY, "the audit record is written by "
		    "others all the time; try again");
	return rc;
}

static int
broken(struct err *err, uint64_t seq, const char *what)
{
	return err_set(err, ERR_AUTH, "audit record %" PRIu64 " %s", seq, what);
}

int
audit_chain_next(struct audit_chain *chain, const char *text, struct err *err)
{
	uint8_t prev[AUDIT_HASH_SIZE], hash[AUDIT_HASH_SIZE];
	uint64_t want = chain->seq + 1, seq;
	json_t *line = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	json_t *record = json_object_get(line, "record");
	char *again = json_dumps(line, CANONICAL);
	int rc = 0;

	seq = (uint64_t)json_integer_value(json_object_get(record, "seq"));
	if (again == NULL || strcmp(again, text) != 0 ||
	    json_object_size(line) != 3 ||
	    from_hex(json_object_get(line, "prev"), prev) < 0 ||
	    from_hex(json_object_get(line, "hash"), hash) < 0) {
		rc = broken(err, want, "is not as it was written: changed");
		goto out;
	}
	if (seq > want)
		rc = broken(err, want, "is missing: removed or moved");
	else if (seq < want)
		rc = broken(err, seq, "is there twice or in the wrong place: "
		    "put in or moved");
	else if (memcmp(prev, chain->hash, sizeof(prev)) != 0)
		rc = broken(err, seq, "does not follow the one before it: one "
		    "of the two was changed or put in");
	if (rc < 0)
		goto out;
	if (extend(prev, record) < 0)
		rc = err_set(err, ERR_CRYPTO, "cannot hash a record");
	else if (memcmp(prev, hash, sizeof(hash)) != 0)
		rc = broken(err, seq, "is not what was hashed: changed");
	if (rc == 0) {
		chain->seq = seq;
		memcpy(chain->hash, hash, sizeof(hash));
	}
out:
	free(again);
	json_decref(line);
	return rc;
}

/* Calls on_record for each record with a key greater than after. */
static int
walk(struct store *store, uint64_t after,
    int (*on_record)(void *arg, const struct store_record *r,
    struct err *err), void *arg, struct err *err)
{
	char key[STORE_KEY_MAX + 1] = "";
	bool more = true;
	int rc = 0;

	if (after > 0)
		seq_key(after, key);
	while (more && rc == 0) {
		const struct store_query q = { .kind = KIND, .after = key };
		struct store_list list;

		rc = store_list(store, &q, &list, err);
		more = rc == 0 && list.more;
		for (size_t i = 0; i < list.count && rc == 0; i++) {
			rc = on_record(arg, &list.records[i], err);
			snprintf(key, sizeof(key), "%s", list.records[i].key);
		}
		store_list_reset(&list);
	}
	return rc;
}

static int
verify_one(void *arg, const struct store_record *r, struct err *err)
{
	struct audit_chain *chain = arg;
	char key[24];

	seq_key(chain->seq + 1, key);
	if (strcmp(r->key, key) > 0)
		return broken(err, chain->seq + 1, "is missing: removed");
	if (strcmp(r->key, key) < 0 || strlen(r->value) != r->size)
		return err_set(err, ERR_AUTH, "there is a record '%s', which "
		    "was put in", r->key);
	return audit_chain_next(chain, r->value, err);
}

int
audit_verify(struct store *store, uint64_t *count, struct err *err)
{
	struct audit_chain chain = { 0 }, head, later;
	uint64_t version;
	int rc;

	if ((rc = read_head(store, &head, &version, err)) == 0)
		rc = walk(store, 0, verify_one, &chain, err);
	*count = chain.seq;
	if (rc < 0)
		return rc;
	if (chain.seq < head.seq)
		return broken(err, chain.seq + 1, "is missing: removed from "
		    "the end");
	if (chain.seq == head.seq && memcmp(chain.hash, head.hash,
	    sizeof(head.hash)) != 0)
		return broken(err, head.seq, "is not the one that was written "
		    "last: the end was written anew");
	/* What was added meanwhile is in the head by now. */
	if (chain.seq > head.seq && (rc = read_head(store, &later, &version,
	    err)) == 0 && later.seq < chain.seq)
		return broken(err, chain.seq, "was put in after the last one");
	return rc;
}

struct exporting {
	int (*on_line)(void *arg, const char *line, struct err *err);
	void *arg;
};

static int
export_one(void *arg, const struct store_record *r, struct err *err)
{
	const struct exporting *e = arg;

	return e->on_line(e->arg, r->value, err);
}

int
audit_export(struct store *store, uint64_t from,
    int (*on_line)(void *arg, const char *line, struct err *err), void *arg,
    struct err *err)
{
	struct exporting e = { on_line, arg };

	return walk(store, from > 0 ? from - 1 : 0, export_one, &e, err);
}
