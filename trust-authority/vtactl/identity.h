/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The authority's certificates (RFC 5280): its CA, those of the services and
 * administrators that it signs, and the CA of EK certificates. ECDSA; CAs on
 * P-384, since they are to last, all others on P-256, since handshakes there
 * are an order of magnitude faster.
 */
#ifndef TRUST_AUTHORITY_VTACTL_IDENTITY_H
#define TRUST_AUTHORITY_VTACTL_IDENTITY_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define IDENTITY_FINGERPRINT_SIZE 65	/* SHA-256 of the DER in hex, NUL */

/* Zero-initialise. */
struct identity {
	EVP_PKEY *key;
	X509 *cert;
};

enum identity_use { IDENTITY_SERVICE, IDENTITY_ADMIN };

struct identity_wish {
	const char *organisation, *name;	/* subject's O and CN */
	/* "DNS:a.example,IP:192.0.2.1", RFC 5280 4.2.1.6; NULL: none. */
	const char *alternatives;
	enum identity_use use;
	int days;
	EVP_PKEY *key;		/* of whom it is for; NULL: one is made */
};

/* A CA by itself. days 0: without an end, 4.1.2.5. */
int identity_make_ca(struct identity *ca, const char *organisation,
    const char *name, int days, struct err *err);
/* A certificate, and a new key where the wish has none. It ends with the CA at
 * the latest. */
int identity_issue(const struct identity *ca,
    const struct identity_wish *wish, struct identity *out, struct err *err);

/* The public key of a request in PEM (PKCS #10, RFC 2986) whose signature shows
 * that who made it has the private one; nothing else of it counts. */
int identity_request_key(const char *file, EVP_PKEY **out, struct err *err);
/* key NULL: the certificate alone. */
int identity_load(struct identity *id, const char *certificate,
    const char *key, struct err *err);
void identity_free(struct identity *id);

/* "DNS:..." as in a wish; malloc'ed. */
int identity_alternatives(const struct identity *id, char **out,
    struct err *err);
/* Appends each of "HOST[,HOST...]" as DNS: or IP:, and the loopback names. */
int identity_addresses(const char *hosts, char *out, size_t room,
    struct err *err);
int identity_fingerprint(X509 *cert,
    char out[IDENTITY_FINGERPRINT_SIZE], struct err *err);
/* Seconds since 1970. */
long long identity_ends(const X509 *cert);
/* An O or CN as text; "" where there is none. */
void identity_subject(const X509 *cert, int nid, char *out, size_t room);

/* PEM, to be freed with identity_text_free, which cleanses. */
int identity_key_text(const struct identity *id, char **out,
    struct err *err);
int identity_cert_text(const X509 *cert, char **out, struct err *err);
void identity_text_free(char *text);

#endif
