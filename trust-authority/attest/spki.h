/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SubjectPublicKeyInfo in DER (RFC 5280, 4.1; RSA: RFC 3279, 2.3.1; curves:
 * RFC 5480, 2, points uncompressed) of the few kinds of keys that there are
 * here. OpenSSL writes and reads the same by looking through all its encoders
 * and decoders: 70 and 130 us, of which a host's attestation had four.
 */
#ifndef ATTEST_SPKI_H
#define ATTEST_SPKI_H

#include "base/buf.h"
#include "trust-authority/attest/tpm-key.h"

#define SPKI_MAX 600	/* RSA of 4096 bits */
#define SPKI_P256_POINT 65	/* 04 || x || y */

/* ERR_UNSUPPORTED for a kind that it does not know. */
int spki_write(const struct tpm_key *key, struct buf *out, struct err *err);
/* Nothing but a key on P-256: *point (in data) is its point, which may not be
 * on the curve. ERR_FORMAT. */
int spki_p256(const uint8_t *data, size_t size, const uint8_t **point);

#endif
