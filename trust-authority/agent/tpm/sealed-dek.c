/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/agent/tpm/sealed-dek.h"

#include <errno.h>
#include <string.h>

#include "trust-authority/agent/tpm/host-quote.h"
#include "trust-authority/agent/tpm/object.h"
#include "trust-authority/agent/tpm/sealed-blob.h"

/* The sealed data: which VM, which epoch, the key. */
#define PAYLOAD_SIZE (UUID_SIZE + 8 + DEK_SIZE)
/* PCR 10 may change between TPM2_PolicyPCR and its use. */
#define TRIES 5

/* TPM2_PolicyPCR's digest for the PCRs as they are (Part 3, 23.7). A policy
 * that is never used for an authorisation needs no salt. */
static int
policy_now(struct hosttpm *t, const struct pcr_set *pcrs, TPM2B_DIGEST *out,
    struct err *err)
{
	TPML_PCR_SELECTION want = object_selection(pcrs);
	const TPM2B_DIGEST now = { 0 };
	TPM2B_DIGEST *digest = NULL;
	ESYS_TR trial = ESYS_TR_NONE;
	TSS2_RC tss;

	tss = hosttpm_session_start(t, ESYS_TR_NONE, TPM2_SE_TRIAL,
	    TPM2_ALG_SHA256, 0, &trial);
	if (tss != TSS2_RC_SUCCESS)
		return host_ek_error(err, tss, "start a session");
	tss = Esys_PolicyPCR(hosttpm_esys(t), trial, ESYS_TR_NONE,
	    ESYS_TR_NONE, ESYS_TR_NONE, &now, &want);
	if (tss == TSS2_RC_SUCCESS)
		tss = Esys_PolicyGetDigest(hosttpm_esys(t), trial, ESYS_TR_NONE,
		    ESYS_TR_NONE, ESYS_TR_NONE, &digest);
	if (tss == TSS2_RC_SUCCESS)
		*out = *digest;
	Esys_Free(digest);
	hosttpm_drop(t, trial);
	return tss == TSS2_RC_SUCCESS ? 0 :
	    host_ek_error(err, tss, "take a policy of PCRs");
}

/* userWithAuth is clear: only the policy lets anybody read it. */
static int
object_make(struct hosttpm *t, struct host_ek *ek, const TPM2B_DIGEST *policy,
    const struct secret *key, struct sealed_blob *s, struct err *err)
{
	TPM2B_PUBLIC template = { .publicArea = {
		.type = TPM2_ALG_KEYEDHASH, .nameAlg = TPM2_ALG_SHA256,
		.objectAttributes = TPMA_OBJECT_FIXEDTPM |
		    TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_NODA |
		    TPMA_OBJECT_ADMINWITHPOLICY,
		.authPolicy = *policy,
		.parameters.keyedHashDetail.scheme.scheme = TPM2_ALG_NULL } };
	TPM2B_SENSITIVE_CREATE in = { 0 };
	const TPM2B_DATA outside = { 0 };
	const TPML_PCR_SELECTION pcrs = { 0 };
	struct buf w = buf_writer(in.sensitive.data.buffer, PAYLOAD_SIZE);
	TPM2B_PRIVATE *private = NULL;
	TPM2B_PUBLIC *public = NULL;
	TPM2B_CREATION_DATA *data = NULL;
	TPM2B_DIGEST *hash = NULL;
	TPMT_TK_CREATION *ticket = NULL;
	ESYS_TR session;
	TSS2_RC tss;
	int rc;

	if ((rc = host_ek_authorise(t, ek, &session, err)) < 0)
		return rc;
	buf_put_bytes(&w, s->label.vm, UUID_SIZE);
	buf_put_u64be(&w, s->label.epoch);
	buf_put_bytes(&w, secret_bytes(key), DEK_SIZE);
	in.sensitive.data.size = PAYLOAD_SIZE;
	tss = Esys_Create(hosttpm_esys(t), ek->handle, session, ESYS_TR_NONE,
	    ESYS_TR_NONE, &in, &template, &outside, &pcrs, &private, &public,
	    &data, &hash, &ticket);
	if (tss == TSS2_RC_SUCCESS) {
		s->public = *public;
		s->private = *private;
	} else
		rc = host_ek_error(err, tss, "seal a VM's key");
	cleanse(&in, sizeof(in));
	Esys_Free(private);
	Esys_Free(public);
	Esys_Free(data);
	Esys_Free(hash);
	Esys_Free(ticket);
	return rc;
}

int
sealed_dek_make(struct hosttpm *t, const struct ak_blob *ak,
    const struct dek_label *label, const struct pcr_set *pcrs,
    const struct secret *key, struct buf *out, struct err *err)
{
	struct sealed_blob s = { .label = *label, .template = ak->template,
		.parent = ak->ek, .pcrs = *pcrs };
	uint32_t selected = 0;
	struct host_ek ek;
	TPM2B_DIGEST policy = { 0 };
	int rc;

	for (size_t b = 0; b < pcrs->count; b++)
		selected |= pcrs->bank[b].mask;
	if (secret_size(key) != DEK_SIZE || selected == 0)
		return err_set(err, ERR_USAGE, "a key of %zu bytes, and %s PCR "
		    "to seal it to: %d bytes and at least one are wanted",
		    secret_size(key), selected == 0 ? "no" : "a", DEK_SIZE);
	/* Reading them tells a bank that is not there. */
	if ((rc = host_pcr_read(t, &s.pcrs, err)) < 0 ||
	    (rc = host_ek_open(t, ak->template, &ak->ek, &ek, err)) < 0 ||
	    (rc = policy_now(t, pcrs, &policy, err)) < 0 ||
	    (rc = object_make(t, &ek, &policy, key, &s, err)) < 0)
		return rc;
	return sealed_blob_write(&s, out, err);
}

