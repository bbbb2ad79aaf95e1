/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Writing DER (X.690) into a buf, for what libcrypto has no structures of:
 * the TCG's certificate extensions and attribute certificates. Contents are
 * written first and wrapped afterwards:
 *
 *	size_t seq = der_mark(b);
 *	der_integer(b, 1);
 *	der_wrap(b, seq, DER_SEQUENCE);
 *
 * As with buf, one buf_ok at the end tells whether all of it worked.
 */
#ifndef VTPM_DER_H
#define VTPM_DER_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define DER_BOOLEAN 0x01
#define DER_INTEGER 0x02
#define DER_BIT_STRING 0x03
#define DER_OCTET_STRING 0x04
#define DER_OID 0x06
#define DER_UTF8 0x0c
#define DER_GENERALIZED_TIME 0x18
#define DER_SEQUENCE 0x30
#define DER_SET 0x31
#define DER_CONTEXT(n) (uint8_t)(0xa0 | (n))		/* constructed */
#define DER_CONTEXT_PRIMITIVE(n) (uint8_t)(0x80 | (n))

size_t der_mark(const struct buf *b);
void der_wrap(struct buf *b, size_t mark, uint8_t tag);

void der_bytes(struct buf *b, uint8_t tag, const void *data, size_t n);
void der_text(struct buf *b, uint8_t tag, const char *text);
void der_integer(struct buf *b, uint32_t v);
void der_true(struct buf *b);
/* dotted: "2.23.133.8.1" */
void der_oid(struct buf *b, const char *dotted);
/* BIT STRING of whole bytes. */
void der_bit_string(struct buf *b, const void *data, size_t n);

#endif
