/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * XAES-256-GCM (c2sp.org/XAES-256-GCM): AES-256-GCM under a key derived for
 * each message by SP 800-108r1 counter mode over CMAC, so that 192-bit nonces
 * may be drawn at random without limit. Not key-committing: who must tell a
 * wrong key from a damaged message commits to the key elsewhere.
 */
#ifndef NVRAM_CRYPT_XAES_H
#define NVRAM_CRYPT_XAES_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define XAES_KEY_SIZE 32
#define XAES_NONCE_SIZE 24
#define XAES_TAG_SIZE 16

struct xaes;

/* The contexts are kept, so that a message costs no allocation. */
int xaes_new(struct xaes **out, const uint8_t key[XAES_KEY_SIZE],
    struct err *err);
void xaes_free(struct xaes *x);

/* out takes size bytes and may be in. aad and in may be NULL with size 0. */
int xaes_seal(struct xaes *x, const uint8_t nonce[XAES_NONCE_SIZE],
    const void *aad, size_t aad_size, const void *in, size_t size, void *out,
    uint8_t tag[XAES_TAG_SIZE], struct err *err);
/* ERR_AUTH when the tag does not fit; out is then cleansed. */
int xaes_open(struct xaes *x, const uint8_t nonce[XAES_NONCE_SIZE],
    const void *aad, size_t aad_size, const void *in, size_t size, void *out,
    const uint8_t tag[XAES_TAG_SIZE], struct err *err);

#endif
