/* SPDX-License-Identifier: BSD-3-Clause */
/* EK certificates of real vTPMs, and wrong ones made here. */
#include <criterion/criterion.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/attest-fixture.h"
#include "trust-authority/attest/ek-cert.h"
#include "trust-authority/attest/spki.h"

#define NOW 1800000000	/* 2027-01-15 */

#define REFUSED(call, code, words) do { \
	struct err err = { 0 }; \
	cr_assert_eq((call), (code), "%s", err.text); \
	cr_assert(strstr(err.text, (words)) != NULL, "%s", err.text); \
} while (0)

static struct ek_trust *
trust_of(const char *boot, const char *file)
{
	struct ek_trust *trust = ek_trust_new(NULL);
	struct bytes pem = golden_file(boot, file);
	struct err err = { 0 };

	cr_assert_eq(ek_trust_add_pem(trust, (char *)pem.data, pem.size,
	    &err), 0, "%s", err.text);
	cr_assert_eq(ek_trust_count(trust), 1);
	bytes_free(&pem);
	return trust;
}

static struct tpm_key *
ek_of(const char *boot)
{
	struct bytes b = golden_file(boot, "ek.pub");
	struct tpm_key *key;

	cr_assert_eq(tpm_key_read_2b(b.data, b.size, &key, NULL), 0);
	bytes_free(&b);
	return key;
}

Test(ek_cert, chains)
{
	struct ek_trust *root = trust_of("crb-chain", "root.pem");
	struct ek_trust *issuing = trust_of("crb-chain", "issuing.pem");
	struct ek_trust *none = ek_trust_new(NULL);
	struct ek_trust *other = trust_of("tis-off", "root.pem");
	struct bytes cert = golden_file("crb-chain", "ek.crt");
	struct bytes helper = golden_file("crb-chain", "issuing.pem");
	struct tpm_key *ek = ek_of("crb-chain");
	const char *help = (const char *)helper.data;
	struct ek_maker maker;
	struct err why = { 0 };

	cr_assert_eq(ek_cert_verify(root, cert.data, cert.size, help, ek, NOW,
	    &maker, &why), 0, "%s", why.text);
	cr_assert_str_eq(maker.manufacturer, "IBM");
	cr_assert_str_eq(maker.model, "vtpmd");
	cr_assert_str_eq(maker.version, "id:20191023");
	cr_assert_eq(ek_cert_verify(issuing, cert.data, cert.size, NULL, ek,
	    NOW, &maker, &why), 0, "%s", why.text);
	REFUSED(ek_cert_verify(root, cert.data, cert.size, NULL, ek, NOW,
	    &maker, &err), ERR_REFUSED, "does not lead to an imported CA");
	REFUSED(ek_cert_verify(none, cert.data, cert.size, help, ek, NOW,
	    &maker, &err), ERR_REFUSED, "does not lead to an imported CA");
	REFUSED(ek_cert_verify(other, cert.data, cert.size, help, ek, NOW,
	    &maker, &err), ERR_REFUSED, "vtpmd EK Issuing CA");
	/* Before it began. */
	REFUSED(ek_cert_verify(root, cert.data, cert.size, help, ek,
	    1500000000, &maker, &err), ERR_REFUSED, "not yet valid");
	cert.data[cert.size - 1] ^= 1;
	REFUSED(ek_cert_verify(root, cert.data, cert.size, help, ek, NOW,
	    &maker, &err), ERR_REFUSED, "signature failure");
	REFUSED(ek_cert_verify(root, cert.data, 40, help, ek, NOW, &maker,
	    &err), ERR_FORMAT, "not X.509");
	ek_trust_free(root);
	ek_trust_free(issuing);
	ek_trust_free(none);
	ek_trust_free(other);
	bytes_free(&cert);
	bytes_free(&helper);
	tpm_key_free(ek);
}

Test(ek_cert, of_another_key)
{
	struct ek_trust *trust = trust_of("crb-chain", "issuing.pem");
	struct bytes cert = golden_file("crb-chain", "ek.crt");
	struct tpm_key *ek = ek_of("tis-off");
	struct ek_maker maker;

	REFUSED(ek_cert_verify(trust, cert.data, cert.size, NULL, ek, NOW,
	    &maker, &err), ERR_REFUSED, "another key's");
	ek_trust_free(trust);
	bytes_free(&cert);
	tpm_key_free(ek);
}

