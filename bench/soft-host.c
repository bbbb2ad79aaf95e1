/* SPDX-License-Identifier: BSD-3-Clause */
#include "bench/soft-host.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/rsa.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "bench/soft-ca.h"
#include "trust-authority/attest/tpm-pkey.h"
#include "trust-authority/common/base64url.h"

/* EK Credential Profile, templates L-1 and L-2; their policy's digest. */
#define EK_ATTRIBUTES 0x000300b2u
#define AK_ATTRIBUTES 0x00050072u
#define CURVE_P256 3u
static const uint8_t ek_policy[32] = {
	0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8, 0x1a, 0x90, 0xcc,
	0x8d, 0x46, 0xa5, 0xd7, 0x24, 0xfd, 0x52, 0xd7, 0x6e, 0x06, 0x52,
	0x0b, 0x64, 0xf2, 0xa1, 0xda, 0x1b, 0x33, 0x14, 0x69, 0xaa,
};

char *
base64_text(const void *data, size_t size)
{
	char *text = malloc(BASE64URL_SIZE(size) + 1);

	if (text != NULL)
		base64url_encode(data, size, text);
	return text;
}

static int
put_point(struct buf *out, const EVP_PKEY *key, struct err *err)
{
	const struct tpm_curve *curve = tpm_curve_by_id(CURVE_P256);
	uint8_t x[TPM_ECC_COORDINATE_MAX], y[TPM_ECC_COORDINATE_MAX];
	int rc = tpm_pkey_point(key, curve, x, y, err);

	buf_put_tpm2b(out, x, curve->size);
	buf_put_tpm2b(out, y, curve->size);
	return rc;
}

static int
put_modulus(struct buf *out, const EVP_PKEY *key, struct err *err)
{
	uint8_t bytes[256];
	BIGNUM *n = NULL;

	if (EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &n) != 1 ||
	    BN_bn2binpad(n, bytes, sizeof(bytes)) != (int)sizeof(bytes)) {
		BN_free(n);
		return openssl_error(err, "reading an RSA key");
	}
	BN_free(n);
	buf_put_tpm2b(out, bytes, sizeof(bytes));
	return 0;
}

/* TPMT_PUBLIC, TPM 2.0 Part 2, 12.2.4. */
static int
put_ek(struct soft_host *h, bool rsa, struct err *err)
{
	struct buf out = buf_writer(h->ek_pub, sizeof(h->ek_pub));
	int rc;

	buf_put_u16be(&out, rsa ? TPM_ALG_RSA : TPM_ALG_ECC);
	buf_put_u16be(&out, TPM_ALG_SHA256);
	buf_put_u32be(&out, EK_ATTRIBUTES);
	buf_put_tpm2b(&out, ek_policy, sizeof(ek_policy));
	buf_put_u16be(&out, TPM_ALG_AES);
	buf_put_u16be(&out, 128);
	buf_put_u16be(&out, TPM_ALG_CFB);
	buf_put_u16be(&out, TPM_ALG_NULL);
	buf_put_u16be(&out, rsa ? 2048 : CURVE_P256);
	if (rsa)
		buf_put_u32be(&out, 0);
	else
		buf_put_u16be(&out, TPM_ALG_NULL);
	rc = rsa ? put_modulus(&out, h->ek, err) : put_point(&out, h->ek, err);
	h->ek_size = out.pos;
	return rc;
}

int
soft_host_new_ak(struct soft_host *h, struct err *err)
{
	struct buf out = buf_writer(h->ak_pub, sizeof(h->ak_pub));
	int rc;

	EVP_PKEY_free(h->ak);
	tpm_key_free(h->ak_key);
	h->ak_key = NULL;
	if ((h->ak = EVP_EC_gen("P-256")) == NULL)
		return openssl_error(err, "making an attestation key");
	buf_put_u16be(&out, TPM_ALG_ECC);
	buf_put_u16be(&out, TPM_ALG_SHA256);
	buf_put_u32be(&out, AK_ATTRIBUTES);
	buf_put_u16be(&out, 0);
	buf_put_u16be(&out, TPM_ALG_NULL);
	buf_put_u16be(&out, TPM_ALG_ECDSA);
	buf_put_u16be(&out, TPM_ALG_SHA256);
	buf_put_u16be(&out, CURVE_P256);
	buf_put_u16be(&out, TPM_ALG_NULL);
	if ((rc = put_point(&out, h->ak, err)) < 0)
		return rc;
	h->ak_size = out.pos;
	return tpm_key_read(h->ak_pub, h->ak_size, &h->ak_key, err);
}

static int
take_certificate(struct soft_host *h, const struct soft_ca *ca, bool rsa,
    struct err *err)
{
	X509 *cert = soft_ca_certify(ca, h->ek, rsa);
	unsigned char *der = NULL;
	int size = cert != NULL ? i2d_X509(cert, &der) : -1;

	if (size > 0)
		h->ek_cert = base64_text(der, (size_t)size);
	OPENSSL_free(der);
	X509_free(cert);
	return h->ek_cert != NULL ? 0 :
	    openssl_error(err, "making an EK certificate");
}

int
soft_host_make(struct soft_host *h, bool rsa, const struct soft_ca *ca,
    struct err *err)
{
	int rc;

	h->ek = rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256");
	if (h->ek == NULL)
		return openssl_error(err, "making an endorsement key");
	if ((rc = put_ek(h, rsa, err)) < 0 ||
	    (rc = tpm_key_read(h->ek_pub, h->ek_size, &h->ek_key, err)) < 0 ||
	    (rc = take_certificate(h, ca, rsa, err)) < 0)
		return rc;
	return soft_host_new_ak(h, err);
}

void
soft_host_reset(struct soft_host *h)
{
	EVP_PKEY_free(h->ek);
	EVP_PKEY_free(h->ak);
	tpm_key_free(h->ek_key);
	tpm_key_free(h->ak_key);
	free(h->ek_cert);
	memset(h, 0, sizeof(*h));
}

char *
soft_host_begin(const struct soft_host *h, struct err *err)
{
	char *ek = base64_text(h->ek_pub, h->ek_size), *text = NULL;
	char *ak = base64_text(h->ak_pub, h->ak_size);

	if (ek == NULL || ak == NULL || asprintf(&text, "{\"ek\":\"%s\","
	    "\"ak\":\"%s\",\"name\":\"%s\",\"ek_certificate\":\"%s\"}", ek, ak,
	    h->name, h->ek_cert) < 0) {
		err_set(err, ERR_INTERNAL, "out of memory");
		text = NULL;
	}
	free(ek);
	free(ak);
	return text;
}
