/* SPDX-License-Identifier: BSD-3-Clause */
/* Wrapped keys, the KEK cache, records. */
#include <criterion/criterion.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "trust-authority/common/jws.h"
#include "trust-authority/keyprovider/epoch-record.h"
#include "trust-authority/keyprovider/kek-cache.h"
#include "trust-authority/keyprovider/token-cache.h"
#include "trust-authority/keyprovider/vm-change.h"
#include "trust-authority/keyprovider/vm-key.h"
#include "trust-authority/keyprovider/vm.h"

static const uint8_t kek[32] = "a KEK of thirty-two bytes.......";
static const uint8_t uuid[UUID_SIZE] = { 1, 2, 3 };

Test(vm_key, every_bit_counts)
{
	uint8_t w[VM_KEY_WRAPPED_SIZE], other[32], vm[UUID_SIZE];
	struct secret *key = secret_from("0123456789abcdef0123456789abcdef",
	    32), *out = NULL;
	struct err err = { 0 };
	uint32_t n;

	cr_assert_eq(vm_key_wrap(kek, 7, uuid, key, w, &err), 0, "%s",
	    err.text);
	cr_assert_eq(vm_key_number(w, sizeof(w), &n, &err), 0);
	cr_assert_eq(n, 7);
	cr_assert_eq(vm_key_unwrap(kek, uuid, w, sizeof(w), &out, &err), 0);
	cr_assert(secret_equal(key, out));
	secret_free(out);
	out = NULL;
	for (size_t i = 0; i < 8 * sizeof(w); i++) {
		int rc;

		w[i / 8] ^= (uint8_t)(1u << i % 8);
		rc = vm_key_unwrap(kek, uuid, w, sizeof(w), &out, &err);
		cr_assert_eq(rc, i < 8 ? ERR_FORMAT : i < 21 * 8 ? ERR_KEY :
		    ERR_AUTH, "bit %zu: %d", i, rc);
		cr_assert_null(out);
		w[i / 8] ^= (uint8_t)(1u << i % 8);
	}
	memcpy(vm, uuid, sizeof(vm));
	vm[15] ^= 1;
	cr_assert_eq(vm_key_unwrap(kek, vm, w, sizeof(w), &out, &err),
	    ERR_KEY, "another VM");
	memcpy(other, kek, sizeof(other));
	other[0] ^= 1;
	cr_assert_eq(vm_key_unwrap(other, uuid, w, sizeof(w), &out, &err),
	    ERR_KEY, "another KEK");
	cr_assert_eq(vm_key_unwrap(kek, uuid, w, sizeof(w) - 1, &out, &err),
	    ERR_FORMAT);
	secret_free(key);
}

/* -- shredding ------------------------------------------------------------ */

#define VM "01020300-0000-0000-0000-000000000000"

static int
shred(struct kmxd *k, const char *forgetter, struct err *err)
{
	const struct audit_entry entry = { "somebody", "vm.test", "vm/" VM,
		"127.0.0.1", "ok", NULL };
	struct vm vm = { 0 };
	int rc;

	cr_assert_eq(vm_load(k->service.store, VM, &vm, err), 0);
	rc = vm_shred(k, &vm, forgetter, &entry, err);
	vm_reset(&vm);
	if (rc == 0) {
		cr_assert_eq(vm_load(k->service.store, VM, &vm, err), 0);
		cr_assert_neq(vm.shredded, 0);
		vm_reset(&vm);
	}
	return rc;
}