static void
extend(X509 *x, int nid, const char *value)
{
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

	cr_assert(e != NULL, "%s", value);
	cr_assert_eq(X509_add_ext(x, e, -1), 1);
	X509_EXTENSION_free(e);
}

/* A certificate for ek, valid for days from NOW, signed by its own CA whose
 * PEM goes to ca. */
static struct bytes
made(const struct tpm_key *ek, const char *usage, const char *extended,
    const char *basic, int days, char **ca)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	X509 *x[2] = { X509_new(), X509_new() };
	struct bytes der = { NULL, 0 };
	BIO *bio = BIO_new(BIO_s_mem());
	time_t from = NOW - 86400, to;
	int n;

	for (int i = 0; i < 2; i++) {
		X509_NAME *name = X509_NAME_new();

		to = NOW + (i == 0 ? 3650 : days) * 86400L;
		X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
		    (const uint8_t *)(i == 0 ? "CA" : "EK"), -1, -1, 0);
		X509_set_version(x[i], 2);
		ASN1_INTEGER_set(X509_get_serialNumber(x[i]), i + 1);
		X509_time_adj(X509_getm_notBefore(x[i]), 0, &from);
		X509_time_adj(X509_getm_notAfter(x[i]), 0, &to);
		X509_set_subject_name(x[i], name);
		X509_set_issuer_name(x[i], X509_get_subject_name(x[0]));
		X509_set_pubkey(x[i], i == 0 ? key : ek->pkey);
		X509_NAME_free(name);
	}
	extend(x[0], NID_basic_constraints, "critical,CA:TRUE");
	extend(x[1], NID_basic_constraints, basic);
	extend(x[1], NID_key_usage, usage);
	if (extended != NULL)
		extend(x[1], NID_ext_key_usage, extended);
	for (int i = 0; i < 2; i++)
		cr_assert(X509_sign(x[i], key, EVP_sha256()) > 0);
	cr_assert_eq(PEM_write_bio_X509(bio, x[0]), 1);
	*ca = calloc(1, 4096);
	cr_assert(BIO_read(bio, *ca, 4095) > 0);
	cr_assert((n = i2d_X509(x[1], &der.data)) > 0);
	der.size = (size_t)n;
	X509_free(x[0]);
	X509_free(x[1]);
	EVP_PKEY_free(key);
	BIO_free(bio);
	return der;
}

static int
made_verify(const char *usage, const char *extended, const char *basic,
    int days, struct err *err)
{
	struct tpm_key *ek = ek_of("crb-chain");
	struct ek_trust *trust = ek_trust_new(NULL);
	struct ek_maker maker;
	char *ca;
	struct bytes cert = made(ek, usage, extended, basic, days, &ca);
	int rc;

	cr_assert_eq(ek_trust_add_pem(trust, ca, strlen(ca), err), 0, "%s",
	    err->text);
	rc = ek_cert_verify(trust, cert.data, cert.size, NULL, ek, NOW,
	    &maker, err);
	OPENSSL_free(cert.data);
	free(ca);
	ek_trust_free(trust);
	tpm_key_free(ek);
	return rc;
}

Test(ek_cert, purposes)
{
	static const char eku[] = "2.23.133.8.1", no_ca[] = "CA:FALSE";
	struct err good = { 0 };

	cr_assert_eq(made_verify("keyEncipherment", eku, no_ca, 10, &good), 0,
	    "%s", good.text);
	REFUSED(made_verify("keyEncipherment", eku, no_ca, -1, &err),
	    ERR_REFUSED, "expired");
	REFUSED(made_verify("keyEncipherment", "serverAuth", no_ca, 10, &err),
	    ERR_REFUSED, "lacks 2.23.133.8.1");
	REFUSED(made_verify("keyEncipherment", NULL, no_ca, 10, &err),
	    ERR_REFUSED, "lacks 2.23.133.8.1");
	REFUSED(made_verify("keyAgreement", eku, no_ca, 10, &err),
	    ERR_REFUSED, "lacks keyEncipherment");
	REFUSED(made_verify("keyEncipherment,keyCertSign", eku, "CA:TRUE", 10,
	    &err), ERR_REFUSED, "one of a CA");
}

