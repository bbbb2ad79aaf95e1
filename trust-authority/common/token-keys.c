/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/common/token-keys.h"

#include <stdlib.h>
#include <string.h>

#include "trust-authority/common/jwe.h"

#define KIND "token-keys"
#define KEY "signing"
#define TYP "vtpm-token-key"
#define TRIES 20

struct token_keys {
	struct token_key keys[TOKEN_KEYS_MAX];	/* by time */
	size_t count;
};

void
token_keys_free(struct token_keys *k)
{
	if (k == NULL)
		return;
	for (size_t i = 0; i < k->count; i++)
		jwk_free(k->keys[i].key);
	free(k);
}

static int
keys_new(struct token_keys **out, struct err *err)
{
	return (*out = calloc(1, sizeof(**out))) != NULL ? 0 :
	    err_set(err, ERR_SYSTEM, "no memory for keys");
}

static int
damaged(struct err *err)
{
	return err_set(err, ERR_FORMAT, "the set of signing keys is damaged");
}

static int
read_times(const json_t *json, struct token_key *key)
{
	const json_t *from = json_object_get(json, "nbf");
	const json_t *until = json_object_get(json, "exp");

	key->from = json_integer_value(from);
	key->until = json_integer_value(until);
	return json_is_integer(from) && json_is_integer(until) &&
	    key->from >= 0 && key->from < key->until ? 0 : ERR_FORMAT;
}

/* sealing NULL: public keys. */
static int
read_key(const json_t *json, const struct secret *sealing,
    struct token_key *key, struct err *err)
{
	const char *kid = json_string_value(json_object_get(json, "kid"));
	const char *sealed = json_string_value(json_object_get(json,
	    "sealed"));
	struct secret *bytes = NULL;
	int rc;

	if (kid == NULL || read_times(json, key) < 0 ||
	    (sealing != NULL && sealed == NULL))
		return damaged(err);
	if (sealing == NULL)
		rc = jwk_read(json, &key->key, err);
	else if ((rc = jwe_open_shared(sealing, TYP, sealed, &bytes,
	    err)) == 0)
		rc = jwk_read_private(bytes, &key->key, err);
	else
		err_prefix(err, "cannot open the signing keys (is this the "
		    "key file of this authority?)");
	secret_free(bytes);
	if (rc == 0 && strcmp(key->key->kid, kid) != 0) {
		jwk_free(key->key);
		key->key = NULL;
		rc = damaged(err);
	}
	return rc;
}

static int
read_keys(const json_t *json, const struct secret *sealing,
    struct token_keys **out, struct err *err)
{
	const json_t *list = json_object_get(json, "keys"), *one;
	struct token_keys *k;
	size_t i;
	int rc;

	if (!json_is_array(list) || json_array_size(list) > TOKEN_KEYS_MAX)
		return damaged(err);
	if ((rc = keys_new(&k, err)) < 0)
		return rc;
	json_array_foreach(list, i, one) {
		if ((rc = read_key(one, sealing, &k->keys[i], err)) < 0) {
			token_keys_free(k);
			return rc;
		}
		k->count++;
	}
	*out = k;
	return 0;
}

int
token_keys_read_jwks(const json_t *jwks, struct token_keys **out,
    struct err *err)
{
	return read_keys(jwks, NULL, out, err);
}

static json_t *
public_json(const struct token_key *key)
{
	json_t *json = jwk_json(key->key);

	json_object_set_new(json, "kid", json_string(key->key->kid));
	json_object_set_new(json, "use", json_string("sig"));
	json_object_set_new(json, "alg", json_string("ES256"));
	json_object_set_new(json, "nbf", json_integer(key->from));
	json_object_set_new(json, "exp", json_integer(key->until));
	return json;
}

json_t *
token_keys_jwks(const struct token_keys *k)
{
	json_t *list = json_array();

	for (size_t i = 0; i < k->count; i++)
		json_array_append_new(list, public_json(&k->keys[i]));
	return json_pack("{so}", "keys", list);
}

static int
sealed_json(const struct token_key *key, const struct secret *sealing,
    json_t **out, struct err *err)
{
	struct secret *bytes = jwk_private_bytes(key->key, err);
	char *sealed = NULL;
	int rc;

	if (bytes == NULL)
		return ERR_CRYPTO;
	rc = jwe_seal_shared(sealing, TYP, bytes, &sealed, err);
	secret_free(bytes);
	if (rc < 0)
		return rc;
	*out = public_json(key);
	json_object_set_new(*out, "sealed", json_string(sealed));
	free(sealed);
	return 0;
}

/* Forgets what no living token is signed by. */
static bool
drop_old(struct token_keys *k, const struct token_times *times, int64_t now)
{
	size_t kept = 0, before = k->count;

	for (size_t i = 0; i < k->count; i++) {
		if (k->keys[i].until + times->lifetime + TOKEN_SKEW < now)
			jwk_free(k->keys[i].key);
		else
			k->keys[kept++] = k->keys[i];
	}
	k->count = kept;
	return kept < before;
}

/* Where all that is left is of the future, since a clock was wrong for a while:
 * one that signs until the first of those. */
