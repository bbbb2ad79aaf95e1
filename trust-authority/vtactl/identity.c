/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/vtactl/identity.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "base/secret.h"

#define SERIAL_SIZE 16
#define FOREVER "99991231235959Z"	/* RFC 5280 4.1.2.5 */
/* Clocks of hosts differ: valid an hour before it was made. */
#define EARLIER 3600

static int
failed(struct err *err, const char *what)
{
	unsigned long e = ERR_peek_last_error();
	char why[160] = "no reason given";

	if (e != 0)
		ERR_error_string_n(e, why, sizeof(why));
	ERR_clear_error();
	return err_set(err, ERR_CRYPTO, "cannot %s: %s", what, why);
}

void
identity_free(struct identity *id)
{
	EVP_PKEY_free(id->key);
	X509_free(id->cert);
	*id = (struct identity){ 0 };
}

/* 127 bits, positive, no leading zero octet (4.1.2.2). */
static bool
set_serial(X509 *x)
{
	uint8_t serial[SERIAL_SIZE];
	BIGNUM *n;
	bool ok;

	if (RAND_bytes(serial, sizeof(serial)) != 1)
		return false;
	serial[0] = (uint8_t)((serial[0] & 0x7f) | 0x40);
	n = BN_bin2bn(serial, sizeof(serial), NULL);
	ok = n != NULL &&
	    BN_to_ASN1_INTEGER(n, X509_get_serialNumber(x)) != NULL;
	BN_free(n);
	return ok;
}

static bool
set_times(X509 *x, int days, const X509 *issuer)
{
	ASN1_TIME *end = X509_getm_notAfter(x);
	time_t now = time(NULL);

	if (X509_time_adj_ex(X509_getm_notBefore(x), 0, -EARLIER, &now) == NULL)
		return false;
	if (days == 0)
		return ASN1_TIME_set_string(end, FOREVER) == 1;
	if (X509_time_adj_ex(end, days, 0, &now) == NULL)
		return false;
	/* A chain ends with its shortest part: say so in each. */
	if (issuer != NULL &&
	    ASN1_TIME_compare(end, X509_get0_notAfter(issuer)) > 0)
		return X509_set1_notAfter(x, X509_get0_notAfter(issuer)) == 1;
	return true;
}

static bool
set_name(X509_NAME *name, const char *field, const char *value)
{
	return X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8,
	    (const unsigned char *)value, -1, -1, 0) == 1;
}

static bool
add_extension(X509 *x, X509 *issuer, int nid, const char *value)
{
	X509_EXTENSION *e;
	X509V3_CTX ctx;
	bool ok;

	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
	e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	ok = e != NULL && X509_add_ext(x, e, -1) == 1;
	X509_EXTENSION_free(e);
	return ok;
}

/* What all have, up to what is their own. issuer NULL: itself. */
static bool
begin(struct identity *id, const char *curve, const char *organisation,
    const char *name, int days, X509 *issuer)
{
	X509_NAME *subject;

	if ((id->key == NULL && (id->key = EVP_PKEY_Q_keygen(NULL, NULL, "EC",
	    curve)) == NULL) ||
	    (id->cert = X509_new()) == NULL)
		return false;
	subject = X509_get_subject_name(id->cert);
	return X509_set_version(id->cert, X509_VERSION_3) == 1 &&
	    set_serial(id->cert) && set_times(id->cert, days, issuer) &&
	    set_name(subject, "O", organisation) &&
	    set_name(subject, "CN", name) &&
	    X509_set_issuer_name(id->cert, issuer != NULL ?
	    X509_get_subject_name(issuer) : subject) == 1 &&
	    X509_set_pubkey(id->cert, id->key) == 1 &&
	    add_extension(id->cert, issuer, NID_subject_key_identifier,
	    "hash") &&
	    add_extension(id->cert, issuer != NULL ? issuer : id->cert,
	    NID_authority_key_identifier, "keyid:always");
}

int
identity_make_ca(struct identity *ca, const char *organisation,
    const char *name, int days, struct err *err)
{
	if (!begin(ca, "P-384", organisation, name, days, NULL) ||
	    !add_extension(ca->cert, ca->cert, NID_basic_constraints,
	    "critical,CA:TRUE,pathlen:0") ||
	    !add_extension(ca->cert, ca->cert, NID_key_usage,
	    "critical,keyCertSign,cRLSign") ||
	    X509_sign(ca->cert, ca->key, EVP_sha384()) <= 0)
		return failed(err, "make a CA");
	return 0;
}

