/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A host's evidence, keys and certificate. Nobody can guess a signature, so here
 * every one is right (--wrap): what a TPM that was taken over could sign is
 * parsed too. Input after fail_begin's: AK, EK and certificate as TPM2B, the
 * evidence.
 */
#include <stdlib.h>

#include "tests/fuzz/fail.h"
#include "tests/fuzz/fuzz.h"
#include "trust-authority/attest/credential.h"
#include "trust-authority/attest/ek-cert.h"
#include "trust-authority/attest/judge.h"
#include "trust-authority/attest/signature.h"

int __wrap_signature_verify(const struct tpm_key *key,
    const uint8_t *signature, size_t signature_size, const uint8_t *data,
    size_t size, struct err *err);
int __real_signature_verify(const struct tpm_key *key,
    const uint8_t *signature, size_t signature_size, const uint8_t *data,
    size_t size, struct err *err);

int
__wrap_signature_verify(const struct tpm_key *key, const uint8_t *signature,
    size_t signature_size, const uint8_t *data, size_t size, struct err *err)
{
	(void)__real_signature_verify(key, signature, signature_size, data,
	    size, err);
	return 0;
}

static struct tpm_key *
key_read(struct buf *in)
{
	const uint8_t *area;
	struct tpm_key *key;
	struct err err = { 0 };
	size_t size;
	int rc;

	if (buf_get_tpm2b(in, &area, &size) < 0)
		return NULL;
	rc = tpm_key_read(area, size, &key, &err);
	FUZZ_ASSERT((rc == 0) == (key != NULL));
	FUZZ_ASSERT(rc == 0 || err.text[0] != '\0');
	return key;
}

static void
endorse(const struct tpm_key *ek, const struct tpm_key *ak,
    const uint8_t *cert, size_t size)
{
	struct ek_trust *trust = ek_trust_new(NULL);
	struct secret *secret = secret_from("0123456789abcdef", 16);
	struct credential credential;
	struct ek_maker maker;

	/* No CA was imported: never. */
	if (trust != NULL)
		FUZZ_ASSERT(ek_cert_verify(trust, cert, size, NULL, ek,
		    1800000000, &maker, NULL) < 0);
	if (secret != NULL && tpm_key_check_ek(ek, NULL) == 0)
		(void)credential_make(ek, ak->name, ak->name_size, secret,
		    &credential, NULL);
	secret_free(secret);
	ek_trust_free(trust);
}

static void
judge_it(const struct evidence *ev, const struct tpm_key *ak,
    const struct tpm_key *ek)
{
	static const uint8_t binding[QUOTE_BINDING_SIZE];
	const struct hash_alg *bank = hash_by_name("sha256");
	struct attestation *a;
	struct err err = { 0 };
	char *json;
	int rc = attestation_verify(ev, ak, ek, binding, &a, &err);

	FUZZ_ASSERT((rc == 0) == (a != NULL));
	FUZZ_ASSERT(rc == 0 || err.text[0] != '\0');
	if (rc == 0 && policy_capture(a, "fuzz", bank, true, &json,
	    NULL) == 0)
		free(json);
	attestation_free(a);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf in = buf_reader(data, size), control;
	struct tpm_key *ak, *ek;
	const uint8_t *cert = NULL;
	uint8_t failing[4] = { 0 };
	size_t cert_size = 0;
	struct evidence ev;

	(void)buf_get_bytes(&in, failing, sizeof(failing));
	control = buf_reader(failing, sizeof(failing));
	fail_begin(&control);
	ak = key_read(&in);
	ek = key_read(&in);
	(void)buf_get_tpm2b(&in, &cert, &cert_size);
	if (ak != NULL && ek != NULL && cert != NULL) {
		endorse(ek, ak, cert, cert_size);
		if (evidence_read(data + in.pos, buf_left(&in), &ev,
		    NULL) == 0)
			judge_it(&ev, ak, ek);
	}
	tpm_key_free(ak);
	tpm_key_free(ek);
	(void)fail_end();
	return 0;
}
