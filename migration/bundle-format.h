/* SPDX-License-Identifier: BSD-3-Clause */
/* A bundle's header as bytes, and its keys; what bundle-write.c and
 * bundle-read.c share. Nobody else includes this. */
#ifndef MIGRATION_BUNDLE_FORMAT_H
#define MIGRATION_BUNDLE_FORMAT_H

#include "migration/bundle.h"

#define BUNDLE_PREAMBLE_SIZE 160u
#define BUNDLE_RECIPIENT_SIZE 1280u
#define BUNDLE_VM_SIZE 256u
#define BUNDLE_COMMITMENT_SIZE 32u
#define BUNDLE_TRAILER_SIZE (BUNDLE_COMMITMENT_SIZE + XAES_NONCE_SIZE + \
	XAES_TAG_SIZE)
#define BUNDLE_HEADER_MAX (BUNDLE_PREAMBLE_SIZE + \
	BUNDLE_RECIPIENTS_MAX * BUNDLE_RECIPIENT_SIZE + \
	BUNDLE_VMS_MAX * BUNDLE_VM_SIZE + BUNDLE_TRAILER_SIZE)
/* Of one VM: records as in a slot. */
#define BUNDLE_STATE_MAX (NVRAM_STATE_MAX + 256u)

struct bundle_keys {
	struct xaes *manifest, *state;
	uint8_t commitment[BUNDLE_COMMITMENT_SIZE];
};

size_t bundle_header_size(size_t n_recipients, size_t n_vms);
/* All but the trailer. */
int bundle_header_encode(const struct bundle_manifest *m, struct buf *b);
/* The preamble alone: counts within bounds, so that the caller knows how much
 * more to read. ERR_FORMAT, ERR_UNSUPPORTED. */
int bundle_preamble_decode(const uint8_t bytes[BUNDLE_PREAMBLE_SIZE],
    struct bundle_manifest *m, struct err *err);
/* The whole header; m->vms has room for as many as the preamble says. */
int bundle_header_decode(const uint8_t *bytes, size_t size,
    struct bundle_manifest *m, struct err *err);

int bundle_keys_make(struct bundle_keys *k, const struct secret *key,
    const uint8_t id[BUNDLE_ID_SIZE], struct err *err);
void bundle_keys_free(struct bundle_keys *k);

/* What the i-th VM's state is bound to. */
#define BUNDLE_BINDING_SIZE (BUNDLE_ID_SIZE + 4u + UUID_SIZE)
void bundle_binding(const struct bundle_manifest *m, size_t i,
    uint8_t out[BUNDLE_BINDING_SIZE]);

#endif
