/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A state slot: a plain header of fixed layout, bound to the file as associated
 * data, and the encrypted records. doc/nvram-format.md, "Slot".
 */
#ifndef NVRAM_CRYPT_SLOT_H
#define NVRAM_CRYPT_SLOT_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "nvram-crypt/nvram.h"
#include "nvram-crypt/xaes.h"

#define SLOT_HEADER_SIZE 128u
#define SLOT_RECORD_HEADER_SIZE 8u
#define SLOT_RECORDS_MAX 16u

struct slot {
	uint32_t index;
	uint64_t sequence;
	uint64_t epoch;
	uint8_t dek_id[DEK_ID_SIZE];
	uint32_t payload_size;
	uint8_t nonce[XAES_NONCE_SIZE];
	uint8_t tag[XAES_TAG_SIZE];
};

/* Reads the header; not authenticated. ERR_NOTFOUND: never written (zeros);
 * ERR_FORMAT: no slot header, or a payload longer than the slot. */
int slot_decode(const uint8_t bytes[SLOT_HEADER_SIZE], size_t slot_size,
    struct slot *s);
/* bytes holds header and payload. Decrypts s->payload_size bytes to out. */
int slot_open(const struct slot *s, const uint8_t *bytes,
    const uint8_t uuid[UUID_SIZE], struct xaes *key, uint8_t *out,
    struct err *err);
/* Draws a nonce, writes header and payload to bytes, and zeros up to the end
 * of the page, whose offset it returns in *end. Sets s->nonce and s->tag. */
int slot_seal(struct slot *s, const uint8_t uuid[UUID_SIZE],
    struct xaes *key, const uint8_t *payload, uint8_t *bytes,
    size_t bytes_size, size_t *end, struct err *err);

/* Records in a payload: {u32 kind, u32 size, bytes} one after the other. */
int slot_payload_size(const struct nvram_record *records, size_t n,
    size_t *size);
int slot_payload_put(const struct nvram_record *records, size_t n,
    uint8_t *payload, size_t size);
/* Whether the payload is a list of whole records, each kind once. */
int slot_payload_check(const uint8_t *payload, size_t size);
/* ERR_NOTFOUND when there is none of this kind. */
int slot_payload_get(const uint8_t *payload, size_t size, uint32_t kind,
    const uint8_t **data, size_t *data_size);

#endif
