/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A host's evidence, verified: the quote is fresh and of its AK, the logs are
 * well-formed. Whether the host is in order is then for policies to say
 * (judge.h), and what its logs claim counts only as far as the quoted PCRs
 * explain it.
 */
#ifndef ATTEST_ATTESTATION_H
#define ATTEST_ATTESTATION_H

#include "trust-authority/attest/event-claim.h"
#include "trust-authority/attest/evidence.h"

struct attestation;

/* Keeps pointers into the evidence's bytes. Errors as quote_verify, and
 * ERR_FORMAT for a log that is none. */
int attestation_verify(const struct evidence *ev, const struct tpm_key *ak,
    const struct tpm_key *ek, const uint8_t binding[QUOTE_BINDING_SIZE],
    struct attestation **out, struct err *err);
void attestation_free(struct attestation *a);

const struct quote *attestation_quote(const struct attestation *a);
/* NULL where the host sent none. */
const struct eventlog *attestation_eventlog(const struct attestation *a);
const struct ima_log *attestation_ima_log(const struct attestation *a);

/* The event log as one bank of the quote shows it; made at first use. */
struct event_view {
	struct pcr_bank replay;
	uint32_t explained;	/* bit n: PCR n is quoted as replayed */
	struct event_claim *claims;	/* one for each event */
};

/* NULL and *err where there is no log, or none for this bank. */
const struct event_view *attestation_events(struct attestation *a,
    const struct hash_alg *bank, struct err *err);
/* ima_log_replay against the quoted PCR 10, made at first use. */
int attestation_ima_replay(struct attestation *a, const struct hash_alg *bank,
    enum ima_extend how, size_t *count, struct err *err);

#endif
