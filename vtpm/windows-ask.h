/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What windows-check asks the TPM of this process beyond tpm-command.h. Named
 * after TPM 2.0 Part 3; errors as there.
 */
#ifndef VTPM_WINDOWS_ASK_H
#define VTPM_WINDOWS_ASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define TPM_CAP_ALGS 0u
#define TPM_CAP_COMMANDS 2u
#define TPM_CAP_ECC_CURVES 8u
#define ASK_LIST_MAX 254u	/* of TPMA_CC, what a TPM2_GetCapability gives */
#define ASK_DIGEST_MAX 64u
#define ASK_PCRS 24u		/* PC Client PTP 4.6 */

/* The identifiers of a list, without their attributes: TPM_ALG_ID, TPM_CC,
 * TPM_ECC_CURVE. */
struct ask_list {
	uint32_t ids[ASK_LIST_MAX];
	size_t n;
};
bool ask_list_has(const struct ask_list *l, uint32_t id);

int ask_capability(uint32_t capability, struct ask_list *l, struct err *err);
/* Which PCRs a bank has, bit 0 for PCR 0; 0 where it is not allocated. */
int ask_bank(uint16_t hash, uint32_t *pcrs, struct err *err);
/* TPM2_PCR_Read of one. */
int ask_pcr(uint16_t hash, unsigned int pcr, uint8_t digest[ASK_DIGEST_MAX],
    size_t *size, struct err *err);

struct ask_clock {
	uint64_t clock;			/* ms */
	uint32_t resets, restarts;
	bool safe;
};
int ask_clock(struct ask_clock *c, struct err *err);

/* TPM2_SelfTest of everything. */
int ask_self_test(struct err *err);
/* TPM2_TestParms: whether the TPM has such keys. An RSA key, without a scheme;
 * a symmetric AES-CFB one. */
int ask_rsa(uint16_t bits, struct err *err);
int ask_aes_cfb(uint16_t bits, struct err *err);

/* TPM2_ContextSave of a transient object, and TPM2_ContextLoad of it with zero
 * bytes behind it until TPMS_CONTEXT has `size`; none where it is larger. */
int ask_context(uint32_t object, size_t size, struct err *err);

#endif