Test(ek_cert, imports)
{
	struct ek_trust *trust = ek_trust_new(NULL);
	struct bytes leaf = golden_file("crb-chain", "ek.crt");
	struct bytes ca = golden_file("crb-chain", "root.pem");
	const uint8_t *at = leaf.data;
	X509 *x = d2i_X509(NULL, &at, (long)leaf.size);
	BIO *bio = BIO_new(BIO_s_mem());
	char pem[4096] = "";

	cr_assert_eq(PEM_write_bio_X509(bio, x), 1);
	cr_assert(BIO_read(bio, pem, sizeof(pem) - 1) > 0);
	REFUSED(ek_trust_add_pem(trust, pem, strlen(pem), &err), ERR_REFUSED,
	    "not one of a CA");
	REFUSED(ek_trust_add_pem(trust, "hello", 5, &err), ERR_FORMAT,
	    "no certificate in PEM");
	/* A good one, then half of one: none is taken. */
	memcpy(pem, ca.data, ca.size);
	memcpy(pem + ca.size, ca.data, ca.size / 2);
	REFUSED(ek_trust_add_pem(trust, pem, ca.size + ca.size / 2, &err),
	    ERR_FORMAT, "damaged one after 1");
	cr_assert_eq(ek_trust_count(trust), 0);
	X509_free(x);
	BIO_free(bio);
	ek_trust_free(trust);
	bytes_free(&leaf);
	bytes_free(&ca);
}

Test(ek_imported, key)
{
	struct tpm_key *ek = ek_of("crb-chain"), *other = ek_of("tis-off");
	BIO *bio = BIO_new(BIO_s_mem());
	char pem[2048] = "";
	struct err err0 = { 0 };

	cr_assert_eq(PEM_write_bio_PUBKEY(bio, ek->pkey), 1);
	cr_assert(BIO_read(bio, pem, sizeof(pem) - 1) > 0);
	cr_assert_eq(ek_imported_verify(pem, strlen(pem), ek, &err0), 0, "%s",
	    err0.text);
	REFUSED(ek_imported_verify(pem, strlen(pem), other, &err),
	    ERR_REFUSED, "not the one that was imported");
	REFUSED(ek_imported_verify("x", 1, ek, &err), ERR_FORMAT,
	    "not a public key in PEM");
	BIO_free(bio);
	tpm_key_free(ek);
	tpm_key_free(other);
}

static void
same_as_openssl(struct tpm_key key)
{
	uint8_t bytes[SPKI_MAX], *der = NULL;
	struct buf out = buf_writer(bytes, sizeof(bytes));
	int size = i2d_PUBKEY(key.pkey, &der);
	struct err err = { 0 };

	cr_assert(size > 0);
	cr_assert_eq(spki_write(&key, &out, &err), 0, "%s", err.text);
	cr_assert_eq(out.pos, (size_t)size);
	cr_assert_arr_eq(bytes, der, out.pos);
	OPENSSL_free(der);
	EVP_PKEY_free(key.pkey);
}

Test(spki, as_openssl_writes)
{
	for (size_t bits = 1024; bits <= 4096; bits *= 2)
		same_as_openssl((struct tpm_key){ .type = TPM_ALG_RSA,
			.pkey = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", bits) });
	/* Some with a leading zero among them. */
	for (int i = 0; i < 600; i++)
		same_as_openssl((struct tpm_key){ .type = TPM_ALG_ECC,
			.curve = 3, .pkey = EVP_EC_gen("P-256") });
	same_as_openssl((struct tpm_key){ .type = TPM_ALG_ECC, .curve = 4,
		.pkey = EVP_EC_gen("P-384") });
}

Test(spki, p256_and_nothing_else)
{
	EVP_PKEY *right = EVP_EC_gen("P-256"), *wrong = EVP_EC_gen("P-384");
	uint8_t *der = NULL, *other = NULL;
	int size = i2d_PUBKEY(right, &der), n = i2d_PUBKEY(wrong, &other);
	const uint8_t *point;

	cr_assert_eq(spki_p256(der, (size_t)size, &point), 0);
	cr_assert_eq(point, der + size - SPKI_P256_POINT);
	cr_assert(spki_p256(other, (size_t)n, &point) < 0);
	for (int i = 0; i < size; i++)
		cr_assert(spki_p256(der, (size_t)i, &point) < 0);
	for (int i = 0; i <= size - SPKI_P256_POINT; i++) {
		der[i] ^= 1;
		cr_assert(spki_p256(der, (size_t)size, &point) < 0);
		der[i] ^= 1;
	}
	OPENSSL_free(der);
	OPENSSL_free(other);
	EVP_PKEY_free(right);
	EVP_PKEY_free(wrong);
}
