/* SPDX-License-Identifier: BSD-3-Clause */
/* What a host has to send so that policies can judge it (doc/protocols.md,
 * "Evidence"). */
#ifndef ATTEST_NEEDS_H
#define ATTEST_NEEDS_H

#include "trust-authority/attest/policy.h"

#define NEEDS_PCRS_MAX 256	/* characters of needs_pcrs with the NUL */

struct needs {
	bool eventlog, ima_log;
	struct pcr_set pcrs;
};

/* Of nothing: PCRs 0 to 9, by which a quote is one at all. */
void needs_init(struct needs *n);
void needs_add(struct needs *n, const struct policy *p);
/* For policy_capture. */
void needs_add_capture(struct needs *n, const struct hash_alg *bank, bool ima);
/* "sha256:0,1,2+sha384:7". */
void needs_pcrs(const struct needs *n, char out[NEEDS_PCRS_MAX]);

#endif
