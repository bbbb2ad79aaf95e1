/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What lies between the two requests of an attestation. It travels with the
 * host, sealed (doc/authority-protocols.md): nothing is kept for it, and what
 * comes back altered is refused.
 */
#ifndef ATTESTD_SESSION_H
#define ATTESTD_SESSION_H

#include "trust-authority/attestd/attestd.h"
#include "trust-authority/attest/ek-cert.h"

#define SESSION_NONCE_SIZE 32
#define SESSION_SECRET_SIZE 32
#define SESSION_KEY_MAX 1024	/* bytes of a TPMT_PUBLIC; RSA 4096: 540 */

struct session {
	int64_t began;			/* ms since 1970 */
	uint8_t nonce[SESSION_NONCE_SIZE];
	bool credential;		/* a secret was hidden from the host */
	uint8_t secret_digest[32];	/* SHA-256 of it */
	char host[NAME_MAX_SIZE];
	/* Not listed yet: it enters this group when it has proven itself. */
	bool enroll;
	char group[NAME_MAX_SIZE];
	uint8_t ek[SESSION_KEY_MAX], ak[SESSION_KEY_MAX];
	size_t ek_size, ak_size;
	/* Of a host that enrolls, for its record. */
	uint8_t certificate[EK_CERT_MAX];
	size_t certificate_size;
	uint64_t capture;		/* whose needs it was told; 0: none */
	int64_t agent_port;		/* 0: it has none */
	char agent_certificate[DIRECTORY_PEM_MAX];
};

/* *out is malloc'ed. */
int session_seal(const struct secret *key, const struct session *s,
    char **out, struct err *err);
/* ERR_AUTH: altered, or sealed by an authority with another key; ERR_STALE: it
 * is older than seconds. now: ms. */
int session_open(const struct secret *key, const char *text, int64_t now,
    long seconds, struct session *s, struct err *err);

#endif
