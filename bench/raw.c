/* SPDX-License-Identifier: BSD-3-Clause */
#include "bench/raw.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rsa.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/soft-ca.h"
#include "trust-authority/attest/eventlog.h"

#define REQUEST 1800	/* bytes of a release's request and answer */
#define ANSWER 1000
#define DATA 64
#define BEGIN 1800	/* of an attestation's first request, and its answer */
#define FINISH 2200	/* of the second one's answer, and of its request
			 * without the evidence */
#define IDENTITY 34	/* that MakeCredential encrypts: a TPM2B of 32 */

struct raw {
	const struct place *place;
	X509_STORE *cas;
	unsigned char *ek_cert;
	int ek_cert_size;
	double not_counted;	/* us */
	EVP_PKEY *p256, *peer, *x25519, *rsa;
	OSSL_PARAM *p256_public, *rsa_public;
	size_t events;
	unsigned char es256[128], rsa_signature[256];
	size_t es256_size, rsa_size;
	unsigned char record[4096];
};

static const unsigned char data[DATA] = { 1 };

static bool
sign(EVP_PKEY *key, unsigned char *out, size_t *size)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool good = EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL,
	    key) == 1 && EVP_DigestSign(ctx, out, size, data, DATA) == 1;

	EVP_MD_CTX_free(ctx);
	return good;
}

static bool
verify(EVP_PKEY *key, const unsigned char *signature, size_t size)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool good = EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL,
	    key) == 1 && EVP_DigestVerify(ctx, signature, size, data,
	    DATA) == 1;

	EVP_MD_CTX_free(ctx);
	return good;
}

static bool
agree(EVP_PKEY *own, EVP_PKEY *peer)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(own, NULL);
	unsigned char z[32];
	size_t size = sizeof(z);
	bool good = own != NULL && EVP_PKEY_derive_init(ctx) == 1 &&
	    EVP_PKEY_derive_set_peer_ex(ctx, peer, 0) == 1 &&
	    EVP_PKEY_derive(ctx, z, &size) == 1;

	EVP_PKEY_CTX_free(ctx);
	return good;
}

static bool
ephemeral(const char *type, const char *group, EVP_PKEY *peer)
{
	EVP_PKEY *own = group != NULL ?
	    EVP_PKEY_Q_keygen(NULL, NULL, type, group) :
	    EVP_PKEY_Q_keygen(NULL, NULL, type);
	bool good = agree(own, peer);

	EVP_PKEY_free(own);
	return good;
}

static bool
oaep(EVP_PKEY *key)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
	unsigned char out[256];
	size_t size = sizeof(out);
	bool good = EVP_PKEY_encrypt_init(ctx) == 1 &&
	    EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) == 1 &&
	    EVP_PKEY_CTX_set_rsa_oaep_md(ctx, EVP_sha256()) == 1 &&
	    EVP_PKEY_encrypt(ctx, out, &size, data, 32) == 1;

	EVP_PKEY_CTX_free(ctx);
	return good;
}

static bool
digest(const unsigned char *in, size_t size)
{
	unsigned char out[32];

	return EVP_Digest(in, size, out, NULL, EVP_sha256(), NULL) == 1;
}

static bool
encrypt(const EVP_CIPHER *cipher, struct raw *r, size_t size)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	unsigned char out[sizeof(r->record) + 16];
	int n;
	bool good;

	EVP_CIPHER_CTX_set_flags(ctx, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
	good = EVP_EncryptInit_ex(ctx, cipher, NULL, r->record,
	    cipher == EVP_aes_256_wrap() ? NULL : r->record) == 1 &&
	    EVP_EncryptUpdate(ctx, out, &n, r->record, (int)size) == 1 &&
	    EVP_EncryptFinal_ex(ctx, out + n, &n) == 1;
	EVP_CIPHER_CTX_free(ctx);
	return good;
}

static bool
kbkdf(void)
{
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "KBKDF", NULL);
	EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kdf);
	unsigned char key[32] = { 1 }, out[48];
	char mac[] = "HMAC", md[] = "SHA256";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string("mac", mac, 0),
		OSSL_PARAM_construct_utf8_string("digest", md, 0),
		OSSL_PARAM_construct_octet_string("key", key, sizeof(key)),
		OSSL_PARAM_construct_end(),
	};
	bool good = EVP_KDF_derive(ctx, out, sizeof(out), params) == 1;

	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
	return good;
}

