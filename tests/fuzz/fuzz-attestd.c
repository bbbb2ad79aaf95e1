/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The bodies that a host sends to vta-attestd, whole, through the service's own
 * handlers. What nobody can guess is right here (--wrap): a session is its
 * plain bytes in base64url, every signature passes, the quote's binding is the
 * input's. The store is what the input says. Input after fail_begin's: flags
 * (1), binding (32), the record of the last attestation as far as a NUL, body.
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "tests/fuzz/fail.h"
#include "tests/fuzz/fuzz.h"
#include "trust-authority/attest/quote.h"
#include "trust-authority/attest/signature.h"
#include "trust-authority/attestd/attestd.h"
#include "trust-authority/attestd/keys.h"
#include "trust-authority/attestd/ek-cas.h"
#include "trust-authority/attestd/policies.h"
#include "trust-authority/attestd/refusals.h"
#include "trust-authority/attestd/signing.h"
#include "trust-authority/attestd/turns.h"
#include "trust-authority/common/base64url.h"
#include "trust-authority/common/jwe.h"

enum { FINISH = 1, LISTED = 2, TRUSTED = 4, REVOKED = 8, ATTESTED = 16,
	ENROLL = 32, CERTIFIED = 64 };

static struct {
	unsigned int flags;
	uint8_t binding[QUOTE_BINDING_SIZE];
	const char *attested;
	char fingerprint[DIRECTORY_FINGERPRINT_SIZE];
	int commits, tokens;
} given;

int64_t __wrap_attestd_now_ms(void);
int __wrap_jwe_open_shared(const struct secret *key, const char *typ,
    const char *text, struct secret **payload, struct err *err);
int __wrap_quote_binding(const uint8_t *nonce, size_t nonce_size,
    const uint8_t *transport_key, size_t transport_key_size,
    uint8_t out[QUOTE_BINDING_SIZE], struct err *err);
int __wrap_signature_verify(const struct tpm_key *key,
    const uint8_t *signature, size_t signature_size, const uint8_t *data,
    size_t size, struct err *err);
int __wrap_ek_cas_verify(struct ek_cas *c, const uint8_t *cert, size_t size,
    const char *intermediates, const struct tpm_key *ek, struct err *err);
int __wrap_signing_issue(struct signing *s, struct token_claims *claims,
    int64_t lifetime, int64_t now, char **out, struct err *err);
int __wrap_store_get(struct store *store, const char *kind, const char *key,
    struct store_record *out, struct err *err);
int __wrap_store_each(struct store *store, const char *kind,
    int (*on_record)(void *arg, const struct store_record *r,
    struct err *err), void *arg, struct err *err);
int __wrap_store_commit(struct store *store, const struct store_op *ops,
    size_t count, uint64_t *version, size_t *failed, struct err *err);
int __wrap_audit_commit(struct store *store, const struct audit_entry *entry,
    const struct store_op *ops, size_t count, size_t *failed,
    struct err *err);

int64_t
__wrap_attestd_now_ms(void)
{
	return 1000000;
}

int
__wrap_jwe_open_shared(const struct secret *key, const char *typ,
    const char *text, struct secret **payload, struct err *err)
{
	uint8_t bytes[32768];
	size_t size = sizeof(bytes);

	(void)key, (void)typ;
	if (strlen(text) > 40000 || base64url_decode(text, strlen(text),
	    bytes, &size) < 0 || size == 0)
		return err_set(err, ERR_AUTH, "no session");
	*payload = secret_from(bytes, size);
	return *payload != NULL ? 0 : err_set(err, ERR_SYSTEM, "no memory");
}

int
__wrap_quote_binding(const uint8_t *nonce, size_t nonce_size,
    const uint8_t *transport_key, size_t transport_key_size,
    uint8_t out[QUOTE_BINDING_SIZE], struct err *err)
{
	(void)nonce, (void)nonce_size, (void)err;
	FUZZ_ASSERT(transport_key != NULL && transport_key_size > 0);
	memcpy(out, given.binding, QUOTE_BINDING_SIZE);
	return 0;
}

