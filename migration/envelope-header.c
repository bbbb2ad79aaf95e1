/* SPDX-License-Identifier: BSD-3-Clause */
#include "migration/envelope-header.h"

#include <string.h>

static const uint8_t magic[8] = { 'V', 'T', 'P', 'M', 'B', 'L', 'O', 'B' };

static void
put_wrapped(struct buf *b, const struct envelope_wrapped *w)
{
	buf_put_u16be(b, w->protector);
	buf_put_u16be(b, w->params_size);
	buf_put_bytes(b, w->id, sizeof(w->id));
	buf_put_bytes(b, w->params, w->params_size);
	buf_put_bytes(b, w->nonce, sizeof(w->nonce));
	buf_put_bytes(b, w->key, sizeof(w->key));
	buf_put_bytes(b, w->tag, sizeof(w->tag));
}

void
envelope_header_put(struct buf *b, const struct envelope_header *h)
{
	const struct envelope *e = &h->e;

	buf_put_bytes(b, magic, sizeof(magic));
	buf_put_u32be(b, h->version);
	buf_put_bytes(b, e->uuid, sizeof(e->uuid));
	buf_put_u32be(b, e->kind);
	buf_put_u32be(b, e->members);
	buf_put_bytes(b, e->session, sizeof(e->session));
	buf_put_u64be(b, e->sequence);
	buf_put_u64be(b, e->epoch);
	buf_put_u64be(b, e->made);
	buf_put_u32be(b, e->state_version);
	buf_put_u32be(b, h->state_size);
	buf_put_bytes(b, h->commitment, sizeof(h->commitment));
	buf_put_u32be(b, (uint32_t)h->n_wrapped);
	for (size_t i = 0; i < h->n_wrapped; i++)
		put_wrapped(b, &h->wrapped[i]);
	buf_put_bytes(b, h->nonce, sizeof(h->nonce));
}

static int
get_wrapped(struct buf *b, struct envelope_wrapped *w)
{
	buf_get_u16be(b, &w->protector);
	if (buf_get_u16be(b, &w->params_size) < 0 ||
	    w->params_size > sizeof(w->params))
		return ERR_FORMAT;
	buf_get_bytes(b, w->id, sizeof(w->id));
	buf_get_bytes(b, w->params, w->params_size);
	buf_get_bytes(b, w->nonce, sizeof(w->nonce));
	buf_get_bytes(b, w->key, sizeof(w->key));
	return buf_get_bytes(b, w->tag, sizeof(w->tag));
}

/* The numbers after the version. */
static int
get_fields(struct buf *b, struct envelope_header *h)
{
	struct envelope *e = &h->e;
	uint32_t n = 0;

	buf_get_bytes(b, e->uuid, sizeof(e->uuid));
	buf_get_u32be(b, &e->kind);
	buf_get_u32be(b, &e->members);
	buf_get_bytes(b, e->session, sizeof(e->session));
	buf_get_u64be(b, &e->sequence);
	buf_get_u64be(b, &e->epoch);
	buf_get_u64be(b, &e->made);
	buf_get_u32be(b, &e->state_version);
	buf_get_u32be(b, &h->state_size);
	buf_get_bytes(b, h->commitment, sizeof(h->commitment));
	if (buf_get_u32be(b, &n) < 0 || n == 0 || n > ENVELOPE_PROTECTORS_MAX)
		return ERR_FORMAT;
	h->n_wrapped = n;
	for (size_t i = 0; i < n; i++)
		if (get_wrapped(b, &h->wrapped[i]) < 0)
			return ERR_FORMAT;
	return buf_get_bytes(b, h->nonce, sizeof(h->nonce));
}

int
envelope_header_get(struct buf *b, struct envelope_header *h, struct err *err)
{
	uint8_t start[sizeof(magic)];

	memset(h, 0, sizeof(*h));
	if (buf_get_bytes(b, start, sizeof(start)) < 0 ||
	    memcmp(start, magic, sizeof(magic)) != 0)
		return err_set(err, ERR_FORMAT, "it is not a state blob that "
		    "a vtpmd has sealed");
	if (buf_get_u32be(b, &h->version) < 0)
		return err_set(err, ERR_FORMAT, "it is cut short");
	if (h->version != ENVELOPE_VERSION &&
	    h->version != ENVELOPE_VERSION_NAMED)
		return err_set(err, ERR_UNSUPPORTED, "it is of version %u, "
		    "and this vtpmd takes versions up to %u", h->version,
		    ENVELOPE_VERSION_NAMED);
	if (get_fields(b, h) < 0 || h->state_size > ENVELOPE_STATE_MAX ||
	    buf_left(b) != (size_t)h->state_size + XAES_TAG_SIZE)
		return err_set(err, ERR_FORMAT, "it is cut short or damaged");
	return 0;
}
