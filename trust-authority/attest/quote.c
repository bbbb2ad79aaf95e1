/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/attest/quote.h"

#include <openssl/crypto.h>
#include <string.h>

#include "trust-authority/attest/signature.h"

/* TPM_GENERATED_VALUE and TPM_ST_ATTEST_QUOTE, Part 2, 6.2 and 6.9. */
#define GENERATED 0xff544347u
#define ST_ATTEST_QUOTE 0x8018u

struct tpm2b {
	const uint8_t *data;
	size_t size;
};

struct attest {
	uint32_t magic;
	uint16_t type;
	struct tpm2b signer, extra, pcr_digest;
};

int
quote_binding(const uint8_t *nonce, size_t nonce_size,
    const uint8_t *transport_key, size_t transport_key_size,
    uint8_t out[QUOTE_BINDING_SIZE], struct err *err)
{
	const uint8_t n[2] = { (uint8_t)(nonce_size >> 8),
		(uint8_t)nonce_size };
	const uint8_t t[2] = { (uint8_t)(transport_key_size >> 8),
		(uint8_t)transport_key_size };
	const struct hash_part parts[] = {
		{ "vta-quote-1", sizeof("vta-quote-1") },
		{ n, sizeof(n) }, { nonce, nonce_size },
		{ t, sizeof(t) }, { transport_key, transport_key_size },
	};
	uint8_t digest[HASH_MAX];
	int rc;

	if (nonce_size > UINT16_MAX || transport_key_size > UINT16_MAX)
		return err_set(err, ERR_USAGE,
		    "a nonce or transport key of more than 65535 bytes");
	if ((rc = hash_digest(hash_by_id(TPM_ALG_SHA256), parts, 5, digest,
	    err)) == 0)
		memcpy(out, digest, QUOTE_BINDING_SIZE);
	return rc;
}

/* TPMS_ATTEST. The type tells what follows firmwareVersion, so it is judged
 * here. */
static int
attest_read(const uint8_t *data, size_t size, struct attest *a,
    struct quote *q, struct err *err)
{
	struct buf in = buf_reader(data, size);
	uint8_t safe = 0;
	int rc;

	buf_get_u32be(&in, &a->magic);
	buf_get_u16be(&in, &a->type);
	buf_get_tpm2b(&in, &a->signer.data, &a->signer.size);
	buf_get_tpm2b(&in, &a->extra.data, &a->extra.size);
	buf_get_u64be(&in, &q->clock.clock);
	buf_get_u32be(&in, &q->clock.resets);
	buf_get_u32be(&in, &q->clock.restarts);
	buf_get_u8(&in, &safe);
	buf_get_u64be(&in, &q->firmware);
	if (!buf_ok(&in))
		return err_set(err, ERR_FORMAT, "the quote is cut short");
	if (a->magic != GENERATED)
		return err_set(err, ERR_REFUSED, "the quote begins with "
		    "0x%08x, so no TPM made it", a->magic);
	if (a->type != ST_ATTEST_QUOTE)
		return err_set(err, ERR_REFUSED, "the TPM signed a structure "
		    "of type 0x%04x, which is not a quote", a->type);
	q->clock.safe = safe == 1;
	if ((rc = pcr_selection_read(&in, &q->pcrs, err)) < 0)
		return rc;
	if (buf_get_tpm2b(&in, &a->pcr_digest.data, &a->pcr_digest.size) < 0 ||
	    buf_left(&in) > 0 || safe > 1)
		return err_set(err, ERR_FORMAT,
		    "the quote is cut short, or longer than it says");
	return 0;
}

static bool
equal(const struct tpm2b *got, const uint8_t *want, size_t size)
{
	return got->size == size && CRYPTO_memcmp(got->data, want, size) == 0;
}

static int
signer_check(const struct attest *a, const struct tpm_key *ak,
    const struct tpm_key *ek, struct err *err)
{
	uint8_t name[TPM_NAME_MAX];
	int rc;

	if ((rc = tpm_key_qualified_name(ak, ek, name, err)) < 0)
		return rc;
	if (!equal(&a->signer, name, ak->name_size))
		return err_set(err, ERR_REFUSED, "the quote's qualifiedSigner "
		    "is not this attestation key as %s of the endorsement "
		    "hierarchy", ek != NULL ? "a child of the endorsement key" :
		    "a primary object");
	return 0;
}

static int
pcrs_check(const struct attest *a, const struct tpm_key *ak,
    const struct quote_parts *parts, struct quote *q, struct err *err)
{
	uint8_t digest[HASH_MAX];
	int rc;

	if ((rc = pcr_values_read(&q->pcrs, parts->pcr_values,
	    parts->pcr_values_size, err)) < 0 ||
	    (rc = pcr_set_digest(&q->pcrs, ak->scheme_hash, digest, err)) < 0)
		return rc;
	if (!equal(&a->pcr_digest, digest, ak->scheme_hash->size))
		return err_set(err, ERR_REFUSED, "the PCR values that came "
		    "with the quote are not those that were quoted");
	return 0;
}

int
quote_verify(const struct quote_parts *parts, const struct tpm_key *ak,
    const struct tpm_key *ek, const uint8_t binding[QUOTE_BINDING_SIZE],
    struct quote *q, struct err *err)
{
	struct attest a = { 0 };
	int rc;

	memset(q, 0, sizeof(*q));
	if ((rc = tpm_key_check_ak(ak, err)) < 0)
		return rc;
	if ((rc = signature_verify(ak, parts->signature, parts->signature_size,
	    parts->attest, parts->attest_size, err)) < 0) {
		err_prefix(err, "quote");
		return rc;
	}
	if ((rc = attest_read(parts->attest, parts->attest_size, &a, q,
	    err)) < 0 ||
	    (rc = signer_check(&a, ak, ek, err)) < 0)
		return rc;
	if (!equal(&a.extra, binding, QUOTE_BINDING_SIZE))
		return err_set(err, ERR_STALE, "the quote is not over this "
		    "session's nonce and transport key: an old quote, or one "
		    "made for somebody else");
	return pcrs_check(&a, ak, parts, q, err);
}

int
tpm_clock_follows(const struct tpm_clock *before, const struct tpm_clock *now,
    struct err *err)
{
	if (now->resets < before->resets)
		return err_set(err, ERR_STALE, "the TPM counts %u resets, and "
		    "counted %u before: it was cleared, or this is an older "
		    "quote", now->resets, before->resets);
	if (now->resets > before->resets)
		return 0;
	if (now->restarts < before->restarts)
		return err_set(err, ERR_STALE, "the TPM counts %u restarts "
		    "since its last reset, and counted %u before",
		    now->restarts, before->restarts);
	/* Without an orderly shutdown the clock may fall back by what was not
	 * saved, and says so (Part 1, 36). */
	if (now->restarts == before->restarts && now->safe &&
	    now->clock < before->clock)
		return err_set(err, ERR_STALE, "the TPM's clock is %llu ms, "
		    "and was %llu before, without a reset between",
		    (unsigned long long)now->clock,
		    (unsigned long long)before->clock);
	return 0;
}
