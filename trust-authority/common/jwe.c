/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/common/jwe.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "trust-authority/common/base64url.h"
#include "trust-authority/common/json-fast.h"
#include "trust-authority/common/jwe-crypt.h"

#define ALG_TO_KEY "ECDH-ES+A256KW"
#define ALG_SHARED "A256KW"
#define HEADER_MAX 512
#define TEXT_MAX (HEADER_MAX + 256 + BASE64URL_SIZE(JWE_PAYLOAD_MAX))

static int
no_memory(struct err *err)
{
	return err_sys(err, errno, "cannot lock memory for a sealed text");
}

/* Appends a dot, unless first, and the bytes. */
static char *
append(char *at, const char *begin, const void *data, size_t size)
{
	if (at != begin)
		*at++ = '.';
	base64url_encode(data, size, at);
	return at + BASE64URL_SIZE(size);
}

/* kek: what wraps the content's key. Releases header. */
static int
seal(const struct secret *kek, json_t *header, const struct secret *payload,
    char **out, struct err *err)
{
	size_t size = secret_size(payload), aad;
	struct secret *cek = secret_new(JWE_KEY_SIZE);
	char *json = json_fast_dump(header, false), *text = NULL, *at;
	uint8_t wrapped[JWE_WRAPPED_SIZE], iv[JWE_IV_SIZE], tag[JWE_TAG_SIZE];
	uint8_t *sealed = malloc(size + 1);
	int rc;

	json_decref(header);
	if (cek == NULL || json == NULL || sealed == NULL ||
	    (text = malloc(BASE64URL_SIZE(strlen(json)) + BASE64URL_SIZE(size) +
	    256)) == NULL) {
		rc = no_memory(err);
		goto out;
	}
	rc = ERR_CRYPTO;
	at = append(text, text, json, strlen(json));
	aad = (size_t)(at - text);
	if (RAND_priv_bytes(secret_data(cek), JWE_KEY_SIZE) == 1 &&
	    RAND_bytes(iv, sizeof(iv)) == 1 &&
	    jwe_wrap(kek, cek, wrapped) == 0 && jwe_encrypt(cek, iv, text, aad,
	    secret_bytes(payload), size, sealed, tag) == 0)
		rc = 0;
	if (rc < 0) {
		err_set(err, rc, "OpenSSL cannot seal a text");
		goto out;
	}
	at = append(at, text, wrapped, sizeof(wrapped));
	at = append(at, text, iv, sizeof(iv));
	at = append(at, text, sealed, size);
	(void)append(at, text, tag, sizeof(tag));
	*out = text;
	text = NULL;
out:
	secret_free(cek);
	free(sealed);
	free(json);
	free(text);
	ERR_clear_error();
	return rc;
}

static int
check_payload(const struct secret *payload, struct err *err)
{
	if (secret_size(payload) <= JWE_PAYLOAD_MAX)
		return 0;
	return err_set(err, ERR_USAGE, "more than %d bytes to be sealed",
	    JWE_PAYLOAD_MAX);
}

int
jwe_seal(const struct jwk *key, const char *typ, const struct secret *payload,
    char **out, struct err *err)
{
	struct jwk *once = NULL;
	struct secret *kek = NULL;
	int rc;

	if ((rc = check_payload(payload, err)) < 0 ||
	    (rc = jwk_generate_like(key, &once, err)) < 0 ||
	    (rc = jwe_agree(once, key, ALG_TO_KEY, &kek, err)) < 0)
		goto out;
	rc = seal(kek, json_pack("{ss ss ss so}", "alg", ALG_TO_KEY, "enc",
	    "A256GCM", "typ", typ, "epk", jwk_json(once)), payload, out, err);
out:
	secret_free(kek);
	jwk_free(once);
	return rc;
}

int
jwe_seal_shared(const struct secret *key, const char *typ,
    const struct secret *payload, char **out, struct err *err)
{
	int rc;

	if (secret_size(key) != JWE_KEY_SIZE)
		return err_set(err, ERR_USAGE, "a key to seal with has %d "
		    "bytes", JWE_KEY_SIZE);
	if ((rc = check_payload(payload, err)) < 0)
		return rc;
	return seal(key, json_pack("{ss ss ss}", "alg", ALG_SHARED, "enc",
	    "A256GCM", "typ", typ), payload, out, err);
}

/* The five parts of a text (RFC 7516, 3.1). */
struct parts {
	const char *at[5];
	size_t length[5];
	json_t *header;
};

