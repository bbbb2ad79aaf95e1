/* SPDX-License-Identifier: BSD-3-Clause */
/* What a kind of store implements. Arguments have been checked by store.c. */
#ifndef TRUST_AUTHORITY_COMMON_STORE_BACKEND_H
#define TRUST_AUTHORITY_COMMON_STORE_BACKEND_H

#include "trust-authority/common/store.h"

struct store_backend {
	const char *kind;
	int (*open)(const struct store_config *config, void **state,
	    struct err *err);
	void (*close)(void *state);
	int (*get)(void *state, const char *kind, const char *key,
	    struct store_record *out, struct err *err);
	int (*list)(void *state, const struct store_query *query,
	    struct store_list *out, struct err *err);
	int (*commit)(void *state, const struct store_op *ops, size_t count,
	    uint64_t *version, size_t *failed, struct err *err);
	int (*revision)(void *state, uint64_t *revision, struct err *err);
};

extern const struct store_backend store_sqlite;
extern const struct store_backend store_etcd;

/* The first key after all that begin with prefix: as no byte of a key is
 * greater than '~', the prefix and 0x7f. */
#define STORE_AFTER_ALL "\x7f"

/* Appends a copy; key and value need not end with NUL. */
int store_list_add(struct store_list *list, const void *key, size_t key_size,
    const void *value, size_t size, uint64_t version);
int store_record_set(struct store_record *record, const void *key,
    size_t key_size, const void *value, size_t size, uint64_t version);
/* The error of op i, whose record is at version `is` (0: not there). */
int store_conflict(const struct store_op *ops, size_t i, uint64_t is,
    size_t *failed, struct err *err);

#endif
