/* SPDX-License-Identifier: BSD-3-Clause */
/* JSON with one long text in base64url: jansson takes some 200 instructions for
 * each byte of it, which for a host's logs was a fifth of an attestation. */
#ifndef TRUST_AUTHORITY_COMMON_JSON_LONG_H
#define TRUST_AUTHORITY_COMMON_JSON_LONG_H

#include <jansson.h>

/* As json_loadb with JSON_REJECT_DUPLICATES. */
json_t *json_long_load(const char *text, size_t size, json_error_t *why);

#endif
