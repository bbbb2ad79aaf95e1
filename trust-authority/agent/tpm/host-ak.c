/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/agent/tpm/host-ak.h"

#include <errno.h>
#include <string.h>
#include <tss2/tss2_mu.h>

/* libattest's tpm_key_check_ak asks for these attributes. noDA: failed
 * authorisations of others must not keep the host from attesting. No password:
 * being who may use this TPM is the credential. */
#define ATTRIBUTES (TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | \
	TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_USERWITHAUTH | \
	TPMA_OBJECT_NODA | TPMA_OBJECT_RESTRICTED | \
	TPMA_OBJECT_SIGN_ENCRYPT)

static const struct kind {
	const char *name;
	TPM2B_PUBLIC public;
} kinds[] = {
	{ "ecdsa", { .publicArea = {
		.type = TPM2_ALG_ECC, .nameAlg = TPM2_ALG_SHA256,
		.objectAttributes = ATTRIBUTES,
		.parameters.eccDetail = {
			.symmetric.algorithm = TPM2_ALG_NULL,
			.scheme = { .scheme = TPM2_ALG_ECDSA,
				.details.ecdsa.hashAlg = TPM2_ALG_SHA256 },
			.curveID = TPM2_ECC_NIST_P256,
			.kdf.scheme = TPM2_ALG_NULL } } } },
	{ "rsassa", { .publicArea = {
		.type = TPM2_ALG_RSA, .nameAlg = TPM2_ALG_SHA256,
		.objectAttributes = ATTRIBUTES,
		.parameters.rsaDetail = {
			.symmetric.algorithm = TPM2_ALG_NULL,
			.scheme = { .scheme = TPM2_ALG_RSASSA,
				.details.rsassa.hashAlg = TPM2_ALG_SHA256 },
			.keyBits = 2048 } } } },
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

/* Size 0 where the owner hierarchy is not ours to use. */
static void
owner_name(struct hosttpm *t, TPM2B_NAME *name)
{
	ESYS_TR srk;

	if (hosttpm_srk(t, &srk, name, NULL) < 0)
		name->size = 0;
	else
		hosttpm_drop(t, srk);
}

static TSS2_RC
create(struct hosttpm *t, const struct host_ek *ek, ESYS_TR session,
    const TPM2B_PUBLIC *template, struct ak_blob *out)
{
	const TPM2B_SENSITIVE_CREATE sensitive = { 0 };
	const TPM2B_DATA outside = { 0 };
	const TPML_PCR_SELECTION pcrs = { 0 };
	TPM2B_PRIVATE *private = NULL;
	TPM2B_PUBLIC *public = NULL;
	TPM2B_CREATION_DATA *data = NULL;
	TPM2B_DIGEST *hash = NULL;
	TPMT_TK_CREATION *ticket = NULL;
	TSS2_RC tss;

	tss = Esys_Create(hosttpm_esys(t), ek->handle, session, ESYS_TR_NONE,
	    ESYS_TR_NONE, &sensitive, template, &outside, &pcrs, &private,
	    &public, &data, &hash, &ticket);
	if (tss == TSS2_RC_SUCCESS) {
		out->public = *public;
		out->private = *private;
	}
	Esys_Free(private);
	Esys_Free(public);
	Esys_Free(data);
	Esys_Free(hash);
	Esys_Free(ticket);
	return tss;
}

int
host_ak_make(struct hosttpm *t, struct host_ek *ek, const char *kind,
    struct ak_blob *out, struct err *err)
{
	TSS2_RC tss = TSS2_RC_SUCCESS;
	bool found = false, any = strcmp(kind, "auto") == 0;
	ESYS_TR session;
	int rc;

	memset(out, 0, sizeof(*out));
	out->template = ek->template;
	out->ek = ek->name;
	owner_name(t, &out->owner);
	for (size_t i = 0; i < KINDS; i++) {
		if (!any && strcmp(kind, kinds[i].name) != 0)
			continue;
		found = true;
		if ((rc = host_ek_authorise(t, ek, &session, err)) < 0)
			return rc;
		tss = create(t, ek, session, &kinds[i].public, out);
		if (tss == TSS2_RC_SUCCESS)
			return 0;
		/* Only what a TPM without this algorithm says. */
		if (hosttpm_rc_base(tss) != TPM2_RC_CURVE &&
		    hosttpm_rc_base(tss) != TPM2_RC_TYPE &&
		    hosttpm_rc_base(tss) != TPM2_RC_SCHEME &&
		    hosttpm_rc_base(tss) != TPM2_RC_VALUE)
			break;
	}
	if (!found)
		return err_set(err, ERR_USAGE, "an attestation key is ecdsa, "
		    "rsassa or auto, not %.16s", kind);
	return host_ek_error(err, tss, "make an attestation key");
}

/* TPM2_Clear also makes the EK's children useless, but not the EK's name
 * (Part 3, 24.6); the owner hierarchy's key tells it from damage. */
static bool
was_cleared(struct hosttpm *t, const struct ak_blob *ak)
{
	TPM2B_NAME now = { 0 };

	if (ak->owner.size == 0)
		return false;
	owner_name(t, &now);
	return now.size != 0 && (now.size != ak->owner.size ||
	    memcmp(now.name, ak->owner.name, now.size) != 0);
}

/* Why the TPM refuses the blob, whose parent is the right one. */
static int
refused(struct hosttpm *t, const struct ak_blob *ak, struct err *err)
{
	if (was_cleared(t, ak))
		return err_set(err, ERR_KEY, "the host's TPM has been cleared, "
		    "which ended its attestation key: find out by whom, then "
		    "renew the host's identity");
	return err_set(err, ERR_FORMAT, "the attestation key's file is damaged "
	    "(the TPM refuses it): restore it from a backup, or renew the "
	    "host's identity");
}

int
host_ak_load(struct hosttpm *t, const struct ak_blob *ak, struct host_ek *ek,
    ESYS_TR *handle, struct err *err)
{
	ESYS_TR session;
	TSS2_RC tss;
	int rc;

	if ((rc = host_ek_open(t, ak->template, &ak->ek, ek, err)) < 0 ||
	    (rc = host_ek_authorise(t, ek, &session, err)) < 0)
		return rc;
	tss = Esys_Load(hosttpm_esys(t), ek->handle, session, ESYS_TR_NONE,
	    ESYS_TR_NONE, &ak->private, &ak->public, handle);
	if (tss == TSS2_RC_SUCCESS) {
		hosttpm_keep(t, *handle);
		return 0;
	}
	if (hosttpm_rc_base(tss) == TPM2_RC_INTEGRITY ||
	    hosttpm_rc_base(tss) == TPM2_RC_BINDING ||
	    hosttpm_rc_base(tss) == TPM2_RC_SIZE)
		return refused(t, ak, err);
	return host_ek_error(err, tss, "load the attestation key");
}

/* A TPM2B that the authority sent. */
static int
tpm2b_take(struct buf *in, void *out, size_t room, UINT16 *size)
{
	const uint8_t *data;
	size_t n;

	if (buf_get_tpm2b(in, &data, &n) < 0 || n > room || buf_left(in) > 0)
		return ERR_FORMAT;
	memcpy(out, data, n);
	*size = (UINT16)n;
	return 0;
}

int
host_ak_activate(struct hosttpm *t, struct host_ek *ek, ESYS_TR ak,
    struct buf *blob, struct buf *encrypted, struct secret **out,
    struct err *err)
{
	TPM2B_ENCRYPTED_SECRET secret = { 0 };
	TPM2B_ID_OBJECT id = { 0 };
	TPM2B_DIGEST *info = NULL;
	ESYS_TR session;
	TSS2_RC tss;
	int rc;

	if (tpm2b_take(blob, id.credential, sizeof(id.credential),
	    &id.size) < 0 || tpm2b_take(encrypted, secret.secret,
	    sizeof(secret.secret), &secret.size) < 0)
		return err_set(err, ERR_FORMAT, "the credential that the "
		    "authority sent is cut short or too long");
	if ((rc = host_ek_authorise(t, ek, &session, err)) < 0)
		return rc;
	tss = Esys_ActivateCredential(hosttpm_esys(t), ak, ek->handle,
	    ESYS_TR_PASSWORD, session, ESYS_TR_NONE, &id, &secret, &info);
	if (tss == TSS2_RC_SUCCESS) {
		if ((*out = secret_from(info->buffer, info->size)) == NULL)
			rc = err_sys(err, errno, "cannot lock memory for a "
			    "credential");
	} else if (hosttpm_rc_base(tss) == TPM2_RC_INTEGRITY ||
	    hosttpm_rc_base(tss) == TPM2_RC_VALUE ||
	    hosttpm_rc_base(tss) == TPM2_RC_SIZE ||
	    hosttpm_rc_base(tss) == TPM2_RC_ECC_POINT ||
	    hosttpm_rc_base(tss) == TPM2_RC_INSUFFICIENT)
		rc = err_set(err, ERR_REFUSED, "the credential was not made "
		    "for this TPM's endorsement key and this attestation key, "
		    "or was changed on its way");
	else
		rc = host_ek_error(err, tss, "activate the credential");
	if (info != NULL)
		cleanse(info, sizeof(*info));
	Esys_Free(info);
	return rc;
}
