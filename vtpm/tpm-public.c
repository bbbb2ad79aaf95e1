/* SPDX-License-Identifier: BSD-3-Clause */
#include "vtpm/tpm-public.h"

#include <string.h>

#include "base/buf.h"

#define TPM_ALG_AES 0x0006u
#define TPM_ALG_SHA256 0x000bu
#define TPM_ALG_SHA384 0x000cu
#define TPM_ALG_NULL 0x0010u
#define TPM_ALG_CFB 0x0043u
#define TPM_ECC_NIST_P256 0x0003u
#define TPM_ECC_NIST_P384 0x0004u
#define RSA_EXPONENT_DEFAULT 65537u	/* what 0 stands for */

/* TPMA_OBJECT, TPM 2.0 Part 2, 8.3 */
#define FIXED_TPM 0x00000002u
#define FIXED_PARENT 0x00000010u
#define SENSITIVE_DATA_ORIGIN 0x00000020u
#define USER_WITH_AUTH 0x00000040u
#define ADMIN_WITH_POLICY 0x00000080u
#define NO_DA 0x00000400u
#define RESTRICTED 0x00010000u
#define DECRYPT 0x00020000u

#define STORAGE_KEY \
	(FIXED_TPM | FIXED_PARENT | SENSITIVE_DATA_ORIGIN | RESTRICTED | \
	    DECRYPT)

/* PolicyA: TPM2_PolicySecret(TPM_RH_ENDORSEMENT), TCG EK Credential Profile
 * v2.5, B.6.2. */
static const uint8_t policy_a_sha256[] = {
	0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8,
	0x1a, 0x90, 0xcc, 0x8d, 0x46, 0xa5, 0xd7, 0x24,
	0xfd, 0x52, 0xd7, 0x6e, 0x06, 0x52, 0x0b, 0x64,
	0xf2, 0xa1, 0xda, 0x1b, 0x33, 0x14, 0x69, 0xaa,
};

/* PolicyB: PolicyA or PolicyC, the same profile, B.6.5. PolicyC is what the
 * owner may keep in the NV index 0x01c07f02; the index is the owner's to
 * define (it is not a platform index, and goes with TPM2_Clear), so
 * manufacture does not, as other makers do not. PolicyA always works. */
static const uint8_t policy_b_sha384[] = {
	0xb2, 0x6e, 0x7d, 0x28, 0xd1, 0x1a, 0x50, 0xbc,
	0x53, 0xd8, 0x82, 0xbc, 0xf5, 0xfd, 0x3a, 0x1a,
	0x07, 0x41, 0x48, 0xbb, 0x35, 0xd3, 0xb4, 0xe4,
	0xcb, 0x1c, 0x0a, 0xd9, 0xbd, 0xe4, 0x19, 0xca,
	0xcb, 0x47, 0xba, 0x09, 0x69, 0x96, 0x46, 0x15,
	0x0f, 0x9f, 0xc0, 0x00, 0xf3, 0xf8, 0x0e, 0x12,
};

/* TCG EK Credential Profile v2.5: L-1 (B.3.3), H-3 (B.4.5), H-6 and L-2 (B.3.4);
 * certificate indices by its 2.2.1.4 and 2.2.1.5. Persistent handles: TCG TPM
 * v2.0 Provisioning Guidance 7.8 for the first; the others have none of
 * their own there, so 0x81010000 and the index's low bits, as swtpm has it,
 * for P-384 and RSA 3072, and Windows' and go-tpm's 0x81010002 for P-256. */
static const struct tpm_template eks[] = {
	{ "rsa2048", TPM_ALG_RSA, TPM_ALG_SHA256,
	    STORAGE_KEY | ADMIN_WITH_POLICY,
	    policy_a_sha256, sizeof(policy_a_sha256), 128,
	    2048, 256, 0x81010001, 0x01c00002 },
	{ "p384", TPM_ALG_ECC, TPM_ALG_SHA384,
	    STORAGE_KEY | ADMIN_WITH_POLICY | USER_WITH_AUTH,
	    policy_b_sha384, sizeof(policy_b_sha384), 256,
	    TPM_ECC_NIST_P384, 0, 0x81010016, 0x01c00016 },
	{ "rsa3072", TPM_ALG_RSA, TPM_ALG_SHA384,
	    STORAGE_KEY | ADMIN_WITH_POLICY | USER_WITH_AUTH,
	    policy_b_sha384, sizeof(policy_b_sha384), 256,
	    3072, 0, 0x8101001c, 0x01c0001c },
	{ "p256", TPM_ALG_ECC, TPM_ALG_SHA256,
	    STORAGE_KEY | ADMIN_WITH_POLICY,
	    policy_a_sha256, sizeof(policy_a_sha256), 128,
	    TPM_ECC_NIST_P256, 32, 0x81010002, 0x01c0000a },
};

