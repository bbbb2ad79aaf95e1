/* SPDX-License-Identifier: BSD-3-Clause */
/* base64url without padding (RFC 4648, 5; RFC 7515, 2), in one way only: what
 * decodes is what encodes to the same text. */
#ifndef TRUST_AUTHORITY_COMMON_BASE64URL_H
#define TRUST_AUTHORITY_COMMON_BASE64URL_H

#include <stddef.h>
#include <stdint.h>

#define BASE64URL_SIZE(n) (((n) * 4 + 2) / 3)	/* characters for n bytes */

/* Writes BASE64URL_SIZE(size) characters and a NUL. */
void base64url_encode(const void *data, size_t size, char *out);
/* length characters; *size is the room and becomes the bytes there are.
 * ERR_FORMAT. */
int base64url_decode(const char *text, size_t length, uint8_t *out,
    size_t *size);

#endif
