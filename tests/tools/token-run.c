/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tokens and sealed texts, worked from outside: `token-run`; a JSON object with
 * "do" in each line of standard input, answered by one line. The store is the
 * SQLite file named by the first order, "store".
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trust-authority/common/base64url.h"
#include "trust-authority/common/jwe.h"
#include "trust-authority/common/memory.h"
#include "trust-authority/common/token.h"

static struct store *store;
static struct token_keys *keys;
static struct jwk *transport;

static const char *
text(const json_t *from, const char *name)
{
	return json_string_value(json_object_get(from, name));
}

static int64_t
number(const json_t *from, const char *name)
{
	return json_integer_value(json_object_get(from, name));
}

static struct secret *
secret_text(const json_t *from, const char *name)
{
	return secret_from(text(from, name),
	    json_string_length(json_object_get(from, name)));
}

static int
do_store(const json_t *order, json_t *out, struct err *err)
{
	const struct store_config config = { .kind = "sqlite",
		.file = text(order, "file") };

	(void)out;
	return store_open(&config, &store, err);
}

static int
do_refresh(const json_t *order, json_t *out, struct err *err)
{
	const struct token_times times = { number(order, "period"),
		number(order, "lifetime") };
	struct secret *sealing = secret_text(order, "sealing");
	int rc;

	token_keys_free(keys);
	keys = NULL;
	rc = token_keys_refresh(store, sealing, &times, number(order, "now"),
	    &keys, err);
	secret_free(sealing);
	if (rc < 0)
		return rc;
	json_object_set_new(out, "jwks", token_keys_jwks(keys));
	json_object_set_new(out, "due", json_integer(token_keys_due(keys,
	    number(order, "now"))));
	return 0;
}

static int
do_jwks(const json_t *order, json_t *out, struct err *err)
{
	(void)out;
	token_keys_free(keys);
	keys = NULL;
	return token_keys_read_jwks(json_object_get(order, "jwks"), &keys,
	    err);
}

static int
do_issue(const json_t *order, json_t *out, struct err *err)
{
	struct token_claims c = { .issuer = "https://vta.example",
		.audience = "vta-kmxd", .group = "lab", .policy = "base-1" };
	char *token = NULL;
	int rc;

	snprintf(c.host, sizeof(c.host), "%s", text(order, "host"));
	memset(c.evidence, 7, sizeof(c.evidence));
	if ((rc = jwk_read(json_object_get(order, "transport"), &c.transport,
	    err)) < 0)
		return rc;
	rc = token_issue(keys, &c, number(order, "lifetime"),
	    number(order, "now"), &token, err);
	if (rc == 0)
		json_object_set_new(out, "token", json_string(token));
	free(token);
	token_claims_reset(&c);
	return rc;
}

static int
do_verify(const json_t *order, json_t *out, struct err *err)
{
	char evidence[BASE64URL_SIZE(TOKEN_EVIDENCE_SIZE) + 1];
	struct token_claims c;
	int rc = token_verify(keys, text(order, "token"),
	    "https://vta.example", "vta-kmxd", number(order, "now"), &c, err);

	if (rc == 0) {
		base64url_encode(c.evidence, sizeof(c.evidence), evidence);
		json_object_update_new(out, json_pack(
		    "{ss ss ss ss so sI sI ss}", "host", c.host, "group",
		    c.group, "policy", c.policy, "evidence", evidence,
		    "transport", jwk_json(c.transport), "issued",
		    (json_int_t)c.issued, "expires", (json_int_t)c.expires,
		    "id", c.id));
	}
	token_claims_reset(&c);
	return rc;
}

static int
do_transport(const json_t *order, json_t *out, struct err *err)
{
	int rc;

	(void)order;
	jwk_free(transport);
	transport = NULL;
	rc = jwk_generate(&transport, err);
	if (rc == 0) {
		json_object_set_new(out, "jwk", jwk_json(transport));
		json_object_set_new(out, "kid", json_string(transport->kid));
	}
	return rc;
}

static int
do_seal(const json_t *order, json_t *out, struct err *err)
{
	struct secret *payload = secret_text(order, "payload");
	struct secret *shared = secret_text(order, "shared");
	struct jwk *key = NULL;
	char *sealed = NULL;
	int rc = 0;

	if (text(order, "shared") != NULL)
		rc = jwe_seal_shared(shared, "test", payload, &sealed, err);
	else if ((rc = jwk_read(json_object_get(order, "to"), &key,
	    err)) == 0)
		rc = jwe_seal(key, "test", payload, &sealed, err);
	if (rc == 0)
		json_object_set_new(out, "jwe", json_string(sealed));
	free(sealed);
	jwk_free(key);
	secret_free(payload);
	secret_free(shared);
	return rc;
}

static int
do_open(const json_t *order, json_t *out, struct err *err)
{
	struct secret *payload = NULL, *shared = secret_text(order, "shared");
	int rc;

	if (text(order, "shared") != NULL)
		rc = jwe_open_shared(shared, "test", text(order, "jwe"),
		    &payload, err);
	else
		rc = jwe_open(transport, "test", text(order, "jwe"), &payload,
		    err);
	if (rc == 0)
		json_object_set_new(out, "payload", json_stringn((const char *)
		    secret_bytes(payload), secret_size(payload)));
	secret_free(payload);
	secret_free(shared);
	return rc;
}

static const struct {
	const char *name;
	int (*run)(const json_t *order, json_t *out, struct err *err);
} orders[] = {
	{ "store", do_store }, { "refresh", do_refresh }, { "jwks", do_jwks },
	{ "issue", do_issue }, { "verify", do_verify },
	{ "transport", do_transport }, { "seal", do_seal },
	{ "open", do_open },
};

static void
obey(const char *line)
{
	json_t *order = json_loads(line, 0, NULL), *out = json_object();
	const char *name = text(order, "do");
	struct err err = { 0 };
	int rc = ERR_USAGE;

	for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++)
		if (strcmp(orders[i].name, name) == 0)
			rc = orders[i].run(order, out, &err);
	json_object_set_new(out, "code", json_string(err_name(rc)));
	json_object_set_new(out, "text", json_string(rc < 0 ? err.text : ""));
	json_dumpf(out, stdout, JSON_COMPACT);
	putchar('\n');
	fflush(stdout);
	json_decref(order);
	json_decref(out);
}

int
main(void)
{
	static char line[1u << 18];
	struct err err = { 0 };

	if (memory_guard(&err) < 0)
		fprintf(stderr, "%s\n", err.text);
	while (fgets(line, sizeof(line), stdin) != NULL)
		obey(line);
	token_keys_free(keys);
	jwk_free(transport);
	store_close(store);
	return 0;
}
