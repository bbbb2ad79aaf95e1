/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * JSON as the services write it themselves, without jansson's reader and
 * writer, which take 200 and 40 instructions for each byte: records, tokens
 * and requests were a tenth of an attestation. Only plain texts (printable
 * ASCII), whole numbers, true, false, null, objects and lists of such; all
 * else, and all that is wrong, is left to jansson.
 */
#ifndef TRUST_AUTHORITY_COMMON_JSON_FAST_H
#define TRUST_AUTHORITY_COMMON_JSON_FAST_H

#include <jansson.h>
#include <stdbool.h>

/* As json_loadb with JSON_REJECT_DUPLICATES. */
json_t *json_fast_load(const char *text, size_t size, json_error_t *why);

/* As json_dumps with JSON_COMPACT, and JSON_SORT_KEYS where sorted. */
char *json_fast_dump(const json_t *json, bool sorted);

#endif
