/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/common/token.h"

#include <inttypes.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trust-authority/common/base64url.h"
#include "trust-authority/common/jws.h"

/* A token that lives longer is not one of ours. */
#define LIFETIME_MAX (24 * 3600)
#define EVIDENCE_TEXT (BASE64URL_SIZE(TOKEN_EVIDENCE_SIZE) + 1)

static int
make_id(char out[33])
{
	uint8_t random[16];

	if (RAND_bytes(random, sizeof(random)) != 1)
		return ERR_CRYPTO;
	for (size_t i = 0; i < sizeof(random); i++)
		snprintf(out + 2 * i, 3, "%02x", random[i]);
	return 0;
}

int
token_issue(const struct token_keys *keys, struct token_claims *c,
    int64_t lifetime, int64_t now, char **out, struct err *err)
{
	const struct token_key *key = token_keys_current(keys, now);
	char evidence[EVIDENCE_TEXT];
	json_t *payload;
	int rc;

	if (key == NULL)
		return err_set(err, ERR_KEY, "there is no key to sign a token "
		    "with now; have the keys been rotated?");
	if (lifetime < 1 || lifetime > LIFETIME_MAX)
		return err_set(err, ERR_USAGE, "a token lives 1 to %d seconds",
		    LIFETIME_MAX);
	if (make_id(c->id) < 0)
		return err_set(err, ERR_CRYPTO, "no random bytes for a token");
	c->issued = now;
	c->expires = now + lifetime;
	base64url_encode(c->evidence, sizeof(c->evidence), evidence);
	payload = json_pack("{ss ss ss ss ss ss s{so} sI sI ss}",
	    "iss", c->issuer, "aud", c->audience, "sub", c->host,
	    "group", c->group, "policy", c->policy, "evidence", evidence,
	    "cnf", "jwk", jwk_json(c->transport), "iat",
	    (json_int_t)c->issued, "exp", (json_int_t)c->expires, "jti", c->id);
	if (payload == NULL)
		return err_set(err, ERR_USAGE, "a token's texts must be UTF-8");
	rc = jws_sign(key->key, TOKEN_TYP, payload, out, err);
	json_decref(payload);
	return rc;
}

static int
get_text(const json_t *payload, const char *name, char *out, size_t room,
    struct err *err)
{
	const json_t *value = json_object_get(payload, name);
	size_t size = json_string_length(value);

	if (size == 0 || size >= room ||
	    strlen(json_string_value(value)) != size)
		return err_set(err, ERR_FORMAT, "the token's claim %s is not a "
		    "text of 1 to %zu bytes", name, room - 1);
	memcpy(out, json_string_value(value), size + 1);
	return 0;
}

static int
get_time(const json_t *payload, const char *name, int64_t *out,
    struct err *err)
{
	const json_t *value = json_object_get(payload, name);

	*out = json_integer_value(value);
	if (!json_is_integer(value) || *out < 0 || *out > INT64_C(1) << 40)
		return err_set(err, ERR_FORMAT, "the token's claim %s is not a "
		    "time", name);
	return 0;
}

static int
get_evidence(const json_t *payload, struct token_claims *c, struct err *err)
{
	char text[EVIDENCE_TEXT];
	size_t size = sizeof(c->evidence);
	int rc = get_text(payload, "evidence", text, sizeof(text), err);

	if (rc == 0 && (base64url_decode(text, strlen(text), c->evidence,
	    &size) < 0 || size != sizeof(c->evidence)))
		rc = err_set(err, ERR_FORMAT, "the token's claim evidence is "
		    "not 32 bytes");
	return rc;
}