static int
payload_check(const struct sealed_blob *s, const TPM2B_SENSITIVE_DATA *data,
    const struct dek_label *label, struct secret **key, struct err *err)
{
	struct buf in = buf_reader(data->buffer, data->size);
	char text[UUID_TEXT_SIZE];
	struct dek_label own = { { 0 }, 0 };
	const uint8_t *bytes;

	buf_get_bytes(&in, own.vm, UUID_SIZE);
	buf_get_u64be(&in, &own.epoch);
	if (buf_get_ref(&in, &bytes, DEK_SIZE) < 0 || buf_left(&in) > 0)
		return err_set(err, ERR_FORMAT, "the sealed object holds %u "
		    "bytes, which is no key of a VM", data->size);
	uuid_format(own.vm, text);
	if (memcmp(own.vm, label->vm, UUID_SIZE) != 0)
		return err_set(err, ERR_STALE, "the sealed key is of the VM %s",
		    text);
	if (own.epoch != label->epoch || s->label.epoch != label->epoch)
		return err_set(err, ERR_STALE, "the sealed key of the VM %s is "
		    "of epoch %llu, and epoch %llu is asked for", text,
		    (unsigned long long)own.epoch,
		    (unsigned long long)label->epoch);
	if ((*key = secret_from(bytes, DEK_SIZE)) == NULL)
		return err_sys(err, errno, "cannot lock memory for a key");
	return 0;
}

static TSS2_RC
unseal(struct hosttpm *t, const struct host_ek *ek, ESYS_TR object,
    const struct pcr_set *pcrs, TPM2B_SENSITIVE_DATA **data)
{
	TPML_PCR_SELECTION want = object_selection(pcrs);
	const TPM2B_DIGEST now = { 0 };
	ESYS_TR session = ESYS_TR_NONE;
	TSS2_RC tss;

	tss = hosttpm_session_start(t, ek->handle, TPM2_SE_POLICY,
	    TPM2_ALG_SHA256, TPMA_SESSION_ENCRYPT, &session);
	if (tss == TSS2_RC_SUCCESS)
		tss = Esys_PolicyPCR(hosttpm_esys(t), session, ESYS_TR_NONE,
		    ESYS_TR_NONE, ESYS_TR_NONE, &now, &want);
	if (tss == TSS2_RC_SUCCESS)
		tss = Esys_Unseal(hosttpm_esys(t), object, session,
		    ESYS_TR_NONE, ESYS_TR_NONE, data);
	if (session != ESYS_TR_NONE)
		hosttpm_drop(t, session);
	return tss;
}

/* Loads s under its parent, which it has to be. */
static int
object_load(struct hosttpm *t, const struct sealed_blob *s, struct host_ek *ek,
    ESYS_TR *object, struct err *err)
{
	ESYS_TR session;
	TSS2_RC tss;
	int rc;

	if ((rc = host_ek_open(t, s->template, &s->parent, ek, err)) < 0 ||
	    (rc = host_ek_authorise(t, ek, &session, err)) < 0)
		return rc;
	tss = Esys_Load(hosttpm_esys(t), ek->handle, session, ESYS_TR_NONE,
	    ESYS_TR_NONE, &s->private, &s->public, object);
	if (tss == TSS2_RC_SUCCESS) {
		hosttpm_keep(t, *object);
		return 0;
	}
	if (hosttpm_rc_base(tss) == TPM2_RC_INTEGRITY ||
	    hosttpm_rc_base(tss) == TPM2_RC_BINDING ||
	    hosttpm_rc_base(tss) == TPM2_RC_SIZE)
		return err_set(err, ERR_FORMAT, "the sealed key is damaged, "
		    "or the TPM was cleared (it refuses the key): the key has "
		    "to come from the authority again");
	return host_ek_error(err, tss, "load a sealed key");
}

int
sealed_dek_open(struct hosttpm *t, struct buf *in,
    const struct dek_label *label, struct secret **key, struct err *err)
{
	TPM2B_SENSITIVE_DATA *data = NULL;
	TSS2_RC tss = TPM2_RC_PCR_CHANGED;
	struct host_ek ek;
	struct sealed_blob s;
	ESYS_TR object;
	int rc;

	if ((rc = sealed_blob_read(in, &s, err)) < 0 ||
	    (rc = object_load(t, &s, &ek, &object, err)) < 0)
		goto out;
	for (int i = 0; i < TRIES && tss == TPM2_RC_PCR_CHANGED; i++)
		tss = unseal(t, &ek, object, &s.pcrs, &data);
	if (hosttpm_rc_base(tss) == TPM2_RC_POLICY_FAIL)
		rc = err_set(err, ERR_STALE, "the host is not in the state in "
		    "which the key was sealed: its PCRs are other ones. The "
		    "key has to come from the authority");
	else if (tss != TSS2_RC_SUCCESS)
		rc = host_ek_error(err, tss, "unseal a VM's key");
	else
		rc = payload_check(&s, data, label, key, err);
out:
	if (data != NULL)
		cleanse(data, sizeof(*data));
	Esys_Free(data);
	return rc;
}
