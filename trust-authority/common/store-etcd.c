/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A cluster of etcd 3.4. Reads go through the quorum (etcd's default), so that
 * a node that was cut off does not tell old news.
 *
 * A transaction whose answer did not come may have been done. It is sent again,
 * which is harmless: of two that compare the same versions one fails. If the
 * second one is that, the mark tells whether the first was done: a key of this
 * process into which each commit also writes its number. At most MARKS commits
 * are on their way at a time, each with a mark of its own. Marks that a killed
 * process leaves behind are a hundred bytes each, and do no harm.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "trust-authority/common/etcd-json.h"
#include "trust-authority/common/http-client.h"
#include "trust-authority/common/store-backend.h"

#define ENDPOINTS_MAX 9
#define TXN "/v3/kv/txn"
#define CALL_MS 3000		/* one try at one node */
#define MARKS 64
#define MARK_KIND ".commit"	/* no kind of record's name */
#define TEXT_SIZE 48

struct etcd {
	struct http_client *http;
	char *texts;			/* what endpoints point into */
	const char *endpoints[ENDPOINTS_MAX];
	size_t count;
	atomic_size_t at;		/* the last that worked */
	char *prefix;
	unsigned int busy_ms;
	char process[17];		/* random, hex */
	pthread_mutex_t lock;		/* of what follows */
	pthread_cond_t given;
	uint64_t commits;		/* begun */
	bool taken[MARKS];
};

struct mark {
	size_t slot;
	char key[TEXT_SIZE], value[TEXT_SIZE];
	struct store_op op;
};

static int
split_endpoints(struct etcd *s, struct err *err)
{
	char *save = NULL;

	for (char *url = strtok_r(s->texts, " ,", &save); url != NULL;
	    url = strtok_r(NULL, " ,", &save)) {
		size_t size = strlen(url);

		if (strncmp(url, "https://", 8) != 0 || size > 200)
			return err_set(err, ERR_USAGE, "'%.200s' is no https "
			    "URL of an etcd node", url);
		if (s->count == ENDPOINTS_MAX)
			return err_set(err, ERR_USAGE, "more than %d etcd "
			    "nodes", ENDPOINTS_MAX);
		if (url[size - 1] == '/')
			url[size - 1] = '\0';
		s->endpoints[s->count++] = url;
	}
	if (s->count == 0)
		return err_set(err, ERR_USAGE, "no etcd node is named");
	return 0;
}

static void
etcd_close(void *state)
{
	struct etcd *s = state;

	http_client_free(s->http);
	pthread_cond_destroy(&s->given);
	pthread_mutex_destroy(&s->lock);
	free(s->texts);
	free(s->prefix);
	free(s);
}

static int
name_process(struct etcd *s)
{
	uint64_t random;

	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		return ERR_SYSTEM;
	snprintf(s->process, sizeof(s->process), "%016" PRIx64, random);
	return 0;
}

static int
etcd_open(const struct store_config *config, void **state, struct err *err)
{
	const struct http_client_config http = { .ca = config->ca,
		.certificate = config->certificate, .key = config->key,
		.connect_ms = 1000, .call_ms = CALL_MS,
		.answer_max = 256u << 20 };
	const char *prefix = config->prefix != NULL ? config->prefix : "/vtpm";
	struct etcd *s;
	uint64_t revision;
	int rc;

	if (config->endpoints == NULL)
		return err_set(err, ERR_USAGE, "no etcd node is named");
	if (prefix[0] != '/' || strlen(prefix) > 63)
		return err_set(err, ERR_USAGE, "the prefix of etcd's keys "
		    "begins with / and is of 2 to 63 bytes");
	if ((s = calloc(1, sizeof(*s))) == NULL)
		return err_set(err, ERR_SYSTEM, "no memory for the store");
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->given, NULL);
	if ((s->texts = strdup(config->endpoints)) == NULL ||
	    (s->prefix = strdup(prefix)) == NULL || name_process(s) < 0) {
		rc = err_set(err, ERR_SYSTEM, "no memory for the store");
		goto out;
	}
	s->busy_ms = config->busy_ms != 0 ? config->busy_ms : 10000;
	if ((rc = split_endpoints(s, err)) < 0 ||
	    (rc = http_client_new(&http, &s->http, err)) < 0 ||
	    (rc = store_etcd.revision(s, &revision, err)) < 0)
		goto out;
	*state = s;
	s = NULL;
out:
	if (s != NULL)
		etcd_close(s);
	return rc;
}

static int64_t
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* 50 to 150 ms: all that wait for an election do not come back at once. */
static void
pause_a_while(void)
{
	struct timespec t = { 0, 50000000 };
	uint32_t random = 0;

	(void)!getrandom(&random, sizeof(random), 0);
	t.tv_nsec += (long)(random % 100000000);
	(void)nanosleep(&t, NULL);
}