/* Whoever opened the VM after its host's request was looked at. */
Test(shred, takes_nothing_from_who_runs_it)
{
	static const char vm[] = "{\"name\":\"\",\"groups\":[],"
	    "\"needs_trust\":true,\"keks\":[],\"created\":1,\"by\":\"\","
	    "\"shredded\":0}";
	static const char owned[] = "{\"epoch\":2,\"confirmed\":true,"
	    "\"clean\":false,\"synced\":false,\"owner\":{\"host\":\"other\","
	    "\"instance\":\"00112233445566778899aabbccddeeff\","
	    "\"lease_until\":9000000000}}";
	char file[] = "/tmp/test-keyprovider.XXXXXX", more[64];
	struct store_config config = { .kind = "sqlite", .file = file };
	struct epoch_record epoch;
	struct kmxd k = { .config = NULL };
	struct err err = { 0 };

	close(mkstemp(file));
	cr_assert_eq(store_open(&config, &k.service.store, &err), 0, "%s",
	    err.text);
	cr_assert_eq(kek_cache_new(1, 1, &k.keks, &err), 0);
	cr_assert_eq(store_put(k.service.store, VM_KIND, VM, vm, sizeof(vm) - 1,
	    0, NULL, &err), 0);
	cr_assert_eq(store_put(k.service.store, EPOCH_KIND, VM, owned,
	    sizeof(owned) - 1, 0, NULL, &err), 0);
	cr_assert_eq(shred(&k, "lab-1", &err), ERR_BUSY);
	cr_assert(strstr(err.text, "runs on the host other") != NULL);
	cr_assert_eq(shred(&k, "other", &err), 0, "%s", err.text);
	cr_assert_eq(shred(&k, NULL, &err), 0, "%s", err.text);
	cr_assert_eq(epoch_load(k.service.store, VM, &epoch, NULL, &err), 0);
	cr_assert_eq(epoch.owner.host[0], '\0');
	cr_assert_eq(epoch.epoch, 2);
	kek_cache_free(k.keks);
	store_close(k.service.store);
	unlink(file);
	snprintf(more, sizeof(more), "%s-wal", file);
	unlink(more);
	snprintf(more, sizeof(more), "%s-shm", file);
	unlink(more);
}

/* -- cache ---------------------------------------------------------------- */

static atomic_int fetched, fails;
static useconds_t slow;
static char nobody[] = "x";

static int
fetch(void *arg, uint8_t key[KEK_SIZE], struct err *err)
{
	usleep(slow);
	fetched++;
	memset(key, 'K', KEK_SIZE);
	if (fails)
		return err_set(err, ERR_CLOSED, "no KMS: %s", (char *)arg);
	return 0;
}

static int
get(struct kek_cache *c, uint32_t n, struct err *err)
{
	struct kek_entry *e;
	const uint8_t *key;
	int rc = kek_cache_hold(c, uuid, n, fetch, nobody, &e, &key, err);

	if (rc < 0)
		return rc;
	cr_assert_eq(key[0], 'K');
	cr_assert_eq(key[KEK_SIZE - 1], 'K');
	kek_cache_release(c, e);
	return 0;
}

static void *
get_one(void *c)
{
	struct err err = { 0 };
	int rc = get(c, 1, &err);

	cr_assert_eq(rc, fails ? ERR_CLOSED : 0);
	if (rc < 0)
		cr_assert_str_eq(err.text, "no KMS: x");
	return NULL;
}

static void
herd(struct kek_cache *c)
{
	pthread_t threads[20];

	slow = 200000;
	for (size_t i = 0; i < 20; i++)
		pthread_create(&threads[i], NULL, get_one, c);
	for (size_t i = 0; i < 20; i++)
		pthread_join(threads[i], NULL);
	slow = 0;
}

Test(kek_cache, fetched_once, .timeout = 30)
{
	struct kek_cache *c;
	struct err err = { 0 };

	cr_assert_eq(kek_cache_new(4, 60, &c, &err), 0);
	herd(c);
	cr_assert_eq(fetched, 1);
	cr_assert_eq(get(c, 1, &err), 0);
	cr_assert_eq(fetched, 1);
	kek_cache_forget(c, uuid);
	cr_assert_eq(get(c, 1, &err), 0);
	cr_assert_eq(fetched, 2, "not after it was forgotten");
	kek_cache_free(c);
}

Test(kek_cache, failed_once, .timeout = 30)
{
	struct kek_cache *c;
	struct err err = { 0 };

	cr_assert_eq(kek_cache_new(4, 60, &c, &err), 0);
	fails = 1;
	herd(c);
	cr_assert_eq(fetched, 1, "all heard of one failure");
	fails = 0;
	cr_assert_eq(get(c, 1, &err), 0, "a failure is not kept");
	kek_cache_free(c);
}

Test(kek_cache, seconds, .timeout = 30)
{
	struct kek_cache *c;
	struct err err = { 0 };

	cr_assert_eq(kek_cache_new(4, 1, &c, &err), 0);
	cr_assert_eq(get(c, 1, &err), 0);
	cr_assert_eq(kek_cache_expire(c), 1);
	usleep(1100000);
	cr_assert_eq(kek_cache_expire(c), 0, "wiped");
	cr_assert_eq(get(c, 1, &err), 0);
	cr_assert_eq(fetched, 2);
	kek_cache_free(c);
}

