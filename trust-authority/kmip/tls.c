/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/kmip/tls.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>

#define CIPHERS_1_2 "ECDHE+AESGCM:DHE+AESGCM"
#define CIPHERS_1_3 "TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256"

/* A key file that is encrypted is an error, not a question to a terminal. */
static int
no_passphrase(char *buffer, int size, int writing, void *arg)
{
	(void)buffer;
	(void)size;
	(void)writing;
	(void)arg;
	return -1;
}

/* Called when the server asks for a certificate; it is configured already. */
static int
asked_for_certificate(SSL *ssl, void *arg)
{
	(void)arg;
	SSL_set_app_data(ssl, ssl);
	return 1;
}

bool
tls_was_asked(SSL *ssl)
{
	return SSL_get_app_data(ssl) != NULL;
}

static bool
is_about_certificates(unsigned long code)
{
	if (ERR_GET_LIB(code) != ERR_LIB_SSL)
		return false;
	switch (ERR_GET_REASON(code)) {
	case SSL_R_CERTIFICATE_VERIFY_FAILED:
	case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
	case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
	case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
	case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
	case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
	case SSL_R_TLSV1_ALERT_ACCESS_DENIED:
	case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
	case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
		return true;
	default:
		return false;
	}
}

int
tls_error(const SSL *ssl, const char *what, struct err *err)
{
	unsigned long code = ERR_peek_error();
	const char *reason = ERR_reason_error_string(code);
	int rc = is_about_certificates(code) ? ERR_AUTH : ERR_CLOSED;
	long verdict = ssl != NULL ? SSL_get_verify_result(ssl) : X509_V_OK;

	ERR_clear_error();
	if (verdict != X509_V_OK)
		return err_set(err, ERR_AUTH, "%s: the KMS's certificate: %s",
		    what, X509_verify_cert_error_string(verdict));
	if (reason == NULL)
		reason = "no reason given";
	if (rc == ERR_AUTH)
		return err_set(err, rc, "%s: our certificate was refused: %s",
		    what, reason);
	return err_set(err, rc, "%s: %s", what, reason);
}

/* What a file did not do. */
static int
file_error(const char *what, const char *file, struct err *err)
{
	unsigned long code = ERR_peek_last_error();
	const char *reason = ERR_reason_error_string(code);

	/* OpenSSL keeps errno as the reason of its library "system". */
	if (ERR_SYSTEM_ERROR(ERR_peek_error()))
		err_sys(err, ERR_GET_REASON(ERR_peek_error()), "%s %s", what,
		    file);
	else
		err_set(err, ERR_USAGE, "%s %s: %s", what, file,
		    reason != NULL ? reason : "no reason given");
	ERR_clear_error();
	return err != NULL ? err->code : ERR_USAGE;
}

static int
certificates_set(SSL_CTX *ctx, const struct kmip_config *config,
    struct err *err)
{
	SSL_CTX_set_default_passwd_cb(ctx, no_passphrase);
	if (SSL_CTX_load_verify_file(ctx, config->ca_file) != 1)
		return file_error("cannot use the KMS's CA certificate",
		    config->ca_file, err);
	if (SSL_CTX_use_certificate_chain_file(ctx, config->cert_file) != 1)
		return file_error("cannot use the certificate for the KMS",
		    config->cert_file, err);
	if (SSL_CTX_use_PrivateKey_file(ctx, config->key_file,
	    SSL_FILETYPE_PEM) != 1)
		return file_error("cannot use the private key for the KMS",
		    config->key_file, err);
	/* It is checked by the line above where the types are the same. */
	if (SSL_CTX_check_private_key(ctx) != 1)
		return file_error("the private key is not the certificate's:",
		    config->key_file, err);
	return 0;
}

int
tls_context_new(const struct kmip_config *config, SSL_CTX **out,
    struct err *err)
{
	const char *ciphers = config->ciphers != NULL ? config->ciphers :
	    CIPHERS_1_2;
	SSL_CTX *ctx = NULL;
	int rc;

	ERR_clear_error();
	ctx = SSL_CTX_new_ex(config->libctx, NULL, TLS_client_method());
	if (ctx == NULL) {
		rc = tls_error(NULL, "cannot make a TLS context", err);
		goto out;
	}
	/* Keys come through here: nothing of them stays in libssl's buffers.
	 * One renegotiation less to think of, and no compression. */
	SSL_CTX_set_options(ctx, SSL_OP_CLEANSE_PLAINTEXT |
	    SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_cert_cb(ctx, asked_for_certificate, NULL);
	if (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1 ||
	    SSL_CTX_set_ciphersuites(ctx, CIPHERS_1_3) != 1 ||
	    SSL_CTX_set_cipher_list(ctx, ciphers) != 1) {
		ERR_clear_error();
		rc = err_set(err, ERR_USAGE, "OpenSSL has none of the ciphers "
		    "for the KMS: %s", ciphers);
		goto out;
	}
	if ((rc = certificates_set(ctx, config, err)) < 0)
		goto out;
	*out = ctx;
	ctx = NULL;
out:
	SSL_CTX_free(ctx);
	return rc;
}

static int
name_set(SSL *ssl, const char *name)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
	struct in6_addr address;

	if (inet_pton(AF_INET, name, &address) == 1 ||
	    inet_pton(AF_INET6, name, &address) == 1)
		return X509_VERIFY_PARAM_set1_ip_asc(param, name);
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
	    X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	return SSL_set1_host(ssl, name) == 1 &&
	    SSL_set_tlsext_host_name(ssl, name) == 1;
}

int
tls_new(SSL_CTX *ctx, int fd, const char *name, SSL **out, struct err *err)
{
	SSL *ssl;

	ERR_clear_error();
	ssl = SSL_new(ctx);
	if (ssl == NULL || name_set(ssl, name) != 1 ||
	    SSL_set_fd(ssl, fd) != 1) {
		SSL_free(ssl);
		return tls_error(NULL, "cannot set TLS up", err);
	}
	SSL_set_connect_state(ssl);
	*out = ssl;
	return 0;
}
