/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/agent/tpm/host-ek.h"

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <string.h>
#include <tss2/tss2_mu.h>

#include "trust-authority/agent/tpm/nv-read.h"
#include "trust-authority/attest/tpm-key.h"

int
host_ek_error(struct err *err, TSS2_RC tss, const char *what)
{
	static const struct hosttpm_advice advice[] = {
		{ TPM2_RC_BAD_AUTH, "its endorsement hierarchy has a password, "
		    "which the agent does not know: clear it" },
		{ TPM2_RC_AUTH_FAIL, "its endorsement hierarchy has a "
		    "password, which the agent does not know: clear it" },
		{ TPM2_RC_HIERARCHY, "its endorsement hierarchy is disabled: "
		    "enable it in the firmware's settings" },
	};

	return hosttpm_error_advise(err, tss, what, advice,
	    sizeof(advice) / sizeof(advice[0]));
}

/* Whether the TPM cannot have such a key, whatever its state. */
static bool
cannot_make(TSS2_RC tss)
{
	TSS2_RC base = hosttpm_rc_base(tss);

	return base == TPM2_RC_CURVE || base == TPM2_RC_VALUE ||
	    base == TPM2_RC_TYPE || base == TPM2_RC_HASH ||
	    base == TPM2_RC_SYMMETRIC || base == TPM2_RC_KEY_SIZE ||
	    base == TPM2_RC_ASYMMETRIC;
}

int
host_ek_choose(struct hosttpm *t, const struct ek_template **out,
    struct err *err)
{
	uint8_t cert[EK_CERTIFICATE_MAX];
	ESYS_TR handle;
	TSS2_RC tss = TPM2_RC_VALUE;
	size_t size;
	int rc;

	for (size_t i = 0; (*out = ek_template_at(i)) != NULL; i++) {
		rc = nv_read(t, (*out)->certificate, cert, sizeof(cert), &size,
		    err);
		if (rc < 0 || size > 0)
			return rc;
	}
	for (size_t i = 0; (*out = ek_template_at(i)) != NULL; i++) {
		tss = hosttpm_primary(t, ESYS_TR_RH_ENDORSEMENT,
		    &(*out)->public, &handle, NULL);
		if (tss == TSS2_RC_SUCCESS) {
			hosttpm_drop(t, handle);
			return 0;
		}
		if (!cannot_make(tss))
			break;
	}
	return host_ek_error(err, tss, "make an endorsement key");
}

/* But for unique, which in a template is no part of the key. */
static bool
public_fits(const TPM2B_PUBLIC *public, const TPM2B_PUBLIC *template)
{
	TPMT_PUBLIC want = template->publicArea;
	uint8_t a[sizeof(want)], b[sizeof(want)];
	size_t a_size = 0, b_size = 0;

	want.unique = public->publicArea.unique;
	return public->publicArea.type == want.type &&
	    Tss2_MU_TPMT_PUBLIC_Marshal(&public->publicArea, a, sizeof(a),
	    &a_size) == TSS2_RC_SUCCESS &&
	    Tss2_MU_TPMT_PUBLIC_Marshal(&want, b, sizeof(b), &b_size) ==
	    TSS2_RC_SUCCESS && a_size == b_size && memcmp(a, b, a_size) == 0;
}

static TSS2_RC
public_read(struct hosttpm *t, struct host_ek *ek)
{
	TPM2B_PUBLIC *public = NULL;
	TPM2B_NAME *name = NULL;
	TSS2_RC tss;

	tss = Esys_ReadPublic(hosttpm_esys(t), ek->handle, ESYS_TR_NONE,
	    ESYS_TR_NONE, ESYS_TR_NONE, &public, &name, NULL);
	if (tss == TSS2_RC_SUCCESS) {
		ek->public = *public;
		ek->name = *name;
	}
	Esys_Free(public);
	Esys_Free(name);
	return tss;
}

/* A small TPM takes up to half a minute to derive an RSA key, so set-ups keep
 * it. What is there may also be something else. */
static bool
persistent_take(struct hosttpm *t, struct host_ek *ek)
{
	if (Esys_TR_FromTPMPublic(hosttpm_esys(t), ek->template->handle,
	    ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &ek->handle) !=
	    TSS2_RC_SUCCESS)
		return false;
	if (public_read(t, ek) == TSS2_RC_SUCCESS &&
	    public_fits(&ek->public, &ek->template->public))
		return true;
	(void)Esys_TR_Close(hosttpm_esys(t), &ek->handle);
	return false;
}

static bool
name_is(const TPM2B_NAME *a, const TPM2B_NAME *b)
{
	return a->size == b->size && memcmp(a->name, b->name, a->size) == 0;
}