Test(kek_cache, full, .timeout = 30)
{
	struct kek_entry *a, *b, *e;
	struct kek_cache *c;
	const uint8_t *key;
	struct err err = { 0 };

	cr_assert_eq(kek_cache_new(2, 60, &c, &err), 0);
	for (uint32_t n = 1; n < 10; n++)
		cr_assert_eq(get(c, n, &err), 0, "those at rest make room");
	cr_assert_eq(kek_cache_hold(c, uuid, 1, fetch, nobody, &a, &key,
	    &err), 0);
	cr_assert_eq(kek_cache_hold(c, uuid, 2, fetch, nobody, &b, &key,
	    &err), 0);
	cr_assert_eq(kek_cache_hold(c, uuid, 3, fetch, nobody, &e, &key, &err),
	    ERR_BUSY);
	kek_cache_forget(c, NULL);
	cr_assert_eq(key[0], 'K', "who holds one has it until it lets go");
	kek_cache_release(c, a);
	kek_cache_release(c, b);
	cr_assert_eq(key[0], 0);
	kek_cache_free(c);
}

/* -- records -------------------------------------------------------------- */

Test(records, epoch_there_and_back)
{
	struct epoch_claim claim = { .epoch = 4, .digest = { 9 } };
	const struct epoch_asker who = { "host-1", { 7 } };
	struct epoch_record r = { 0 }, back;
	enum epoch_verdict v;

	epoch_register(&r, &claim, true);
	for (int i = 0; i < 3; i++) {
		json_t *json = epoch_json(&r);

		cr_assert_eq(epoch_read(json, "x", &back, NULL), 0);
		cr_assert_eq(memcmp(&r, &back, sizeof(r)), 0, "state %d", i);
		json_decref(json);
		if (i == 0)
			(void)epoch_acquire(&r, &claim, &who, 1, 2, &v);
		else
			(void)epoch_confirm(&r, r.epoch, &who);
	}
}

Test(records, damaged)
{
	static const char *const texts[] = { "{}", "{\"epoch\":1}",
		"{\"epoch\":-1,\"confirmed\":true,\"clean\":false,"
		    "\"synced\":false}",
		"{\"epoch\":1,\"confirmed\":true,\"clean\":true,"
		    "\"synced\":false}",
		"{\"epoch\":1,\"confirmed\":false,\"clean\":false,"
		    "\"synced\":false}",
		"{\"epoch\":1,\"confirmed\":true,\"clean\":false,"
		    "\"synced\":false,\"owner\":{\"host\":\"\","
		    "\"instance\":\"00\",\"lease_until\":1}}",
		"{\"epoch\":1,\"confirmed\":true,\"clean\":false,"
		    "\"synced\":false,\"more\":1}" };

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		json_t *json = json_loads(texts[i], 0, NULL);
		struct epoch_record r;
		struct err err = { 0 };
		struct vm vm;

		cr_assert_not_null(json);
		cr_assert_eq(epoch_read(json, "x", &r, &err), ERR_FORMAT,
		    "%zu", i);
		cr_assert_eq(vm_read(json, "x", &vm, &err), ERR_FORMAT);
		json_decref(json);
	}
}

Test(records, vm_there_and_back)
{
	struct vm vm = { .title = "web", .groups = { "a", "b" },
		.group_count = 2, .needs_trust = true, .created = 5 }, back;
	char *one, *two;
	json_t *json;

	snprintf(vm.uuid, sizeof(vm.uuid), "%s",
	    "00000000-0000-0000-0000-000000000001");
	cr_assert_not_null(vm_add_kek(&vm, "kms-1"));
	vm.keks[0].state = KEK_ACTIVE;
	cr_assert_not_null(vm_add_kek(&vm, "kms-1"));
	cr_assert_eq(vm.keks[1].n, 2);
	cr_assert_eq(vm_newest(&vm)->n, 1);
	cr_assert_eq(vm_making(&vm)->n, 2);
	cr_assert_eq(vm_add_serial(&vm, "40ab", NULL), 0);
	one = vm_text(&vm);
	json = json_loads(one, 0, NULL);
	cr_assert_eq(vm_read(json, vm.uuid, &back, NULL), 0);
	two = vm_text(&back);
	cr_assert_str_eq(one, two);
	cr_assert(vm_has_group(&back, "b") && !vm_has_group(&back, "c"));
	json_decref(json);
	free(one);
	free(two);
	vm_reset(&vm);
	vm_reset(&back);
}

