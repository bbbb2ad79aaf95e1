/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * etcd's v3 API in JSON (etcd 3.4 Documentation, api_grpc_gateway; the messages
 * of etcdserverpb/rpc.proto and mvccpb/kv.proto): bytes are base64, 64-bit
 * numbers strings, and what is zero, false or empty is left out.
 */
#ifndef TRUST_AUTHORITY_COMMON_ETCD_JSON_H
#define TRUST_AUTHORITY_COMMON_ETCD_JSON_H

#include <jansson.h>

#include "trust-authority/common/store.h"

/* "PREFIX/KIND/KEY"; tail is appended, with its NULs. */
json_t *etcd_key(const char *prefix, const char *kind, const char *key,
    const void *tail, size_t tail_size);
json_t *etcd_number(uint64_t n);
/* NULL for no memory. */
json_t *etcd_range_request(const char *prefix, const struct store_query *query);
/* Where a comparison fails, the answer has the records that were compared, and
 * after them the mark. */
json_t *etcd_txn_request(const char *prefix, const struct store_op *ops,
    size_t count, const struct store_op *mark);

/* ERR_FORMAT where the answer is not what etcd answers. */
int etcd_get_number(const json_t *object, const char *name, uint64_t *out);
/* Appends the records of a range; their keys without prefix_size bytes. */
int etcd_get_records(const json_t *range, size_t prefix_size,
    struct store_list *out);

#endif
