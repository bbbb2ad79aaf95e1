/* SPDX-License-Identifier: BSD-3-Clause */
#include "nvram-crypt/hostkey/hosttpm.h"

#include <stdlib.h>
#include <string.h>

#include <tss2/tss2_rc.h>
#include <tss2/tss2_tctildr.h>

#define KEPT_MAX 8

struct hosttpm {
	TSS2_TCTI_CONTEXT *tcti;
	ESYS_CONTEXT *esys;
	ESYS_TR kept[KEPT_MAX];
	size_t n_kept;
};

/*
 * The storage root key of the TCG's "TPM v2.0 Provisioning Guidance" 1.0,
 * 7.5.1, over P-256 as in the EK Credential Profile's template L-2: others
 * (systemd-cryptenroll) derive the same one, and nothing has to be stored.
 */
static const TPM2B_PUBLIC srk_template = {
	.publicArea = {
		.type = TPM2_ALG_ECC,
		.nameAlg = TPM2_ALG_SHA256,
		.objectAttributes = TPMA_OBJECT_FIXEDTPM |
		    TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN |
		    TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_NODA |
		    TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT,
		.parameters.eccDetail = {
			.symmetric = { .algorithm = TPM2_ALG_AES,
				.keyBits.aes = 128,
				.mode.aes = TPM2_ALG_CFB },
			.scheme.scheme = TPM2_ALG_NULL,
			.curveID = TPM2_ECC_NIST_P256,
			.kdf.scheme = TPM2_ALG_NULL },
		.unique.ecc = { .x.size = 32, .y.size = 32 },
	},
};

/* TCG EK Credential Profile for TPM Family 2.0, B.3.4, template L-2, with
 * PolicyA (TPM2_PolicySecret of the endorsement hierarchy). */
static const TPM2B_PUBLIC ek_template = {
	.publicArea = {
		.type = TPM2_ALG_ECC,
		.nameAlg = TPM2_ALG_SHA256,
		.objectAttributes = TPMA_OBJECT_FIXEDTPM |
		    TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN |
		    TPMA_OBJECT_ADMINWITHPOLICY | TPMA_OBJECT_RESTRICTED |
		    TPMA_OBJECT_DECRYPT,
		.authPolicy = { .size = 32, .buffer = {
			0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8,
			0x1a, 0x90, 0xcc, 0x8d, 0x46, 0xa5, 0xd7, 0x24,
			0xfd, 0x52, 0xd7, 0x6e, 0x06, 0x52, 0x0b, 0x64,
			0xf2, 0xa1, 0xda, 0x1b, 0x33, 0x14, 0x69, 0xaa } },
		.parameters.eccDetail = {
			.symmetric = { .algorithm = TPM2_ALG_AES,
				.keyBits.aes = 128,
				.mode.aes = TPM2_ALG_CFB },
			.scheme.scheme = TPM2_ALG_NULL,
			.curveID = TPM2_ECC_NIST_P256,
			.kdf.scheme = TPM2_ALG_NULL },
		.unique.ecc = { .x.size = 32, .y.size = 32 },
	},
};

/* Format-one codes carry the number of the handle, session or parameter
 * above bit 7 (TPM 2.0 Part 2, 6.6.3); only the error is of interest. */
TSS2_RC
hosttpm_rc_base(TSS2_RC tss)
{
	if ((tss & TSS2_RC_LAYER_MASK) == 0 && (tss & TPM2_RC_FMT1) != 0)
		return tss & (TPM2_RC_FMT1 | 0x3f);
	return tss;
}

/* What may be wrong whatever was tried. */
static const struct hosttpm_advice any_advice[] = {
	{ TPM2_RC_LOCKOUT, "it is locked out after failed authorisations: "
	    "wait, or run tpm2_dictionarylockout" },
	{ TPM2_RC_INITIALIZE, "it has not been started up: the host's "
	    "firmware does that" },
	{ TPM2_RC_FAILURE, "it is in failure mode: restart the host" },
	{ TPM2_RC_OBJECT_MEMORY, "it has no room for another object: use a "
	    "TCTI with a resource manager" },
	{ TPM2_RC_SESSION_MEMORY, "it has no room for another session: use a "
	    "TCTI with a resource manager" },
};

/* vtpm-hostkey's, which uses the owner hierarchy. */
static const struct hosttpm_advice owner_advice[] = {
	{ TPM2_RC_BAD_AUTH, "its owner hierarchy has a password, which vtpmd "
	    "does not know: clear it, or set key=file" },
	{ TPM2_RC_AUTH_FAIL, "its owner hierarchy has a password, which vtpmd "
	    "does not know: clear it, or set key=file" },
	{ TPM2_RC_HIERARCHY, "its owner hierarchy is disabled: enable it in "
	    "the firmware's settings" },
};

static void
advise(struct err *err, TSS2_RC tss, const struct hosttpm_advice *list,
    size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (hosttpm_rc_base(tss) == list[i].code)
			err_append(err, " (%s)", list[i].text);
}

int
hosttpm_error_advise(struct err *err, TSS2_RC tss, const char *what,
    const struct hosttpm_advice *list, size_t count)
{
	err_set(err, ERR_TPM, "the host's TPM did not %s: %s", what,
	    Tss2_RC_Decode(tss));
	advise(err, tss, any_advice, sizeof(any_advice) /
	    sizeof(any_advice[0]));
	advise(err, tss, list, count);
	if (err != NULL)
		err->sys = (long)tss;
	return ERR_TPM;
}

