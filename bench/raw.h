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
 * memory; the records of both requests and answers; the EK, the AK and the
 * transport key made ready from what the host sent; the EK certificate, read
 * and its chain verified as the service does; MakeCredential; the quote's ECDSA
 * signature; SHA-256 over the evidence, over the boot's events and for each
 * extension; the token's ES256. Not what a service could do without: sealing
 * the session that travels with the host. */
int raw_attestation(struct raw *r, size_t n, double *us, struct err *err);
/* Of these the arithmetic alone: X25519, ECDSA and an RSA-2048 signature in
 * place of the handshake, the keys and the certificate. */
int raw_arithmetic(struct raw *r, size_t n, double *us, struct err *err);
/* Two TLS records, the wrapped key (KBKDF, AES-256-GCM), ECDH-ES on P-256 with
 * a key made for it, AES-KW, AES-256-GCM. */
int raw_release(struct raw *r, size_t n, double *us, struct err *err);
/* The token's ES256, which a release needs only for a token that is new. */
int raw_token(struct raw *r, size_t n, double *us, struct err *err);

#endif
