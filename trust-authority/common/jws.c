/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/common/jws.h"

#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trust-authority/common/base64url.h"
#include "trust-authority/common/json-fast.h"

#define SIGNATURE_SIZE ((size_t)(2 * JWK_COORDINATE))
#define DER_MAX 80

/* DER's two numbers as r and s, padded (RFC 7518, 3.4). */
static int
from_der(const unsigned char *der, size_t size, uint8_t *out)
{
	ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &der, (long)size);
	int ok = sig != NULL && BN_bn2binpad(ECDSA_SIG_get0_r(sig), out,
	    JWK_COORDINATE) == JWK_COORDINATE &&
	    BN_bn2binpad(ECDSA_SIG_get0_s(sig), out + JWK_COORDINATE,
	    JWK_COORDINATE) == JWK_COORDINATE;

	ECDSA_SIG_free(sig);
	return ok ? 0 : ERR_CRYPTO;
}

static int
to_der(const uint8_t *in, unsigned char *der, size_t *size)
{
	ECDSA_SIG *sig = ECDSA_SIG_new();
	BIGNUM *r = BN_bin2bn(in, JWK_COORDINATE, NULL);
	BIGNUM *s = BN_bin2bn(in + JWK_COORDINATE, JWK_COORDINATE, NULL);
	int n = -1;

	if (sig != NULL && r != NULL && s != NULL &&
	    ECDSA_SIG_set0(sig, r, s) == 1) {
		r = s = NULL;
		n = i2d_ECDSA_SIG(sig, &der);
	}
	BN_free(r);
	BN_free(s);
	ECDSA_SIG_free(sig);
	*size = n > 0 ? (size_t)n : 0;
	return n > 0 ? 0 : ERR_CRYPTO;
}

static int
sign(const struct jwk *key, const char *text, size_t size,
    uint8_t out[SIGNATURE_SIZE])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned char der[DER_MAX];
	size_t der_size = sizeof(der);
	int rc = ERR_CRYPTO;

	if (ctx != NULL && EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL,
	    key->pkey) == 1 && EVP_DigestSign(ctx, der, &der_size,
	    (const unsigned char *)text, size) == 1)
		rc = from_der(der, der_size, out);
	EVP_MD_CTX_free(ctx);
	ERR_clear_error();
	return rc;
}

static bool
is_signature(const struct jwk *key, const char *text, size_t size,
    const uint8_t in[SIGNATURE_SIZE])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned char der[DER_MAX];
	size_t der_size;
	bool good;

	good = ctx != NULL && to_der(in, der, &der_size) == 0 &&
	    EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL,
	    key->pkey) == 1 && EVP_DigestVerify(ctx, der, der_size,
	    (const unsigned char *)text, size) == 1;
	EVP_MD_CTX_free(ctx);
	ERR_clear_error();
	return good;
}

/* Releases header. */
static char *
to_text(json_t *header, const json_t *payload, size_t *size)
{
	char *h = json_fast_dump(header, false), *out = NULL;
	char *p = json_fast_dump(payload, false);
	size_t hs, ps;

	json_decref(header);
	if (h != NULL && p != NULL) {
		hs = BASE64URL_SIZE(strlen(h));
		ps = BASE64URL_SIZE(strlen(p));
		*size = hs + 1 + ps;
		out = malloc(*size + 1 + BASE64URL_SIZE(SIGNATURE_SIZE) + 1);
	}
	if (out != NULL) {
		base64url_encode(h, strlen(h), out);
		out[hs] = '.';
		base64url_encode(p, strlen(p), out + hs + 1);
	}
	free(h);
	free(p);
	return out;
}

