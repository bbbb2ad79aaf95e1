/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/agent/tpm/host-quote.h"

#include <string.h>
#include <time.h>
#include <tss2/tss2_mu.h>

#include "trust-authority/agent/tpm/host-ek.h"
#include "trust-authority/agent/tpm/object.h"

/* IMA extends PCR 10 whenever a new file is used. A quote takes a discrete TPM
 * up to half a second, and a busy start of services lasts a few. */
#define TRIES 20
#define NAP_MS 100

/* Takes the values that one TPM2_PCR_Read gave out of *left. */
static int
values_take(struct pcr_set *pcrs, struct pcr_set *left,
    const TPML_PCR_SELECTION *got, const TPML_DIGEST *values)
{
	UINT32 n = 0;

	for (UINT32 s = 0; s < got->count; s++) {
		const TPMS_PCR_SELECTION *sel = &got->pcrSelections[s];
		size_t b = 0;

		while (b < left->count && left->bank[b].alg->id != sel->hash)
			b++;
		for (unsigned int i = 0; i < PCR_COUNT; i++) {
			if (i / 8 >= sel->sizeofSelect ||
			    !(sel->pcrSelect[i / 8] & 1u << (i % 8)))
				continue;
			if (b == left->count || n == values->count ||
			    !(left->bank[b].mask & 1u << i) ||
			    values->digests[n].size != left->bank[b].alg->size)
				return ERR_TPM;
			memcpy(pcrs->bank[b].value[i],
			    values->digests[n].buffer,
			    values->digests[n].size);
			left->bank[b].mask &= ~(1u << i);
			n++;
		}
	}
	return n > 0 ? 0 : ERR_UNSUPPORTED;
}

static const char *
bank_left(const struct pcr_set *left)
{
	for (size_t b = 0; b < left->count; b++)
		if (left->bank[b].mask != 0)
			return left->bank[b].alg->name;
	return NULL;
}

int
host_pcr_read(struct hosttpm *t, struct pcr_set *pcrs, struct err *err)
{
	struct pcr_set left = *pcrs;
	const char *bank;

	while ((bank = bank_left(&left)) != NULL) {
		TPML_PCR_SELECTION want = object_selection(&left);
		TPML_PCR_SELECTION *got = NULL;
		TPML_DIGEST *values = NULL;
		UINT32 counter;
		TSS2_RC tss;
		int rc = 0;

		tss = Esys_PCR_Read(hosttpm_esys(t), ESYS_TR_NONE,
		    ESYS_TR_NONE, ESYS_TR_NONE, &want, &counter, &got, &values);
		if (tss == TSS2_RC_SUCCESS)
			rc = values_take(pcrs, &left, got, values);
		Esys_Free(got);
		Esys_Free(values);
		if (tss != TSS2_RC_SUCCESS)
			return host_ek_error(err, tss, "read its PCRs");
		if (rc == ERR_UNSUPPORTED)
			return err_set(err, rc, "the host's TPM has not all of "
			    "the asked PCRs in the bank %s: activate the bank "
			    "in the firmware's settings, or ask for another",
			    bank);
		if (rc < 0)
			return err_set(err, rc, "the host's TPM gave other "
			    "PCRs than it was asked for");
	}
	return 0;
}

static size_t
values_write(const struct pcr_set *pcrs, uint8_t out[QUOTE_VALUES_MAX])
{
	struct buf w = buf_writer(out, QUOTE_VALUES_MAX);

	for (size_t b = 0; b < pcrs->count; b++)
		for (unsigned int i = 0; i < PCR_COUNT; i++)
			if (pcrs->bank[b].mask & 1u << i)
				buf_put_bytes(&w, pcrs->bank[b].value[i],
				    pcrs->bank[b].alg->size);
	return w.pos;
}

/* Whether the quote is over the values that were read. 1, 0, or an error. */
static int
quote_fits(const TPM2B_ATTEST *quote, const struct pcr_set *pcrs,
    struct err *err)
{
	uint8_t digest[HASH_MAX];
	TPMS_ATTEST a;
	size_t at = 0;
	int rc;

	if (Tss2_MU_TPMS_ATTEST_Unmarshal(quote->attestationData, quote->size,
	    &at, &a) != TSS2_RC_SUCCESS || a.type != TPM2_ST_ATTEST_QUOTE)
		return err_set(err, ERR_TPM, "the host's TPM gave a quote that "
		    "is none");
	/* SHA-256 as the key's scheme (host-ak.c). */
	if ((rc = pcr_set_digest(pcrs, hash_by_id(TPM_ALG_SHA256), digest,
	    err)) < 0)
		return rc;
	return a.attested.quote.pcrDigest.size == 32 &&
	    memcmp(a.attested.quote.pcrDigest.buffer, digest, 32) == 0;
}

/* 1 for a quote, 0 where PCRs have changed meanwhile. */
static int
quote_once(struct hosttpm *t, ESYS_TR ak, const TPM2B_DATA *binding,
    struct pcr_set *pcrs, struct host_quote *out, struct err *err)
{
	const TPMT_SIG_SCHEME of_key = { .scheme = TPM2_ALG_NULL };
	TPML_PCR_SELECTION want = object_selection(pcrs);
	TPM2B_ATTEST *quote = NULL;
	TPMT_SIGNATURE *signature = NULL;
	TSS2_RC tss;
	int rc;

	if ((rc = host_pcr_read(t, pcrs, err)) < 0)
		return rc;
	tss = Esys_Quote(hosttpm_esys(t), ak, ESYS_TR_PASSWORD, ESYS_TR_NONE,
	    ESYS_TR_NONE, binding, &of_key, &want, &quote, &signature);
	if (tss != TSS2_RC_SUCCESS) {
		rc = host_ek_error(err, tss, "quote its PCRs");
		goto out;
	}
	if ((rc = quote_fits(quote, pcrs, err)) <= 0)
		goto out;
	out->signature_size = 0;
	if (quote->size > sizeof(out->attest) ||
	    Tss2_MU_TPMT_SIGNATURE_Marshal(signature, out->signature,
	    sizeof(out->signature), &out->signature_size) != TSS2_RC_SUCCESS) {
		rc = err_set(err, ERR_TPM, "the host's TPM made a quote "
		    "that is too long");
		goto out;
	}
	memcpy(out->attest, quote->attestationData, quote->size);
	out->attest_size = quote->size;
	out->values_size = values_write(pcrs, out->values);
out:
	Esys_Free(quote);
	Esys_Free(signature);
	return rc;
}

int
host_quote(struct hosttpm *t, ESYS_TR ak,
    const uint8_t binding[QUOTE_BINDING_SIZE], struct pcr_set *pcrs,
    struct host_quote *out, struct err *err)
{
	static const struct timespec nap = { .tv_nsec = NAP_MS * 1000000 };
	TPM2B_DATA data = { .size = QUOTE_BINDING_SIZE };
	int rc = 0;

	memcpy(data.buffer, binding, QUOTE_BINDING_SIZE);
	for (int i = 0; i < TRIES && rc == 0; i++) {
		if (i > 0)
			nanosleep(&nap, NULL);
		rc = quote_once(t, ak, &data, pcrs, out, err);
	}
	if (rc == 0)
		return err_set(err, ERR_BUSY, "the PCRs changed during each of "
		    "%d quotes: programs are being started all the time; try "
		    "again later", TRIES);
	return rc < 0 ? rc : 0;
}