/* What etcd itself has against it, not what is in between. 400 of a node
 * without space too (RESOURCE_EXHAUSTED, which the gateway makes 429). */
static int
final_code(const struct http_reply *r, int rc, struct err *err)
{
	const char *why = json_string_value(json_object_get(r->json, "error"));

	if (r->status == 0 || r->status >= 500)
		return 0;
	if (why != NULL && strstr(why, "space exceeded") != NULL)
		return err_set(err, ERR_NOSPACE, "etcd has no space left; "
		    "nothing was changed: compact and defragment it, raise "
		    "its quota, and clear the alarm");
	if (r->status == 429)
		return 0;
	if (why != NULL)
		err_append(err, ": %.200s", why);
	return rc;
}

/* One call at one node after the other until one answers. */
static int
ask(struct etcd *s, const char *path, const json_t *request,
    struct http_reply *reply, struct err *err)
{
	int64_t end = now_ms() + s->busy_ms;
	bool unsure = false;
	char url[256];
	int rc, final;

	for (size_t tries = 1; ; tries++) {
		size_t at = s->at % s->count;
		struct http_call call = { .method = HTTP_POST, .url = url,
			.json = request };

		snprintf(url, sizeof(url), "%s%s", s->endpoints[at], path);
		rc = http_client_call(s->http, &call, reply, err);
		if (rc == 0)
			return json_is_object(reply->json) ? 0 :
			    err_set(err, ERR_FORMAT, "%s: no JSON object", url);
		if ((final = final_code(reply, rc, err)) < 0)
			return final;
		/* 503 too: "request timed out" is etcd's word for "I do not
		 * know". */
		unsure |= reply->maybe_done || reply->status != 0;
		http_reply_reset(reply);
		atomic_compare_exchange_strong(&s->at, &at, at + 1);
		if (now_ms() >= end)
			break;
		if (tries % s->count == 0)
			pause_a_while();
	}
	err_prefix(err, "no etcd node answers");
	if (strcmp(path, TXN) == 0)
		err_append(err, unsure ? "; whether the change was made is "
		    "not known" : "; nothing was changed");
	if (rc != ERR_AUTH && err != NULL)
		err->code = ERR_CLOSED;
	return rc == ERR_AUTH ? rc : ERR_CLOSED;
}

static int
range(struct etcd *s, json_t *request, struct http_reply *reply,
    struct err *err)
{
	int rc;

	*reply = (struct http_reply){ 0 };
	if (request == NULL)
		return err_set(err, ERR_SYSTEM, "no memory for a request");
	rc = ask(s, "/v3/kv/range", request, reply, err);
	json_decref(request);
	return rc;
}

static int
bad_answer(struct err *err)
{
	return err_set(err, ERR_FORMAT, "etcd answered what is not its API's "
	    "(version 3.4)");
}

static size_t
prefix_size(const struct etcd *s, const char *kind)
{
	return strlen(s->prefix) + strlen(kind) + 2;
}

static int
etcd_get(void *state, const char *kind, const char *key,
    struct store_record *out, struct err *err)
{
	struct store_list list = { 0 };
	struct etcd *s = state;
	struct http_reply reply;
	int rc;

	rc = range(s, json_pack("{so}", "key", etcd_key(s->prefix, kind, key,
	    NULL, 0)), &reply, err);
	if (rc == 0 && (etcd_get_records(reply.json, prefix_size(s, kind),
	    &list) < 0 || list.count > 1))
		rc = bad_answer(err);
	if (rc == 0 && list.count == 0)
		rc = ERR_NOTFOUND;
	if (rc == 0) {
		*out = list.records[0];
		list.count = 0;
	}
	store_list_reset(&list);
	http_reply_reset(&reply);
	return rc;
}

static int
etcd_list(void *state, const struct store_query *q, struct store_list *out,
    struct err *err)
{
	struct etcd *s = state;
	struct http_reply reply;
	int rc;

	rc = range(s, etcd_range_request(s->prefix, q), &reply, err);
	if (rc == 0 && etcd_get_records(reply.json, prefix_size(s, q->kind),
	    out) < 0)
		rc = bad_answer(err);
	if (rc == 0 && out->count > q->max) {
		out->more = true;
		while (out->count > q->max)
			store_record_reset(&out->records[--out->count]);
	}
	http_reply_reset(&reply);
	return rc;
}

static int
get_revision(const json_t *answer, uint64_t *out)
{
	return etcd_get_number(json_object_get(answer, "header"), "revision",
	    out) < 0 || *out == 0 ? ERR_FORMAT : 0;
}

