/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The endorsement keys that a TPM may have (TCG EK Credential Profile for TPM
 * Family 2.0, 2.5, B.3 and B.4): each is derived from the endorsement seed by
 * its template, and certified by the TPM's maker.
 */
#ifndef AGENT_TPM_EK_TEMPLATE_H
#define AGENT_TPM_EK_TEMPLATE_H

#include <stddef.h>
#include <tss2/tss2_tpm2_types.h>

#include "base/err.h"

struct ek_template {
	const char *name;		/* "p256"; in files and configuration */
	const char *title;		/* "L-2", the profile's */
	TPMI_RH_NV_INDEX certificate;	/* clause 2.2.1.4 and 2.2.1.5 */
	TPMI_DH_PERSISTENT handle;	/* where a set-up may have kept it */
	TPM2B_PUBLIC public;
};

#define EK_TEMPLATES 6
/* In the order in which they are preferred: a small TPM makes a curve's key in
 * a tenth of a second, and an RSA key in up to half a minute. */
const struct ek_template *ek_template_at(size_t i);
/* NULL where there is none. */
const struct ek_template *ek_template_find(const char *name, size_t size);

/* The policy of the high range is an alternative, met by its first half: these
 * are both. NULL in the low range, where the first half is all. */
const TPML_DIGEST *ek_template_or(const struct ek_template *e);

#endif
