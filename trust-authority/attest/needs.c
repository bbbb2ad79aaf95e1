/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/attest/needs.h"

#include <stdio.h>
#include <string.h>

#include "trust-authority/attest/policy-parts.h"

#define BOOT_PCRS 0x3ffu		/* 0 to 9, IMA's boot aggregate */
#define LOADER_PCRS (1u << 12 | 1u << 14)

static void
add(struct needs *n, const struct hash_alg *bank, uint32_t mask)
{
	for (size_t i = 0; i < n->pcrs.count; i++)
		if (n->pcrs.bank[i].alg == bank) {
			n->pcrs.bank[i].mask |= mask;
			return;
		}
	if (n->pcrs.count == PCR_BANKS_MAX)
		return;
	n->pcrs.bank[n->pcrs.count].alg = bank;
	n->pcrs.bank[n->pcrs.count++].mask = mask;
}

void
needs_init(struct needs *n)
{
	memset(n, 0, sizeof(*n));
}

/* The kernel's boot aggregate is of the bank of its own hash, for which sha256
 * is the default, or of the SHA-256 bank (ima_calc_boot_aggregate). */
static void
add_ima(struct needs *n, const struct hash_alg *bank)
{
	n->ima_log = true;
	add(n, bank, 1u << IMA_PCR);
	add(n, hash_by_name("sha256"), BOOT_PCRS);
}

void
needs_add(struct needs *n, const struct policy *p)
{
	add(n, p->bank, BOOT_PCRS | LOADER_PCRS);
	for (uint32_t i = 0; i < PCR_COUNT; i++)
		if (p->pcr[i].given)
			add(n, p->bank, 1u << i);
	add(n, p->bank, p->replay);
	n->eventlog |= p->events;
	if (p->ima)
		add_ima(n, p->bank);
}

void
needs_add_capture(struct needs *n, const struct hash_alg *bank, bool ima)
{
	add(n, bank, BOOT_PCRS | LOADER_PCRS);
	n->eventlog = true;
	if (ima)
		add_ima(n, bank);
}

void
needs_pcrs(const struct needs *n, char out[NEEDS_PCRS_MAX])
{
	struct needs some = *n;
	size_t at = 0;

	if (some.pcrs.count == 0)
		add(&some, hash_by_name("sha256"), BOOT_PCRS);
	for (size_t i = 0; i < some.pcrs.count; i++) {
		const struct pcr_bank *bank = &some.pcrs.bank[i];
		char before = ':';

		at += (size_t)snprintf(out + at, NEEDS_PCRS_MAX - at, "%s%s",
		    i > 0 ? "+" : "", bank->alg->name);
		for (unsigned int k = 0; k < PCR_COUNT; k++) {
			if (!(bank->mask & 1u << k))
				continue;
			at += (size_t)snprintf(out + at, NEEDS_PCRS_MAX - at,
			    "%c%u", before, k);
			before = ',';
		}
	}
}
