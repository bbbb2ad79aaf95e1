/* SPDX-License-Identifier: BSD-3-Clause */
#include "nvram-crypt/slot.h"

#include <string.h>

#include "base/buf.h"
#include "nvram-crypt/crypto.h"
#include "nvram-crypt/superblock.h"

static const uint8_t magic[8] = { 'V', 'T', 'P', 'M', 'N', 'V', 'S', 'L' };

#define OBJECT_STATE 1u		/* kind of object: a TPM's state */
#define TAG_AT (SLOT_HEADER_SIZE - XAES_TAG_SIZE)
#define AAD_SIZE (TAG_AT + UUID_SIZE)

int
slot_decode(const uint8_t bytes[SLOT_HEADER_SIZE], size_t slot_size,
    struct slot *s)
{
	static const uint8_t zero[SLOT_HEADER_SIZE];
	struct buf b = buf_reader(bytes, SLOT_HEADER_SIZE);
	uint8_t start[sizeof(magic)];
	uint32_t object;

	memset(s, 0, sizeof(*s));
	if (memcmp(bytes, zero, sizeof(zero)) == 0)
		return ERR_NOTFOUND;
	buf_get_bytes(&b, start, sizeof(start));
	buf_get_u32be(&b, &object);
	buf_get_u32be(&b, &s->index);
	buf_get_u64be(&b, &s->sequence);
	buf_get_u64be(&b, &s->epoch);
	buf_get_bytes(&b, s->dek_id, sizeof(s->dek_id));
	buf_get_u32be(&b, &s->payload_size);
	buf_get_bytes(&b, NULL, 4);
	buf_get_bytes(&b, s->nonce, sizeof(s->nonce));
	b.pos = TAG_AT;
	buf_get_bytes(&b, s->tag, sizeof(s->tag));
	if (!buf_ok(&b) || memcmp(start, magic, sizeof(magic)) != 0 ||
	    object != OBJECT_STATE ||
	    s->payload_size > slot_size - SLOT_HEADER_SIZE)
		return ERR_FORMAT;
	return 0;
}

/* The header before the tag, and the VM's UUID. */
static void
make_aad(const uint8_t *bytes, const uint8_t uuid[UUID_SIZE],
    uint8_t aad[AAD_SIZE])
{
	memcpy(aad, bytes, TAG_AT);
	memcpy(aad + TAG_AT, uuid, UUID_SIZE);
}

int
slot_open(const struct slot *s, const uint8_t *bytes,
    const uint8_t uuid[UUID_SIZE], struct xaes *key, uint8_t *out,
    struct err *err)
{
	uint8_t aad[AAD_SIZE];

	make_aad(bytes, uuid, aad);
	return xaes_open(key, s->nonce, aad, sizeof(aad),
	    bytes + SLOT_HEADER_SIZE, s->payload_size, out, s->tag, err);
}

int
slot_seal(struct slot *s, const uint8_t uuid[UUID_SIZE], struct xaes *key,
    const uint8_t *payload, uint8_t *bytes, size_t bytes_size, size_t *end,
    struct err *err)
{
	struct buf b = buf_writer(bytes, bytes_size);
	uint8_t aad[AAD_SIZE];
	size_t used = SLOT_HEADER_SIZE + (size_t)s->payload_size;
	int rc;

	if ((rc = crypto_random(s->nonce, sizeof(s->nonce), err)) < 0)
		return rc;
	buf_put_bytes(&b, magic, sizeof(magic));
	buf_put_u32be(&b, OBJECT_STATE);
	buf_put_u32be(&b, s->index);
	buf_put_u64be(&b, s->sequence);
	buf_put_u64be(&b, s->epoch);
	buf_put_bytes(&b, s->dek_id, sizeof(s->dek_id));
	buf_put_u32be(&b, s->payload_size);
	buf_put_zero(&b, 4);
	buf_put_bytes(&b, s->nonce, sizeof(s->nonce));
	buf_put_zero(&b, TAG_AT - b.pos);
	*end = (used + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
	if (!buf_ok(&b) || *end > bytes_size)
		return err_set(err, ERR_INTERNAL,
		    "a state of %u bytes does not fit the slot",
		    s->payload_size);
	make_aad(bytes, uuid, aad);
	if ((rc = xaes_seal(key, s->nonce, aad, sizeof(aad), payload,
	    s->payload_size, bytes + SLOT_HEADER_SIZE, s->tag, err)) < 0)
		return rc;
	memcpy(bytes + TAG_AT, s->tag, sizeof(s->tag));
	memset(bytes + used, 0, *end - used);
	return 0;
}

int
slot_payload_size(const struct nvram_record *records, size_t n, size_t *size)
{
	*size = 0;
	if (n > SLOT_RECORDS_MAX)
		return ERR_USAGE;
	for (size_t i = 0; i < n; i++) {
		if (records[i].size > NVRAM_STATE_MAX)
			return ERR_USAGE;
		*size += SLOT_RECORD_HEADER_SIZE + records[i].size;
	}
	return 0;
}

int
slot_payload_put(const struct nvram_record *records, size_t n,
    uint8_t *payload, size_t size)
{
	struct buf b = buf_writer(payload, size);

	for (size_t i = 0; i < n; i++) {
		buf_put_u32be(&b, records[i].kind);
		buf_put_u32be(&b, (uint32_t)records[i].size);
		buf_put_bytes(&b, records[i].data, records[i].size);
	}
	return buf_ok(&b) ? 0 : ERR_INTERNAL;
}

static int
next_record(struct buf *b, uint32_t *kind, const uint8_t **data, size_t *size)
{
	uint32_t n;

	if (buf_get_u32be(b, kind) < 0 || buf_get_u32be(b, &n) < 0 ||
	    buf_get_ref(b, data, n) < 0)
		return ERR_FORMAT;
	*size = n;
	return 0;
}

int
slot_payload_check(const uint8_t *payload, size_t size)
{
	struct buf b = buf_reader(payload, size);
	uint32_t seen[SLOT_RECORDS_MAX];
	size_t n = 0;

	while (buf_left(&b) > 0) {
		const uint8_t *data;
		size_t data_size;

		if (n == SLOT_RECORDS_MAX ||
		    next_record(&b, &seen[n], &data, &data_size) < 0)
			return ERR_FORMAT;
		for (size_t i = 0; i < n; i++)
			if (seen[i] == seen[n])
				return ERR_FORMAT;
		n++;
	}
	return 0;
}

int
slot_payload_get(const uint8_t *payload, size_t size, uint32_t kind,
    const uint8_t **data, size_t *data_size)
{
	struct buf b = buf_reader(payload, size);
	uint32_t k;

	while (buf_left(&b) > 0 &&
	    next_record(&b, &k, data, data_size) == 0)
		if (k == kind)
			return 0;
	*data = NULL;
	*data_size = 0;
	return ERR_NOTFOUND;
}
