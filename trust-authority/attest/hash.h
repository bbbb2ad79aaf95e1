/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The hash algorithms of PCR banks, names and signatures (TCG Algorithm
 * Registry), from OpenSSL's default library context: the authority's services
 * have no libtpms in them that would need it for itself.
 */
#ifndef ATTEST_HASH_H
#define ATTEST_HASH_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define HASH_MAX 64	/* bytes of the longest digest */
#define HASH_HEX_SIZE (2 * HASH_MAX + 1)

#define TPM_ALG_SHA1 0x0004u
#define TPM_ALG_SHA256 0x000bu

struct hash_alg {
	uint16_t id;		/* TPM_ALG_ID */
	const char *name;	/* "sha256", as tools and the kernel write it */
	size_t size;		/* bytes of a digest */
};

/* NULL where it is none that we know. */
const struct hash_alg *hash_by_id(uint16_t id);
const struct hash_alg *hash_by_name(const char *name);

/* The digest of several pieces one after the other. */
struct hash_part {
	const void *data;
	size_t size;
};

/* Computes many digests of one algorithm without fetching it each time. */
struct hasher;
struct hasher *hasher_new(const struct hash_alg *alg, struct err *err);
void hasher_free(struct hasher *h);
const struct hash_alg *hasher_alg(const struct hasher *h);
int hasher_digest(struct hasher *h, const struct hash_part *parts,
    size_t count, uint8_t out[HASH_MAX], struct err *err);
/* pcr = H(pcr || digest): TPM2_PCR_Extend, TPM 2.0 Part 1, 17.2. */
int hasher_extend(struct hasher *h, uint8_t *pcr, const uint8_t *digest,
    struct err *err);

/* One digest. */
int hash_digest(const struct hash_alg *alg, const struct hash_part *parts,
    size_t count, uint8_t out[HASH_MAX], struct err *err);

/* Lower case, with the final NUL; size is at most HASH_MAX. */
void hash_hex(const uint8_t *digest, size_t size, char out[HASH_HEX_SIZE]);
/* Exactly size bytes from as many pairs of hexadecimal digits, no more. */
int hash_unhex(const char *text, uint8_t *out, size_t size);

/* "OpenSSL failed: WHAT: its oldest error"; returns ERR_CRYPTO. */
int openssl_error(struct err *err, const char *what);

#endif