int
jws_sign(const struct jwk *key, const char *typ, const json_t *payload,
    char **out, struct err *err)
{
	uint8_t signature[SIGNATURE_SIZE];
	size_t size;
	char *text = to_text(json_pack("{ss ss ss}", "alg", "ES256", "typ",
	    typ, "kid", key->kid), payload, &size);

	if (text == NULL)
		return err_set(err, ERR_SYSTEM, "no memory for a token");
	if (size + 1 + BASE64URL_SIZE(SIGNATURE_SIZE) > JWS_TEXT_MAX) {
		free(text);
		return err_set(err, ERR_USAGE, "a token would be longer than "
		    "%d characters", JWS_TEXT_MAX);
	}
	if (sign(key, text, size, signature) < 0) {
		free(text);
		return err_set(err, ERR_CRYPTO, "OpenSSL cannot sign a token");
	}
	text[size] = '.';
	base64url_encode(signature, sizeof(signature), text + size + 1);
	*out = text;
	return 0;
}

static int
malformed(struct err *err)
{
	return err_set(err, ERR_FORMAT, "not a token: not three parts of "
	    "base64url, or not an object of JSON in each");
}

/* Where the three parts end: [0] and [1] are dots, [2] the end. */
static int
split(const char *text, const char *ends[3])
{
	if (strlen(text) > JWS_TEXT_MAX ||
	    (ends[0] = strchr(text, '.')) == NULL ||
	    (ends[1] = strchr(ends[0] + 1, '.')) == NULL ||
	    strchr(ends[1] + 1, '.') != NULL)
		return ERR_FORMAT;
	ends[2] = text + strlen(text);
	return 0;
}

static json_t *
part_json(const char *from, const char *to)
{
	uint8_t bytes[JWS_TEXT_MAX];
	size_t size = sizeof(bytes);
	json_t *out;

	if (base64url_decode(from, (size_t)(to - from), bytes, &size) < 0)
		return NULL;
	out = json_fast_load((const char *)bytes, size, NULL);
	if (out != NULL && !json_is_object(out)) {
		json_decref(out);
		out = NULL;
	}
	return out;
}

static int
check_header(const json_t *header, const char *typ,
    char kid[JWK_THUMBPRINT_SIZE + 1], struct err *err)
{
	const char *alg = json_string_value(json_object_get(header, "alg"));
	const char *type = json_string_value(json_object_get(header, "typ"));
	const char *name = json_string_value(json_object_get(header, "kid"));

	if (alg == NULL || strcmp(alg, "ES256") != 0)
		return err_set(err, ERR_REFUSED, "the token's algorithm is "
		    "'%.20s', not ES256", alg != NULL ? alg : "");
	if (type == NULL || strcmp(type, typ) != 0)
		return err_set(err, ERR_REFUSED, "the token's type is '%.40s', "
		    "not '%s'", type != NULL ? type : "", typ);
	if (name == NULL || strlen(name) != JWK_THUMBPRINT_SIZE)
		return err_set(err, ERR_FORMAT, "the token names no key");
	if (json_object_size(header) != 3)
		return err_set(err, ERR_REFUSED, "the token's header has more "
		    "than alg, typ and kid");
	memcpy(kid, name, JWK_THUMBPRINT_SIZE + 1);
	return 0;
}

int
jws_kid(const char *text, const char *typ, char kid[JWK_THUMBPRINT_SIZE + 1],
    struct err *err)
{
	const char *ends[3];
	json_t *header;
	int rc;

	if (split(text, ends) < 0 ||
	    (header = part_json(text, ends[0])) == NULL)
		return malformed(err);
	rc = check_header(header, typ, kid, err);
	json_decref(header);
	return rc;
}

int
jws_verify(const char *text, const struct jwk *key, json_t **payload,
    struct err *err)
{
	uint8_t signature[SIGNATURE_SIZE];
	size_t size = sizeof(signature);
	const char *ends[3];

	if (split(text, ends) < 0)
		return malformed(err);
	if (base64url_decode(ends[1] + 1, (size_t)(ends[2] - ends[1] - 1),
	    signature, &size) < 0 || size != sizeof(signature) ||
	    !is_signature(key, text, (size_t)(ends[1] - text), signature))
		return err_set(err, ERR_AUTH, "the token's signature is not "
		    "good: it was altered, or is somebody else's");
	if ((*payload = part_json(ends[0] + 1, ends[1])) == NULL)
		return malformed(err);
	return 0;
}
