/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "trust-authority/attestd/policies.h"
#include "trust-authority/common/json-fast.h"

/* Below STORE_VALUE_MAX; and a JSON gateway makes 4/3 of it. */
#define PART_SIZE (400u << 10)

#define P(member) FIELD_AT(struct policy_record, member)
static const struct field fields[] = {
	{ "added", FIELD_NUMBER, P(added), FIELD_NEEDED },
	{ "description", FIELD_TEXT, P(description), 0 },
	{ "parts", FIELD_NUMBER, P(parts), FIELD_NEEDED },
	{ "sha256", FIELD_HEX, P(sha256), FIELD_NEEDED },
	{ "size", FIELD_NUMBER, P(size), FIELD_NEEDED },
};

int
policy_record_read(const struct store_record *r, struct policy_record *out,
    struct err *err)
{
	json_t *json = json_fast_load(r->value, r->size, NULL);
	char what[STORE_KEY_MAX + 32];
	int rc;

	memset(out, 0, sizeof(*out));
	snprintf(what, sizeof(what), "the record policy/%s", r->key);
	rc = fields_read(json, fields, FIELDS_COUNT(fields), out, ERR_FORMAT,
	    what, err);
	if (rc == 0 && (!name_is_good(r->key) ||
	    out->size > (int64_t)POLICY_SIZE_MAX ||
	    out->parts != (out->size + PART_SIZE - 1) / PART_SIZE))
		rc = err_set(err, ERR_FORMAT, "%s does not fit together",
		    what);
	if (rc == 0)
		memcpy(out->name, r->key, strlen(r->key) + 1);
	out->version = r->version;
	json_decref(json);
	return rc;
}

int
policy_record_get(struct store *store, const char *name,
    struct policy_record *out, struct err *err)
{
	struct store_record r = { 0 };
	int rc = store_get(store, KIND_POLICY, name, &r, err);

	if (rc == 0)
		rc = policy_record_read(&r, out, err);
	store_record_reset(&r);
	return rc;
}

int
policy_record_op(const struct policy_record *p, struct store_op *op,
    struct err *err)
{
	char *text = fields_text(fields, FIELDS_COUNT(fields), p);

	if (text == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	*op = (struct store_op){ STORE_PUT, KIND_POLICY, p->name, text,
		strlen(text), p->version };
	return 0;
}

static int
digest(const char *text, size_t size, char out[HASH_HEX_SIZE],
    struct err *err)
{
	const struct hash_part part = { text, size };
	const struct hash_alg *alg = hash_by_id(TPM_ALG_SHA256);
	uint8_t bytes[HASH_MAX];
	int rc = hash_digest(alg, &part, 1, bytes, err);

	if (rc == 0)
		hash_hex(bytes, alg->size, out);
	return rc;
}

static void
part_key(const struct policy_record *p, int64_t i, char out[96])
{
	snprintf(out, 96, "%s/%06lld", p->sha256, (long long)i);
}

int
policy_describe(const char *text, struct policy_record *p, struct err *err)
{
	char hex[HASH_HEX_SIZE];
	int rc;

	if ((rc = digest(text, strlen(text), hex, err)) < 0)
		return rc;
	memcpy(p->sha256, hex, sizeof(p->sha256));
	p->size = (int64_t)strlen(text);
	p->parts = (p->size + PART_SIZE - 1) / PART_SIZE;
	return 0;
}

int
policy_parts_write(struct store *store, const char *text,
    const struct policy_record *p, struct err *err)
{
	char key[96];
	int rc = 0;

	for (int64_t i = 0; rc == 0 && i < p->parts; i++) {
		size_t at = (size_t)i * PART_SIZE, n = (size_t)p->size - at;

		part_key(p, i, key);
		rc = store_put(store, KIND_POLICY_PART, key, text + at,
		    n < PART_SIZE ? n : PART_SIZE, STORE_ANY, NULL, err);
	}
	return rc;
}

static int
part_read(struct store *store, const struct policy_record *p, int64_t i,
    char *text, struct err *err)
{
	size_t at = (size_t)i * PART_SIZE, n = (size_t)p->size - at;
	struct store_record r = { 0 };
	char key[96];
	int rc;

	part_key(p, i, key);
	n = n < PART_SIZE ? n : PART_SIZE;
	rc = store_get(store, KIND_POLICY_PART, key, &r, err);
	if (rc == ERR_NOTFOUND || (rc == 0 && r.size != n))
		rc = err_set(err, ERR_FORMAT, "part %lld of the policy %s is "
		    "missing or damaged; put the policy there again",
		    (long long)i, p->name);
	if (rc == 0)
		memcpy(text + at, r.value, n);
	store_record_reset(&r);
	return rc;
}

int
policy_parts_read(struct store *store, const struct policy_record *p,
    char **text, struct err *err)
{
	char *all = malloc((size_t)p->size + 1), hex[HASH_HEX_SIZE];
	int rc = 0;

	if (all == NULL)
		return err_set(err, ERR_INTERNAL, "no memory for the policy "
		    "%s", p->name);
	for (int64_t i = 0; rc == 0 && i < p->parts; i++)
		rc = part_read(store, p, i, all, err);
	all[p->size] = '\0';
	if (rc == 0)
		rc = digest(all, (size_t)p->size, hex, err);
	if (rc == 0 && strcmp(hex, p->sha256) != 0)
		rc = err_set(err, ERR_FORMAT, "the policy %s has another "
		    "digest than its record says; put it there again",
		    p->name);
	if (rc < 0)
		free(all);
	else
		*text = all;
	return rc;
}

int
policy_litter_find(struct store *store, const struct policy_record *p,
    struct policy_litter *l, struct err *err)
{
	const struct store_query query = { .kind = KIND_POLICY_PART,
		.prefix = p->sha256 };

	return store_list(store, &query, &l->parts, err);
}

void
policy_litter_remove(struct store *store, struct policy_litter *l,
    bool committed)
{
	struct err err = { 0 };

	for (size_t i = 0; committed && i < l->parts.count; i++) {
		const struct store_record *r = &l->parts.records[i];
		int rc = store_remove(store, KIND_POLICY_PART, r->key,
		    r->version, &err);

		if (rc < 0 && rc != ERR_STALE && rc != ERR_NOTFOUND)
			log_warning("a part of a policy that is gone could "
			    "not be removed: %s", err.text);
	}
	store_list_reset(&l->parts);
}
