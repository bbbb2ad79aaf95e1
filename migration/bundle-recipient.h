/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who can open a bundle: holders of a private key (EC P-256 or P-384, RSA of
 * 3072 bits or more) or of a passphrase. Each has the bundle's key wrapped
 * under a key that only he can come by. doc/bundle-format.md, "Recipient".
 */
#ifndef MIGRATION_BUNDLE_RECIPIENT_H
#define MIGRATION_BUNDLE_RECIPIENT_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/secret.h"
#include "nvram-crypt/crypto.h"

#define BUNDLE_ID_SIZE 16u
#define BUNDLE_KEY_SIZE 32u
#define BUNDLE_RECIPIENTS_MAX 8u
#define BUNDLE_LABEL_SIZE 64u		/* with the final NUL */
#define BUNDLE_BODY_MAX 1152u

/* Numbers in the file; never reuse one. */
enum bundle_recipient_kind {
	BUNDLE_PASSPHRASE = 1,
	BUNDLE_EC = 2,
	BUNDLE_RSA = 3,
};

struct bundle_recipient {
	uint16_t kind;
	uint16_t body_size;
	uint8_t fingerprint[SHA256_SIZE];	/* of the public key (DER of
						 * SubjectPublicKeyInfo) */
	char label[BUNDLE_LABEL_SIZE];		/* in words */
	uint8_t body[BUNDLE_BODY_MAX];
};

/* To whom a bundle is to be sealed. */
struct recipient;
/* A file with a PEM "PUBLIC KEY". */
int recipient_from_pem(struct recipient **out, const char *path,
    struct err *err);
/* Takes passphrase, also on failure. */
int recipient_from_passphrase(struct recipient **out,
    struct secret *passphrase, struct err *err);
void recipient_free(struct recipient *r);
/* key: BUNDLE_KEY_SIZE bytes. */
int recipient_wrap(const struct recipient *r,
    const uint8_t id[BUNDLE_ID_SIZE], const struct secret *key,
    struct bundle_recipient *out, struct err *err);

/* A recipient's private key, from a PEM file that may itself be encrypted under
 * passphrase (else NULL). */
struct bundle_key;
int bundle_key_load(struct bundle_key **out, const char *path,
    const struct secret *passphrase, struct err *err);
void bundle_key_free(struct bundle_key *k);

/* What there is to open a bundle with; NULL where not. */
struct bundle_creds {
	const struct bundle_key *key;
	const struct secret *passphrase;
};
/* ERR_KEY where creds are not for r, or do not fit. The parameters in r->body
 * are anybody's. */
int recipient_unwrap(const struct bundle_creds *creds,
    const uint8_t id[BUNDLE_ID_SIZE], const struct bundle_recipient *r,
    struct secret **key, struct err *err);

#endif
