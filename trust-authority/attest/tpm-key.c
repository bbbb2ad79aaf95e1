/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/attest/tpm-key.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "trust-authority/attest/tpm-pkey.h"

/* TPMA_OBJECT, TPM 2.0 Part 2, 8.3. */
enum {
	FIXED_TPM = 1 << 1,
	FIXED_PARENT = 1 << 4,
	SENSITIVE_DATA_ORIGIN = 1 << 5,
	ENCRYPTED_DUPLICATION = 1 << 11,
	RESTRICTED = 1 << 16,
	DECRYPT = 1 << 17,
	SIGN = 1 << 18,
	X509_SIGN = 1 << 19,
};

#define TPM_RH_ENDORSEMENT 0x4000000bu
#define TPM_ALG_RSAES 0x0015u

/* A TPMT_SYM_DEF_OBJECT; only AES in CFB mode protects a storage key. */
static int
symmetric_read(struct buf *in, struct tpm_key *key, struct err *err)
{
	uint16_t mode = 0;

	buf_get_u16be(in, &key->symmetric);
	if (key->symmetric == TPM_ALG_NULL)
		return 0;
	buf_get_u16be(in, &key->symmetric_bits);
	buf_get_u16be(in, &mode);
	if (!buf_ok(in))
		return 0;	/* the caller says that it is cut */
	if (key->symmetric != TPM_ALG_AES || mode != TPM_ALG_CFB ||
	    (key->symmetric_bits != 128 && key->symmetric_bits != 256))
		return err_set(err, ERR_UNSUPPORTED, "key protects its "
		    "children with algorithm 0x%04x, %u bits, mode 0x%04x; "
		    "only AES-128 and AES-256 in CFB mode are supported",
		    key->symmetric, key->symmetric_bits, mode);
	return 0;
}

static int
scheme_read(struct buf *in, struct tpm_key *key, struct err *err)
{
	uint16_t id = 0;

	buf_get_u16be(in, &key->scheme);
	if (!buf_ok(in) || key->scheme == TPM_ALG_NULL)
		return 0;
	if (key->scheme != TPM_ALG_RSASSA && key->scheme != TPM_ALG_RSAPSS &&
	    key->scheme != TPM_ALG_ECDSA)
		return err_set(err, ERR_UNSUPPORTED, "key has the scheme "
		    "0x%04x; RSASSA, RSAPSS and ECDSA are supported",
		    key->scheme);
	buf_get_u16be(in, &id);
	key->scheme_hash = hash_by_id(id);
	if (buf_ok(in) && key->scheme_hash == NULL)
		return err_set(err, ERR_UNSUPPORTED,
		    "key signs with the unknown hash 0x%04x", id);
	return 0;
}

static int
rsa_read(struct buf *in, struct tpm_key *key, struct err *err)
{
	uint32_t exponent = 0;
	const uint8_t *n;
	uint16_t bits = 0;
	size_t size;

	buf_get_u16be(in, &bits);
	buf_get_u32be(in, &exponent);
	if (buf_get_tpm2b(in, &n, &size) < 0)
		return err_set(err, ERR_FORMAT, "public area is cut short");
	/* Part 2, 12.2.3.5: zero stands for 2^16 + 1. */
	if (exponent == 0)
		exponent = 65537;
	if (bits < 2048 || bits > 4096 || size != bits / 8u || n[0] < 0x80)
		return err_set(err, ERR_UNSUPPORTED, "RSA key of %u bits with "
		    "a modulus of %zu bytes; 2048 to 4096 are supported", bits,
		    size);
	/* Not for whether it is a product of primes, which costs a millisecond:
	 * the certificate or the credential tells whose key it is. */
	if (n[size - 1] % 2 == 0 || exponent % 2 == 0 || exponent < 65537)
		return err_set(err, ERR_REFUSED, "RSA key with an even "
		    "modulus, or with the exponent %u", exponent);
	return tpm_pkey_rsa(n, size, exponent, &key->pkey, err);
}

