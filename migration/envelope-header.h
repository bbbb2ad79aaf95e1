/* SPDX-License-Identifier: BSD-3-Clause */
/* The plain part of an envelope. envelope.c alone includes this. */
#ifndef MIGRATION_ENVELOPE_HEADER_H
#define MIGRATION_ENVELOPE_HEADER_H

#include "base/buf.h"
#include "migration/envelope.h"
#include "nvram-crypt/crypto.h"
#include "nvram-crypt/xaes.h"

#define ENVELOPE_WRAPPED_SIZE \
	(XAES_NONCE_SIZE + ENVELOPE_KEY_SIZE + XAES_TAG_SIZE)

struct envelope_wrapped {
	uint16_t protector;
	uint8_t id[ENVELOPE_ID_SIZE];
	uint8_t params[ENVELOPE_PARAMS_MAX];
	uint16_t params_size;
	uint8_t nonce[XAES_NONCE_SIZE];
	uint8_t key[ENVELOPE_KEY_SIZE];
	uint8_t tag[XAES_TAG_SIZE];
};

struct envelope_header {
	struct envelope e;
	uint8_t commitment[SHA256_SIZE];
	size_t n_wrapped;
	struct envelope_wrapped wrapped[ENVELOPE_PROTECTORS_MAX];
	uint8_t nonce[XAES_NONCE_SIZE];
	uint32_t version;
	uint32_t state_size;		/* with the name before it */
};

void envelope_header_put(struct buf *b, const struct envelope_header *h);
/* Reads it from the start of an envelope; nothing of it is authentic yet. The
 * sizes fit what is left: the state and its tag follow and then nothing. */
int envelope_header_get(struct buf *b, struct envelope_header *h,
    struct err *err);

#endif
