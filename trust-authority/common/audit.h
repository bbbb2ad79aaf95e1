/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The record of every change: who, what, when, from where, with what result.
 * Each record is chained to the one before it:
 *
 *   hash = SHA-256(hash of the one before (32 bytes, zeros before the first) ||
 *                  the record as canonical JSON (RFC 8785))
 *
 * and stored, with its hash, in the same commit as the change itself: there is
 * no change without its record. doc/protocols.md has an example.
 *
 * What the chain shows: that a record was removed, changed, put in or moved.
 * What it cannot show by itself: that somebody who may write to the store made
 * the whole chain anew. For that compare with what went to syslog: each record
 * is also an event that has its number and hash.
 */
#ifndef TRUST_AUTHORITY_COMMON_AUDIT_H
#define TRUST_AUTHORITY_COMMON_AUDIT_H

#include <jansson.h>

#include "trust-authority/common/store.h"

#define AUDIT_HASH_SIZE 32
#define AUDIT_TEXT_MAX 256	/* bytes of who, what, object, from, result */

struct audit_entry {
	const char *who;	/* name and fingerprint of a certificate, or a
				 * service */
	const char *what;	/* "host.import" */
	const char *object;	/* "host/lab-7"; may be NULL */
	const char *from;	/* address; may be NULL */
	const char *result;	/* "ok", "refused", ... */
	const json_t *detail;	/* an object of texts, whole numbers and
				 * objects of such; NULL: none */
};

/* Commits ops (count may be 0) and the record, or neither. ops: at most
 * STORE_OPS_MAX - 2. ERR_STALE and *failed as store_commit; that somebody
 * else's record came first is not an error, but tried again. */
int audit_commit(struct store *store, const struct audit_entry *entry,
    const struct store_op *ops, size_t count, size_t *failed,
    struct err *err);

/* Checks a chain record by record, from the zeroed struct. */
struct audit_chain {
	uint64_t seq;			/* of the last record; 0: none yet */
	uint8_t hash[AUDIT_HASH_SIZE];
};

/* One line of audit_export. ERR_AUTH names the record that was removed,
 * changed, moved or put in. An export from the middle begins with
 * chain->seq and ->hash of the record before it. */
int audit_chain_next(struct audit_chain *chain, const char *line,
    struct err *err);

/* The whole store's chain. *count: records that are good. */
int audit_verify(struct store *store, uint64_t *count, struct err *err);

/* Calls on_line with each record from number `from` on, as a line of JSON
 * without its newline. What on_line returns, unless 0, ends it. */
int audit_export(struct store *store, uint64_t from,
    int (*on_line)(void *arg, const char *line, struct err *err), void *arg,
    struct err *err);

#endif
