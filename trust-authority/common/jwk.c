/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/common/jwk.h"

#include <errno.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trust-authority/common/base64url.h"

#define COORDINATE_TEXT (BASE64URL_SIZE(JWK_COORDINATE) + 1)

static int
failed(struct err *err, const char *what)
{
	ERR_clear_error();
	return err_set(err, ERR_CRYPTO, "OpenSSL cannot %s", what);
}

static void
coordinates(const struct jwk *key, char x[COORDINATE_TEXT],
    char y[COORDINATE_TEXT])
{
	base64url_encode(key->point + 1, JWK_COORDINATE, x);
	base64url_encode(key->point + 1 + JWK_COORDINATE, JWK_COORDINATE, y);
}

/* RFC 7638, 3: the required members, sorted, without space. */
static int
set_kid(struct jwk *key, struct err *err)
{
	char x[COORDINATE_TEXT], y[COORDINATE_TEXT], text[192];
	unsigned char hash[32];
	int n;

	coordinates(key, x, y);
	n = snprintf(text, sizeof(text), "{\"crv\":\"P-256\",\"kty\":\"EC\","
	    "\"x\":\"%s\",\"y\":\"%s\"}", x, y);
	if (EVP_Digest(text, (size_t)n, hash, NULL, EVP_sha256(), NULL) != 1)
		return failed(err, "hash a key");
	base64url_encode(hash, sizeof(hash), key->kid);
	return 0;
}

/* d NULL: a public key. A point off the curve is refused here. */
static int
make_pkey(struct jwk *key, const BIGNUM *d, struct err *err)
{
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	OSSL_PARAM *params = NULL;
	int rc = 0;

	if (build == NULL || ctx == NULL ||
	    OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME,
	    "P-256", 0) != 1 ||
	    OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY,
	    key->point, sizeof(key->point)) != 1 ||
	    (d != NULL && OSSL_PARAM_BLD_push_BN_pad(build,
	    OSSL_PKEY_PARAM_PRIV_KEY, d, JWK_COORDINATE) != 1) ||
	    (params = OSSL_PARAM_BLD_to_param(build)) == NULL ||
	    EVP_PKEY_fromdata_init(ctx) != 1) {
		rc = failed(err, "set up a key");
	} else if (EVP_PKEY_fromdata(ctx, &key->pkey,
	    d != NULL ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY, params) != 1) {
		ERR_clear_error();
		rc = err_set(err, ERR_FORMAT, "the key is not a point of "
		    "P-256");
	}
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(build);
	EVP_PKEY_CTX_free(ctx);
	return rc == 0 ? set_kid(key, err) : rc;
}

/* Takes pkey, which may be NULL. */
static int
take_generated(EVP_PKEY *pkey, struct jwk **out, struct err *err)
{
	struct jwk *key = calloc(1, sizeof(*key));
	size_t size = 0;
	int rc;

	if (key == NULL) {
		EVP_PKEY_free(pkey);
		return err_set(err, ERR_SYSTEM, "no memory for a key");
	}
	key->is_private = true;
	key->pkey = pkey;
	if (pkey == NULL || EVP_PKEY_get_octet_string_param(pkey,
	    OSSL_PKEY_PARAM_PUB_KEY, key->point, sizeof(key->point),
	    &size) != 1 || size != sizeof(key->point))
		rc = failed(err, "make a key");
	else
		rc = set_kid(key, err);
	if (rc == 0)
		*out = key;
	else
		jwk_free(key);
	return rc;
}

int
jwk_generate(struct jwk **out, struct err *err)
{
	return take_generated(EVP_EC_gen("P-256"), out, err);
}

int
jwk_generate_like(const struct jwk *other, struct jwk **out, struct err *err)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, other->pkey, NULL);
	EVP_PKEY *pkey = NULL;

	if (ctx != NULL && EVP_PKEY_keygen_init(ctx) == 1)
		(void)EVP_PKEY_generate(ctx, &pkey);
	EVP_PKEY_CTX_free(ctx);
	return take_generated(pkey, out, err);
}

static int
get_coordinate(const json_t *json, const char *name, uint8_t *out)
{
	const json_t *value = json_object_get(json, name);
	size_t size = JWK_COORDINATE;

	if (!json_is_string(value) ||
	    base64url_decode(json_string_value(value),
	    json_string_length(value), out, &size) < 0 ||
	    size != JWK_COORDINATE)
		return ERR_FORMAT;
	return 0;
}

static bool
is_text(const json_t *json, const char *name, const char *want)
{
	const char *text = json_string_value(json_object_get(json, name));

	return text != NULL && strcmp(text, want) == 0;
}

