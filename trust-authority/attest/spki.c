/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/attest/spki.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <string.h>

#include "trust-authority/attest/tpm-pkey.h"

#define SEQUENCE 0x30
#define INTEGER 0x02
#define BIT_STRING 0x03
#define NUMBER_MAX 512	/* bytes of a modulus */
#define CURVE_P256 0x0003u	/* TPM_ECC_CURVE, TPM 2.0 Part 2, 6.4 */
#define CURVE_P384 0x0004u

/* AlgorithmIdentifier of each kind. */
static const uint8_t rsa[] = { SEQUENCE, 13, 0x06, 9, 0x2a, 0x86, 0x48, 0x86,
	0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00 };
static const uint8_t p256[] = { SEQUENCE, 19, 0x06, 7, 0x2a, 0x86, 0x48, 0xce,
	0x3d, 0x02, 0x01, 0x06, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01,
	0x07 };
static const uint8_t p384[] = { SEQUENCE, 16, 0x06, 7, 0x2a, 0x86, 0x48, 0xce,
	0x3d, 0x02, 0x01, 0x06, 5, 0x2b, 0x81, 0x04, 0x00, 0x22 };

/* Bytes of tag and length before so many bytes (X.690, 10.1: the shortest). */
static size_t
head_size(size_t size)
{
	return size < 0x80 ? 2 : size < 0x100 ? 3 : 4;
}

static void
put_head(struct buf *out, uint8_t tag, size_t size)
{
	buf_put_u8(out, tag);
	if (size >= 0x100) {
		buf_put_u8(out, 0x82);
		buf_put_u16be(out, (uint16_t)size);
		return;
	}
	if (size >= 0x80)
		buf_put_u8(out, 0x81);
	buf_put_u8(out, (uint8_t)size);
}

struct number {
	uint8_t bytes[1 + NUMBER_MAX];
	size_t size;
};

/* Without a sign: one more byte where the first bit would be taken for it. */
static int
get_number(const EVP_PKEY *key, const char *name, struct number *out)
{
	BIGNUM *bn = NULL;
	int size, rc = ERR_FORMAT;

	if (EVP_PKEY_get_bn_param(key, name, &bn) == 1 &&
	    (size = BN_num_bits(bn) / 8 + 1) <= (int)sizeof(out->bytes) &&
	    BN_bn2binpad(bn, out->bytes, size) == size) {
		out->size = (size_t)size;
		rc = 0;
	}
	BN_free(bn);
	return rc;
}

static void
put_number(struct buf *out, const struct number *n)
{
	put_head(out, INTEGER, n->size);
	buf_put_bytes(out, n->bytes, n->size);
}

static void
put_begin(struct buf *out, const uint8_t *algorithm, size_t algorithm_size,
    size_t key_size)
{
	put_head(out, SEQUENCE, algorithm_size + head_size(1 + key_size) + 1 +
	    key_size);
	buf_put_bytes(out, algorithm, algorithm_size);
	put_head(out, BIT_STRING, 1 + key_size);
	buf_put_u8(out, 0);	/* no unused bits */
}

static int
put_rsa(const struct tpm_key *key, struct buf *out, struct err *err)
{
	struct number n, e;
	size_t both;

	if (get_number(key->pkey, OSSL_PKEY_PARAM_RSA_N, &n) < 0 ||
	    get_number(key->pkey, OSSL_PKEY_PARAM_RSA_E, &e) < 0)
		return openssl_error(err, "reading an RSA key");
	both = head_size(n.size) + n.size + head_size(e.size) + e.size;
	put_begin(out, rsa, sizeof(rsa), head_size(both) + both);
	put_head(out, SEQUENCE, both);
	put_number(out, &n);
	put_number(out, &e);
	return 0;
}

static int
put_ecc(const struct tpm_key *key, struct buf *out, struct err *err)
{
	const struct tpm_curve *curve = tpm_curve_by_id(key->curve);
	uint8_t x[TPM_ECC_COORDINATE_MAX], y[TPM_ECC_COORDINATE_MAX];
	bool short_one = key->curve == CURVE_P256;
	int rc;

	if (!short_one && key->curve != CURVE_P384)
		return err_set(err, ERR_UNSUPPORTED, "no key on curve 0x%04x",
		    key->curve);
	if ((rc = tpm_pkey_point(key->pkey, curve, x, y, err)) < 0)
		return rc;
	put_begin(out, short_one ? p256 : p384, short_one ? sizeof(p256) :
	    sizeof(p384), 1 + 2 * curve->size);
	buf_put_u8(out, 4);
	buf_put_bytes(out, x, curve->size);
	buf_put_bytes(out, y, curve->size);
	return 0;
}

int
spki_write(const struct tpm_key *key, struct buf *out, struct err *err)
{
	int rc = key->type == TPM_ALG_RSA ? put_rsa(key, out, err) :
	    put_ecc(key, out, err);

	if (rc == 0 && !buf_ok(out))
		rc = err_set(err, ERR_INTERNAL, "a public key does not fit");
	return rc;
}

int
spki_p256(const uint8_t *data, size_t size, const uint8_t **point)
{
	uint8_t begin[2 + sizeof(p256) + 3];
	struct buf out = buf_writer(begin, sizeof(begin));

	put_begin(&out, p256, sizeof(p256), SPKI_P256_POINT);
	if (!buf_ok(&out) || size != out.pos + SPKI_P256_POINT ||
	    memcmp(data, begin, out.pos) != 0 || data[out.pos] != 4)
		return ERR_FORMAT;
	*point = data + out.pos;
	return 0;
}
