/* SPDX-License-Identifier: BSD-3-Clause */
/* Policies against a host's verified evidence. */
#ifndef ATTEST_JUDGE_H
#define ATTEST_JUDGE_H

#include "trust-authority/attest/policy.h"
#include "trust-authority/attest/verdict.h"

/* Judges by each policy in turn; one that is passed is enough. before is the
 * TPM's clock at this host's last accepted attestation, or NULL. *out is there
 * to be freed whatever the judgement; an error means that there was none. */
int judge(struct attestation *a, const struct policy *const *policies,
    size_t count, const struct tpm_clock *before, struct verdict **out,
    struct err *err);

#endif
