/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The bodies of vta-kmxd's routes for hosts and, about VMs, for administrators,
 * whole, through the service's own handlers. Tokens are right, the KMS has one
 * KEK (--wrap); the store is what the input says. Input after fail_begin's:
 * flags (1), which route (1), the VM's epoch record as far as a NUL, body.
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "tests/fuzz/fail.h"
#include "tests/fuzz/fuzz.h"
#include "trust-authority/common/jwk.h"
#include "trust-authority/keyprovider/epoch-record.h"
#include "trust-authority/keyprovider/kek.h"
#include "trust-authority/keyprovider/vm-change.h"
#include "trust-authority/keyprovider/vm-key.h"

#define VM "00000000-0000-0000-0000-000000000001"
#define ROUTES_MAX 48

enum { UNTRUSTED = 1, OTHER_GROUP = 2, SHREDDED = 4, REVOKED = 8,
	NO_VM = 16, REFUSED = 32,
	MAY_NOT = UNTRUSTED | OTHER_GROUP | SHREDDED | REVOKED | NO_VM |
	    REFUSED };

static struct {
	unsigned int flags;
	const char *epoch;
	int keys;		/* given out of the KMS's hands */
} given;

int __wrap_token_source_verify(struct token_source *s, const char *token,
    const char *audience, int64_t now, struct token_claims *claims,
    struct err *err);
int __wrap_kek_hold(struct kmxd *k, const struct vm *vm, uint32_t n,
    struct kek_entry **entry, const uint8_t **key,
    struct http_answer *answer, struct err *err);
void __wrap_kek_cache_release(struct kek_cache *c, struct kek_entry *entry);
void __wrap_kek_cache_forget(struct kek_cache *c, const uint8_t *uuid);
int __wrap_kek_make(struct kmxd *k, struct vm *vm, const char *who,
    const char *from, struct http_answer *answer, struct err *err);
int __wrap_vm_finish(struct kmxd *k, const char *uuid, struct err *err);
int __wrap_store_get(struct store *store, const char *kind, const char *key,
    struct store_record *out, struct err *err);
int __wrap_store_list(struct store *store, const struct store_query *query,
    struct store_list *list, struct err *err);
int __wrap_store_commit(struct store *store, const struct store_op *ops,
    size_t count, uint64_t *version, size_t *failed, struct err *err);
int __wrap_audit_commit(struct store *store, const struct audit_entry *entry,
    const struct store_op *ops, size_t count, size_t *failed,
    struct err *err);

int
__wrap_token_source_verify(struct token_source *s, const char *token,
    const char *audience, int64_t now, struct token_claims *claims,
    struct err *err)
{
	(void)s, (void)token, (void)audience, (void)now;
	*claims = (struct token_claims){ 0 };
	snprintf(claims->host, sizeof(claims->host), "h");
	snprintf(claims->group, sizeof(claims->group), "g");
	snprintf(claims->policy, sizeof(claims->policy), "%s",
	    given.flags & UNTRUSTED ? "(none)" : "p");
	return jwk_generate(&claims->transport, err);
}

int
__wrap_kek_hold(struct kmxd *k, const struct vm *vm, uint32_t n,
    struct kek_entry **entry, const uint8_t **key,
    struct http_answer *answer, struct err *err)
{
	static const uint8_t kek[VM_KEY_KEK_SIZE];

	(void)k, (void)n;
	/* What nobody may have is never asked of the KMS. */
	FUZZ_ASSERT(!(given.flags & MAY_NOT) && vm->kek_count == 1);
	if (fail_now())
		return blame(answer, "kms", err_set(err, ERR_CLOSED, "gone"));
	*entry = NULL;
	*key = kek;
	given.keys++;
	return 0;
}

void
__wrap_kek_cache_release(struct kek_cache *c, struct kek_entry *entry)
{
	(void)c, (void)entry;
}

void
__wrap_kek_cache_forget(struct kek_cache *c, const uint8_t *uuid)
{
	(void)c, (void)uuid;
}

int
__wrap_kek_make(struct kmxd *k, struct vm *vm, const char *who,
    const char *from, struct http_answer *answer, struct err *err)
{
	(void)k, (void)vm, (void)who, (void)from;
	return fail_now() ? blame(answer, "kms", err_set(err, ERR_CLOSED,
	    "gone")) : 0;
}