/* TCG TPM v2.0 Provisioning Guidance 7.5.1: the EK template with userWithAuth
 * and noDA set, adminWithPolicy clear, and no policy. Windows expects the
 * RSA one. */
static const struct tpm_template srks[] = {
	{ "rsa2048", TPM_ALG_RSA, TPM_ALG_SHA256,
	    STORAGE_KEY | USER_WITH_AUTH | NO_DA,
	    NULL, 0, 128, 2048, 256, 0x81000001, 0 },
	{ "p256", TPM_ALG_ECC, TPM_ALG_SHA256,
	    STORAGE_KEY | USER_WITH_AUTH | NO_DA,
	    NULL, 0, 128, TPM_ECC_NIST_P256, 32, 0x81000001, 0 },
};

#define N_EKS (sizeof(eks) / sizeof(eks[0]))
#define N_SRKS (sizeof(srks) / sizeof(srks[0]))

const struct tpm_template *
tpm_template_ek(const char *name)
{
	for (size_t i = 0; i < N_EKS; i++)
		if (strcmp(eks[i].name, name) == 0)
			return &eks[i];
	return NULL;
}

const struct tpm_template *
tpm_template_srk(const char *name)
{
	for (size_t i = 0; i < N_SRKS; i++)
		if (strcmp(srks[i].name, name) == 0)
			return &srks[i];
	return NULL;
}

const struct tpm_template *
tpm_template_ek_at(size_t i)
{
	return i < N_EKS ? &eks[i] : NULL;
}

int
tpm_template_write(const struct tpm_template *t, uint8_t *out, size_t *size,
    struct err *err)
{
	struct buf b = buf_writer(out, *size);

	buf_put_u16be(&b, t->type);
	buf_put_u16be(&b, t->name_hash);
	buf_put_u32be(&b, t->attributes);
	buf_put_tpm2b(&b, t->policy, t->policy_size);
	buf_put_u16be(&b, TPM_ALG_AES);
	buf_put_u16be(&b, t->aes_bits);
	buf_put_u16be(&b, TPM_ALG_CFB);
	buf_put_u16be(&b, TPM_ALG_NULL);	/* scheme */
	buf_put_u16be(&b, t->bits_or_curve);
	if (t->type == TPM_ALG_RSA) {
		buf_put_u32be(&b, 0);		/* exponent: the default */
	} else {
		buf_put_u16be(&b, TPM_ALG_NULL);	/* kdf */
		buf_put_u16be(&b, t->unique_size);
		buf_put_zero(&b, t->unique_size);
	}
	buf_put_u16be(&b, t->unique_size);
	buf_put_zero(&b, t->unique_size);
	if (!buf_ok(&b))
		return err_set(err, ERR_INTERNAL,
		    "the template %s does not fit", t->name);
	*size = b.pos;
	return 0;
}

/* TPMT_SYM_DEF_OBJECT and the asymmetric scheme (Part 2, 11.1.7, 11.2.3.1):
 * a storage key has AES in some mode, or null, and no scheme. */
static int
skip_schemes(struct buf *b)
{
	uint16_t alg = 0, bits, mode;

	buf_get_u16be(b, &alg);
	if (alg != TPM_ALG_NULL) {
		buf_get_u16be(b, &bits);
		buf_get_u16be(b, &mode);
	}
	buf_get_u16be(b, &alg);
	return buf_ok(b) && alg == TPM_ALG_NULL ? 0 : ERR_FORMAT;
}

int
tpm_public_read(const uint8_t *data, size_t size, struct tpm_public *p,
    struct err *err)
{
	struct buf b = buf_reader(data, size);
	uint16_t hash, bits, kdf;
	const uint8_t *policy;
	size_t policy_size;

	memset(p, 0, sizeof(*p));
	buf_get_u16be(&b, &p->type);
	buf_get_u16be(&b, &hash);
	buf_get_u32be(&b, &p->attributes);
	buf_get_tpm2b(&b, &policy, &policy_size);
	if (skip_schemes(&b) < 0)
		goto bad;
	if (p->type == TPM_ALG_RSA) {
		buf_get_u16be(&b, &bits);
		buf_get_u32be(&b, &p->rsa_exponent);
		buf_get_tpm2b(&b, &p->x, &p->x_size);
		if (p->rsa_exponent == 0)
			p->rsa_exponent = RSA_EXPONENT_DEFAULT;
	} else if (p->type == TPM_ALG_ECC) {
		buf_get_u16be(&b, &p->curve);
		buf_get_u16be(&b, &kdf);
		buf_get_tpm2b(&b, &p->x, &p->x_size);
		buf_get_tpm2b(&b, &p->y, &p->y_size);
	} else {
		goto bad;
	}
	if (buf_ok(&b) && buf_left(&b) == 0)
		return 0;
bad:
	return err_set(err, ERR_FORMAT,
	    "this public area is not that of an RSA or ECC storage key");
}