int
jwk_read(const json_t *json, struct jwk **out, struct err *err)
{
	struct jwk *key = NULL;
	int rc;

	if (!is_text(json, "kty", "EC") || !is_text(json, "crv", "P-256"))
		return err_set(err, ERR_FORMAT, "not a key on P-256");
	if (json_object_get(json, "d") != NULL)
		return err_set(err, ERR_FORMAT, "a private key where a public "
		    "one belongs: make a new one, this one has been seen");
	if ((key = calloc(1, sizeof(*key))) == NULL)
		return err_set(err, ERR_SYSTEM, "no memory for a key");
	key->point[0] = POINT_CONVERSION_UNCOMPRESSED;
	if (get_coordinate(json, "x", key->point + 1) < 0 ||
	    get_coordinate(json, "y", key->point + 1 + JWK_COORDINATE) < 0)
		rc = err_set(err, ERR_FORMAT, "a key's x and y are 32 bytes "
		    "each");
	else
		rc = make_pkey(key, NULL, err);
	if (rc == 0)
		*out = key;
	else
		jwk_free(key);
	return rc;
}

static int
check_pair(EVP_PKEY *pkey, struct err *err)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
	int ok = ctx != NULL && EVP_PKEY_pairwise_check(ctx) == 1;

	EVP_PKEY_CTX_free(ctx);
	ERR_clear_error();
	return ok ? 0 : err_set(err, ERR_FORMAT, "the private key is not that "
	    "of the public one");
}

int
jwk_read_private(const struct secret *bytes, struct jwk **out,
    struct err *err)
{
	struct jwk *key = NULL;
	BIGNUM *d = NULL;
	int rc;

	if (secret_size(bytes) != 3 * JWK_COORDINATE)
		return err_set(err, ERR_FORMAT, "a private key has %d bytes",
		    3 * JWK_COORDINATE);
	key = calloc(1, sizeof(*key));
	d = BN_secure_new();
	if (key == NULL || d == NULL || BN_bin2bn(secret_bytes(bytes) +
	    2 * JWK_COORDINATE, JWK_COORDINATE, d) == NULL) {
		rc = failed(err, "hold a key");
		goto out;
	}
	key->is_private = true;
	key->point[0] = POINT_CONVERSION_UNCOMPRESSED;
	memcpy(key->point + 1, secret_bytes(bytes), 2 * JWK_COORDINATE);
	if ((rc = make_pkey(key, d, err)) < 0 ||
	    (rc = check_pair(key->pkey, err)) < 0)
		goto out;
	*out = key;
	key = NULL;
out:
	BN_clear_free(d);
	jwk_free(key);
	return rc;
}

int
jwk_from_point(const uint8_t point[1 + 2 * JWK_COORDINATE], struct jwk **out,
    struct err *err)
{
	struct jwk *key = calloc(1, sizeof(*key));
	int rc;

	if (key == NULL)
		return err_set(err, ERR_SYSTEM, "no memory for a key");
	memcpy(key->point, point, sizeof(key->point));
	if ((rc = make_pkey(key, NULL, err)) == 0)
		*out = key;
	else
		jwk_free(key);
	return rc;
}

struct secret *
jwk_private_bytes(const struct jwk *key, struct err *err)
{
	struct secret *s = secret_new(3 * JWK_COORDINATE);
	BIGNUM *d = NULL;

	if (s == NULL) {
		err_sys(err, errno, "cannot lock memory for a key");
		return NULL;
	}
	memcpy(secret_data(s), key->point + 1, 2 * JWK_COORDINATE);
	if (EVP_PKEY_get_bn_param(key->pkey, OSSL_PKEY_PARAM_PRIV_KEY,
	    &d) != 1 || BN_bn2binpad(d, secret_data(s) + 2 * JWK_COORDINATE,
	    JWK_COORDINATE) != JWK_COORDINATE) {
		failed(err, "give a private key");
		secret_free(s);
		s = NULL;
	}
	BN_clear_free(d);
	return s;
}

json_t *
jwk_json(const struct jwk *key)
{
	char x[COORDINATE_TEXT], y[COORDINATE_TEXT];

	coordinates(key, x, y);
	return json_pack("{ss ss ss ss}", "kty", "EC", "crv", "P-256", "x", x,
	    "y", y);
}

struct jwk *
jwk_share(const struct jwk *key)
{
	struct jwk *out = malloc(sizeof(*out));

	if (out != NULL && EVP_PKEY_up_ref(key->pkey) != 1) {
		free(out);
		out = NULL;
	}
	if (out != NULL)
		*out = *key;
	return out;
}

void
jwk_free(struct jwk *key)
{
	if (key == NULL)
		return;
	EVP_PKEY_free(key->pkey);
	free(key);
}