static int
etcd_revision(void *state, uint64_t *revision, struct err *err)
{
	struct etcd *s = state;
	struct http_reply reply;
	int rc;

	rc = range(s, json_pack("{so sb}", "key", etcd_key(s->prefix, "none",
	    "", NULL, 0), "count_only", 1), &reply, err);
	if (rc == 0 && get_revision(reply.json, revision) < 0)
		rc = bad_answer(err);
	http_reply_reset(&reply);
	return rc;
}

static void
mark_take(struct etcd *s, struct mark *m)
{
	pthread_mutex_lock(&s->lock);
	for (;;) {
		for (m->slot = 0; m->slot < MARKS && s->taken[m->slot]; )
			m->slot++;
		if (m->slot < MARKS)
			break;
		pthread_cond_wait(&s->given, &s->lock);
	}
	s->taken[m->slot] = true;
	snprintf(m->key, sizeof(m->key), "%s/%zu", s->process, m->slot);
	snprintf(m->value, sizeof(m->value), "%" PRIu64, ++s->commits);
	pthread_mutex_unlock(&s->lock);
	m->op = (struct store_op){ STORE_PUT, MARK_KIND, m->key, m->value,
		strlen(m->value), STORE_ANY };
}

static void
mark_give(struct etcd *s, const struct mark *m)
{
	pthread_mutex_lock(&s->lock);
	s->taken[m->slot] = false;
	pthread_cond_signal(&s->given);
	pthread_mutex_unlock(&s->lock);
}

/* One of the records in a failed transaction's answer; *out stays empty where
 * there is none. */
static int
get_compared(const struct etcd *s, const json_t *answer, size_t at,
    const char *kind, struct store_list *out)
{
	return etcd_get_records(json_object_get(json_array_get(json_object_get(
	    answer, "responses"), at), "response_range"),
	    prefix_size(s, kind), out);
}

/* Whether a transaction that was sent before has been done. */
static int
was_done(const struct etcd *s, const json_t *answer, size_t at,
    const struct mark *m, bool *done, uint64_t *version)
{
	struct store_list found = { 0 };
	int rc = get_compared(s, answer, at, MARK_KIND, &found);

	*done = rc == 0 && found.count == 1 &&
	    strcmp(found.records[0].value, m->value) == 0;
	if (*done)
		*version = found.records[0].version;
	store_list_reset(&found);
	return rc;
}

static int
tell_conflict(const struct etcd *s, const json_t *answer,
    const struct store_op *ops, size_t count, size_t *bad, struct err *err)
{
	size_t at = 0;

	for (size_t i = 0; i < count; i++) {
		struct store_list found = { 0 };
		uint64_t is = 0;

		if (ops[i].expect == STORE_ANY)
			continue;
		if (get_compared(s, answer, at++, ops[i].kind, &found) < 0)
			return bad_answer(err);
		if (found.count == 1)
			is = found.records[0].version;
		store_list_reset(&found);
		if (is != ops[i].expect)
			return store_conflict(ops, i, is, bad, err);
	}
	return bad_answer(err);
}

static int
not_done(const struct etcd *s, const json_t *answer,
    const struct store_op *ops, size_t count, const struct mark *m,
    uint64_t *version, size_t *bad, struct err *err)
{
	size_t compared = 0;
	bool done;

	for (size_t i = 0; i < count; i++)
		compared += ops[i].expect != STORE_ANY;
	if (was_done(s, answer, compared, m, &done, version) < 0)
		return bad_answer(err);
	return done ? 0 : tell_conflict(s, answer, ops, count, bad, err);
}

static int
etcd_commit(void *state, const struct store_op *ops, size_t count,
    uint64_t *version, size_t *bad, struct err *err)
{
	struct http_reply reply = { 0 };
	struct etcd *s = state;
	json_t *request;
	struct mark m;
	int rc;

	mark_take(s, &m);
	request = etcd_txn_request(s->prefix, ops, count, &m.op);
	if (request == NULL) {
		rc = err_set(err, ERR_SYSTEM, "no memory for a request");
		goto out;
	}
	rc = ask(s, TXN, request, &reply, err);
	if (rc == 0 && !json_is_true(json_object_get(reply.json, "succeeded")))
		rc = not_done(s, reply.json, ops, count, &m, version, bad,
		    err);
	else if (rc == 0 && get_revision(reply.json, version) < 0)
		rc = bad_answer(err);
out:
	json_decref(request);
	http_reply_reset(&reply);
	mark_give(s, &m);
	return rc;
}

const struct store_backend store_etcd = {
	.kind = "etcd",
	.open = etcd_open,
	.close = etcd_close,
	.get = etcd_get,
	.list = etcd_list,
	.commit = etcd_commit,
	.revision = etcd_revision,
};