int
host_ek_open(struct hosttpm *t, const struct ek_template *template,
    const TPM2B_NAME *name, struct host_ek *ek, struct err *err)
{
	TSS2_RC tss = TSS2_RC_SUCCESS;

	memset(ek, 0, sizeof(*ek));
	ek->template = template;
	ek->session = ESYS_TR_NONE;
	if (!persistent_take(t, ek) ||
	    (name != NULL && !name_is(&ek->name, name))) {
		tss = hosttpm_primary(t, ESYS_TR_RH_ENDORSEMENT,
		    &template->public, &ek->handle, NULL);
		if (tss == TSS2_RC_SUCCESS)
			tss = public_read(t, ek);
	}
	if (tss != TSS2_RC_SUCCESS)
		return host_ek_error(err, tss, "make its endorsement key");
	if (name != NULL && !name_is(&ek->name, name))
		return err_set(err, ERR_KEY, "this is another TPM than the "
		    "host's of before, or its endorsement seed was changed: "
		    "its endorsement key is not the recorded one. If the board "
		    "was replaced, renew the host's identity and import it "
		    "into the authority");
	return 0;
}

int
host_ek_authorise(struct hosttpm *t, struct host_ek *ek, ESYS_TR *session,
    struct err *err)
{
	const TPML_DIGEST *or = ek_template_or(ek->template);
	ESYS_CONTEXT *esys = hosttpm_esys(t);
	TSS2_RC tss = TSS2_RC_SUCCESS;

	if (ek->session == ESYS_TR_NONE)
		tss = hosttpm_session_start(t, ek->handle, TPM2_SE_POLICY,
		    ek->public.publicArea.nameAlg, TPMA_SESSION_DECRYPT |
		    TPMA_SESSION_ENCRYPT, &ek->session);
	if (tss == TSS2_RC_SUCCESS)
		tss = Esys_PolicyRestart(esys, ek->session, ESYS_TR_NONE,
		    ESYS_TR_NONE, ESYS_TR_NONE);
	if (tss != TSS2_RC_SUCCESS)
		return host_ek_error(err, tss, "start a session");
	tss = Esys_PolicySecret(esys, ESYS_TR_RH_ENDORSEMENT, ek->session,
	    ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, NULL, NULL, NULL, 0,
	    NULL, NULL);
	if (tss == TSS2_RC_SUCCESS && or != NULL)
		tss = Esys_PolicyOR(esys, ek->session, ESYS_TR_NONE,
		    ESYS_TR_NONE, ESYS_TR_NONE, or);
	if (tss != TSS2_RC_SUCCESS)
		return host_ek_error(err, tss, "accept the endorsement key's "
		    "policy");
	*session = ek->session;
	return 0;
}

static int
certificate_check(const struct host_ek *ek, const uint8_t *cert, size_t size,
    struct err *err)
{
	const uint8_t *at = cert;
	uint8_t area[sizeof(TPMT_PUBLIC)];
	size_t area_size = 0;
	struct tpm_key *key = NULL;
	X509 *x = d2i_X509(NULL, &at, (long)size);
	int rc;

	if (x == NULL) {
		rc = err_set(err, ERR_FORMAT, "the TPM's NV index 0x%08x holds "
		    "no certificate", ek->template->certificate);
		goto out;
	}
	if (Tss2_MU_TPMT_PUBLIC_Marshal(&ek->public.publicArea, area,
	    sizeof(area), &area_size) != TSS2_RC_SUCCESS) {
		rc = err_set(err, ERR_INTERNAL, "cannot write a public area");
		goto out;
	}
	if ((rc = tpm_key_read(area, area_size, &key, err)) < 0)
		goto out;
	/* The authority would refuse it; here one sees what is wrong. */
	if (EVP_PKEY_eq(X509_get0_pubkey(x), key->pkey) != 1)
		rc = err_set(err, ERR_REFUSED, "the certificate in the TPM's "
		    "NV index 0x%08x is for another key than template %s "
		    "gives: the TPM's maker used a template of his own, or the "
		    "endorsement seed was changed; choose another key "
		    "(ek =)", ek->template->certificate, ek->template->title);
out:
	tpm_key_free(key);
	X509_free(x);
	return rc;
}

int
host_ek_certificate(struct hosttpm *t, const struct host_ek *ek,
    uint8_t cert[EK_CERTIFICATE_MAX], size_t *size, struct err *err)
{
	int rc;

	rc = nv_read(t, ek->template->certificate, cert, EK_CERTIFICATE_MAX,
	    size, err);
	if (rc == 0 && *size > 0)
		rc = certificate_check(ek, cert, *size, err);
	return rc;
}