static int
fill_gap(struct token_keys *k, const struct token_times *times, int64_t now,
    bool *changed, struct err *err)
{
	struct token_key fresh = { .from = now, .until = now + times->period };
	size_t at = 0;
	int rc;

	while (at < k->count && k->keys[at].from <= now)
		at++;
	if (at == k->count || (at > 0 && k->keys[at - 1].until > now))
		return 0;
	if (k->count == TOKEN_KEYS_MAX)
		return err_set(err, ERR_USAGE, "more than %d signing keys, and "
		    "none for now: has a clock of the authority's been wrong?",
		    TOKEN_KEYS_MAX);
	if (fresh.until > k->keys[at].from)
		fresh.until = k->keys[at].from;
	if ((rc = jwk_generate(&fresh.key, err)) < 0)
		return rc;
	memmove(&k->keys[at + 1], &k->keys[at], (k->count - at) *
	    sizeof(k->keys[0]));
	k->keys[at] = fresh;
	k->count++;
	*changed = true;
	return 0;
}

/* Until there is one for now and one after it. */
static int
add_new(struct token_keys *k, const struct token_times *times, int64_t now,
    bool *changed, struct err *err)
{
	for (;;) {
		int64_t from = k->count > 0 ? k->keys[k->count - 1].until : now;
		struct token_key *key = &k->keys[k->count];
		int rc;

		/* Nobody was here to rotate for a while. */
		if (from < now)
			from = now;
		if (k->count > 0 && k->keys[k->count - 1].from > now)
			return 0;
		if (k->count == TOKEN_KEYS_MAX)
			return err_set(err, ERR_USAGE, "more than %d signing "
			    "keys: the period is too short for the tokens' "
			    "lifetime", TOKEN_KEYS_MAX);
		if ((rc = jwk_generate(&key->key, err)) < 0)
			return rc;
		key->from = from;
		key->until = from + times->period;
		k->count++;
		*changed = true;
	}
}

static int
write_keys(struct store *store, const struct secret *sealing,
    const struct token_keys *k, uint64_t version, struct err *err)
{
	json_t *list = json_array(), *all, *one = NULL;
	char *text = NULL;
	int rc = 0;

	for (size_t i = 0; i < k->count && rc == 0; i++)
		if ((rc = sealed_json(&k->keys[i], sealing, &one, err)) == 0)
			json_array_append_new(list, one);
	all = json_pack("{so}", "keys", list);
	text = json_dumps(all, JSON_COMPACT);
	if (rc == 0 && text == NULL)
		rc = err_set(err, ERR_SYSTEM, "no memory for keys");
	if (rc == 0)
		rc = store_put(store, KIND, KEY, text, strlen(text), version,
		    NULL, err);
	free(text);
	json_decref(all);
	return rc;
}

static int
load(struct store *store, const struct secret *sealing,
    struct token_keys **out, uint64_t *version, struct err *err)
{
	struct store_record r;
	json_t *json = NULL;
	int rc = store_get(store, KIND, KEY, &r, err);

	*version = r.version;
	if (rc == ERR_NOTFOUND) {
		rc = keys_new(out, err);
	} else if (rc == 0) {
		json = json_loadb(r.value, r.size, JSON_REJECT_DUPLICATES,
		    NULL);
		rc = read_keys(json, sealing, out, err);
	}
	json_decref(json);
	store_record_reset(&r);
	return rc;
}

int
token_keys_refresh(struct store *store, const struct secret *sealing,
    const struct token_times *times, int64_t now, struct token_keys **out,
    struct err *err)
{
	int rc;

	if (times->period < 60 || times->lifetime < 1)
		return err_set(err, ERR_USAGE, "a signing key's period is a "
		    "minute at least");
	for (int tries = 0; ; tries++) {
		struct token_keys *k = NULL;
		uint64_t version;
		bool changed;

		if ((rc = load(store, sealing, &k, &version, err)) < 0)
			return rc;
		changed = drop_old(k, times, now);
		if ((rc = fill_gap(k, times, now, &changed, err)) == 0)
			rc = add_new(k, times, now, &changed, err);
		if (rc == 0 && changed)
			rc = write_keys(store, sealing, k, version, err);
		if (rc == 0) {
			*out = k;
			return 0;
		}
		token_keys_free(k);
		/* Another node was first: then its keys are ours too. */
		if ((rc != ERR_STALE && rc != ERR_EXISTS) || tries == TRIES)
			return rc;
	}
}

int64_t
token_keys_due(const struct token_keys *k, int64_t now)
{
	for (size_t i = 0; i < k->count; i++)
		if (k->keys[i].from > now)
			return k->keys[i].from;
	return now;
}

const struct token_key *
token_keys_current(const struct token_keys *k, int64_t now)
{
	for (size_t i = 0; i < k->count; i++)
		if (k->keys[i].from <= now && now < k->keys[i].until &&
		    k->keys[i].key->is_private)
			return &k->keys[i];
	return NULL;
}

const struct token_key *
token_keys_find(const struct token_keys *k, const char *kid)
{
	for (size_t i = 0; i < k->count; i++)
		if (strcmp(k->keys[i].key->kid, kid) == 0)
			return &k->keys[i];
	return NULL;
}