static int
ecc_read(struct buf *in, struct tpm_key *key, struct err *err)
{
	uint16_t kdf = 0, kdf_hash;
	const uint8_t *x, *y;
	size_t x_size, y_size;

	buf_get_u16be(in, &key->curve);
	buf_get_u16be(in, &kdf);
	if (buf_ok(in) && kdf != TPM_ALG_NULL)
		buf_get_u16be(in, &kdf_hash);
	buf_get_tpm2b(in, &x, &x_size);
	if (buf_get_tpm2b(in, &y, &y_size) < 0)
		return err_set(err, ERR_FORMAT, "public area is cut short");
	return tpm_pkey_ecc(key->curve, x, x_size, y, y_size, &key->pkey,
	    err);
}

static int
area_read(struct buf *in, struct tpm_key *key, struct err *err)
{
	const uint8_t *policy;
	uint16_t name_alg = 0;
	size_t policy_size;
	int rc;

	buf_get_u16be(in, &key->type);
	buf_get_u16be(in, &name_alg);
	buf_get_u32be(in, &key->attributes);
	if (buf_get_tpm2b(in, &policy, &policy_size) < 0)
		return err_set(err, ERR_FORMAT, "public area is cut short");
	if (key->type != TPM_ALG_RSA && key->type != TPM_ALG_ECC)
		return err_set(err, ERR_UNSUPPORTED,
		    "key of type 0x%04x is neither RSA nor ECC", key->type);
	key->name_alg = hash_by_id(name_alg);
	if (key->name_alg == NULL || key->name_alg->id == TPM_ALG_SHA1)
		return err_set(err, ERR_UNSUPPORTED, "key is named by the hash "
		    "0x%04x; SHA-256, SHA-384 and SHA-512 are supported",
		    name_alg);
	if ((rc = symmetric_read(in, key, err)) < 0 ||
	    (rc = scheme_read(in, key, err)) < 0)
		return rc;
	rc = key->type == TPM_ALG_RSA ? rsa_read(in, key, err) :
	    ecc_read(in, key, err);
	if (rc == 0 && buf_left(in) > 0)
		return err_set(err, ERR_FORMAT,
		    "public area has %zu bytes too many", buf_left(in));
	return rc;
}

/* nameAlg || H_nameAlg(parts), and how long that is. */
static int
name_make(const struct hash_alg *alg, const struct hash_part *parts,
    size_t count, uint8_t out[TPM_NAME_MAX], struct err *err)
{
	out[0] = (uint8_t)(alg->id >> 8);
	out[1] = (uint8_t)alg->id;
	return hash_digest(alg, parts, count, out + 2, err);
}

int
tpm_key_read(const uint8_t *data, size_t size, struct tpm_key **out,
    struct err *err)
{
	const struct hash_part whole = { data, size };
	struct buf in = buf_reader(data, size);
	struct tpm_key *key = calloc(1, sizeof(*key));
	int rc;

	*out = NULL;
	if (key == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	if ((rc = area_read(&in, key, err)) < 0 ||
	    (rc = name_make(key->name_alg, &whole, 1, key->name, err)) < 0)
		goto out;
	key->name_size = 2 + key->name_alg->size;
	*out = key;
	key = NULL;
out:
	tpm_key_free(key);
	return rc;
}

int
tpm_key_read_2b(const uint8_t *data, size_t size, struct tpm_key **out,
    struct err *err)
{
	struct buf in = buf_reader(data, size);
	const uint8_t *area;
	size_t area_size;

