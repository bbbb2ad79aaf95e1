/* SPDX-License-Identifier: BSD-3-Clause */
#include "nvram-crypt/superblock.h"

#include <string.h>

#include "base/buf.h"
#include "nvram-crypt/crypto.h"

static const uint8_t magic[8] = { 'V', 'T', 'P', 'M', 'N', 'V', 'S', 'B' };

#define FIELDS_SIZE 1024u	/* before the protectors */
#define PROTECTOR_AREA 1024u	/* each */
#define PROTECTOR_PLAIN 128u	/* of it, before the body */
#define CHECKSUM_AT (SUPERBLOCK_SIZE - SHA256_SIZE)
#define TAG_AT (CHECKSUM_AT - XAES_TAG_SIZE)

static void
put_protector(struct buf *b, const struct protector *p)
{
	size_t start = b->pos;

	buf_put_u16be(b, p->kind);
	buf_put_u16be(b, p->body_size);
	buf_put_zero(b, 4);
	buf_put_bytes(b, p->id, sizeof(p->id));
	buf_put_u64be(b, p->created);
	buf_put_bytes(b, p->label, sizeof(p->label));
	buf_put_zero(b, PROTECTOR_PLAIN - (b->pos - start));
	buf_put_bytes(b, p->body, p->body_size);
	buf_put_zero(b, PROTECTOR_AREA - (b->pos - start));
}

static int
get_protector(struct buf *b, struct protector *p)
{
	struct buf area;

	buf_get_sub(b, &area, PROTECTOR_AREA);
	buf_get_u16be(&area, &p->kind);
	buf_get_u16be(&area, &p->body_size);
	buf_get_bytes(&area, NULL, 4);
	buf_get_bytes(&area, p->id, sizeof(p->id));
	buf_get_u64be(&area, &p->created);
	buf_get_bytes(&area, p->label, sizeof(p->label));
	area.pos = PROTECTOR_PLAIN;
	if (!buf_ok(&area) || p->body_size > PROTECTOR_BODY_MAX)
		return ERR_FORMAT;
	buf_get_bytes(&area, p->body, p->body_size);
	p->label[sizeof(p->label) - 1] = '\0';
	return buf_ok(&area) ? 0 : ERR_FORMAT;
}

static void
put_fields(struct buf *b, const struct superblock *sb)
{
	const struct nvram_header *h = &sb->header;

	buf_put_bytes(b, magic, sizeof(magic));
	buf_put_u32be(b, h->format);
	buf_put_u32be(b, SUPERBLOCK_SIZE);
	buf_put_u32be(b, h->slot_size);
	buf_put_u32be(b, SLOT_COUNT);
	buf_put_u64be(b, h->generation);
	buf_put_bytes(b, h->uuid, sizeof(h->uuid));
	buf_put_bytes(b, h->dek_id, sizeof(h->dek_id));
	buf_put_u64be(b, h->created);
	buf_put_u64be(b, h->epoch);
	buf_put_u32be(b, h->state_version);
	buf_put_zero(b, 4);
	buf_put_bytes(b, h->name, sizeof(h->name));
	buf_put_bytes(b, h->owner, sizeof(h->owner));
	buf_put_u64be(b, sb->floor_sequence);
	buf_put_bytes(b, sb->floor_tag, sizeof(sb->floor_tag));
	buf_put_bytes(b, sb->commitment, sizeof(sb->commitment));
	buf_put_bytes(b, sb->nonce, sizeof(sb->nonce));
	buf_put_zero(b, FIELDS_SIZE - b->pos);
}

