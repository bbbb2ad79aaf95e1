/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/common/store.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "trust-authority/common/store-backend.h"

struct store {
	const struct store_backend *backend;
	void *state;
};

static const struct store_backend *const backends[] = { &store_sqlite,
	&store_etcd };

static int
check_kind(const char *kind, struct err *err)
{
	size_t size = strlen(kind);

	if (size == 0 || size > STORE_KIND_MAX ||
	    strspn(kind, "abcdefghijklmnopqrstuvwxyz0123456789-") != size)
		return err_set(err, ERR_USAGE, "'%.40s' is no kind of record",
		    kind);
	return 0;
}

/* allow_empty: a prefix. */
static int
check_key(const char *key, bool allow_empty, struct err *err)
{
	size_t size = strlen(key);

	if ((size == 0 && !allow_empty) || size > STORE_KEY_MAX)
		return err_set(err, ERR_USAGE, "a name is of 1 to %d bytes",
		    STORE_KEY_MAX);
	for (size_t i = 0; i < size; i++)
		if (key[i] <= ' ' || key[i] > '~')
			return err_set(err, ERR_USAGE, "a name may only have "
			    "printable ASCII and no space");
	return 0;
}

int
store_open(const struct store_config *config, struct store **out,
    struct err *err)
{
	const struct store_backend *backend = NULL;
	struct store *s = NULL;
	int rc;

	for (size_t i = 0; i < sizeof(backends) / sizeof(backends[0]); i++)
		if (strcmp(backends[i]->kind, config->kind) == 0)
			backend = backends[i];
	if (backend == NULL)
		return err_set(err, ERR_USAGE, "there is no kind of store '%s'",
		    config->kind);
	if ((s = calloc(1, sizeof(*s))) == NULL)
		return err_set(err, ERR_SYSTEM, "no memory for the store");
	s->backend = backend;
	if ((rc = backend->open(config, &s->state, err)) < 0) {
		free(s);
		return rc;
	}
	*out = s;
	return 0;
}

void
store_close(struct store *s)
{
	if (s == NULL)
		return;
	s->backend->close(s->state);
	free(s);
}

int
store_get(struct store *s, const char *kind, const char *key,
    struct store_record *out, struct err *err)
{
	int rc;

	*out = (struct store_record){ 0 };
	if ((rc = check_kind(kind, err)) < 0 ||
	    (rc = check_key(key, false, err)) < 0)
		return rc;
	rc = s->backend->get(s->state, kind, key, out, err);
	if (rc == ERR_NOTFOUND)
		err_set(err, rc, "there is no %s '%s'", kind, key);
	return rc;
}

int
store_list(struct store *s, const struct store_query *query,
    struct store_list *out, struct err *err)
{
	struct store_query q = *query;
	int rc;

	*out = (struct store_list){ 0 };
	if (q.prefix == NULL)
		q.prefix = "";
	if (q.after == NULL)
		q.after = "";
	if (q.max == 0 || q.max > STORE_LIST_MAX)
		q.max = STORE_LIST_MAX;
	if ((rc = check_kind(q.kind, err)) < 0 ||
	    (rc = check_key(q.prefix, true, err)) < 0 ||
	    (rc = check_key(q.after, true, err)) < 0)
		return rc;
	if ((rc = s->backend->list(s->state, &q, out, err)) < 0)
		store_list_reset(out);
	return rc;
}

static int
check_ops(const struct store_op *ops, size_t count, struct err *err)
{
	int rc;

	if (count == 0 || count > STORE_OPS_MAX)
		return err_set(err, ERR_USAGE, "a commit has 1 to %d changes",
		    STORE_OPS_MAX);
	for (size_t i = 0; i < count; i++) {
		if ((rc = check_kind(ops[i].kind, err)) < 0 ||
		    (rc = check_key(ops[i].key, false, err)) < 0)
			return rc;
		if (ops[i].what == STORE_PUT && ops[i].size > STORE_VALUE_MAX)
			return err_set(err, ERR_USAGE, "%s '%s' would have %zu "
			    "bytes, more than %u", ops[i].kind, ops[i].key,
			    ops[i].size, STORE_VALUE_MAX);
		/* etcd refuses a key that is put twice. */
		for (size_t j = 0; j < i; j++)
			if (strcmp(ops[i].kind, ops[j].kind) == 0 &&
			    strcmp(ops[i].key, ops[j].key) == 0)
				return err_set(err, ERR_USAGE, "%s '%s' is "
				    "twice in one commit", ops[i].kind,
				    ops[i].key);
	}
	return 0;
}

