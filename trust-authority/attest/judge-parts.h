/* SPDX-License-Identifier: BSD-3-Clause */
/* The inside of judging: one policy, one attestation, the verdict to write. */
#ifndef ATTEST_JUDGE_PARTS_H
#define ATTEST_JUDGE_PARTS_H

#include "trust-authority/attest/judge.h"
#include "trust-authority/attest/policy-parts.h"

struct judgement {
	const struct policy *policy;
	struct attestation *a;
	struct verdict *v;
	const struct eventlog *log;
	const struct event_view *view;	/* the policy's bank */
};

/* Rules on the event log, and on the IMA log. */
void judge_events(struct judgement *j);
void judge_secure_boot(struct judgement *j);
void judge_commands(struct judgement *j);
void judge_ima(struct judgement *j);

/* The event as the verdict shows it: index, PCR, type, digest, text and whether
 * the digest vouches for the text. */
json_t *judge_event_json(const struct judgement *j, size_t i);
const uint8_t *judge_event_digest(const struct judgement *j, size_t i);
/* The event extends this PCR. */
bool judge_event_of(const struct judgement *j, size_t i, uint32_t pcr);
/* Says once in the open rule when the log does not explain the PCR, and so
 * tells nothing about it. */
bool judge_pcr_explained(struct judgement *j, uint32_t pcr);

#endif