/* -- tokens that were verified -------------------------------------------- */

#define NOW 1800000000

/* A key set whose one key signs at NOW, and a token by it. */
static struct token_keys *
keys_and_token(char **token, struct token_claims *claims)
{
	struct token_keys *keys;
	struct jwk *key, *host;
	struct err err = { 0 };
	json_t *payload;

	cr_assert_eq(jwk_generate(&key, &err), 0);
	cr_assert_eq(jwk_generate(&host, &err), 0);
	payload = json_pack("{s[o]}", "keys", jwk_json(key));
	json_object_update_new(json_array_get(json_object_get(payload,
	    "keys"), 0), json_pack("{ss sI sI}", "kid", key->kid, "nbf",
	    (json_int_t)NOW - 100, "exp", (json_int_t)NOW + 100));
	cr_assert_eq(token_keys_read_jwks(payload, &keys, &err), 0, "%s",
	    err.text);
	json_decref(payload);
	payload = json_pack("{ss ss ss ss ss ss s{so} sI sI ss}", "iss", "i",
	    "aud", "a", "sub", "h", "group", "g", "policy", "p", "evidence",
	    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "cnf", "jwk",
	    jwk_json(host), "iat", (json_int_t)NOW, "exp",
	    (json_int_t)NOW + 600, "jti", "00112233445566778899aabbccddeeff");
	cr_assert_eq(jws_sign(key, TOKEN_TYP, payload, token, &err), 0);
	json_decref(payload);
	cr_assert_eq(token_verify(keys, *token, "i", "a", NOW, claims, &err),
	    0, "%s", err.text);
	jwk_free(key);
	jwk_free(host);
	return keys;
}

Test(token_cache, that_text_and_no_other)
{
	struct token_cache *c = token_cache_new();
	struct token_claims claims, got;
	char kid[JWK_THUMBPRINT_SIZE + 1], was[JWK_THUMBPRINT_SIZE + 1], *token;
	struct token_keys *keys = keys_and_token(&token, &claims);
	size_t size = strlen(token);

	cr_assert_eq(jws_kid(token, TOKEN_TYP, was, NULL), 0);
	cr_assert(!token_cache_get(c, token, &got, kid));
	token_cache_put(c, token, &claims, was);
	cr_assert(token_cache_get(c, token, &got, kid));
	cr_assert_str_eq(kid, was);
	cr_assert_str_eq(got.host, "h");
	cr_assert_eq(got.expires, NOW + 600);
	cr_assert_arr_eq(got.transport->point, claims.transport->point,
	    sizeof(got.transport->point));
	/* Each has its own: one that is freed leaves the other. */
	token_claims_reset(&claims);
	cr_assert(EVP_PKEY_get_bits(got.transport->pkey) == 256);
	token_claims_reset(&got);
	for (size_t i = 0; i < size; i++) {
		token[i] ^= 1;
		cr_assert(!token_cache_get(c, token, &got, kid), "%zu", i);
		token[i] ^= 1;
	}
	token_cache_forget(c);
	cr_assert(!token_cache_get(c, token, &got, kid));
	token_cache_free(c);
	token_keys_free(keys);
	free(token);
}

Test(token_cache, time_goes_on)
{
	struct token_claims claims;
	char kid[JWK_THUMBPRINT_SIZE + 1], *token;
	struct token_keys *keys = keys_and_token(&token, &claims);
	struct err err = { 0 };

	cr_assert_eq(jws_kid(token, TOKEN_TYP, kid, NULL), 0);
	cr_assert_eq(token_check_again(keys, kid, &claims, "i", "a",
	    NOW + 599 + TOKEN_SKEW, &err), 0, "%s", err.text);
	cr_assert_eq(token_check_again(keys, kid, &claims, "i", "a",
	    NOW + 600 + TOKEN_SKEW, &err), ERR_REFUSED);
	cr_assert_eq(token_check_again(keys, kid, &claims, "i", "other", NOW,
	    &err), ERR_REFUSED);
	kid[0] ^= 1;
	cr_assert_eq(token_check_again(keys, kid, &claims, "i", "a", NOW,
	    &err), ERR_AUTH);
	token_claims_reset(&claims);
	token_keys_free(keys);
	free(token);
}
