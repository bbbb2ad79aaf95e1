/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/attest/tpm-pkey.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <stdbool.h>
#include <string.h>

static const struct tpm_curve curves[] = {
	{ 0x0003, "P-256", 32 },
	{ 0x0004, "P-384", TPM_ECC_COORDINATE_MAX },
};

const struct tpm_curve *
tpm_curve_by_id(uint16_t id)
{
	for (size_t i = 0; i < sizeof(curves) / sizeof(curves[0]); i++)
		if (curves[i].id == id)
			return &curves[i];
	return NULL;
}

/* The point is on the curve: importing it checks that. */
static int
pkey_make(const char *type, OSSL_PARAM_BLD *bld, EVP_PKEY **out,
    struct err *err)
{
	EVP_PKEY_CTX *ctx = NULL;
	OSSL_PARAM *params = NULL;
	EVP_PKEY *key = NULL;
	int rc = 0;

	if ((params = OSSL_PARAM_BLD_to_param(bld)) == NULL ||
	    (ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL)) == NULL ||
	    EVP_PKEY_fromdata_init(ctx) != 1) {
		rc = openssl_error(err, "reading a public key");
		goto out;
	}
	if (EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1) {
		bool ours = ERR_GET_REASON(ERR_peek_last_error()) ==
		    ERR_R_MALLOC_FAILURE;

		rc = openssl_error(err, "not a valid public key");
		/* Who sent it is to blame for its bytes. */
		if (!ours && err != NULL)
			rc = err->code = ERR_FORMAT;
		goto out;
	}
	*out = key;
	key = NULL;
out:
	EVP_PKEY_free(key);
	EVP_PKEY_CTX_free(ctx);
	OSSL_PARAM_free(params);
	return rc;
}

int
tpm_pkey_rsa(const uint8_t *n, size_t n_size, uint32_t exponent,
    EVP_PKEY **out, struct err *err)
{
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	BIGNUM *bn = BN_bin2bn(n, (int)n_size, NULL);
	int rc;

	if (bld == NULL || bn == NULL ||
	    OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, bn) != 1 ||
	    OSSL_PARAM_BLD_push_uint32(bld, OSSL_PKEY_PARAM_RSA_E,
	    exponent) != 1)
		rc = openssl_error(err, "reading an RSA key");
	else
		rc = pkey_make("RSA", bld, out, err);
	OSSL_PARAM_BLD_free(bld);
	BN_free(bn);
	return rc;
}

int
tpm_pkey_ecc(uint16_t id, const uint8_t *x, size_t x_size, const uint8_t *y,
    size_t y_size, EVP_PKEY **out, struct err *err)
{
	uint8_t point[1 + 2 * TPM_ECC_COORDINATE_MAX] = { 4 };
	const struct tpm_curve *curve = tpm_curve_by_id(id);
	OSSL_PARAM_BLD *bld;
	int rc;

	if (curve == NULL)
		return err_set(err, ERR_UNSUPPORTED, "curve 0x%04x is not "
		    "supported; P-256 and P-384 are", id);
	if (x_size > curve->size || y_size > curve->size)
		return err_set(err, ERR_FORMAT,
		    "coordinates of %zu and %zu bytes are too long for %s",
		    x_size, y_size, curve->group);
	memcpy(point + 1 + curve->size - x_size, x, x_size);
	memcpy(point + 1 + 2 * curve->size - y_size, y, y_size);
	bld = OSSL_PARAM_BLD_new();
	if (bld == NULL || OSSL_PARAM_BLD_push_utf8_string(bld,
	    OSSL_PKEY_PARAM_GROUP_NAME, curve->group, 0) != 1 ||
	    OSSL_PARAM_BLD_push_octet_string(bld, OSSL_PKEY_PARAM_PUB_KEY,
	    point, 1 + 2 * curve->size) != 1)
		rc = openssl_error(err, "reading an EC key");
	else
		rc = pkey_make("EC", bld, out, err);
	OSSL_PARAM_BLD_free(bld);
	return rc;
}

int
tpm_pkey_point(const EVP_PKEY *key, const struct tpm_curve *curve, uint8_t *x,
    uint8_t *y, struct err *err)
{
	BIGNUM *bx = NULL, *by = NULL;
	int rc = 0;

	if (EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_EC_PUB_X, &bx) != 1 ||
	    EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_EC_PUB_Y, &by) != 1 ||
	    BN_bn2binpad(bx, x, (int)curve->size) < 0 ||
	    BN_bn2binpad(by, y, (int)curve->size) < 0)
		rc = openssl_error(err, "reading a point");
	BN_free(bx);
	BN_free(by);
	return rc;
}
