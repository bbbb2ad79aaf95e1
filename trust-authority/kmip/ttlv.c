/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/kmip/ttlv.h"

#include <string.h>

#include "base/err.h"

static int
fail(struct buf *b)
{
	b->failed = true;
	return ERR_FORMAT;
}

/* KMIP 1.4, 9.1.1.4, table 282: which lengths a type may have. */
static bool
length_suits(uint8_t type, uint32_t length)
{
	switch (type) {
	case TTLV_STRUCTURE:
		return length % 8 == 0;
	case TTLV_INTEGER:
	case TTLV_ENUMERATION:
	case TTLV_INTERVAL:
		return length == 4;
	case TTLV_LONG_INTEGER:
	case TTLV_BOOLEAN:
	case TTLV_DATE_TIME:
	case TTLV_DATE_TIME_EXTENDED:
		return length == 8;
	case TTLV_BIG_INTEGER:
		return length > 0 && length % 8 == 0;
	case TTLV_TEXT:
	case TTLV_BYTES:
		return true;
	default:
		return false;
	}
}

/* How many bytes follow a first byte of UTF-8, and the least that they may
 * stand for (RFC 3629: no longer form than needed); -1 for no first byte. */
static int
utf8_first(uint8_t byte, uint32_t *code, uint32_t *least)
{
	if (byte < 0x80) {
		*code = byte;
		*least = 1;	/* so that NUL, which C would end at, is bad */
		return 0;
	}
	if (byte >= 0xc2 && byte <= 0xdf) {
		*code = byte & 0x1f;
		*least = 0x80;
		return 1;
	}
	if (byte >= 0xe0 && byte <= 0xef) {
		*code = byte & 0x0f;
		*least = 0x800;
		return 2;
	}
	if (byte >= 0xf0 && byte <= 0xf4) {
		*code = byte & 0x07;
		*least = 0x10000;
		return 3;
	}
	return -1;
}

static bool
text_is_good(struct buf text)
{
	while (buf_left(&text) > 0) {
		uint32_t code, least;
		uint8_t byte;
		int more;

		(void)buf_get_u8(&text, &byte);
		if ((more = utf8_first(byte, &code, &least)) < 0)
			return false;
		for (; more > 0; more--) {
			if (buf_get_u8(&text, &byte) < 0 ||
			    (byte & 0xc0) != 0x80)
				return false;
			code = code << 6 | (byte & 0x3f);
		}
		if (code < least || code > 0x10ffff ||
		    (code >= 0xd800 && code <= 0xdfff))
			return false;
	}
	return true;
}

static bool
value_is_good(const struct ttlv *item)
{
	struct buf value = item->value;
	uint64_t v;

	if (item->type == TTLV_TEXT)
		return text_is_good(value);
	if (item->type == TTLV_BOOLEAN)
		return buf_get_u64be(&value, &v) == 0 && v <= 1;
	return true;
}

static int
get_header(struct buf *in, struct ttlv *item, uint32_t *length)
{
	uint32_t tag_type;

	if (buf_get_u32be(in, &tag_type) < 0 || buf_get_u32be(in, length) < 0)
		return ERR_FORMAT;
	item->tag = tag_type >> 8;
	item->type = (uint8_t)tag_type;
	return 0;
}

int
ttlv_get(struct buf *in, struct ttlv *item)
{
	uint8_t pad[8] = { 0 };
	uint32_t length;

	memset(item, 0, sizeof(*item));
	item->value = (struct buf){ .failed = true, .readonly = true };
	if (get_header(in, item, &length) < 0)
		return ERR_FORMAT;
	if (!length_suits(item->type, length) ||
	    buf_get_sub(in, &item->value, length) < 0 ||
	    buf_get_bytes(in, pad, (8 - length % 8) % 8) < 0)
		return fail(in);
	for (size_t i = 0; i < sizeof(pad); i++)
		if (pad[i] != 0)
			return fail(in);
	if (!value_is_good(item))
		return fail(in);
	return 0;
}

bool
ttlv_next_is(const struct buf *in, uint32_t tag)
{
	struct buf peek = *in;
	struct ttlv item;
	uint32_t length;

	return get_header(&peek, &item, &length) == 0 && item.tag == tag;
}

uint8_t
ttlv_next_type(const struct buf *in)
{
	struct buf peek = *in;
	struct ttlv item;
	uint32_t length;

	return get_header(&peek, &item, &length) == 0 ? item.type : 0;
}

int
ttlv_skip(struct buf *in)
{
	struct ttlv item;

	return ttlv_get(in, &item);
}

static int
get_typed(struct buf *in, uint32_t tag, enum ttlv_type type,
    struct buf *value)
{
	struct ttlv item;

	*value = (struct buf){ .failed = true, .readonly = true };
	if (ttlv_get(in, &item) < 0 || item.tag != tag || item.type != type)
		return fail(in);
	*value = item.value;
	return 0;
}

int
ttlv_get_structure(struct buf *in, uint32_t tag, struct buf *inner)
{
	return get_typed(in, tag, TTLV_STRUCTURE, inner);
}

