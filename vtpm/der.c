/* SPDX-License-Identifier: BSD-3-Clause */
#include "vtpm/der.h"

#include <stdlib.h>
#include <string.h>

size_t
der_mark(const struct buf *b)
{
	return b->pos;
}

void
der_wrap(struct buf *b, size_t mark, uint8_t tag)
{
	size_t size = b->pos - mark, header = size < 0x80 ? 2 :
	    size < 0x100 ? 3 : 4;
	struct buf h;

	/* X.690 8.1.3: definite length, short form where it fits. */
	if (size > UINT16_MAX)
		b->failed = true;
	if (buf_put_zero(b, header) < 0)
		return;
	memmove(b->data + mark + header, b->data + mark, size);
	h = buf_writer(b->data + mark, header);
	buf_put_u8(&h, tag);
	if (header == 3)
		buf_put_u8(&h, 0x81);
	if (header == 4) {
		buf_put_u8(&h, 0x82);
		buf_put_u16be(&h, (uint16_t)size);
	} else {
		buf_put_u8(&h, (uint8_t)size);
	}
}

void
der_bytes(struct buf *b, uint8_t tag, const void *data, size_t n)
{
	size_t mark = der_mark(b);

	buf_put_bytes(b, data, n);
	der_wrap(b, mark, tag);
}

void
der_text(struct buf *b, uint8_t tag, const char *text)
{
	der_bytes(b, tag, text, strlen(text));
}

void
der_integer(struct buf *b, uint32_t v)
{
	size_t mark = der_mark(b);
	int shift = 24;

	/* X.690 8.3.2: as few octets as leave the sign bit clear. */
	while (shift > 0 && v >> (shift - 1) == 0)
		shift -= 8;
	if (v >> 31 != 0)
		buf_put_u8(b, 0);
	for (; shift >= 0; shift -= 8)
		buf_put_u8(b, (uint8_t)(v >> shift));
	der_wrap(b, mark, DER_INTEGER);
}

void
der_true(struct buf *b)
{
	der_bytes(b, DER_BOOLEAN, "\xff", 1);
}

/* X.690 8.19.2: seven bits an octet, high ones first. */
static void
put_arc(struct buf *b, unsigned long arc)
{
	int shift = 28;

	while (shift > 0 && arc >> shift == 0)
		shift -= 7;
	for (; shift > 0; shift -= 7)
		buf_put_u8(b, (uint8_t)(0x80 | ((arc >> shift) & 0x7f)));
	buf_put_u8(b, (uint8_t)(arc & 0x7f));
}

void
der_oid(struct buf *b, const char *dotted)
{
	size_t mark = der_mark(b);
	unsigned long first, arc;
	char *end;

	first = strtoul(dotted, &end, 10);
	if (*end == '.') {
		arc = strtoul(end + 1, &end, 10);
		put_arc(b, first * 40 + arc);
	}
	while (*end == '.') {
		arc = strtoul(end + 1, &end, 10);
		put_arc(b, arc);
	}
	if (*end != '\0' || der_mark(b) == mark)
		b->failed = true;
	der_wrap(b, mark, DER_OID);
}

void
der_bit_string(struct buf *b, const void *data, size_t n)
{
	size_t mark = der_mark(b);

	buf_put_u8(b, 0);	/* unused bits */
	buf_put_bytes(b, data, n);
	der_wrap(b, mark, DER_BIT_STRING);
}