int
__wrap_vm_finish(struct kmxd *k, const char *uuid, struct err *err)
{
	(void)k, (void)uuid;
	return fail_now() ? err_set(err, ERR_CLOSED, "gone") : 0;
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

int
__wrap_store_get(struct store *store, const char *kind, const char *key,
    struct store_record *out, struct err *err)
{
	char text[512];
	int rc = ERR_NOTFOUND;

	(void)store;
	if (fail_now())
		return err_set(err, ERR_BUSY, "the store is busy");
	if (strcmp(kind, VM_KIND) == 0 && !(given.flags & NO_VM)) {
		snprintf(text, sizeof(text), "{\"name\":\"n\",\"groups\":"
		    "[\"%s\"],\"needs_trust\":true,\"keks\":[{\"n\":1,"
		    "\"kms\":\"m\",\"id\":\"i\",\"state\":\"active\","
		    "\"until\":0}],\"created\":1,\"by\":\"x\",\"shredded\":%d,"
		    "\"forgotten\":false,\"serials\":[]}", given.flags &
		    OTHER_GROUP ? "o" : "g", given.flags & SHREDDED ? 9 : 0);
		rc = record_set(out, key, text);
	} else if (strcmp(kind, "host") == 0) {
		snprintf(text, sizeof(text), "{\"ek\":\"%064d\",\"ek_pem\":"
		    "\"x\",\"group\":\"g\",\"revoked\":%d}", 0,
		    given.flags & REVOKED ? 9 : 0);
		rc = record_set(out, key, text);
	} else if (strcmp(kind, "attested") == 0 && given.flags & REFUSED) {
		rc = record_set(out, key, "{\"session\":1,\"state\":"
		    "\"refused\",\"reason\":\"r\"}");
	} else if (strcmp(kind, EPOCH_KIND) == 0) {
		rc = record_set(out, key, given.epoch);
	}
	return rc == 0 ? 0 : err_set(err, rc, "no record");
}

int
__wrap_store_list(struct store *store, const struct store_query *query,
    struct store_list *list, struct err *err)
{
	(void)store, (void)query, (void)err;
	*list = (struct store_list){ 0 };
	return 0;
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
	return fail_now() ? err_set(err, ERR_NOSPACE, "the disk is full") : 0;
}

int
__wrap_audit_commit(struct store *store, const struct audit_entry *entry,
    const struct store_op *ops, size_t count, size_t *failed,
    struct err *err)
{
	FUZZ_ASSERT(entry->who != NULL && entry->what != NULL);
	return __wrap_store_commit(store, ops, count, NULL, failed, err);
}

static void
quiet(enum log_level level, const char *line)
{
	(void)level;
	FUZZ_ASSERT(strpbrk(line, "\r\n") == NULL);
}

static unsigned int
every_role(void *ctx, const struct http_peer *peer)
{
	(void)ctx, (void)peer;
	return ~0u;
}

static size_t
gather(struct http_route *all)
{
	static const struct http_route *const tables[] = { routes_keys,
		routes_epochs, routes_offer, routes_vms };
	size_t count = 0;

	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		for (const struct http_route *r = tables[i]; r->path != NULL;
		    r++)
			if (strcmp(r->path, "/v1/status") != 0)
				all[count++] = *r;
	return count;
}

static bool
ends_with(const char *path, const char *end)
{
	size_t n = strlen(path), m = strlen(end);

	return n >= m && strcmp(path + n - m, end) == 0;
}

/* An epoch is a leave to open the VM; one's own is taken back by whoever is
 * still a host. */
static void
check_granted(const struct http_route *route, const struct http_answer *a)
{
	unsigned int may_not = ends_with(route->path, "/acquire") ||
	    ends_with(route->path, "/claim") ? MAY_NOT :
	    ends_with(route->path, "/reclaim") ? SHREDDED | REVOKED | NO_VM :
	    0;

	FUZZ_ASSERT(a->status != 200 || !(given.flags & may_not));
}

static void
run(struct kmxd *k, const struct http_service *service, size_t which,
    const uint8_t *body, size_t size)
{
	const struct http_route *route = &service->routes[which];
	const char *hole = strstr(route->path, "{}");
	struct http_request *r = calloc(1, sizeof(*r));
	struct http_answer a = { 0 };
	char target[128];

	(void)k;
	if (r == NULL)
		return;
	if (hole == NULL)
		snprintf(target, sizeof(target), "%s", route->path);
	else
		snprintf(target, sizeof(target), "%.*s" VM "%s",
		    (int)(hole - route->path), route->path, hole + 2);
	snprintf(r->peer.address, sizeof(r->peer.address), "192.0.2.1");
	r->peer.certified = true;
	if (http_request_read(service, r, route->method, target, "Bearer t",
	    &a) == 0)
		http_request_run(service, r, size > 0 ? "application/json" :
		    NULL, size > 0 ? body : NULL, size, &a);
	(void)http_answer_text(&a);
	FUZZ_ASSERT(a.status >= 200 && a.status < 600);
	check_granted(route, &a);
	http_request_reset(r);
	http_answer_reset(&a);
	free(r);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct kmxd_config config = { .lease_seconds = 60 };
	static struct kmxd k = { .config = &config };
	static struct http_route routes[ROUTES_MAX];
	static struct http_service service = { routes, 0, &k, every_role };
	struct buf in = buf_reader(data, size), control = in;
	uint8_t flags = 0, which = 0;
	const uint8_t *at;
	size_t n;

	log_set_sink(quiet);
	if (service.count == 0) {
		service.count = gather(routes);
		if (service.count == 0 || alarms_new(&k.alarms, NULL) < 0)
			abort();
	}
	memset(&given, 0, sizeof(given));
	if (buf_get_bytes(&in, NULL, 4) < 0 || buf_get_u8(&in, &flags) < 0 ||
	    buf_get_u8(&in, &which) < 0)
		return 0;
	given.flags = flags;
	n = strnlen((const char *)in.data + in.pos, buf_left(&in));
	if (n == buf_left(&in) || buf_get_ref(&in, &at, n + 1) < 0)
		return 0;
	given.epoch = (const char *)at;
	n = buf_left(&in);
	(void)buf_get_ref(&in, &at, n);
	fail_begin(&control);
	run(&k, &service, which % service.count, at, n);
	(void)fail_end();
	return 0;
}