int
ttlv_get_integer(struct buf *in, uint32_t tag, int32_t *v)
{
	struct buf value;
	uint32_t raw = 0;
	int rc;

	if ((rc = get_typed(in, tag, TTLV_INTEGER, &value)) == 0)
		rc = buf_get_u32be(&value, &raw);
	*v = (int32_t)raw;
	return rc;
}

int
ttlv_get_enumeration(struct buf *in, uint32_t tag, uint32_t *v)
{
	struct buf value;

	*v = 0;
	if (get_typed(in, tag, TTLV_ENUMERATION, &value) < 0)
		return ERR_FORMAT;
	return buf_get_u32be(&value, v);
}

int
ttlv_get_boolean(struct buf *in, uint32_t tag, bool *v)
{
	struct buf value;
	uint64_t raw = 0;
	int rc;

	if ((rc = get_typed(in, tag, TTLV_BOOLEAN, &value)) == 0)
		rc = buf_get_u64be(&value, &raw);
	*v = raw != 0;
	return rc;
}

int
ttlv_get_date_time(struct buf *in, uint32_t tag, int64_t *v)
{
	struct buf value;
	uint64_t raw = 0;
	int rc;

	if ((rc = get_typed(in, tag, TTLV_DATE_TIME, &value)) == 0)
		rc = buf_get_u64be(&value, &raw);
	*v = (int64_t)raw;
	return rc;
}

int
ttlv_get_bytes(struct buf *in, uint32_t tag, const uint8_t **v, size_t *size)
{
	struct buf value;

	*v = NULL;
	*size = 0;
	if (get_typed(in, tag, TTLV_BYTES, &value) < 0)
		return ERR_FORMAT;
	*size = buf_left(&value);
	return buf_get_ref(&value, v, *size);
}

int
ttlv_get_text(struct buf *in, uint32_t tag, char *v, size_t room)
{
	struct buf value;
	size_t size;

	v[0] = '\0';
	if (get_typed(in, tag, TTLV_TEXT, &value) < 0)
		return ERR_FORMAT;
	if ((size = buf_left(&value)) >= room)
		return fail(in);
	(void)buf_get_bytes(&value, v, size);
	v[size] = '\0';
	return 0;
}

/* Items and what they hold, one after the other, without recursion: the
 * readers that are still open are on a stack of fixed depth. */
int
ttlv_check(const void *data, size_t size)
{
	struct buf open[TTLV_DEPTH_MAX];
	size_t depth = 1;
	struct ttlv item;

	open[0] = buf_reader(data, size);
	while (depth > 0) {
		struct buf *in = &open[depth - 1];

		if (buf_left(in) == 0) {
			depth--;
			continue;
		}
		if (ttlv_get(in, &item) < 0)
			return ERR_FORMAT;
		if (item.type != TTLV_STRUCTURE)
			continue;
		if (depth == TTLV_DEPTH_MAX)
			return ERR_FORMAT;
		open[depth++] = item.value;
	}
	return 0;
}

static void
put_header(struct buf *out, uint32_t tag, enum ttlv_type type, size_t length)
{
	if (length > UINT32_MAX) {
		out->failed = true;
		return;
	}
	(void)buf_put_u32be(out, tag << 8 | type);
	(void)buf_put_u32be(out, (uint32_t)length);
}

size_t
ttlv_begin(struct buf *out, uint32_t tag)
{
	put_header(out, tag, TTLV_STRUCTURE, 0);
	return out->pos;
}

int
ttlv_end(struct buf *out, size_t begun)
{
	if (!buf_ok(out))
		return ERR_FORMAT;
	return buf_patch_u32be(out, begun - 4, (uint32_t)(out->pos - begun));
}

static int
put_u32(struct buf *out, uint32_t tag, enum ttlv_type type, uint32_t v)
{
	put_header(out, tag, type, 4);
	(void)buf_put_u32be(out, v);
	return buf_put_zero(out, 4);
}

static int
put_u64(struct buf *out, uint32_t tag, enum ttlv_type type, uint64_t v)
{
	put_header(out, tag, type, 8);
	return buf_put_u64be(out, v);
}

static int
put_string(struct buf *out, uint32_t tag, enum ttlv_type type, const void *v,
    size_t size)
{
	put_header(out, tag, type, size);
	(void)buf_put_bytes(out, v, size);
	return buf_put_zero(out, (8 - size % 8) % 8);
}

int
ttlv_put_integer(struct buf *out, uint32_t tag, int32_t v)
{
	return put_u32(out, tag, TTLV_INTEGER, (uint32_t)v);
}

int
ttlv_put_enumeration(struct buf *out, uint32_t tag, uint32_t v)
{
	return put_u32(out, tag, TTLV_ENUMERATION, v);
}

int
ttlv_put_boolean(struct buf *out, uint32_t tag, bool v)
{
	return put_u64(out, tag, TTLV_BOOLEAN, v);
}

int
ttlv_put_date_time(struct buf *out, uint32_t tag, int64_t v)
{
	return put_u64(out, tag, TTLV_DATE_TIME, (uint64_t)v);
}

int
ttlv_put_bytes(struct buf *out, uint32_t tag, const void *v, size_t size)
{
	return put_string(out, tag, TTLV_BYTES, v, size);
}

int
ttlv_put_text(struct buf *out, uint32_t tag, const char *v)
{
	return put_string(out, tag, TTLV_TEXT, v, strlen(v));
}