	*out = NULL;
	if (buf_get_tpm2b(&in, &area, &area_size) < 0 || buf_left(&in) > 0)
		return err_set(err, ERR_FORMAT, "TPM2B_PUBLIC of %zu bytes is "
		    "not as long as it says", size);
	return tpm_key_read(area, area_size, out, err);
}

struct tpm_key *
tpm_key_share(const struct tpm_key *key)
{
	struct tpm_key *out = malloc(sizeof(*out));

	if (out != NULL && EVP_PKEY_up_ref(key->pkey) != 1) {
		free(out);
		out = NULL;
	}
	if (out != NULL)
		*out = *key;
	return out;
}

void
tpm_key_free(struct tpm_key *key)
{
	if (key == NULL)
		return;
	EVP_PKEY_free(key->pkey);
	free(key);
}

struct attribute {
	uint32_t bit;
	bool wanted;
	const char *name;
};

static int
attributes_check(const struct tpm_key *key, const char *what,
    const struct attribute *list, size_t count, struct err *err)
{
	for (size_t i = 0; i < count; i++)
		if (((key->attributes & list[i].bit) != 0) != list[i].wanted)
			return err_set(err, ERR_REFUSED, "the %s %s the "
			    "attribute %s (its attributes: 0x%08x)", what,
			    list[i].wanted ? "lacks" : "must not have",
			    list[i].name, key->attributes);
	return 0;
}

int
tpm_key_check_ak(const struct tpm_key *key, struct err *err)
{
	static const struct attribute list[] = {
		{ FIXED_TPM, true, "fixedTPM" },
		{ FIXED_PARENT, true, "fixedParent" },
		{ SENSITIVE_DATA_ORIGIN, true, "sensitiveDataOrigin" },
		{ RESTRICTED, true, "restricted" },
		{ SIGN, true, "sign" },
		{ DECRYPT, false, "decrypt" },
		{ ENCRYPTED_DUPLICATION, false, "encryptedDuplication" },
		{ X509_SIGN, false, "x509sign" },
	};
	int rc;

	if ((rc = attributes_check(key, "attestation key", list,
	    sizeof(list) / sizeof(list[0]), err)) < 0)
		return rc;
	if (key->scheme_hash == NULL || key->scheme_hash->id == TPM_ALG_SHA1)
		return err_set(err, ERR_REFUSED, "the attestation key does not "
		    "sign with SHA-256 or a longer hash");
	if ((key->scheme == TPM_ALG_ECDSA) != (key->type == TPM_ALG_ECC))
		return err_set(err, ERR_REFUSED, "the attestation key's scheme "
		    "0x%04x is not of its type", key->scheme);
	return 0;
}

int
tpm_key_check_ek(const struct tpm_key *key, struct err *err)
{
	static const struct attribute list[] = {
		{ FIXED_TPM, true, "fixedTPM" },
		{ FIXED_PARENT, true, "fixedParent" },
		{ SENSITIVE_DATA_ORIGIN, true, "sensitiveDataOrigin" },
		{ RESTRICTED, true, "restricted" },
		{ DECRYPT, true, "decrypt" },
		{ SIGN, false, "sign" },
		{ ENCRYPTED_DUPLICATION, false, "encryptedDuplication" },
	};
	int rc;

	if ((rc = attributes_check(key, "endorsement key", list,
	    sizeof(list) / sizeof(list[0]), err)) < 0)
		return rc;
	if (key->symmetric != TPM_ALG_AES || key->scheme != TPM_ALG_NULL)
		return err_set(err, ERR_REFUSED,
		    "the endorsement key is not a storage key with AES");
	return 0;
}

int
tpm_key_qualified_name(const struct tpm_key *key,
    const struct tpm_key *parent, uint8_t out[TPM_NAME_MAX], struct err *err)
{
	const uint8_t hierarchy[] = { TPM_RH_ENDORSEMENT >> 24 & 0xff,
		TPM_RH_ENDORSEMENT >> 16 & 0xff, TPM_RH_ENDORSEMENT >> 8 & 0xff,
		TPM_RH_ENDORSEMENT & 0xff };
	struct hash_part parts[2] = { { hierarchy, sizeof(hierarchy) } };
	uint8_t above[TPM_NAME_MAX];
	int rc;

	if (parent != NULL) {
		if ((rc = tpm_key_qualified_name(parent, NULL, above,
		    err)) < 0)
			return rc;
		parts[0] = (struct hash_part){ above, parent->name_size };
	}
	parts[1] = (struct hash_part){ key->name, key->name_size };
	return name_make(key->name_alg, parts, 2, out, err);
}
