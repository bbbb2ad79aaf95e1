/* SPDX-License-Identifier: BSD-3-Clause */
#include "nvram-crypt/hostkey/sealed.h"

#include <errno.h>
#include <string.h>

#include <tss2/tss2_mu.h>

/* The blob, once its outside has been read. */
struct sealed {
	TPM2B_PUBLIC public;
	TPM2B_PRIVATE private;
	TPM2B_NAME srk;		/* the parent's */
	TPM2B_NAME identity;	/* tells a cleared TPM from another one */
};

/* noDA: dictionary attacks on other objects must not lock VMs out, and 32
 * random bytes cannot be guessed. No password: being root on this host with
 * this TPM is the credential. */
static const TPM2B_PUBLIC sealed_template = {
	.publicArea = {
		.type = TPM2_ALG_KEYEDHASH,
		.nameAlg = TPM2_ALG_SHA256,
		.objectAttributes = TPMA_OBJECT_FIXEDTPM |
		    TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_NODA |
		    TPMA_OBJECT_USERWITHAUTH,
		.parameters.keyedHashDetail.scheme.scheme = TPM2_ALG_NULL,
	},
};

static int
sealed_write(const struct sealed *s, struct buf *out, struct err *err)
{
	uint8_t bytes[SEALED_MAX];
	size_t n = 0;

	if (Tss2_MU_TPM2B_PUBLIC_Marshal(&s->public, bytes, sizeof(bytes),
	    &n) != TSS2_RC_SUCCESS ||
	    Tss2_MU_TPM2B_PRIVATE_Marshal(&s->private, bytes, sizeof(bytes),
	    &n) != TSS2_RC_SUCCESS ||
	    buf_put_bytes(out, bytes, n) < 0 ||
	    buf_put_tpm2b(out, s->srk.name, s->srk.size) < 0 ||
	    buf_put_tpm2b(out, s->identity.name, s->identity.size) < 0)
		return err_set(err, ERR_INTERNAL, "the host's TPM made a "
		    "sealed object of more than %d bytes", SEALED_MAX);
	return 0;
}

static int
name_read(struct buf *in, TPM2B_NAME *name)
{
	const uint8_t *bytes;
	size_t n;

	if (buf_get_tpm2b(in, &bytes, &n) < 0 || n > sizeof(name->name))
		return ERR_FORMAT;
	name->size = (UINT16)n;
	memcpy(name->name, bytes, n);
	return 0;
}

static int
sealed_read(struct buf *in, struct sealed *s, struct err *err)
{
	const uint8_t *public, *private;
	size_t public_size, private_size, at = 0;

	/* Our own reader finds the parts, so that tpm2-tss is given exactly
	 * one structure and must use it up. */
	if (buf_get_tpm2b(in, &public, &public_size) < 0 ||
	    buf_get_tpm2b(in, &private, &private_size) < 0 ||
	    name_read(in, &s->srk) < 0 || name_read(in, &s->identity) < 0 ||
	    buf_left(in) != 0 || private_size > sizeof(s->private.buffer) ||
	    Tss2_MU_TPMT_PUBLIC_Unmarshal(public, public_size, &at,
	    &s->public.publicArea) != TSS2_RC_SUCCESS || at != public_size)
		return err_set(err, ERR_FORMAT, "this is not a sealed key, or "
		    "it is damaged: restore it from a backup");
	s->public.size = (UINT16)public_size;
	s->private.size = (UINT16)private_size;
	memcpy(s->private.buffer, private, private_size);
	return 0;
}

static bool
name_equal(const TPM2B_NAME *a, const TPM2B_NAME *b)
{
	return a->size != 0 && a->size == b->size &&
	    memcmp(a->name, b->name, a->size) == 0;
}

int
sealed_make(struct hosttpm *t, const struct secret *key, struct buf *out,
    struct err *err)
{
	TPM2B_SENSITIVE_CREATE sensitive = { 0 };
	const TPM2B_DATA outside = { 0 };
	const TPML_PCR_SELECTION pcrs = { 0 };
	struct sealed s = { 0 };
	TPM2B_PRIVATE *private = NULL;
	TPM2B_PUBLIC *public = NULL;
	TPM2B_CREATION_DATA *data = NULL;
	TPM2B_DIGEST *hash = NULL;
	TPMT_TK_CREATION *ticket = NULL;
	ESYS_TR srk, session;
	TSS2_RC tss;
	int rc;