int
__wrap_signature_verify(const struct tpm_key *key, const uint8_t *signature,
    size_t signature_size, const uint8_t *data, size_t size, struct err *err)
{
	(void)key, (void)signature, (void)signature_size, (void)data;
	(void)size, (void)err;
	return 0;
}

int
__wrap_ek_cas_verify(struct ek_cas *c, const uint8_t *cert, size_t size,
    const char *intermediates, const struct tpm_key *ek, struct err *err)
{
	(void)c, (void)cert, (void)size, (void)intermediates, (void)ek;
	return given.flags & CERTIFIED ? 0 : err_set(err, ERR_REFUSED, "no");
}

int
__wrap_signing_issue(struct signing *s, struct token_claims *claims,
    int64_t lifetime, int64_t now, char **out, struct err *err)
{
	(void)s, (void)lifetime, (void)now;
	/* Nobody gets a token of whom it is not written down. */
	FUZZ_ASSERT(given.commits == 1 && !(given.flags & REVOKED &&
	    given.flags & LISTED));
	FUZZ_ASSERT(claims->transport != NULL && claims->host[0] != '\0');
	given.tokens++;
	*out = strdup("token");
	return *out != NULL ? 0 : err_set(err, ERR_SYSTEM, "no memory");
}

static int
record_set(struct store_record *r, const char *key, const char *value)
{
	r->key = strdup(key);
	r->value = strdup(value);
	r->size = strlen(value);
	r->version = 7;
	return r->key != NULL && r->value != NULL ? 0 : ERR_SYSTEM;
}

#define GROUP "{\"enroll\":%s,\"policies\":[],\"token_seconds\":600}"

int
__wrap_store_get(struct store *store, const char *kind, const char *key,
    struct store_record *out, struct err *err)
{
	char value[256];
	int rc = ERR_NOTFOUND;

	(void)store;
	if (fail_now())
		return err_set(err, ERR_BUSY, "the store is busy");
	if (strcmp(kind, KIND_HOST_EK) == 0 && given.flags & LISTED) {
		snprintf(given.fingerprint, sizeof(given.fingerprint), "%s",
		    key);
		rc = record_set(out, key, "{\"host\":\"h\"}");
	} else if (strcmp(kind, KIND_HOST) == 0 && given.flags & LISTED) {
		snprintf(value, sizeof(value), "{\"ek\":\"%s\",\"ek_pem\":"
		    "\"x\",\"ek_trusted\":%s,\"group\":\"g\",\"revoked\":%d}",
		    given.fingerprint, given.flags & TRUSTED ? "true" :
		    "false", given.flags & REVOKED ? 9 : 0);
		rc = record_set(out, key, value);
	} else if (strcmp(kind, KIND_ATTESTED) == 0 &&
	    given.flags & ATTESTED) {
		rc = record_set(out, key, given.attested);
	} else if (strcmp(kind, KIND_GROUP) == 0) {
		snprintf(value, sizeof(value), GROUP, "false");
		rc = record_set(out, key, value);
	}
	return rc == 0 ? 0 : err_set(err, rc, "no record");
}

int
__wrap_store_each(struct store *store, const char *kind,
    int (*on_record)(void *arg, const struct store_record *r,
    struct err *err), void *arg, struct err *err)
{
	struct store_record r = { 0 };
	char value[128];
	int rc = 0;

	(void)store;
	if (strcmp(kind, KIND_GROUP) != 0)
		return 0;
	snprintf(value, sizeof(value), GROUP, given.flags & ENROLL ? "true" :
	    "false");
	if (record_set(&r, "g", value) < 0)
		rc = err_set(err, ERR_SYSTEM, "no memory");
	else
		rc = on_record(arg, &r, err);
	free(r.key);
	free(r.value);
	return rc;
}

