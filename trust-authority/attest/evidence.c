/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/attest/evidence.h"

#include <string.h>

#define MAGIC "VTAEVID1"
#define MAGIC_SIZE 8
#define SECTION_HEAD 6

enum { SECTION_QUOTE = 1, SECTION_SIGNATURE, SECTION_PCRS, SECTION_EVENTLOG,
	SECTION_IMA, SECTION_END };

/* Where each section goes, and what is most. */
static const struct {
	size_t data, size, max;
} sections[SECTION_END] = {
#define SECTION(part, limit) { offsetof(struct evidence, part), \
	offsetof(struct evidence, part##_size), limit }
	[SECTION_QUOTE] = SECTION(quote.attest, 4096),
	[SECTION_SIGNATURE] = SECTION(quote.signature, 1024),
	[SECTION_PCRS] = SECTION(quote.pcr_values,
	    PCR_BANKS_MAX * PCR_COUNT * HASH_MAX),
	[SECTION_EVENTLOG] = SECTION(eventlog, EVENTLOG_SIZE_MAX),
	[SECTION_IMA] = SECTION(ima_log, IMA_LOG_SIZE_MAX),
#undef SECTION
};

static const uint8_t **
section_data(struct evidence *ev, unsigned int kind)
{
	return (const uint8_t **)(void *)((char *)ev + sections[kind].data);
}

static size_t *
section_size(struct evidence *ev, unsigned int kind)
{
	return (size_t *)(void *)((char *)ev + sections[kind].size);
}

static int
section_read(struct buf *in, unsigned int *last, struct evidence *ev,
    struct err *err)
{
	const uint8_t *data;
	uint16_t kind = 0;
	uint32_t size = 0;

	buf_get_u16be(in, &kind);
	if (buf_get_u32be(in, &size) < 0)
		return err_set(err, ERR_FORMAT, "the evidence is cut short");
	if (kind <= *last || kind >= SECTION_END)
		return err_set(err, ERR_FORMAT, "the evidence has section %u "
		    "after section %u", kind, *last);
	if (size > sections[kind].max)
		return err_set(err, ERR_FORMAT, "section %u of the evidence "
		    "has %u bytes, more than %zu", kind, size,
		    sections[kind].max);
	if (buf_get_ref(in, &data, size) < 0)
		return err_set(err, ERR_FORMAT,
		    "section %u of the evidence is cut short", kind);
	*section_data(ev, kind) = data;
	*section_size(ev, kind) = size;
	*last = kind;
	return 0;
}

int
evidence_read(const uint8_t *data, size_t size, struct evidence *ev,
    struct err *err)
{
	struct buf in = buf_reader(data, size);
	uint8_t magic[MAGIC_SIZE] = { 0 };
	unsigned int last = 0;
	int rc;

	memset(ev, 0, sizeof(*ev));
	buf_get_bytes(&in, magic, sizeof(magic));
	if (memcmp(magic, MAGIC, sizeof(magic)) != 0)
		return err_set(err, ERR_FORMAT,
		    "evidence does not begin with \"" MAGIC "\"");
	while (buf_left(&in) > 0)
		if ((rc = section_read(&in, &last, ev, err)) < 0)
			return rc;
	if (ev->quote.attest == NULL || ev->quote.signature == NULL ||
	    ev->quote.pcr_values == NULL)
		return err_set(err, ERR_FORMAT, "the evidence has no quote, "
		    "no signature or no PCR values");
	return 0;
}

size_t
evidence_size(const struct evidence *ev)
{
	struct evidence parts = *ev;
	size_t size = MAGIC_SIZE;

	for (unsigned int i = SECTION_QUOTE; i < SECTION_END; i++)
		if (*section_data(&parts, i) != NULL)
			size += SECTION_HEAD + *section_size(&parts, i);
	return size;
}

int
evidence_write(const struct evidence *ev, struct buf *out)
{
	struct evidence parts = *ev;

	buf_put_bytes(out, MAGIC, MAGIC_SIZE);
	for (unsigned int i = SECTION_QUOTE; i < SECTION_END; i++) {
		const uint8_t *data = *section_data(&parts, i);
		size_t size = *section_size(&parts, i);

		if (data == NULL)
			continue;
		if (size > sections[i].max)
			return ERR_FORMAT;
		buf_put_u16be(out, (uint16_t)i);
		buf_put_u32be(out, (uint32_t)size);
		buf_put_bytes(out, data, size);
	}
	return buf_ok(out) ? 0 : ERR_FORMAT;
}

int
evidence_digest(const uint8_t *data, size_t size, uint8_t out[HASH_MAX],
    struct err *err)
{
	const struct hash_part part = { data, size };

	return hash_digest(hash_by_id(TPM_ALG_SHA256), &part, 1, out, err);
}
