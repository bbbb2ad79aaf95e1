/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/attest/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

void
text_init(struct text *t)
{
	*t = (struct text){ .plain = true };
	text_format(t, "%s", "");
}

void
text_free(struct text *t)
{
	free(t->data);
	t->data = NULL;
	t->size = t->room = 0;
}

/* Room for n more bytes and the NUL. */
static bool
text_reserve(struct text *t, size_t n)
{
	size_t room = t->room == 0 ? 64 : t->room;
	char *more;

	if (t->size + n > TEXT_MAX) {
		t->plain = false;
		return false;
	}
	while (room < t->size + n + 1)
		room *= 2;
	if (room > t->room) {
		if ((more = realloc(t->data, room)) == NULL) {
			t->plain = false;
			return false;
		}
		t->data = more;
		t->room = room;
	}
	return true;
}

void
text_format(struct text *t, const char *fmt, ...)
{
	char line[256];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(line) || !text_reserve(t, (size_t)n)) {
		t->plain = false;
		return;
	}
	memcpy(t->data + t->size, line, (size_t)n + 1);
	t->size += (size_t)n;
}

static void
add_char(struct text *t, char c)
{
	if (!text_reserve(t, 1))
		return;
	t->data[t->size++] = c;
	t->data[t->size] = '\0';
}

void
text_add_bytes(struct text *t, const uint8_t *data, size_t size)
{
	if (size > 0 && data[size - 1] == 0)
		size--;
	for (size_t i = 0; i < size; i++) {
		if (data[i] >= 0x20 && data[i] < 0x7f) {
			add_char(t, (char)data[i]);
		} else {
			text_format(t, "\\x%02x", data[i]);
			t->plain = false;
		}
	}
}

void
text_add_utf16(struct text *t, const uint8_t *data, size_t size)
{
	struct buf in = buf_reader(data, size);
	uint16_t c;

	while (buf_left(&in) >= 2) {
		buf_get_u16le(&in, &c);
		if (c == 0 && buf_left(&in) == 0)
			break;
		if (c >= 0x20 && c < 0x7f) {
			add_char(t, (char)c);
		} else {
			text_format(t, "\\u%04x", c);
			t->plain = false;
		}
	}
	if (buf_left(&in) > 0)
		t->plain = false;
}

void
text_add_guid(struct text *t, const uint8_t guid[16])
{
	struct buf in = buf_reader(guid, 16);
	uint32_t a = 0;
	uint16_t b = 0, c = 0;

	buf_get_u32le(&in, &a);
	buf_get_u16le(&in, &b);
	buf_get_u16le(&in, &c);
	text_format(t, "%08x-%04x-%04x-%02x%02x-%02x%02x%02x%02x%02x%02x", a,
	    b, c, guid[8], guid[9], guid[10], guid[11], guid[12], guid[13],
	    guid[14], guid[15]);
}

#define NODE(type, subtype) ((type) << 8 | (subtype))

static void
hard_drive(struct text *t, struct buf *in)
{
	uint8_t guid[16];
	uint32_t part = 0;

	buf_get_u32le(in, &part);
	buf_get_bytes(in, NULL, 16);
	if (buf_get_bytes(in, guid, sizeof(guid)) < 0)
		return;
	text_format(t, "HD(%u,", part);
	text_add_guid(t, guid);
	text_format(t, ")");
}

static void
node_text(struct text *t, unsigned int kind, const uint8_t *data, size_t size)
{
	struct buf in = buf_reader(data, size);
	uint32_t hid = 0, uid = 0;

	switch (kind) {
	case NODE(1, 1):
		if (size == 2)
			text_format(t, "Pci(%x,%x)", data[1], data[0]);
		break;
	case NODE(2, 1):
		buf_get_u32le(&in, &hid);
		buf_get_u32le(&in, &uid);
		/* EISA id: PNP0A03 is a PCI root. */
		text_format(t, hid == 0x0a0341d0 ? "PciRoot(%x)" :
		    "Acpi(%x)", uid);
		break;
	case NODE(4, 1):
		hard_drive(t, &in);
		break;
	case NODE(4, 4):
		text_add_utf16(t, data, size);
		break;
	case NODE(4, 6):
	case NODE(4, 7):
		text_format(t, kind == NODE(4, 6) ? "FvFile(" : "Fv(");
		if (size == 16)
			text_add_guid(t, data);
		text_format(t, ")");
		break;
	default:
		text_format(t, "%u.%u", kind >> 8, kind & 0xff);
	}
}

void
text_add_device_path(struct text *t, const uint8_t *data, size_t size)
{
	struct buf in = buf_reader(data, size);
	const uint8_t *node;
	uint8_t type, subtype;
	uint16_t length;
	bool first = true;

	while (buf_left(&in) >= 4) {
		buf_get_u8(&in, &type);
		buf_get_u8(&in, &subtype);
		buf_get_u16le(&in, &length);
		if (type == 0x7f)	/* end of the path */
			return;
		if (length < 4 || buf_get_ref(&in, &node, length - 4u) < 0)
			break;
		if (!first)
			add_char(t, '/');
		first = false;
		node_text(t, NODE((unsigned int)type, subtype), node,
		    length - 4u);
	}
	t->plain = false;
}
