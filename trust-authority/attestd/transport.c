/* SPDX-License-Identifier: BSD-3-Clause */
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "trust-authority/attest/tpm-pkey.h"
#include "trust-authority/attestd/finish.h"

#define TPM_ECC_NIST_P256 0x0003u	/* TPM 2.0 Part 2, 6.4 */

static json_t *
coordinate(const uint8_t *bytes)
{
	char text[BASE64URL_SIZE(JWK_COORDINATE) + 1];

	base64url_encode(bytes, JWK_COORDINATE, text);
	return json_string(text);
}

int
transport_read(const struct field_bytes *der, struct jwk **out,
    struct err *err)
{
	const struct tpm_curve *curve = tpm_curve_by_id(TPM_ECC_NIST_P256);
	uint8_t x[TPM_ECC_COORDINATE_MAX], y[TPM_ECC_COORDINATE_MAX];
	const uint8_t *at = der->data;
	char group[32] = "";
	json_t *json = NULL;
	EVP_PKEY *key;
	int rc;

	key = d2i_PUBKEY(NULL, &at, (long)der->size);
	if (key == NULL || at != der->data + der->size ||
	    EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) != 1 ||
	    OBJ_sn2nid(group) != NID_X9_62_prime256v1) {
		rc = err_set(err, ERR_FORMAT, "the transport key is not a "
		    "public key on P-256 in DER");
		goto out;
	}
	if ((rc = tpm_pkey_point(key, curve, x, y, err)) < 0)
		goto out;
	json = json_pack("{ss ss so so}", "kty", "EC", "crv", "P-256", "x",
	    coordinate(x), "y", coordinate(y));
	rc = jwk_read(json, out, err);
out:
	ERR_clear_error();
	json_decref(json);
	EVP_PKEY_free(key);
	return rc;
}
