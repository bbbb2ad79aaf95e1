/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Making a TPM, in this process's memory: endorsement keys, their
 * certificates, the platform certificate, the storage root key, PCR banks.
 * What a factory does to a chip, and swtpm_setup to swtpm.
 *
 * The dictionary-attack parameters stay as libtpms makes them (maxTries 3,
 * recoveryTime 1000 s, lockoutRecovery 1000 s), owner, endorsement and
 * lockout authorisation empty: setting them is the owner's business.
 */
#ifndef VTPM_MANUFACTURE_H
#define VTPM_MANUFACTURE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/secret.h"
#include "base/uuid.h"
#include "vtpm/ek-ca.h"
#include "vtpm/tpm-public.h"

/* TCG reserved handles: Registry of Reserved TPM 2.0 Handles and
 * Localities. */
#define PLATFORM_CERT_INDEX 0x01c08000u

#define MANUFACTURE_EKS_MAX 4u
#define MANUFACTURE_BANKS_MAX 8u

/* Who certifies EKs in place of the host's CA. tpm is what the TPM says of
 * itself. */
struct ek_cert;
struct ek_cert_tpm;
typedef int manufacture_certify(void *arg, const struct ek_cert_tpm *tpm,
    const struct tpm_public *key, struct ek_cert *out, struct err *err);

struct manufacture_plan {
	uint8_t uuid[UUID_SIZE];
	const struct tpm_template *eks[MANUFACTURE_EKS_MAX];
	size_t n_eks;			/* the platform certificate names the
					 * first one's certificate */
	const struct tpm_template *srk;	/* NULL: none */
	uint16_t banks[MANUFACTURE_BANKS_MAX];	/* TPM_ALG_ID */
	size_t n_banks;
	manufacture_certify *certify;	/* NULL: the host's CA */
	void *certify_arg;
};

/* "sha256,sha384" to plan->banks; "rsa2048,p384" to plan->eks; "rsa2048" to
 * plan->srk; of the last two also "none". ERR_USAGE says what there is. */
int manufacture_parse_banks(struct manufacture_plan *plan, const char *list,
    struct err *err);
int manufacture_parse_eks(struct manufacture_plan *plan, const char *list,
    struct err *err);
int manufacture_parse_srk(struct manufacture_plan *plan, const char *name,
    struct err *err);
/* "sha256" for 0x000b; NULL for what has no name here. */
const char *manufacture_bank_name(uint16_t hash);

/* Once per process: libtpms has one TPM. ca may be NULL where plan->certify is
 * set, or no EK is made: then there is no platform certificate either. *state
 * is the permanent state, to be freed with secret_free. */
int manufacture(const struct manufacture_plan *plan, struct ek_ca *ca,
    struct secret **state, struct err *err);

#endif
