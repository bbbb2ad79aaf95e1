/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/common/http-tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>

static int
failed(struct err *err, const char *what, const char *file)
{
	unsigned long code = ERR_peek_error();
	char text[256];

	ERR_error_string_n(code, text, sizeof(text));
	ERR_clear_error();
	return err_set(err, ERR_USAGE, "%s %s: %s", what, file, text);
}

static int
set_identity(SSL_CTX *ctx, const char *certificate, const char *key,
    struct err *err)
{
	if (SSL_CTX_use_certificate_chain_file(ctx, certificate) != 1)
		return failed(err, "cannot use the certificate in",
		    certificate);
	if (SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1)
		return failed(err, "cannot use the private key in", key);
	if (SSL_CTX_check_private_key(ctx) != 1)
		return failed(err, "the certificate is not that of the key in",
		    key);
	return 0;
}

static int
set_client_ca(SSL_CTX *ctx, const char *file, struct err *err)
{
	STACK_OF(X509_NAME) *names;

	if (SSL_CTX_load_verify_file(ctx, file) != 1 ||
	    (names = SSL_load_client_CA_file(file)) == NULL)
		return failed(err, "cannot use the certificates in", file);
	SSL_CTX_set_client_CA_list(ctx, names);
	/* Purpose sslclient: an EKU that says otherwise is refused. */
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	return 0;
}

int
http_tls_new(const char *certificate, const char *key, const char *client_ca,
    SSL_CTX **out, struct err *err)
{
	SSL_CTX *ctx;
	int rc;

	ERR_clear_error();
	if ((ctx = SSL_CTX_new(TLS_server_method())) == NULL ||
	    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1 ||
	    SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM") != 1) {
		rc = failed(err, "cannot set up", "TLS");
		goto out;
	}
	/* No resumption: a certificate is looked at in every handshake. */
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_num_tickets(ctx, 0);
	SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION |
	    SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
	rc = set_identity(ctx, certificate, key, err);
	if (rc == 0 && client_ca != NULL)
		rc = set_client_ca(ctx, client_ca, err);
	if (rc < 0)
		goto out;
	*out = ctx;
	ctx = NULL;
out:
	SSL_CTX_free(ctx);
	return rc;
}

/* No name at all where it is not UTF-8 or has a NUL: two names that look the
 * same must not be two. */
static void
take_name(X509 *cert, char *out, size_t room)
{
	X509_NAME *subject = X509_get_subject_name(cert);
	int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
	unsigned char *text = NULL;
	int size;

	out[0] = '\0';
	if (at < 0)
		return;
	size = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(
	    X509_NAME_get_entry(subject, at)));
	if (size > 0 && (size_t)size < room &&
	    memchr(text, '\0', (size_t)size) == NULL) {
		memcpy(out, text, (size_t)size);
		out[size] = '\0';
	}
	OPENSSL_free(text);
}

void
http_tls_peer(SSL *ssl, struct http_peer *peer, time_t *ends)
{
	X509 *cert = SSL_get0_peer_certificate(ssl);
	unsigned char digest[32];
	unsigned int size = sizeof(digest);
	struct tm tm;

	peer->certified = false;
	peer->name[0] = peer->fingerprint[0] = '\0';
	if (cert == NULL || SSL_get_verify_result(ssl) != X509_V_OK ||
	    X509_digest(cert, EVP_sha256(), digest, &size) != 1 ||
	    ASN1_TIME_to_tm(X509_get0_notAfter(cert), &tm) != 1)
		return;
	*ends = timegm(&tm);
	take_name(cert, peer->name, sizeof(peer->name));
	for (size_t i = 0; i < sizeof(digest); i++)
		snprintf(peer->fingerprint + 2 * i, 3, "%02x", digest[i]);
	peer->certified = true;
}
