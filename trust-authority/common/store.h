/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * All state of the trust authority that outlives a process: records, each with
 * a kind, a key, a value and a version. SQLite or etcd 3.4 (store-sqlite.c,
 * store-etcd.c); what holds for one holds for the other.
 *
 * The version of a record is the revision of the whole store at which it was
 * written: it grows with every commit and is never used again, not by a record
 * that was removed and made anew. Everything is decided by compare-and-swap:
 * read, think, commit with the versions that were read; on ERR_STALE again.
 * A commit is all or nothing, and on the disk (of most nodes) when it returns.
 */
#ifndef TRUST_AUTHORITY_COMMON_STORE_H
#define TRUST_AUTHORITY_COMMON_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define STORE_KIND_MAX 31		/* bytes of [a-z0-9-] */
#define STORE_KEY_MAX 255		/* bytes of printable ASCII, no space */
#define STORE_VALUE_MAX (1u << 19)	/* bytes; etcd takes 1.5 MiB of JSON */
#define STORE_OPS_MAX 32		/* in one commit; etcd's limit is 128 */
#define STORE_LIST_MAX 1000		/* records of one list */

#define STORE_ANY UINT64_MAX		/* whatever version, or none */

struct store;

struct store_config {
	const char *kind;		/* "sqlite" or "etcd" */
	const char *file;		/* sqlite; made if it is not there */
	/* etcd: URLs with spaces between, and what all keys begin with. */
	const char *endpoints, *prefix;
	const char *ca, *certificate, *key;	/* PEM files */
	unsigned int busy_ms;		/* how long a call may wait for others
					 * or for a node; 0: 10,000 */
};

struct store_record {
	char *key;
	char *value;			/* size bytes and a NUL */
	size_t size;
	uint64_t version;
};

struct store_list {
	struct store_record *records;	/* by key */
	size_t count;
	bool more;			/* after the last of these */
};

enum store_what { STORE_CHECK, STORE_PUT, STORE_REMOVE };

struct store_op {
	enum store_what what;
	const char *kind, *key;
	const void *value;		/* STORE_PUT */
	size_t size;
	uint64_t expect;		/* version; 0: not there; STORE_ANY */
};

struct store_query {
	const char *kind;
	const char *prefix;		/* of keys, NULL: all */
	const char *after;		/* keys greater than this, NULL: all */
	/* Only what was written after this revision. Who follows changes reads
	 * store_revision first, lists, and goes on from that revision. What
	 * was removed does not show: where that matters, write that it is
	 * gone. */
	uint64_t since;
	size_t max;			/* 0: STORE_LIST_MAX */
};

/* ERR_FORMAT: not a store, or damaged. ERR_UNSUPPORTED: made by a newer
 * version of this program. */
int store_open(const struct store_config *config, struct store **out,
    struct err *err);
/* NULL is allowed. */
void store_close(struct store *store);

/* All may be called from many threads. ERR_BUSY and ERR_CLOSED: others hold
 * it, or no node answers; ERR_NOSPACE: the disk is full. Nothing was changed
 * then, except after ERR_CLOSED of a commit, of which the text says that it is
 * not known: read again. */

/* ERR_NOTFOUND. */
int store_get(struct store *store, const char *kind, const char *key,
    struct store_record *out, struct err *err);
int store_list(struct store *store, const struct store_query *query,
    struct store_list *out, struct err *err);
/* ERR_STALE where a version was another one, or ERR_EXISTS where one should not
 * be there; *failed (may be NULL) is the op's index then. *version (may be
 * NULL) is that of all records it put. No key twice. */
int store_commit(struct store *store, const struct store_op *ops, size_t count,
    uint64_t *version, size_t *failed, struct err *err);
int store_revision(struct store *store, uint64_t *revision, struct err *err);

/* Calls on_record with each record of a kind, in the order of keys, in pages;
 * what it returns, unless 0, ends it. */
int store_each(struct store *store, const char *kind,
    int (*on_record)(void *arg, const struct store_record *r,
    struct err *err), void *arg, struct err *err);

/* One op. */
int store_put(struct store *store, const char *kind, const char *key,
    const void *value, size_t size, uint64_t expect, uint64_t *version,
    struct err *err);
int store_remove(struct store *store, const char *kind, const char *key,
    uint64_t expect, struct err *err);

void store_record_reset(struct store_record *record);
void store_list_reset(struct store_list *list);

#endif