static int
get_fields(struct buf *b, struct superblock *sb, struct err *err)
{
	struct nvram_header *h = &sb->header;
	uint32_t slots;

	buf_get_bytes(b, NULL, sizeof(magic));
	buf_get_u32be(b, &h->format);
	buf_get_u32be(b, &h->superblock_size);
	buf_get_u32be(b, &h->slot_size);
	buf_get_u32be(b, &slots);
	buf_get_u64be(b, &h->generation);
	buf_get_bytes(b, h->uuid, sizeof(h->uuid));
	buf_get_bytes(b, h->dek_id, sizeof(h->dek_id));
	buf_get_u64be(b, &h->created);
	buf_get_u64be(b, &h->epoch);
	buf_get_u32be(b, &h->state_version);
	buf_get_bytes(b, NULL, 4);
	buf_get_bytes(b, h->name, sizeof(h->name));
	buf_get_bytes(b, h->owner, sizeof(h->owner));
	buf_get_u64be(b, &sb->floor_sequence);
	buf_get_bytes(b, sb->floor_tag, sizeof(sb->floor_tag));
	buf_get_bytes(b, sb->commitment, sizeof(sb->commitment));
	buf_get_bytes(b, sb->nonce, sizeof(sb->nonce));
	h->name[sizeof(h->name) - 1] = '\0';
	h->owner[sizeof(h->owner) - 1] = '\0';
	if (h->format != SUPERBLOCK_FORMAT)
		return err_set(err, ERR_UNSUPPORTED, "the file has format %u, "
		    "this program knows only %u: it was written by a later "
		    "version", h->format, SUPERBLOCK_FORMAT);
	if (!buf_ok(b) || h->superblock_size != SUPERBLOCK_SIZE ||
	    slots != SLOT_COUNT || h->slot_size < SLOT_SIZE_MIN ||
	    h->slot_size > SLOT_SIZE_MAX || h->slot_size % PAGE_BYTES != 0)
		return err_set(err, ERR_FORMAT, "the superblock's geometry is "
		    "impossible: %u superblock bytes, %u slots of %u bytes",
		    h->superblock_size, slots, h->slot_size);
	return 0;
}

int
superblock_decode(const uint8_t bytes[SUPERBLOCK_SIZE], struct superblock *sb,
    struct err *err)
{
	struct buf b = buf_reader(bytes, SUPERBLOCK_SIZE);
	uint8_t sum[SHA256_SIZE];
	int rc;

	memset(sb, 0, sizeof(*sb));
	if (memcmp(bytes, magic, sizeof(magic)) != 0)
		return err_set(err, ERR_FORMAT, "no superblock is there");
	if ((rc = crypto_sha256(bytes, CHECKSUM_AT, sum, err)) < 0)
		return rc;
	if (memcmp(sum, bytes + CHECKSUM_AT, sizeof(sum)) != 0)
		return err_set(err, ERR_AUTH,
		    "the superblock is torn or damaged");
	if ((rc = get_fields(&b, sb, err)) < 0)
		return rc;
	b.pos = FIELDS_SIZE;
	for (size_t i = 0; i < PROTECTOR_SLOTS; i++) {
		struct protector *p =
		    &sb->header.protectors[sb->header.n_protectors];

		if (get_protector(&b, p) < 0)
			return err_set(err, ERR_FORMAT,
			    "protector %zu is malformed", i);
		if (p->kind != PROTECTOR_NONE)
			sb->header.n_protectors++;
	}
	memcpy(sb->tag, bytes + TAG_AT, sizeof(sb->tag));
	return 0;
}

int
superblock_authenticate(const uint8_t bytes[SUPERBLOCK_SIZE],
    struct xaes *key, struct err *err)
{
	struct buf b = buf_reader(bytes, SUPERBLOCK_SIZE);
	struct superblock fields;
	int rc;

	if ((rc = get_fields(&b, &fields, err)) < 0)
		return rc;
	return xaes_open(key, fields.nonce, bytes, TAG_AT, NULL, 0, NULL,
	    bytes + TAG_AT, err);
}

int
superblock_seal(struct superblock *sb, struct xaes *key,
    uint8_t bytes[SUPERBLOCK_SIZE], struct err *err)
{
	static const struct protector none;
	struct buf b = buf_writer(bytes, SUPERBLOCK_SIZE);
	int rc;

	if ((rc = crypto_random(sb->nonce, sizeof(sb->nonce), err)) < 0)
		return rc;
	put_fields(&b, sb);
	for (size_t i = 0; i < PROTECTOR_SLOTS; i++)
		put_protector(&b, i < sb->header.n_protectors ?
		    &sb->header.protectors[i] : &none);
	buf_put_zero(&b, TAG_AT - b.pos);
	if (!buf_ok(&b))
		return err_set(err, ERR_INTERNAL,
		    "the superblock does not fit its area");
	if ((rc = xaes_seal(key, sb->nonce, bytes, TAG_AT, NULL, 0, NULL,
	    sb->tag, err)) < 0)
		return rc;
	buf_put_bytes(&b, sb->tag, sizeof(sb->tag));
	return crypto_sha256(bytes, CHECKSUM_AT, bytes + CHECKSUM_AT, err);
}
