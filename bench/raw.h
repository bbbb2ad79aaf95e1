/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the cryptography of the services costs by itself: ordinary EVP calls
 * with keys that are there already. Times are us of this thread's processor
 * time.
 */
#ifndef BENCH_RAW_H
#define BENCH_RAW_H

#include "base/err.h"
#include "bench/place.h"

struct raw;

int raw_new(const struct place *p, struct raw **out, struct err *err);
void raw_free(struct raw *r);

/* Each the mean of n. */
/* Server's side of a TLS 1.3 handshake (X25519, ECDSA on P-256), the EK
 * certificate's chain (two RSA-2048 signatures), MakeCredential's OAEP, the
 * quote's ECDSA signature, SHA-256 over the evidence and for each event of the
 * boot, the token's ES256. */
int raw_attestation(struct raw *r, size_t n, double *us, struct err *err);
/* Two TLS records, the wrapped key (KBKDF, AES-256-GCM), ECDH-ES on P-256 with
 * a key made for it, AES-KW, AES-256-GCM. */
int raw_release(struct raw *r, size_t n, double *us, struct err *err);
/* The token's ES256, which a release needs only for a token that is new. */
int raw_token(struct raw *r, size_t n, double *us, struct err *err);

#endif
