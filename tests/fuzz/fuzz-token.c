/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the authority is sent as tokens, keys and sealed texts, and what lies in
 * its store. Input after fail_begin's: kind (1), then a text.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fail.h"
#include "tests/fuzz/fuzz.h"
#include "trust-authority/common/audit.h"
#include "trust-authority/common/etcd-json.h"
#include "trust-authority/common/jwe.h"
#include "trust-authority/common/jws.h"
#include "trust-authority/common/token.h"

#define NOW 1800000000

enum { TOKEN, SIGNED, SEALED, SEALED_SHARED, KEYS, AUDIT, ETCD, KINDS };

static struct jwk *key;
static struct token_keys *keys;
static struct secret *shared;

/* Once: the text is signed or sealed by keys that are there. */
static void
set_up(void)
{
	struct err err = { 0 };
	json_t *jwks, *one;

	if (key != NULL)
		return;
	FUZZ_ASSERT(jwk_generate(&key, &err) == 0);
	one = jwk_json(key);
	json_object_set_new(one, "kid", json_string(key->kid));
	json_object_set_new(one, "nbf", json_integer(NOW - 10));
	json_object_set_new(one, "exp", json_integer(NOW + 1000));
	jwks = json_pack("{s[o]}", "keys", one);
	FUZZ_ASSERT(token_keys_read_jwks(jwks, &keys, &err) == 0);
	json_decref(jwks);
	shared = secret_from("0123456789abcdef0123456789abcdef", 32);
	FUZZ_ASSERT(shared != NULL);
}

static void
verify(const char *text, bool ours)
{
	struct token_claims claims;
	struct err err = { 0 };
	int rc = token_verify(keys, text, "i", "a", NOW, &claims, &err);

	FUZZ_ASSERT(rc < 0 || (ours && claims.transport != NULL &&
	    claims.host[0] != '\0' && claims.expires > claims.issued));
	FUZZ_ASSERT(rc == 0 || claims.transport == NULL);
	FUZZ_ASSERT(rc == 0 || err.text[0] != '\0');
	token_claims_reset(&claims);
}

static void
verify_signed(const char *text)
{
	json_t *payload = json_loads(text, 0, NULL);
	struct err err = { 0 };
	char *token = NULL;

	if (payload != NULL &&
	    jws_sign(key, TOKEN_TYP, payload, &token, &err) == 0)
		verify(token, true);
	free(token);
	json_decref(payload);
}

static void
unseal(const char *text, bool to_key)
{
	struct secret *payload = NULL;
	struct err err = { 0 };
	int rc = to_key ? jwe_open(key, "t", text, &payload, &err) :
	    jwe_open_shared(shared, "t", text, &payload, &err);

	FUZZ_ASSERT((rc == 0) == (payload != NULL));
	FUZZ_ASSERT(rc == 0 || err.text[0] != '\0');
	secret_free(payload);
}

static void
read_json(const char *text, bool is_etcd)
{
	json_t *json = json_loads(text, 0, NULL);
	struct store_list list = { 0 };
	struct token_keys *read = NULL;
	struct err err = { 0 };
	uint64_t number;

	if (is_etcd) {
		(void)etcd_get_records(json, 6, &list);
		for (size_t i = 0; i < list.count; i++)
			FUZZ_ASSERT(list.records[i].key[0] != '\0' &&
			    list.records[i].value[list.records[i].size] == 0);
		(void)etcd_get_number(json, "revision", &number);
	} else if (token_keys_read_jwks(json, &read, &err) == 0) {
		(void)token_keys_due(read, NOW);
		FUZZ_ASSERT(token_keys_current(read, NOW) == NULL);
	}
	token_keys_free(read);
	store_list_reset(&list);
	json_decref(json);
}

static void
check_audit(const char *text)
{
	struct audit_chain chain = { 0 };
	struct err err = { 0 };

	FUZZ_ASSERT((audit_chain_next(&chain, text, &err) == 0) ==
	    (chain.seq == 1));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf in = buf_reader(data, size), control = in;
	uint8_t kind = 0;
	char *text;

	set_up();
	if (buf_get_bytes(&in, NULL, 4) < 0 || buf_get_u8(&in, &kind) < 0)
		return 0;
	text = strndup((const char *)in.data + in.pos, buf_left(&in));
	FUZZ_ASSERT(text != NULL);
	fail_begin(&control);
	switch (kind % KINDS) {
	case TOKEN: verify(text, false); break;
	case SIGNED: verify_signed(text); break;
	case SEALED: unseal(text, true); break;
	case SEALED_SHARED: unseal(text, false); break;
	case AUDIT: check_audit(text); break;
	default: read_json(text, kind % KINDS == ETCD); break;
	}
	(void)fail_end();
	free(text);
	return 0;
}
