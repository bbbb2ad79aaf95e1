/* SPDX-License-Identifier: BSD-3-Clause */
/* The second request of an attestation, between the files that serve it. */
#ifndef ATTESTD_FINISH_H
#define ATTESTD_FINISH_H

#include "trust-authority/attest/judge.h"
#include "trust-authority/attestd/identify.h"
#include "trust-authority/attestd/session.h"
#include "trust-authority/common/base64url.h"
#include "trust-authority/common/token.h"

struct finish {
	struct field_bytes secret, transport_der, evidence;
	json_t *session_text;		/* borrowed */
	const char *address;
	struct session session;
	struct tpm_key *ek, *ak;
	struct claimant claimant;
	struct identity id;
	struct directory_attested before;	/* version 0: none */
	struct jwk *transport;
	struct attestation *attestation;
	/* The quote is fresh and of the TPM of this host: what is wrong
	 * beyond that is the host's own. */
	bool proven;

	struct directory_group group;
	struct verdict *verdict;
	struct directory_attested after;
	struct token_claims claims;
};

/* DER SubjectPublicKeyInfo of a key on P-256, and nothing after it. */
int transport_read(const struct field_bytes *der, struct jwk **out,
    struct err *err);

/* What became of it, into f->after: by the policies of its group; */
int outcome_judge(struct attestd *d, struct finish *f, struct err *err);
/* or refused before they could judge. */
void outcome_refuse(struct finish *f, const char *reason);
/*
 * A session serves once: it is later than the last that was finished. Where
 * that one is in the future, a clock was wrong then or is now, and refusing the
 * host until the clocks meet would help nobody: what is refused then is that
 * very session, and session_open refuses those of the wrong clock.
 */
int outcome_check_replay(const struct finish *f, struct err *err);

/* Into the store, unless a later session has been finished or the host's record
 * has changed meanwhile; and the event, where the state is another. */
int outcome_commit(struct attestd *d, struct finish *f, struct err *err);
/* With the token. */
int outcome_answer(struct attestd *d, struct finish *f,
    struct http_answer *a, struct err *err);

#endif