static int
split(const char *text, struct parts *p, struct err *err)
{
	uint8_t json[HEADER_MAX];
	size_t size = sizeof(json), n = 0;

	p->header = NULL;
	if (strlen(text) > TEXT_MAX)
		goto bad;
	for (const char *from = text; n < 5; n++) {
		const char *dot = strchr(from, '.');

		if ((dot == NULL) != (n == 4))
			goto bad;
		p->at[n] = from;
		p->length[n] = dot != NULL ? (size_t)(dot - from) :
		    strlen(from);
		from = dot != NULL ? dot + 1 : from;
	}
	if (base64url_decode(p->at[0], p->length[0], json, &size) < 0)
		goto bad;
	p->header = json_fast_load((const char *)json, size, NULL);
	if (json_is_object(p->header))
		return 0;
	json_decref(p->header);
	p->header = NULL;
bad:
	return err_set(err, ERR_FORMAT, "not a sealed text: not five parts of "
	    "base64url with a header of JSON");
}

static int
check_member(const json_t *header, const char *name, const char *want,
    struct err *err)
{
	const char *text = json_string_value(json_object_get(header, name));

	if (text != NULL && strcmp(text, want) == 0)
		return 0;
	return err_set(err, ERR_REFUSED, "the sealed text's %s is '%.40s', not "
	    "'%s'", name, text != NULL ? text : "", want);
}

/* members: how many there are, none more: not zip, not crit. */
static int
check_header(const json_t *header, const char *alg, const char *typ,
    size_t members, struct err *err)
{
	int rc;

	if ((rc = check_member(header, "alg", alg, err)) < 0 ||
	    (rc = check_member(header, "enc", "A256GCM", err)) < 0 ||
	    (rc = check_member(header, "typ", typ, err)) < 0)
		return rc;
	if (json_object_size(header) != members)
		return err_set(err, ERR_REFUSED, "the sealed text's header has "
		    "what does not belong there");
	return 0;
}

static int
fixed(const struct parts *p, size_t i, uint8_t *out, size_t want)
{
	size_t size = want;

	if (base64url_decode(p->at[i], p->length[i], out, &size) < 0 ||
	    size != want)
		return ERR_FORMAT;
	return 0;
}

static int
open_parts(const struct secret *kek, const struct parts *p,
    struct secret **payload, struct err *err)
{
	size_t size = p->length[3] / 4 * 3 + 2;
	struct secret *cek = secret_new(JWE_KEY_SIZE);
	struct secret *plain = secret_new(size);
	uint8_t wrapped[JWE_WRAPPED_SIZE], iv[JWE_IV_SIZE], tag[JWE_TAG_SIZE];
	int rc = 0;

	if (cek == NULL || plain == NULL) {
		rc = no_memory(err);
		goto out;
	}
	/* Ciphertext and plaintext are as long, and share their place. */
	if (fixed(p, 1, wrapped, sizeof(wrapped)) < 0 ||
	    fixed(p, 2, iv, sizeof(iv)) < 0 ||
	    fixed(p, 4, tag, sizeof(tag)) < 0 ||
	    base64url_decode(p->at[3], p->length[3], secret_data(plain),
	    &size) < 0) {
		rc = err_set(err, ERR_FORMAT, "a part of the sealed text is "
		    "not of its size");
		goto out;
	}
	secret_truncate(plain, size);
	if (jwe_unwrap(kek, wrapped, cek) < 0 || jwe_decrypt(cek, iv, p->at[0],
	    p->length[0], secret_data(plain), size, tag) < 0) {
		rc = err_set(err, ERR_AUTH, "the sealed text was altered, or "
		    "is for somebody else");
		goto out;
	}
	*payload = plain;
	plain = NULL;
out:
	secret_free(cek);
	secret_free(plain);
	ERR_clear_error();
	return rc;
}

int
jwe_open(const struct jwk *key, const char *typ, const char *text,
    struct secret **payload, struct err *err)
{
	struct secret *kek = NULL;
	struct jwk *once = NULL;
	struct parts p;
	int rc;

	if ((rc = split(text, &p, err)) < 0)
		return rc;
	if ((rc = check_header(p.header, ALG_TO_KEY, typ, 4, err)) < 0 ||
	    (rc = jwk_read(json_object_get(p.header, "epk"), &once, err)) < 0 ||
	    (rc = jwe_agree(key, once, ALG_TO_KEY, &kek, err)) < 0)
		goto out;
	rc = open_parts(kek, &p, payload, err);
out:
	secret_free(kek);
	jwk_free(once);
	json_decref(p.header);
	return rc;
}

int
jwe_open_shared(const struct secret *key, const char *typ, const char *text,
    struct secret **payload, struct err *err)
{
	struct parts p;
	int rc;

	if (secret_size(key) != JWE_KEY_SIZE)
		return err_set(err, ERR_USAGE, "a key to seal with has %d "
		    "bytes", JWE_KEY_SIZE);
	if ((rc = split(text, &p, err)) < 0)
		return rc;
	if ((rc = check_header(p.header, ALG_SHARED, typ, 3, err)) == 0)
		rc = open_parts(key, &p, payload, err);
	json_decref(p.header);
	return rc;
}
