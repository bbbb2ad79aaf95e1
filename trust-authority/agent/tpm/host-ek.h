/* SPDX-License-Identifier: BSD-3-Clause */
/* The host's endorsement key and its certificate. */
#ifndef AGENT_TPM_HOST_EK_H
#define AGENT_TPM_HOST_EK_H

#include "nvram-crypt/hostkey/hosttpm.h"
#include "trust-authority/agent/tpm/ek-template.h"

#define EK_CERTIFICATE_MAX 8192

struct host_ek {
	const struct ek_template *template;
	ESYS_TR handle;
	TPM2B_PUBLIC public;
	TPM2B_NAME name;
	ESYS_TR session;	/* host_ek_authorise */
};

/* The first template that has a certificate in the TPM; where none has one,
 * the first whose key the TPM can make. */
int host_ek_choose(struct hosttpm *t, const struct ek_template **out,
    struct err *err);
/* A persistent key of this template, or else derived anew. ERR_KEY where name
 * (may be NULL) is another's: no salt and no secret may go to that key. */
int host_ek_open(struct hosttpm *t, const struct ek_template *template,
    const TPM2B_NAME *name, struct host_ek *ek, struct err *err);
/* A session salted with the EK that meets its policy, for one authorisation of
 * it; it also encrypts parameters. */
int host_ek_authorise(struct hosttpm *t, struct host_ek *ek, ESYS_TR *session,
    struct err *err);

/* The certificate from its NV index as it is there, which may be padded.
 * *size 0: there is none. ERR_REFUSED: it is another key's. */
int host_ek_certificate(struct hosttpm *t, const struct host_ek *ek,
    uint8_t cert[EK_CERTIFICATE_MAX], size_t *size, struct err *err);

/* hosttpm_error with advice about the endorsement hierarchy. */
int host_ek_error(struct err *err, TSS2_RC tss, const char *what);

#endif
