/* SPDX-License-Identifier: BSD-3-Clause */
/* Who a host is, by its endorsement key. */
#ifndef ATTESTD_IDENTIFY_H
#define ATTESTD_IDENTIFY_H

#include "trust-authority/attest/tpm-key.h"
#include "trust-authority/attestd/attestd.h"

/* What a host says of itself. */
struct claimant {
	const struct tpm_key *ek;
	char fingerprint[DIRECTORY_FINGERPRINT_SIZE];
	const uint8_t *certificate;	/* DER; NULL: none */
	size_t certificate_size;
	const char *intermediates;	/* PEM; NULL: none */
	const char *name;
};

struct identity {
	/* From the store; or, where enroll is set, as it will be there. */
	struct directory_host host;
	bool enroll;
};

/* Its SubjectPublicKeyInfo. */
int ek_pem_write(const struct tpm_key *ek, char *out, size_t room,
    struct err *err);
/* *out, which is the caller's, and in c who it is by that. */
int claimant_read_ek(struct attestd *d, struct claimant *c, const uint8_t *ek,
    size_t size, struct tpm_key **out, struct err *err);

/* ERR_NOTFOUND: an EK that is neither listed nor may enroll. ERR_REFUSED: its
 * certificate, or a host that was revoked; id->host.name is set then. */
int identify(struct attestd *d, const struct claimant *c,
    struct identity *id, struct err *err);
/* A host that enters by itself: its record, of what was verified when its
 * session began. */
int identity_enroll(const struct claimant *c, const char *name,
    const char *group, struct identity *id, struct err *err);
/* ERR_REFUSED, and who has said why. */
int identity_check_revoked(const struct directory_host *h, struct err *err);

#endif