static int
read_claims(const json_t *p, struct token_claims *c, struct err *err)
{
	const json_t *cnf = json_object_get(p, "cnf");
	int rc;

	if ((rc = get_text(p, "iss", c->issuer, sizeof(c->issuer), err)) < 0 ||
	    (rc = get_text(p, "aud", c->audience, sizeof(c->audience),
	    err)) < 0 ||
	    (rc = get_text(p, "sub", c->host, sizeof(c->host), err)) < 0 ||
	    (rc = get_text(p, "group", c->group, sizeof(c->group), err)) < 0 ||
	    (rc = get_text(p, "policy", c->policy, sizeof(c->policy),
	    err)) < 0 ||
	    (rc = get_text(p, "jti", c->id, sizeof(c->id), err)) < 0 ||
	    (rc = get_time(p, "iat", &c->issued, err)) < 0 ||
	    (rc = get_time(p, "exp", &c->expires, err)) < 0 ||
	    (rc = get_evidence(p, c, err)) < 0)
		return rc;
	rc = jwk_read(json_object_get(cnf, "jwk"), &c->transport, err);
	return rc < 0 ? err_prefix(err, "the token's transport key") : 0;
}

static int
check_times(const struct token_claims *c, const struct token_key *key,
    int64_t now, struct err *err)
{
	if (now >= c->expires + TOKEN_SKEW)
		return err_set(err, ERR_REFUSED, "the token ended %" PRId64
		    " s ago: attest again; if it is new, compare the clocks",
		    now - c->expires);
	if (now + TOKEN_SKEW < c->issued)
		return err_set(err, ERR_REFUSED, "the token was issued %" PRId64
		    " s in the future: compare the clocks", c->issued - now);
	if (c->expires <= c->issued || c->expires - c->issued > LIFETIME_MAX)
		return err_set(err, ERR_REFUSED, "the token's lifetime is none "
		    "that is given");
	if (c->issued < key->from - TOKEN_SKEW ||
	    c->issued >= key->until + TOKEN_SKEW)
		return err_set(err, ERR_REFUSED, "the token says it was issued "
		    "when its key did not sign");
	return 0;
}

static int
check_claims(const struct token_claims *c, const struct token_key *key,
    const char *issuer, const char *audience, int64_t now, struct err *err)
{
	if (strcmp(c->issuer, issuer) != 0)
		return err_set(err, ERR_REFUSED, "the token is by '%.80s', not "
		    "by '%.80s'", c->issuer, issuer);
	if (strcmp(c->audience, audience) != 0)
		return err_set(err, ERR_REFUSED, "the token is for '%.80s', "
		    "not for '%.80s'", c->audience, audience);
	return check_times(c, key, now, err);
}

static int
unknown_key(struct err *err)
{
	return err_set(err, ERR_AUTH, "the token is signed by a key that is "
	    "not known, or no more");
}

int
token_verify(const struct token_keys *keys, const char *text,
    const char *issuer, const char *audience, int64_t now,
    struct token_claims *claims, struct err *err)
{
	char kid[JWK_THUMBPRINT_SIZE + 1];
	const struct token_key *key;
	json_t *payload = NULL;
	int rc;

	*claims = (struct token_claims){ 0 };
	if ((rc = jws_kid(text, TOKEN_TYP, kid, err)) < 0)
		return rc;
	if ((key = token_keys_find(keys, kid)) == NULL)
		return unknown_key(err);
	if ((rc = jws_verify(text, key->key, &payload, err)) == 0 &&
	    (rc = read_claims(payload, claims, err)) == 0)
		rc = check_claims(claims, key, issuer, audience, now, err);
	json_decref(payload);
	if (rc < 0)
		token_claims_reset(claims);
	return rc;
}

int
token_check_again(const struct token_keys *keys, const char *kid,
    const struct token_claims *claims, const char *issuer,
    const char *audience, int64_t now, struct err *err)
{
	const struct token_key *key = token_keys_find(keys, kid);

	if (key == NULL)
		return unknown_key(err);
	return check_claims(claims, key, issuer, audience, now, err);
}

void
token_claims_reset(struct token_claims *c)
{
	jwk_free(c->transport);
	*c = (struct token_claims){ 0 };
}