static bool
hmac(void)
{
	unsigned char out[32];
	unsigned int size = sizeof(out);

	return HMAC(EVP_sha256(), data, 32, data, DATA, out, &size) != NULL;
}

/* What a key of a peer's is before anything can be done with it; a point is on
 * its curve. */
static bool
import(const char *type, OSSL_PARAM *params)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	EVP_PKEY *key = NULL;
	bool good = EVP_PKEY_fromdata_init(ctx) == 1 &&
	    EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) == 1;

	EVP_PKEY_free(key);
	EVP_PKEY_CTX_free(ctx);
	return good;
}

static bool
records(struct raw *r, size_t size)
{
	for (size_t n; size > 0; size -= n) {
		n = size < sizeof(r->record) ? size : sizeof(r->record);
		if (!encrypt(EVP_aes_256_gcm(), r, n))
			return false;
	}
	return true;
}

static double thread_us(void);

/* Both sides in turn; the client's time does not count. */
static bool
handshake(struct raw *r)
{
	SSL *server = SSL_new(r->place->server);
	SSL *client = SSL_new(r->place->host);
	BIO *to = BIO_new(BIO_s_mem()), *from = BIO_new(BIO_s_mem());
	bool good = false;
	double start;

	BIO_up_ref(to);
	BIO_up_ref(from);
	SSL_set_bio(server, to, from);
	SSL_set_bio(client, from, to);
	for (int i = 0; i < 8 && !good; i++) {
		start = thread_us();
		(void)SSL_connect(client);
		r->not_counted += thread_us() - start;
		good = SSL_accept(server) == 1;
	}
	SSL_free(server);
	start = thread_us();
	SSL_free(client);
	r->not_counted += thread_us() - start;
	ERR_clear_error();
	return good;
}

static bool
certificate(struct raw *r)
{
	const unsigned char *at = r->ek_cert;
	X509 *cert = d2i_X509(NULL, &at, r->ek_cert_size);
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	bool good = X509_STORE_CTX_init(ctx, r->cas, cert, NULL) == 1 &&
	    X509_verify_cert(ctx) == 1;

	X509_STORE_CTX_free(ctx);
	X509_free(cert);
	return good;
}

/* TPM 2.0 Part 1, 24: to RSA; the seed's two keys, the cipher, the MAC. */
static bool
make_credential(struct raw *r)
{
	return oaep(r->rsa) && kbkdf() && kbkdf() &&
	    encrypt(EVP_aes_128_cfb128(), r, IDENTITY) && hmac();
}

/* What is the same in both: the digest of the evidence, and of the logs what
 * the PCRs are made of, each event's data and its extension. */
static bool
rest(struct raw *r)
{
	const struct place *p = r->place;
	unsigned char out[128];
	size_t size = sizeof(out);
	bool good = make_credential(r) &&
	    verify(r->p256, r->es256, r->es256_size) &&
	    digest(p->eventlog, p->eventlog_size) &&
	    digest(p->ima, p->ima_size) &&
	    digest(p->eventlog, p->eventlog_size);

	for (size_t i = 0; good && i < r->events; i++)
		good = digest(data, DATA);
	return good && sign(r->p256, out, &size);
}

static bool
attestation(struct raw *r)
{
	const struct place *p = r->place;
	size_t evidence = (p->eventlog_size + p->ima_size) / 3 * 4;

	return handshake(r) && records(r, BEGIN) && records(r, BEGIN) &&
	    records(r, FINISH + evidence) && records(r, FINISH) &&
	    import("RSA", r->rsa_public) && import("EC", r->p256_public) &&
	    import("EC", r->p256_public) && certificate(r) && rest(r);
}

static bool
arithmetic(struct raw *r)
{
	unsigned char out[128];
	size_t size = sizeof(out);

	return ephemeral("X25519", NULL, r->x25519) &&
	    sign(r->p256, out, &size) &&
	    verify(r->rsa, r->rsa_signature, r->rsa_size) && rest(r);
}

