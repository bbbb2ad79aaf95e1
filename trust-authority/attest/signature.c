/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/attest/signature.h"

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "base/buf.h"

/* TPMS_SIGNATURE_ECDSA to the DER that OpenSSL takes; *der is OpenSSL's. */
static int
ecdsa_read(struct buf *in, uint8_t **der, size_t *der_size, struct err *err)
{
	ECDSA_SIG *sig = ECDSA_SIG_new();
	BIGNUM *r = NULL, *s = NULL;
	const uint8_t *rb, *sb;
	size_t rn, sn;
	int n, rc = 0;

	buf_get_tpm2b(in, &rb, &rn);
	if (buf_get_tpm2b(in, &sb, &sn) < 0 || rn > HASH_MAX ||
	    sn > HASH_MAX) {
		rc = err_set(err, ERR_FORMAT,
		    "the ECDSA signature is cut short or too long");
		goto out;
	}
	r = BN_bin2bn(rb, (int)rn, NULL);
	s = BN_bin2bn(sb, (int)sn, NULL);
	if (sig == NULL || r == NULL || s == NULL ||
	    ECDSA_SIG_set0(sig, r, s) != 1) {
		rc = openssl_error(err, "reading an ECDSA signature");
		goto out;
	}
	r = s = NULL;	/* are sig's now */
	if ((n = i2d_ECDSA_SIG(sig, der)) <= 0) {
		rc = openssl_error(err, "writing an ECDSA signature");
		goto out;
	}
	*der_size = (size_t)n;
out:
	BN_free(r);
	BN_free(s);
	ECDSA_SIG_free(sig);
	return rc;
}

static int
verify(const struct tpm_key *key, const uint8_t *sig, size_t sig_size,
    const uint8_t *data, size_t size, struct err *err)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pctx;
	int rc = 0;

	if (ctx == NULL || EVP_DigestVerifyInit_ex(ctx, &pctx,
	    key->scheme_hash->name, NULL, NULL, key->pkey, NULL) != 1) {
		rc = openssl_error(err, "preparing to verify a signature");
		goto out;
	}
	/* The salt's length is the TPM's choice (Part 1, B.7). */
	if (key->scheme == TPM_ALG_RSAPSS &&
	    (EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING) != 1 ||
	    EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx,
	    RSA_PSS_SALTLEN_AUTO) != 1)) {
		rc = openssl_error(err, "preparing to verify RSAPSS");
		goto out;
	}
	if (EVP_DigestVerify(ctx, sig, sig_size, data, size) != 1) {
		ERR_clear_error();
		rc = err_set(err, ERR_AUTH, "the signature is not one that "
		    "this key made over these bytes");
	}
out:
	EVP_MD_CTX_free(ctx);
	return rc;
}

int
signature_verify(const struct tpm_key *key, const uint8_t *signature,
    size_t signature_size, const uint8_t *data, size_t size, struct err *err)
{
	struct buf in = buf_reader(signature, signature_size);
	uint16_t scheme = 0, hash = 0;
	const uint8_t *sig = NULL;
	uint8_t *der = NULL;
	size_t sig_size = 0;
	int rc;

	buf_get_u16be(&in, &scheme);
	if (buf_get_u16be(&in, &hash) < 0)
		return err_set(err, ERR_FORMAT, "the signature is cut short");
	if (key->scheme_hash == NULL || scheme != key->scheme ||
	    hash != key->scheme_hash->id)
		return err_set(err, ERR_AUTH, "the signature is of scheme "
		    "0x%04x with hash 0x%04x, which are not the key's", scheme,
		    hash);
	if (scheme == TPM_ALG_ECDSA) {
		if ((rc = ecdsa_read(&in, &der, &sig_size, err)) < 0)
			goto out;
		sig = der;
	} else if (buf_get_tpm2b(&in, &sig, &sig_size) < 0) {
		rc = err_set(err, ERR_FORMAT, "the RSA signature is cut short");
		goto out;
	}
	if (buf_left(&in) > 0) {
		rc = err_set(err, ERR_FORMAT,
		    "the signature has %zu bytes too many", buf_left(&in));
		goto out;
	}
	rc = verify(key, sig, sig_size, data, size, err);
out:
	OPENSSL_free(der);
	return rc;
}
