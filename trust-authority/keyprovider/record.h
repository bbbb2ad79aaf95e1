/* SPDX-License-Identifier: BSD-3-Clause */
/* Records of the store as JSON, and requests' bodies: what both are read and
 * written with. */
#ifndef TRUST_AUTHORITY_KEYPROVIDER_RECORD_H
#define TRUST_AUTHORITY_KEYPROVIDER_RECORD_H

#include <jansson.h>

#include "trust-authority/common/fields.h"
#include "trust-authority/common/store.h"

/* A record as an object, and its version (may be NULL). ERR_NOTFOUND;
 * ERR_FORMAT names the record. */
int record_get(struct store *store, const char *kind, const char *key,
    json_t **out, uint64_t *version, struct err *err);
int record_parse(const char *kind, const struct store_record *record,
    json_t **out, struct err *err);
/* What to store: free it. NULL: no memory. */
char *record_text(const json_t *json);
/* An op that puts *text; text must live as long. */
struct store_op record_put(const char *kind, const char *key,
    const char *text, uint64_t expect);
/* A member of a record is not what it should be. */
int record_damaged(const char *kind, const char *key, struct err *err);

/* The same error, of another code: for a peer to whom the first would say
 * something else. Returns code. */
int err_as(struct err *err, int code);

/* size bytes from 2 * size lower-case hexadecimal digits, nothing else. */
int hex_read(const char *text, uint8_t *out, size_t size);
void hex_write(const uint8_t *data, size_t size, char *out);

#endif