int
store_commit(struct store *s, const struct store_op *ops, size_t count,
    uint64_t *version, size_t *failed, struct err *err)
{
	uint64_t v = 0;
	size_t f = 0;
	int rc;

	if ((rc = check_ops(ops, count, err)) < 0)
		return rc;
	rc = s->backend->commit(s->state, ops, count, &v, &f, err);
	if (version != NULL && rc == 0)
		*version = v;
	if (failed != NULL)
		*failed = f;
	return rc;
}

int
store_revision(struct store *s, uint64_t *revision, struct err *err)
{
	return s->backend->revision(s->state, revision, err);
}

int
store_each(struct store *store, const char *kind,
    int (*on_record)(void *arg, const struct store_record *r,
    struct err *err), void *arg, struct err *err)
{
	struct store_query query = { .kind = kind };
	char after[STORE_KEY_MAX + 1];
	struct store_list list = { 0 };
	bool more;
	int rc;

	do {
		rc = store_list(store, &query, &list, err);
		for (size_t i = 0; rc == 0 && i < list.count; i++)
			rc = on_record(arg, &list.records[i], err);
		more = rc == 0 && list.more && list.count > 0;
		if (more) {
			const char *last = list.records[list.count - 1].key;

			memcpy(after, last, strlen(last) + 1);
			query.after = after;
		}
		store_list_reset(&list);
	} while (more);
	return rc;
}

int
store_put(struct store *s, const char *kind, const char *key,
    const void *value, size_t size, uint64_t expect, uint64_t *version,
    struct err *err)
{
	const struct store_op op = { STORE_PUT, kind, key, value, size,
		expect };

	return store_commit(s, &op, 1, version, NULL, err);
}

int
store_remove(struct store *s, const char *kind, const char *key,
    uint64_t expect, struct err *err)
{
	const struct store_op op = { STORE_REMOVE, kind, key, NULL, 0,
		expect };

	return store_commit(s, &op, 1, NULL, NULL, err);
}

int
store_record_set(struct store_record *r, const void *key, size_t key_size,
    const void *value, size_t size, uint64_t version)
{
	*r = (struct store_record){ malloc(key_size + 1), malloc(size + 1),
		size, version };
	if (r->key == NULL || r->value == NULL) {
		store_record_reset(r);
		return ERR_SYSTEM;
	}
	memcpy(r->key, key, key_size);
	r->key[key_size] = '\0';
	if (size > 0)
		memcpy(r->value, value, size);
	r->value[size] = '\0';
	return 0;
}

int
store_list_add(struct store_list *list, const void *key, size_t key_size,
    const void *value, size_t size, uint64_t version)
{
	size_t n = list->count;

	/* Grows at powers of two. */
	if ((n & (n - 1)) == 0) {
		struct store_record *more = reallocarray(list->records,
		    n == 0 ? 1 : 2 * n, sizeof(*more));

		if (more == NULL)
			return ERR_SYSTEM;
		list->records = more;
	}
	if (store_record_set(&list->records[n], key, key_size, value, size,
	    version) < 0)
		return ERR_SYSTEM;
	list->count++;
	return 0;
}

int
store_conflict(const struct store_op *ops, size_t i, uint64_t is,
    size_t *failed, struct err *err)
{
	const struct store_op *op = &ops[i];

	*failed = i;
	if (op->expect == 0)
		return err_set(err, ERR_EXISTS, "there is a %s '%s' already",
		    op->kind, op->key);
	if (is == 0)
		return err_set(err, ERR_STALE, "%s '%s' has been removed by "
		    "somebody else", op->kind, op->key);
	return err_set(err, ERR_STALE, "%s '%s' has been changed by somebody "
	    "else (version %" PRIu64 ", not %" PRIu64 ")", op->kind, op->key,
	    is, op->expect);
}

/* Values may hold what is worth cleansing; the store cannot know. */
void
store_record_reset(struct store_record *r)
{
	if (r->value != NULL)
		cleanse(r->value, r->size);
	free(r->key);
	free(r->value);
	*r = (struct store_record){ 0 };
}

void
store_list_reset(struct store_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		store_record_reset(&list->records[i]);
	free(list->records);
	*list = (struct store_list){ 0 };
}
