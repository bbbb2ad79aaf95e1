/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * KMIP's TTLV encoding (KMIP 1.4, 9.1; KMIP 2.0, 10.1): a tag of three bytes,
 * a type, a length, a value padded to eight bytes; a structure's value is
 * items. Reading is strict: a length that does not suit the type, a padding
 * that is not zero, a Boolean that is neither 0 nor 1, text that is not UTF-8
 * or has a NUL in it are ERR_FORMAT. As with base/buf.h, a buffer that has
 * failed stays failed, so a run of calls needs one check at its end.
 */
#ifndef TRUST_AUTHORITY_KMIP_TTLV_H
#define TRUST_AUTHORITY_KMIP_TTLV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* Tag, type, length. */
#define TTLV_HEADER_SIZE 8
/* Structures within structures. The deepest that KMIP defines for what we ask
 * (the key value of a wrapped key) is at 8. */
#define TTLV_DEPTH_MAX 16

enum ttlv_type {
	TTLV_STRUCTURE = 1,
	TTLV_INTEGER = 2,
	TTLV_LONG_INTEGER = 3,
	TTLV_BIG_INTEGER = 4,
	TTLV_ENUMERATION = 5,
	TTLV_BOOLEAN = 6,
	TTLV_TEXT = 7,
	TTLV_BYTES = 8,
	TTLV_DATE_TIME = 9,
	TTLV_INTERVAL = 10,
	TTLV_DATE_TIME_EXTENDED = 11,	/* KMIP 2.0 */
};

struct ttlv {
	uint32_t tag;
	uint8_t type;
	struct buf value;	/* without the padding */
};

/* The next item, whatever it is. */
int ttlv_get(struct buf *in, struct ttlv *item);
/* Whether an item with this tag comes next; false at the end. */
bool ttlv_next_is(const struct buf *in, uint32_t tag);
/* The type of the next item; 0 at the end. */
uint8_t ttlv_next_type(const struct buf *in);
int ttlv_skip(struct buf *in);

/* The next item, which must have this tag and type. */
int ttlv_get_structure(struct buf *in, uint32_t tag, struct buf *inner);
int ttlv_get_integer(struct buf *in, uint32_t tag, int32_t *v);
int ttlv_get_enumeration(struct buf *in, uint32_t tag, uint32_t *v);
int ttlv_get_boolean(struct buf *in, uint32_t tag, bool *v);
/* Seconds since 1970. */
int ttlv_get_date_time(struct buf *in, uint32_t tag, int64_t *v);
/* Points into the buffer. */
int ttlv_get_bytes(struct buf *in, uint32_t tag, const uint8_t **v,
    size_t *size);
/* Copies with a NUL at the end; ERR_FORMAT where it is longer than the room. */
int ttlv_get_text(struct buf *in, uint32_t tag, char *v, size_t room);

/* Walks over all of the items: whether each is well formed, and none deeper
 * than TTLV_DEPTH_MAX. */
int ttlv_check(const void *data, size_t size);

/* Begins a structure and returns where; ttlv_end takes that. */
size_t ttlv_begin(struct buf *out, uint32_t tag);
int ttlv_end(struct buf *out, size_t begun);
int ttlv_put_integer(struct buf *out, uint32_t tag, int32_t v);
int ttlv_put_enumeration(struct buf *out, uint32_t tag, uint32_t v);
int ttlv_put_boolean(struct buf *out, uint32_t tag, bool v);
int ttlv_put_date_time(struct buf *out, uint32_t tag, int64_t v);
int ttlv_put_bytes(struct buf *out, uint32_t tag, const void *v, size_t size);
int ttlv_put_text(struct buf *out, uint32_t tag, const char *v);

#endif