static bool
release(struct raw *r)
{
	return encrypt(EVP_aes_256_gcm(), r, REQUEST) && kbkdf() &&
	    encrypt(EVP_aes_256_gcm(), r, 32) &&
	    ephemeral("EC", "P-256", r->peer) &&
	    encrypt(EVP_aes_256_wrap(), r, 32) &&
	    encrypt(EVP_aes_256_gcm(), r, 32) &&
	    encrypt(EVP_aes_256_gcm(), r, ANSWER);
}

static bool
token(struct raw *r)
{
	return verify(r->p256, r->es256, r->es256_size);
}

static double
thread_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int
mean_of(bool (*what)(struct raw *r), struct raw *r, size_t n, double *us,
    struct err *err)
{
	double start = thread_us();

	r->not_counted = 0;
	for (size_t i = 0; i < n; i++)
		if (!what(r)) {
			ERR_print_errors_fp(stderr);
			return err_set(err, ERR_CRYPTO, "OpenSSL fails");
		}
	*us = (thread_us() - start - r->not_counted) / (double)n;
	return 0;
}

int
raw_attestation(struct raw *r, size_t n, double *us, struct err *err)
{
	return mean_of(attestation, r, n, us, err);
}

int
raw_arithmetic(struct raw *r, size_t n, double *us, struct err *err)
{
	return mean_of(arithmetic, r, n, us, err);
}

int
raw_release(struct raw *r, size_t n, double *us, struct err *err)
{
	return mean_of(release, r, n, us, err);
}

int
raw_token(struct raw *r, size_t n, double *us, struct err *err)
{
	return mean_of(token, r, n, us, err);
}

static int
make_certificate(struct raw *r, const struct soft_ca *ca)
{
	X509 *cert = soft_ca_certify(ca, r->rsa, true);

	if (cert == NULL || (r->ek_cert_size = i2d_X509(cert,
	    &r->ek_cert)) <= 0 || (r->cas = X509_STORE_new()) == NULL ||
	    X509_STORE_add_cert(r->cas, ca->root) != 1 ||
	    X509_STORE_add_cert(r->cas, ca->cert) != 1 ||
	    /* As the service: what was imported is not verified again. */
	    X509_STORE_set_flags(r->cas, X509_V_FLAG_PARTIAL_CHAIN) != 1)
		r->ek_cert_size = 0;
	X509_free(cert);
	return r->ek_cert_size > 0 ? 0 : ERR_CRYPTO;
}

int
raw_new(const struct place *p, const struct soft_ca *ca, struct raw **out,
    struct err *err)
{
	struct raw *r = calloc(1, sizeof(*r));
	struct eventlog *log;
	int rc;

	if (r == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	*out = r;
	if ((rc = eventlog_read(p->eventlog, p->eventlog_size, &log,
	    err)) < 0)
		return rc;
	r->events = eventlog_count(log);
	eventlog_free(log);
	r->place = p;
	r->es256_size = sizeof(r->es256);
	r->rsa_size = sizeof(r->rsa_signature);
	if ((r->p256 = EVP_EC_gen("P-256")) == NULL ||
	    (r->peer = EVP_EC_gen("P-256")) == NULL ||
	    (r->x25519 = EVP_PKEY_Q_keygen(NULL, NULL, "X25519")) == NULL ||
	    (r->rsa = EVP_RSA_gen(2048)) == NULL ||
	    !sign(r->p256, r->es256, &r->es256_size) ||
	    !sign(r->rsa, r->rsa_signature, &r->rsa_size) ||
	    EVP_PKEY_todata(r->p256, EVP_PKEY_PUBLIC_KEY,
	    &r->p256_public) != 1 || EVP_PKEY_todata(r->rsa,
	    EVP_PKEY_PUBLIC_KEY, &r->rsa_public) != 1 ||
	    make_certificate(r, ca) < 0)
		return err_set(err, ERR_CRYPTO, "OpenSSL makes no keys");
	return 0;
}

void
raw_free(struct raw *r)
{
	if (r == NULL)
		return;
	EVP_PKEY_free(r->p256);
	EVP_PKEY_free(r->peer);
	EVP_PKEY_free(r->x25519);
	EVP_PKEY_free(r->rsa);
	OSSL_PARAM_free(r->p256_public);
	OSSL_PARAM_free(r->rsa_public);
	X509_STORE_free(r->cas);
	OPENSSL_free(r->ek_cert);
	free(r);
}
