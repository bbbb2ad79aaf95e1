/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the cryptography of the services costs by itself: ordinary EVP calls
 * with keys that are there already. Times are us of this thread's processor
 * time.
 */
#ifndef BENCH_RAW_H
#define BENCH_RAW_H

#include "base/err.h"
#include "bench/soft-host.h"

struct raw;

/* ek: a certificate of ca's, in DER. */
int raw_new(const struct place *p, const struct soft_ca *ca,
    struct raw **out, struct err *err);
void raw_free(struct raw *r);

/* Each the mean of n. */
/* Server's side of a handshake with the service's certificate and settings, in
 * memory; the EK certificate, read and its chain verified; MakeCredential's
 * OAEP; the quote's ECDSA signature; SHA-256 over the evidence and for each
 * event of the boot; the token's ES256. */
int raw_attestation(struct raw *r, size_t n, double *us, struct err *err);
/* Of these the arithmetic alone: X25519, ECDSA and two RSA-2048 signatures in
 * place of the handshake and the certificate. */
int raw_arithmetic(struct raw *r, size_t n, double *us, struct err *err);
/* Two TLS records, the wrapped key (KBKDF, AES-256-GCM), ECDH-ES on P-256 with
 * a key made for it, AES-KW, AES-256-GCM. */
int raw_release(struct raw *r, size_t n, double *us, struct err *err);
/* The token's ES256, which a release needs only for a token that is new. */
int raw_token(struct raw *r, size_t n, double *us, struct err *err);

#endif