int
identity_issue(const struct identity *ca, const struct identity_wish *wish,
    struct identity *out, struct err *err)
{
	/* A service is also a client: vta-attestd calls the agents. */
	const char *usage = wish->use == IDENTITY_ADMIN ? "clientAuth" :
	    "serverAuth,clientAuth";
	X509 *x;

	if (wish->key != NULL && EVP_PKEY_up_ref(wish->key) == 1)
		out->key = wish->key;
	if (!begin(out, "P-256", wish->organisation, wish->name, wish->days,
	    ca->cert))
		return failed(err, "make a certificate");
	x = out->cert;
	if (!add_extension(x, ca->cert, NID_basic_constraints,
	    "critical,CA:FALSE") ||
	    !add_extension(x, ca->cert, NID_key_usage,
	    "critical,digitalSignature") ||
	    !add_extension(x, ca->cert, NID_ext_key_usage, usage) ||
	    (wish->alternatives != NULL && !add_extension(x, ca->cert,
	    NID_subject_alt_name, wish->alternatives)) ||
	    X509_sign(x, ca->key, EVP_sha384()) <= 0)
		return failed(err, "make a certificate");
	return 0;
}

/* What TLS 1.3 and SP 800-57 take. */
static bool
key_good(const EVP_PKEY *key)
{
	char group[32] = "";
	size_t size = 0;

	if (EVP_PKEY_is_a(key, "RSA"))
		return EVP_PKEY_get_bits(key) >= 2048 &&
		    EVP_PKEY_get_bits(key) <= 4096;
	return EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_group_name(key, group,
	    sizeof(group), &size) == 1 && (strcmp(group, "prime256v1") == 0 ||
	    strcmp(group, "secp384r1") == 0);
}

int
identity_request_key(const char *file, EVP_PKEY **out, struct err *err)
{
	BIO *bio = BIO_new_file(file, "r");
	X509_REQ *request = NULL;
	EVP_PKEY *key = NULL;
	int rc = 0;

	if (bio == NULL || (request = PEM_read_bio_X509_REQ(bio, NULL, NULL,
	    NULL)) == NULL)
		rc = err_set(err, ERR_FORMAT, "cannot read a certificate "
		    "request from %s: PEM, as openssl req -new makes it", file);
	else if ((key = X509_REQ_get_pubkey(request)) == NULL ||
	    !key_good(key))
		rc = err_set(err, ERR_UNSUPPORTED, "the key of %s is none that "
		    "is taken: P-256, P-384, or RSA of 2048 to 4096 bits",
		    file);
	else if (X509_REQ_verify(request, key) != 1)
		rc = err_set(err, ERR_AUTH, "%s is not signed by the key in "
		    "it: it was altered", file);
	ERR_clear_error();
	if (rc == 0) {
		*out = key;
		key = NULL;
	}
	EVP_PKEY_free(key);
	X509_REQ_free(request);
	BIO_free(bio);
	return rc;
}

int
identity_load(struct identity *id, const char *certificate, const char *key,
    struct err *err)
{
	BIO *bio = NULL;
	int rc = 0;

	if ((bio = BIO_new_file(certificate, "r")) == NULL ||
	    (id->cert = PEM_read_bio_X509(bio, NULL, NULL, NULL)) == NULL) {
		ERR_clear_error();
		rc = err_set(err, ERR_FORMAT, "cannot read a certificate from "
		    "%s", certificate);
		goto out;
	}
	BIO_free(bio);
	bio = NULL;
	if (key != NULL && ((bio = BIO_new_file(key, "r")) == NULL ||
	    (id->key = PEM_read_bio_PrivateKey(bio, NULL, NULL,
	    NULL)) == NULL)) {
		ERR_clear_error();
		rc = err_set(err, ERR_KEY, "cannot read a private key from %s: "
		    "this is done on the authority's machine, as root", key);
		goto out;
	}
	if (key != NULL && X509_check_private_key(id->cert, id->key) != 1)
		rc = failed(err, "use a key that is not the certificate's");
out:
	BIO_free(bio);
	return rc;
}

int
identity_alternatives(const struct identity *id, char **out, struct err *err)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(id->cert,
	    NID_subject_alt_name, NULL, NULL);
	char text[2048] = "", address[INET6_ADDRSTRLEN];
	size_t used = 0;

	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *n = sk_GENERAL_NAME_value(names, i);
		const ASN1_STRING *s = n->d.ia5;
		const unsigned char *data = ASN1_STRING_get0_data(s);
		int size = ASN1_STRING_length(s);

		if (n->type == GEN_DNS)
			used += (size_t)snprintf(text + used,
			    sizeof(text) - used, "%sDNS:%.*s",
			    used > 0 ? "," : "", size, (const char *)data);
		else if (n->type == GEN_IPADD && inet_ntop(size == 4 ?
		    AF_INET : AF_INET6, data, address, sizeof(address)))
			used += (size_t)snprintf(text + used,
			    sizeof(text) - used, "%sIP:%s",
			    used > 0 ? "," : "", address);
		if (used >= sizeof(text))
			break;
	}
	GENERAL_NAMES_free(names);
	if (used >= sizeof(text))
		return err_set(err, ERR_UNSUPPORTED, "the certificate has too "
		    "many names");
	if ((*out = strdup(text)) == NULL)
		return err_set(err, ERR_SYSTEM, "no memory");
	return 0;
}

