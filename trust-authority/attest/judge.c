/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/attest/judge.h"

#include <stdio.h>
#include <string.h>

#include "trust-authority/attest/judge-parts.h"

static void
judge_pcrs(struct judgement *j)
{
	const struct policy *p = j->policy;
	const struct pcr_bank *bank = pcr_bank_find(
	    &attestation_quote(j->a)->pcrs, p->bank);
	char rule[16], hex[HASH_HEX_SIZE];

	for (uint32_t i = 0; i < PCR_COUNT; i++) {
		const uint8_t *value = pcr_bank_value(bank, i);

		if (!p->pcr[i].given)
			continue;
		snprintf(rule, sizeof(rule), "pcrs.%u", i);
		verdict_rule(j->v, rule);
		if (value == NULL) {
			verdict_fail(j->v, NULL, "PCR %u of the bank %s was "
			    "not quoted", i, p->bank->name);
		} else if (!digest_list_has(&p->pcr[i], value,
		    p->bank->size)) {
			hash_hex(value, p->bank->size, hex);
			verdict_fail(j->v, NULL, "PCR %u is %s, which is not "
			    "approved", i, hex);
		}
	}
}

static void
judge_firmware(struct judgement *j)
{
	const struct policy *p = j->policy;
	uint64_t version = attestation_quote(j->a)->firmware;

	if (!p->firmware_given)
		return;
	verdict_rule(j->v, "tpm.firmware");
	for (size_t i = 0; i < p->firmware_count; i++)
		if (p->firmware[i] == version)
			return;
	verdict_fail(j->v, NULL, "the TPM's firmware %016llx is not approved",
	    (unsigned long long)version);
}

static void
judge_clock(struct judgement *j, const struct tpm_clock *before)
{
	const struct tpm_clock *now = &attestation_quote(j->a)->clock;
	const struct policy *p = j->policy;
	struct err err = { 0 };

	verdict_rule(j->v, "tpm.clock");
	if (before != NULL && tpm_clock_follows(before, now, &err) < 0)
		verdict_fail(j->v, NULL, "%s", err.text);
	if (p->clock_safe && !now->safe)
		verdict_fail(j->v, NULL, "the TPM says that its clock may "
		    "have gone back: it lost power without a shutdown");
	if (!p->resets && before != NULL && now->resets != before->resets)
		verdict_fail(j->v, NULL, "the host was reset: the TPM counts "
		    "%u resets, and counted %u before", now->resets,
		    before->resets);
	if (!p->restarts && now->restarts != 0)
		verdict_fail(j->v, NULL, "the host was put to sleep: the TPM "
		    "counts %u restarts since its last reset", now->restarts);
}

static void
judge_policy(struct attestation *a, const struct policy *p,
    const struct tpm_clock *before, struct verdict *v)
{
	struct judgement j = { .policy = p, .a = a, .v = v,
		.log = attestation_eventlog(a) };

	verdict_policy(v, p->name);
	judge_clock(&j, before);
	judge_firmware(&j);
	judge_pcrs(&j);
	judge_events(&j);
	judge_ima(&j);
}

int
judge(struct attestation *a, const struct policy *const *policies,
    size_t count, const struct tpm_clock *before, struct verdict **out,
    struct err *err)
{
	struct verdict *v = verdict_new();

	*out = v;
	if (v == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	for (size_t i = 0; i < count; i++)
		judge_policy(a, policies[i], before, v);
	verdict_end(v);
	return 0;
}
