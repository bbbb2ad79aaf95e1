/* SPDX-License-Identifier: BSD-3-Clause */
/* What windows-check reads out of an EK certificate: TCG EK Credential Profile
 * v2.5, section 3, as far as Windows and the certification programme ask. */
#ifndef VTPM_WINDOWS_CERT_H
#define VTPM_WINDOWS_CERT_H

#include <stdbool.h>
#include <stdint.h>

#include "vtpm/ek-cert.h"

struct windows_cert {
	char text[160];			/* issuer, for a reader */
	char faults[200];		/* "": none */
	bool has_issuer_url;		/* authorityInfoAccess, caIssuers */
};

/* maker: TPM_PT_MANUFACTURER. rsa: what key it has to be of. */
void windows_cert_read(struct windows_cert *c, const struct ek_cert *cert,
    bool rsa, uint32_t maker);
void windows_cert_fault(struct windows_cert *c, const char *fault);

#endif
