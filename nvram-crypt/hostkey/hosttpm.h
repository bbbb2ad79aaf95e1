/* SPDX-License-Identifier: BSD-3-Clause */
/* The host's own TPM through tpm2-tss's ESAPI. */
#ifndef HOSTKEY_HOSTTPM_H
#define HOSTKEY_HOSTTPM_H

#include <tss2/tss2_esys.h>

#include "base/err.h"

struct hosttpm;

/* Connects; tcti is a TCTILDR configuration ("device:/dev/tpmrm0"). */
int hosttpm_open(struct hosttpm **out, const char *tcti, struct err *err);
/* Flushes all that was made: there may be no resource manager. */
void hosttpm_close(struct hosttpm *t);

ESYS_CONTEXT *hosttpm_esys(const struct hosttpm *t);

/* The ECC P-256 storage primary, derived anew from the owner hierarchy's
 * seed; name may be NULL. */
int hosttpm_srk(struct hosttpm *t, ESYS_TR *handle, TPM2B_NAME *name,
    struct err *err);
/* Name of the endorsement hierarchy's P-256 primary, which outlives
 * TPM2_Clear; size 0 where that hierarchy is not ours to use. */
void hosttpm_identity(struct hosttpm *t, TPM2B_NAME *name);
/* An HMAC session salted with key, which encrypts the first parameter of
 * commands and responses (AES-128-CFB). */
int hosttpm_session(struct hosttpm *t, ESYS_TR key, ESYS_TR *session,
    struct err *err);
/* Has hosttpm_close flush a handle that the caller made. */
void hosttpm_keep(struct hosttpm *t, ESYS_TR handle);
/* Flushes one of those now: there is little room. */
void hosttpm_drop(struct hosttpm *t, ESYS_TR handle);

/* Without its error text: TPM2_CreatePrimary with empty authorisations; and a
 * session salted with key (ESYS_TR_NONE: not salted), which goes on after its
 * use. Both are kept. */
TSS2_RC hosttpm_primary(struct hosttpm *t, ESYS_TR hierarchy,
    const TPM2B_PUBLIC *template, ESYS_TR *handle, TPM2B_NAME *name);
TSS2_RC hosttpm_session_start(struct hosttpm *t, ESYS_TR key, TPM2_SE type,
    TPMI_ALG_HASH hash, TPMA_SESSION attributes, ESYS_TR *session);

/* Sets err from a TSS2_RC; what is what was tried. Returns ERR_TPM. */
int hosttpm_error(struct err *err, TSS2_RC tss, const char *what);
/* The same with advice of the caller's for some codes. */
struct hosttpm_advice {
	TSS2_RC code;
	const char *text;
};
int hosttpm_error_advise(struct err *err, TSS2_RC tss, const char *what,
    const struct hosttpm_advice *list, size_t count);
/* The error alone of a TPM's code, without the number of what it is about. */
TSS2_RC hosttpm_rc_base(TSS2_RC tss);

#endif
