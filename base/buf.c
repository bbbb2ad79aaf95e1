/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/buf.h"

#include <string.h>

#include "base/err.h"

struct buf
buf_reader(const void *data, size_t size)
{
	/* Casting const away is safe: every put checks readonly first. */
	return (struct buf){ .data = (uint8_t *)(uintptr_t)data, .size = size,
	    .readonly = true };
}

struct buf
buf_writer(void *data, size_t size)
{
	return (struct buf){ .data = data, .size = size };
}

bool
buf_ok(const struct buf *b)
{
	return !b->failed;
}

size_t
buf_left(const struct buf *b)
{
	return b->failed ? 0 : b->size - b->pos;
}

/* Moves past n bytes and returns where they start, or NULL. */
static uint8_t *
advance(struct buf *b, size_t n, bool writing)
{
	uint8_t *at;

	if (b->failed || (writing && b->readonly) || n > b->size - b->pos) {
		b->failed = true;
		return NULL;
	}
	at = b->data + b->pos;
	b->pos += n;
	return at;
}

static int
get_be(struct buf *b, size_t n, uint64_t *v)
{
	const uint8_t *p = advance(b, n, false);

	*v = 0;
	if (p == NULL)
		return ERR_FORMAT;
	for (size_t i = 0; i < n; i++)
		*v = *v << 8 | p[i];
	return 0;
}

static void
store_be(uint8_t *p, size_t n, uint64_t v)
{
	for (size_t i = n; i-- > 0; v >>= 8)
		p[i] = (uint8_t)v;
}

static int
put_be(struct buf *b, size_t n, uint64_t v)
{
	uint8_t *p = advance(b, n, true);

	if (p == NULL)
		return ERR_FORMAT;
	store_be(p, n, v);
	return 0;
}

int
buf_get_u8(struct buf *b, uint8_t *v)
{
	uint64_t x;
	int rc = get_be(b, 1, &x);

	*v = (uint8_t)x;
	return rc;
}

int
buf_get_u16be(struct buf *b, uint16_t *v)
{
	uint64_t x;
	int rc = get_be(b, 2, &x);

	*v = (uint16_t)x;
	return rc;
}

int
buf_get_u32be(struct buf *b, uint32_t *v)
{
	uint64_t x;
	int rc = get_be(b, 4, &x);

	*v = (uint32_t)x;
	return rc;
}

int
buf_get_u64be(struct buf *b, uint64_t *v)
{
	return get_be(b, 8, v);
}

int
buf_get_u16le(struct buf *b, uint16_t *v)
{
	int rc = buf_get_u16be(b, v);

	*v = __builtin_bswap16(*v);
	return rc;
}

int
buf_get_u32le(struct buf *b, uint32_t *v)
{
	int rc = buf_get_u32be(b, v);

	*v = __builtin_bswap32(*v);
	return rc;
}

int
buf_get_u64le(struct buf *b, uint64_t *v)
{
	int rc = buf_get_u64be(b, v);

	*v = __builtin_bswap64(*v);
	return rc;
}

int
buf_get_bytes(struct buf *b, void *out, size_t n)
{
	const uint8_t *p = advance(b, n, false);

	if (p == NULL)
		return ERR_FORMAT;
	if (out != NULL && n > 0)
		memcpy(out, p, n);
	return 0;
}

int
buf_get_ref(struct buf *b, const uint8_t **out, size_t n)
{
	*out = advance(b, n, false);
	return *out == NULL ? ERR_FORMAT : 0;
}

int
buf_get_sub(struct buf *b, struct buf *out, size_t n)
{
	const uint8_t *p;

	if (buf_get_ref(b, &p, n) < 0) {
		*out = (struct buf){ .failed = true, .readonly = true };
		return ERR_FORMAT;
	}
	*out = buf_reader(p, n);
	return 0;
}

int
buf_put_u8(struct buf *b, uint8_t v)
{
	return put_be(b, 1, v);
}

int
buf_put_u16be(struct buf *b, uint16_t v)
{
	return put_be(b, 2, v);
}

int
buf_put_u32be(struct buf *b, uint32_t v)
{
	return put_be(b, 4, v);
}

int
buf_put_u64be(struct buf *b, uint64_t v)
{
	return put_be(b, 8, v);
}

int
buf_put_bytes(struct buf *b, const void *data, size_t n)
{
	uint8_t *p = advance(b, n, true);

	if (p == NULL)
		return ERR_FORMAT;
	if (n > 0)
		memcpy(p, data, n);
	return 0;
}

int
buf_put_zero(struct buf *b, size_t n)
{
	uint8_t *p = advance(b, n, true);

	if (p == NULL)
		return ERR_FORMAT;
	if (n > 0)
		memset(p, 0, n);
	return 0;
}

int
buf_put_tpm2b(struct buf *b, const void *data, size_t n)
{
	if (n > UINT16_MAX) {
		b->failed = true;
		return ERR_FORMAT;
	}
	buf_put_u16be(b, (uint16_t)n);
	return buf_put_bytes(b, data, n);
}

int
buf_get_tpm2b(struct buf *b, const uint8_t **data, size_t *n)
{
	uint16_t size;

	*data = NULL;
	*n = 0;
	if (buf_get_u16be(b, &size) < 0 || buf_get_ref(b, data, size) < 0)
		return ERR_FORMAT;
	*n = size;
	return 0;
}

static int
patch_be(struct buf *b, size_t at, size_t n, uint64_t v)
{
	if (b->failed || b->readonly || at > b->pos || n > b->pos - at) {
		b->failed = true;
		return ERR_FORMAT;
	}
	store_be(b->data + at, n, v);
	return 0;
}

int
buf_patch_u16be(struct buf *b, size_t at, uint16_t v)
{
	return patch_be(b, at, 2, v);
}

int
buf_patch_u32be(struct buf *b, size_t at, uint32_t v)
{
	return patch_be(b, at, 4, v);
}