int
hosttpm_error(struct err *err, TSS2_RC tss, const char *what)
{
	return hosttpm_error_advise(err, tss, what, owner_advice,
	    sizeof(owner_advice) / sizeof(owner_advice[0]));
}

int
hosttpm_open(struct hosttpm **out, const char *tcti, struct err *err)
{
	struct hosttpm *t = calloc(1, sizeof(*t));
	TSS2_RC tss;
	int rc;

	if (t == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	tss = Tss2_TctiLdr_Initialize(tcti, &t->tcti);
	if (tss != TSS2_RC_SUCCESS) {
		rc = err_set(err, ERR_TPM, "no TPM at %s: %s (is there one, "
		    "may this user use it, is tcti= right?)", tcti,
		    Tss2_RC_Decode(tss));
		goto fail;
	}
	tss = Esys_Initialize(&t->esys, t->tcti, NULL);
	if (tss != TSS2_RC_SUCCESS) {
		rc = hosttpm_error(err, tss, "answer");
		goto fail;
	}
	*out = t;
	return 0;
fail:
	hosttpm_close(t);
	return rc;
}

void
hosttpm_close(struct hosttpm *t)
{
	if (t == NULL)
		return;
	while (t->n_kept > 0)
		(void)Esys_FlushContext(t->esys, t->kept[--t->n_kept]);
	if (t->esys != NULL)
		Esys_Finalize(&t->esys);
	if (t->tcti != NULL)
		Tss2_TctiLdr_Finalize(&t->tcti);
	free(t);
}

ESYS_CONTEXT *
hosttpm_esys(const struct hosttpm *t)
{
	return t->esys;
}

void
hosttpm_keep(struct hosttpm *t, ESYS_TR handle)
{
	if (t->n_kept < KEPT_MAX)
		t->kept[t->n_kept++] = handle;
}

void
hosttpm_drop(struct hosttpm *t, ESYS_TR handle)
{
	(void)Esys_FlushContext(t->esys, handle);
	for (size_t i = 0; i < t->n_kept; i++)
		if (t->kept[i] == handle)
			t->kept[i] = t->kept[--t->n_kept];
}

TSS2_RC
hosttpm_primary(struct hosttpm *t, ESYS_TR hierarchy,
    const TPM2B_PUBLIC *template, ESYS_TR *handle, TPM2B_NAME *name)
{
	const TPM2B_SENSITIVE_CREATE sensitive = { 0 };
	const TPM2B_DATA outside = { 0 };
	const TPML_PCR_SELECTION pcrs = { 0 };
	TPM2B_PUBLIC *public = NULL;
	TPM2B_CREATION_DATA *data = NULL;
	TPM2B_DIGEST *hash = NULL;
	TPMT_TK_CREATION *ticket = NULL;
	TPM2B_NAME *got = NULL;
	TSS2_RC tss;

	tss = Esys_CreatePrimary(t->esys, hierarchy, ESYS_TR_PASSWORD,
	    ESYS_TR_NONE, ESYS_TR_NONE, &sensitive, template, &outside, &pcrs,
	    handle, &public, &data, &hash, &ticket);
	if (tss != TSS2_RC_SUCCESS)
		return tss;
	hosttpm_keep(t, *handle);
	if (name != NULL)
		tss = Esys_TR_GetName(t->esys, *handle, &got);
	if (got != NULL)
		*name = *got;
	Esys_Free(public);
	Esys_Free(data);
	Esys_Free(hash);
	Esys_Free(ticket);
	Esys_Free(got);
	return tss;
}

int
hosttpm_srk(struct hosttpm *t, ESYS_TR *handle, TPM2B_NAME *name,
    struct err *err)
{
	TSS2_RC tss = hosttpm_primary(t, ESYS_TR_RH_OWNER, &srk_template,
	    handle, name);

	return tss == TSS2_RC_SUCCESS ? 0 :
	    hosttpm_error(err, tss, "make its storage root key");
}

void
hosttpm_identity(struct hosttpm *t, TPM2B_NAME *name)
{
	ESYS_TR handle;

	if (hosttpm_primary(t, ESYS_TR_RH_ENDORSEMENT, &ek_template, &handle,
	    name) != TSS2_RC_SUCCESS)
		name->size = 0;
}

TSS2_RC
hosttpm_session_start(struct hosttpm *t, ESYS_TR key, TPM2_SE type,
    TPMI_ALG_HASH hash, TPMA_SESSION attributes, ESYS_TR *session)
{
	const TPMT_SYM_DEF sym = { .algorithm = TPM2_ALG_AES,
		.keyBits.aes = 128, .mode.aes = TPM2_ALG_CFB };
	TSS2_RC tss;

	tss = Esys_StartAuthSession(t->esys, key, ESYS_TR_NONE, ESYS_TR_NONE,
	    ESYS_TR_NONE, ESYS_TR_NONE, NULL, type, &sym, hash, session);
	if (tss != TSS2_RC_SUCCESS)
		return tss;
	hosttpm_keep(t, *session);
	return Esys_TRSess_SetAttributes(t->esys, *session,
	    TPMA_SESSION_CONTINUESESSION | attributes, 0xff);
}

int
hosttpm_session(struct hosttpm *t, ESYS_TR key, ESYS_TR *session,
    struct err *err)
{
	TSS2_RC tss = hosttpm_session_start(t, key, TPM2_SE_HMAC,
	    TPM2_ALG_SHA256, TPMA_SESSION_DECRYPT | TPMA_SESSION_ENCRYPT,
	    session);

	return tss == TSS2_RC_SUCCESS ? 0 :
	    hosttpm_error(err, tss, "start a session");
}