static int
add_address(const char *host, char *out, size_t room, struct err *err)
{
	struct in6_addr unused;
	size_t used = strlen(out);
	bool ip = inet_pton(AF_INET, host, &unused) == 1 ||
	    inet_pton(AF_INET6, host, &unused) == 1;
	int n;

	if (!ip && (host[0] == '\0' || host[0] == '-' || strspn(host,
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	    ".-") != strlen(host)))
		return err_set(err, ERR_USAGE, "'%s' is neither a host's name "
		    "nor an IP address", host);
	n = snprintf(out + used, room - used, "%s%s:%s", used > 0 ? "," : "",
	    ip ? "IP" : "DNS", host);
	if (n < 0 || (size_t)n >= room - used)
		return err_set(err, ERR_USAGE, "too many addresses");
	return 0;
}

int
identity_addresses(const char *hosts, char *out, size_t room, struct err *err)
{
	static const char *const loopback[] = { "localhost", "127.0.0.1",
		"::1" };
	char copy[1024], *save = NULL;
	int rc = 0;

	out[0] = '\0';
	if (strlen(hosts) >= sizeof(copy))
		return err_set(err, ERR_USAGE, "too many addresses");
	snprintf(copy, sizeof(copy), "%s", hosts);
	for (char *h = strtok_r(copy, ",", &save); h != NULL && rc == 0;
	    h = strtok_r(NULL, ",", &save))
		rc = add_address(h, out, room, err);
	if (rc == 0 && out[0] == '\0')
		return err_set(err, ERR_USAGE, "no address given: name the "
		    "host names or IP addresses by which hosts reach it");
	for (size_t i = 0; i < 3 && rc == 0; i++)
		rc = add_address(loopback[i], out, room, err);
	return rc;
}

int
identity_fingerprint(X509 *cert, char out[IDENTITY_FINGERPRINT_SIZE],
    struct err *err)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned int size = 0;

	if (X509_digest(cert, EVP_sha256(), digest, &size) != 1)
		return failed(err, "compute a fingerprint");
	for (unsigned int i = 0; i < size; i++)
		snprintf(out + 2 * i, 3, "%02x", digest[i]);
	return 0;
}

long long
identity_ends(const X509 *cert)
{
	struct tm tm;

	if (ASN1_TIME_to_tm(X509_get0_notAfter(cert), &tm) != 1)
		return 0;
	return (long long)timegm(&tm);
}

void
identity_subject(const X509 *cert, int nid, char *out, size_t room)
{
	X509_NAME *name = X509_get_subject_name(cert);

	out[0] = '\0';
	(void)X509_NAME_get_text_by_NID(name, nid, out, (int)room);
}

static int
text_of_bio(BIO *bio, char **out, struct err *err)
{
	char *data;
	long size = BIO_get_mem_data(bio, &data);

	if ((*out = malloc((size_t)size + 1)) == NULL)
		return err_set(err, ERR_SYSTEM, "no memory");
	memcpy(*out, data, (size_t)size);
	(*out)[size] = '\0';
	return 0;
}

int
identity_key_text(const struct identity *id, char **out, struct err *err)
{
	/* Cleansed when it is freed. */
	BIO *bio = BIO_new(BIO_s_secmem());
	int rc;

	if (bio == NULL || PEM_write_bio_PKCS8PrivateKey(bio, id->key, NULL,
	    NULL, 0, NULL, NULL) != 1)
		rc = failed(err, "encode a private key");
	else
		rc = text_of_bio(bio, out, err);
	BIO_free(bio);
	return rc;
}

int
identity_cert_text(const X509 *cert, char **out, struct err *err)
{
	BIO *bio = BIO_new(BIO_s_mem());
	int rc;

	if (bio == NULL || PEM_write_bio_X509(bio, cert) != 1)
		rc = failed(err, "encode a certificate");
	else
		rc = text_of_bio(bio, out, err);
	BIO_free(bio);
	return rc;
}

void
identity_text_free(char *text)
{
	if (text != NULL)
		cleanse(text, strlen(text));
	free(text);
}