int
__wrap_store_commit(struct store *store, const struct store_op *ops,
    size_t count, uint64_t *version, size_t *failed, struct err *err)
{
	(void)store, (void)version, (void)failed;
	for (size_t i = 0; i < count; i++) {
		unsigned int paused = fail_pause();
		json_t *json = ops[i].what != STORE_PUT ? json_object() :
		    json_loadb(ops[i].value, ops[i].size, 0, NULL);

		FUZZ_ASSERT(json != NULL);
		json_decref(json);
		fail_resume(paused);
	}
	if (fail_now())
		return err_set(err, ERR_NOSPACE, "the disk is full");
	given.commits++;
	return 0;
}

int
__wrap_audit_commit(struct store *store, const struct audit_entry *entry,
    const struct store_op *ops, size_t count, size_t *failed,
    struct err *err)
{
	FUZZ_ASSERT(strcmp(entry->what, "host.enroll") == 0);
	return __wrap_store_commit(store, ops, count, NULL, failed, err);
}

static void
quiet(enum log_level level, const char *line)
{
	(void)level;
	FUZZ_ASSERT(strpbrk(line, "\r\n") == NULL);
}

static void
run(struct attestd *d, const uint8_t *body, size_t size)
{
	static const struct http_route routes[] = {
		{ HTTP_POST, "/begin", HTTP_ANYBODY, 1u << 20, 0,
		    begin_handle },
		{ HTTP_POST, "/finish", HTTP_ANYBODY, 1u << 20, 0,
		    finish_handle },
	};
	const struct http_service service = { routes, 2, d, NULL };
	struct http_request *r = calloc(1, sizeof(*r));
	struct http_answer a = { 0 };

	if (r == NULL)
		return;
	snprintf(r->peer.address, sizeof(r->peer.address), "192.0.2.1");
	if (http_request_read(&service, r, HTTP_POST, given.flags & FINISH ?
	    "/finish" : "/begin", NULL, &a) == 0)
		http_request_run(&service, r, "application/json", body, size,
		    &a);
	(void)http_answer_text(&a);
	FUZZ_ASSERT(a.status >= 200 && a.status < 600);
	FUZZ_ASSERT(a.status != 200 || (a.text != NULL &&
	    (!(given.flags & FINISH) || given.tokens == 1)) || fail_end());
	http_request_reset(r);
	http_answer_reset(&a);
	free(r);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct attestd_config config = { .session_seconds = 60 };
	static struct attestd d = { .config = &config };
	struct buf in = buf_reader(data, size), control = in;
	uint8_t flags = 0;
	const uint8_t *at;
	size_t n;

	log_set_sink(quiet);
	memset(&given, 0, sizeof(given));
	if (d.turns == NULL) {
		d.session_key = secret_new(JWE_KEY_SIZE);
		d.turns = turns_new(1);
		d.refusals = refusals_new();
		d.policies = policies_new(NULL);
	}
	if (d.session_key == NULL || d.turns == NULL || d.refusals == NULL ||
	    d.policies == NULL)
		abort();
	if (buf_get_bytes(&in, NULL, 4) < 0 || buf_get_u8(&in, &flags) < 0 ||
	    buf_get_bytes(&in, given.binding, sizeof(given.binding)) < 0)
		return 0;
	given.flags = flags;
	n = strnlen((const char *)in.data + in.pos, buf_left(&in));
	if (n == buf_left(&in) || buf_get_ref(&in, &at, n + 1) < 0)
		return 0;
	given.attested = (const char *)at;
	n = buf_left(&in);
	(void)buf_get_ref(&in, &at, n);
	/* What one input left there is not another's. */
	if ((d.keys = keys_new()) == NULL)
		abort();
	fail_begin(&control);
	run(&d, at, n);
	(void)fail_end();
	keys_free(d.keys);
	return 0;
}