	hosttpm_identity(t, &s.identity);
	if ((rc = hosttpm_srk(t, &srk, &s.srk, err)) < 0 ||
	    (rc = hosttpm_session(t, srk, &session, err)) < 0)
		goto out;
	sensitive.sensitive.data.size = SEALED_KEY_SIZE;
	memcpy(sensitive.sensitive.data.buffer, secret_bytes(key),
	    SEALED_KEY_SIZE);
	tss = Esys_Create(hosttpm_esys(t), srk, session, ESYS_TR_NONE,
	    ESYS_TR_NONE, &sensitive, &sealed_template, &outside, &pcrs,
	    &private, &public, &data, &hash, &ticket);
	if (tss != TSS2_RC_SUCCESS) {
		rc = hosttpm_error(err, tss, "seal the key");
		goto out;
	}
	s.public = *public;
	s.private = *private;
	rc = sealed_write(&s, out, err);
out:
	cleanse(&sensitive, sizeof(sensitive));
	Esys_Free(private);
	Esys_Free(public);
	Esys_Free(data);
	Esys_Free(hash);
	Esys_Free(ticket);
	return rc;
}

/* Why this TPM has another storage root key than the one that sealed. */
static int
foreign(struct hosttpm *t, const struct sealed *s, struct err *err)
{
	TPM2B_NAME now = { 0 };

	hosttpm_identity(t, &now);
	if (name_equal(&now, &s->identity))
		return err_set(err, ERR_KEY, "the host's TPM has been cleared "
		    "since the key was sealed, which destroys the key: open "
		    "the VMs by another protector (a passphrase), then make a "
		    "new native key");
	if (now.size == 0 || s->identity.size == 0)
		return err_set(err, ERR_KEY, "the key was sealed by another "
		    "TPM than this host's, or by this one before it was "
		    "cleared: use that host, or another protector (a "
		    "passphrase)");
	return err_set(err, ERR_KEY, "the key was sealed by another TPM than "
	    "this host's: use the host that it came from, or another "
	    "protector (a passphrase)");
}

int
sealed_open(struct hosttpm *t, struct buf *in, struct secret **key,
    struct err *err)
{
	TPM2B_SENSITIVE_DATA *data = NULL;
	TPM2B_NAME srk_name = { 0 };
	struct sealed s = { 0 };
	ESYS_TR srk, session, object;
	TSS2_RC tss;
	int rc;

	if ((rc = sealed_read(in, &s, err)) < 0 ||
	    (rc = hosttpm_srk(t, &srk, &srk_name, err)) < 0)
		goto out;
	/* Also keeps somebody on the bus from slipping in a key of his own,
	 * under which the session's salt would go to him. */
	if (!name_equal(&srk_name, &s.srk)) {
		rc = foreign(t, &s, err);
		goto out;
	}
	if ((rc = hosttpm_session(t, srk, &session, err)) < 0)
		goto out;
	tss = Esys_Load(hosttpm_esys(t), srk, session, ESYS_TR_NONE,
	    ESYS_TR_NONE, &s.private, &s.public, &object);
	if (tss != TSS2_RC_SUCCESS) {
		/* Its parent is the right one, so the bytes are not. */
		rc = hosttpm_error(err, tss, "load the sealed key");
		if (rc == ERR_TPM && (tss & TPM2_RC_FMT1) != 0 &&
		    (tss & TSS2_RC_LAYER_MASK) == 0)
			rc = err_set(err, ERR_FORMAT, "the sealed key is "
			    "damaged (the TPM refuses it): restore it from a "
			    "backup");
		goto out;
	}
	hosttpm_keep(t, object);
	tss = Esys_Unseal(hosttpm_esys(t), object, session, ESYS_TR_NONE,
	    ESYS_TR_NONE, &data);
	if (tss != TSS2_RC_SUCCESS) {
		rc = hosttpm_error(err, tss, "unseal the key");
		goto out;
	}
	if (data->size != SEALED_KEY_SIZE) {
		rc = err_set(err, ERR_FORMAT, "the sealed object holds %u "
		    "bytes, which is no key of ours", data->size);
		goto out;
	}
	if ((*key = secret_from(data->buffer, data->size)) == NULL)
		rc = err_sys(err, errno, "cannot lock memory for a key");
out:
	if (data != NULL)
		cleanse(data, sizeof(*data));
	Esys_Free(data);
	return rc;
}
