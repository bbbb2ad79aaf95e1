/* SPDX-License-Identifier: BSD-3-Clause */
/* VMs and their keys, for hosts. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "nvram-crypt/crypto.h"
#include "trust-authority/keyprovider/epoch-record.h"
#include "trust-authority/keyprovider/host-route.h"
#include "trust-authority/keyprovider/vm-change.h"

#define WRAPPED_MAX 640
#define PAGE 100

struct body {
	char vm[UUID_TEXT_SIZE], title[VM_TITLE_SIZE], group[NAME_MAX_SIZE];
	bool new_kek;
	struct field_bytes wrapped;
};

static const struct field create_fields[] = {
	{ "vm", FIELD_TEXT, FIELD_AT(struct body, vm), FIELD_NEEDED },
	{ "name", FIELD_TEXT, FIELD_AT(struct body, title),
	    FIELD_NEEDED | FIELD_MAY_BE_EMPTY },
	{ "group", FIELD_NAME, FIELD_AT(struct body, group),
	    FIELD_MAY_BE_EMPTY },
};
static const struct field make_fields[] = {
	{ "new_kek", FIELD_FLAG, FIELD_AT(struct body, new_kek), 0 },
};
static const struct field open_fields[] = {
	{ "wrapped", FIELD_BYTES, offsetof(struct body, wrapped), WRAPPED_MAX,
	    FIELD_NEEDED },
};
static const struct field rewrap_fields[] = {
	{ "vm", FIELD_TEXT, FIELD_AT(struct body, vm), FIELD_NEEDED },
	{ "wrapped", FIELD_BYTES, offsetof(struct body, wrapped), WRAPPED_MAX,
	    FIELD_NEEDED },
};

#define READ(request, table, body, err) fields_read((request)->json, table, \
	FIELDS_COUNT(table), body, ERR_USAGE, "the body", err)

/* -- POST /v1/vms --------------------------------------------------------- */

static int
check_creation(const struct bearer *b, const struct body *body,
    struct http_answer *answer, struct err *err)
{
	if (body->group[0] != '\0' &&
	    strcmp(body->group, b->claims.group) != 0)
		return blame(answer, "grant", err_set(err, ERR_REFUSED, "the "
		    "host %s is of group %s, and cannot make a VM for group "
		    "%s, whose keys it may not have", b->claims.host,
		    b->claims.group, body->group));
	if (!b->trusted)
		return bearer_untrusted(b, "a new VM", answer, err);
	return 0;
}

/* One whose KEK was never finished: by this host's group, and to be gone on
 * with. */
static bool
unfinished(struct kmxd *k, const struct bearer *b, struct vm *vm)
{
	struct vm there = { 0 };

	if (vm_load(k->service.store, vm->uuid, &there, NULL) < 0)
		return false;
	if (there.shredded != 0 || vm_newest(&there) != NULL ||
	    !vm_has_group(&there, b->claims.group)) {
		vm_reset(&there);
		return false;
	}
	vm_reset(vm);
	*vm = there;
	return true;
}

static int
vm_create(struct kmxd *k, const struct http_request *request,
    const struct bearer *b, const struct body *body,
    struct http_answer *answer, struct err *err)
{
	struct vm vm = { .needs_trust = true, .group_count = 1 };
	uint8_t uuid[UUID_SIZE];
	char by[VM_BY_SIZE];
	int rc;

	if ((rc = uuid_canonical(body->vm, uuid, vm.uuid, err)) < 0)
		return rc;
	memcpy(vm.title, body->title, sizeof(vm.title));
	snprintf(vm.groups[0], sizeof(vm.groups[0]), "%.64s",
	    b->claims.group);
	snprintf(by, sizeof(by), "host %.64s", b->claims.host);
	memcpy(vm.by, by, sizeof(vm.by));
	rc = vm_add(k, &vm, request->peer.address, err);
	if (rc == ERR_EXISTS && unfinished(k, b, &vm))
		rc = 0;
	if (rc == ERR_EXISTS || rc == ERR_REFUSED)
		(void)blame(answer, "grant", rc);
	if (rc == 0 && (rc = kek_make(k, &vm, by, request->peer.address,
	    answer, err)) == 0) {
		answer->status = 201;
		answer->json = json_pack("{ss ss}", "vm", vm.uuid, "group",
		    b->claims.group);
	}
	vm_reset(&vm);
	return rc;
}

static int
post_vms(void *ctx, const struct http_request *request,
    struct http_answer *answer, struct err *err)
{
	struct body body = { .vm = "" };
	struct bearer b;
	int rc;

	if ((rc = bearer_read(ctx, request, &b, answer, err)) == 0 &&
	    (rc = READ(request, create_fields, &body, err)) == 0 &&
	    (rc = check_creation(&b, &body, answer, err)) == 0)
		rc = vm_create(ctx, request, &b, &body, answer, err);
	bearer_reset(&b);
	return host_answer(request, answer, rc, err);
}

/* -- POST /v1/vms/{vm}/keys ----------------------------------------------- */

static int
wrap(struct kmxd *k, const struct asked *a, const struct secret *key,
    const struct vm_kek *kek, uint8_t wrapped[VM_KEY_WRAPPED_SIZE],
    struct http_answer *answer, struct err *err)
{
	struct kek_entry *entry;
	const uint8_t *bytes;
	int rc = kek_hold(k, &a->vm, kek->n, &entry, &bytes, answer, err);

	if (rc < 0)
		return rc;
	rc = vm_key_wrap(bytes, kek->n, a->uuid, key, wrapped, err);
	kek_cache_release(k->keks, entry);
	return rc;
}

/* The newest, for prefetch. Not where the VM was shredded meanwhile: the check
 * of its record is part of the commit. */
static int
record_newest(struct kmxd *k, const struct asked *a,
    const uint8_t wrapped[VM_KEY_WRAPPED_SIZE], struct err *err)
{
	json_t *json = json_pack("{so}", "wrapped", bytes_json(wrapped,
	    VM_KEY_WRAPPED_SIZE));
	char *text = json != NULL ? record_text(json) : NULL;
	struct store_op ops[2] = {
		{ .what = STORE_CHECK, .kind = VM_KIND, .key = a->text,
		    .expect = a->vm.version },
	};
	int rc;

	json_decref(json);
	if (text == NULL)
		return err_set(err, ERR_SYSTEM, "no memory for a record");
	ops[1] = record_put(VM_KEY_KIND, a->text, text, STORE_ANY);
	rc = store_commit(k->service.store, ops, 2, NULL, NULL, err);
	free(text);
	return rc == ERR_STALE ? err_set(err, ERR_BUSY, "the VM %s is being "
	    "changed just now; try again", a->text) : rc;
}

static int
key_make(struct kmxd *k, const struct http_request *request,
    struct asked *a, bool new_kek, struct http_answer *answer,
    struct err *err)
{
	uint8_t wrapped[VM_KEY_WRAPPED_SIZE];
	struct secret *key = secret_new(VM_KEY_SIZE);
	char label[256], who[VM_BY_SIZE];
	json_t *sealed = NULL;
	int rc = 0;

	if (key == NULL)
		return err_sys(err, errno, "cannot lock memory for a key");
	snprintf(who, sizeof(who), "host %.64s", a->bearer.claims.host);
	if (new_kek || vm_newest(&a->vm) == NULL)
		rc = kek_make(k, &a->vm, who, request->peer.address, answer,
		    err);
	if (rc < 0 || (rc = crypto_random(secret_data(key), VM_KEY_SIZE,
	    err)) < 0 || (rc = wrap(k, a, key, vm_newest(&a->vm), wrapped,
	    answer, err)) < 0 ||
	    (rc = asked_again(k, a, answer, err)) < 0 ||
	    (rc = host_seal(&a->bearer, key, &sealed, err)) < 0 ||
	    (rc = record_newest(k, a, wrapped, err)) < 0)
		goto out;
	snprintf(label, sizeof(label), "authority %.64s, group %.64s, KEK "
	    "%u",
	    k->config->common.authority.name, a->bearer.claims.group,
	    vm_newest(&a->vm)->n);
	answer->json = json_pack("{so sO ss}", "wrapped", bytes_json(wrapped,
	    sizeof(wrapped)), "key", sealed, "label", label);
	log_event(LOG_LEVEL_INFO, "key.made", "vm=%s host=%s kek=%u", a->text,
	    a->bearer.claims.host, vm_newest(&a->vm)->n);
out:
	json_decref(sealed);
	secret_free(key);
	return rc;
}

static int
post_keys(void *ctx, const struct http_request *request,
    struct http_answer *answer, struct err *err)
{
	struct body body = { .new_kek = false };
	struct asked a;
	int rc = asked_read(ctx, request, request->params[0], &a, answer,
	    err);

	if (rc == 0 && request->json != NULL)
		rc = READ(request, make_fields, &body, err);
	if (rc == 0)
		rc = key_make(ctx, request, &a, body.new_kek, answer, err);
	asked_reset(&a);
	return host_answer(request, answer, rc, err);
}

/* -- opening -------------------------------------------------------------- */

static int
unwrap(struct kmxd *k, const struct vm *vm, const uint8_t uuid[UUID_SIZE],
    const uint8_t *wrapped, size_t size, struct secret **key,
    struct http_answer *answer, struct err *err)
{
	struct kek_entry *entry;
	const uint8_t *bytes;
	uint32_t n = 0;
	int rc;

	if ((rc = vm_key_number(wrapped, size, &n, err)) < 0 ||
	    (rc = kek_hold(k, vm, n, &entry, &bytes, answer, err)) < 0)
		return rc;
	rc = vm_key_unwrap(bytes, uuid, wrapped, size, key, err);
	kek_cache_release(k->keks, entry);
	/* To a peer ERR_AUTH says that it has to show another token. */
	return rc == ERR_AUTH ? err_as(err, ERR_KEY) : rc;
}

static int
post_open(void *ctx, const struct http_request *request,
    struct http_answer *answer, struct err *err)
{
	struct body body = { .wrapped = { NULL, 0 } };
	struct secret *key = NULL;
	json_t *sealed = NULL;
	struct asked a;
	int rc = asked_read(ctx, request, request->params[0], &a, answer,
	    err);

	if (rc == 0 && (rc = READ(request, open_fields, &body, err)) == 0 &&
	    (rc = unwrap(ctx, &a.vm, a.uuid, body.wrapped.data,
	    body.wrapped.size, &key, answer, err)) == 0 &&
	    (rc = asked_again(ctx, &a, answer, err)) == 0 &&
	    (rc = host_seal(&a.bearer, key, &sealed, err)) == 0) {
		answer->json = json_pack("{so}", "key", sealed);
		log_event(LOG_LEVEL_INFO, "key.opened", "vm=%s host=%s "
		    "policy=%s", a.text, a.bearer.claims.host,
		    a.bearer.claims.policy);
	}
	secret_free(key);
	fields_reset(open_fields, FIELDS_COUNT(open_fields), &body);
	asked_reset(&a);
	return host_answer(request, answer, rc, err);
}

static int
rewrap(struct kmxd *k, struct asked *a, const struct body *body,
    struct http_answer *answer, struct err *err)
{
	uint8_t wrapped[VM_KEY_WRAPPED_SIZE];
	struct secret *key = NULL;
	int rc;

	if (vm_newest(&a->vm) == NULL)
		return err_set(err, ERR_BUSY, "the VM %s has no KEK yet; try "
		    "again", a->text);
	if ((rc = unwrap(k, &a->vm, a->uuid, body->wrapped.data,
	    body->wrapped.size, &key, answer, err)) == 0 &&
	    (rc = wrap(k, a, key, vm_newest(&a->vm), wrapped, answer,
	    err)) == 0 && (rc = record_newest(k, a, wrapped, err)) == 0)
		answer->json = json_pack("{so}", "wrapped",
		    bytes_json(wrapped, sizeof(wrapped)));
	secret_free(key);
	return rc;
}

static int
post_rewrap(void *ctx, const struct http_request *request,
    struct http_answer *answer, struct err *err)
{
	struct body body = { .wrapped = { NULL, 0 } };
	struct asked a = { .text = "" };
	int rc = READ(request, rewrap_fields, &body, err);

	if (rc == 0)
		rc = asked_read(ctx, request, body.vm, &a, answer, err);
	if (rc == 0)
		rc = rewrap(ctx, &a, &body, answer, err);
	fields_reset(rewrap_fields, FIELDS_COUNT(rewrap_fields), &body);
	asked_reset(&a);
	return host_answer(request, answer, rc, err);
}

/* -- GET /v1/keys --------------------------------------------------------- */

/* Appends what this host may have of one VM; nothing where there is nothing
 * yet, or the VM needs more trust. */
static int
add_key(struct kmxd *k, const struct bearer *b, const char *text,
    json_t *list, struct http_answer *answer, struct err *err)
{
	struct body body = { .wrapped = { NULL, 0 } };
	struct epoch_record epoch = { 0 };
	struct secret *key = NULL;
	json_t *json = NULL, *sealed = NULL, *one, *state;
	struct vm vm = { 0 };
	uint8_t uuid[UUID_SIZE];
	int rc;

	rc = vm_load(k->service.store, text, &vm, err);
	if (rc == 0 && (uuid_parse(text, uuid) < 0 ||
	    bearer_may(b, &vm, answer, err) < 0))
		rc = ERR_NOTFOUND;
	if (rc == 0 && (rc = record_get(k->service.store, VM_KEY_KIND, text,
	    &json, NULL, err)) == 0 &&
	    (rc = fields_read(json, open_fields, FIELDS_COUNT(open_fields),
	    &body, ERR_FORMAT, "a record of kind vm-key", err)) == 0 &&
	    (rc = unwrap(k, &vm, uuid, body.wrapped.data, body.wrapped.size,
	    &key, answer, err)) == 0 &&
	    (rc = host_seal(b, key, &sealed, err)) == 0) {
		one = json_pack("{ss so so}", "vm", text, "wrapped",
		    bytes_json(body.wrapped.data, body.wrapped.size), "key",
		    sealed);
		if (epoch_load(k->service.store, text, &epoch, NULL,
		    NULL) == 0 && (state = epoch_json(&epoch)) != NULL) {
			json_object_set(one, "epoch",
			    json_object_get(state, "epoch"));
			json_object_set(one, "clean",
			    json_object_get(state, "clean"));
			if (epoch.clean)
				json_object_set(one, "digest",
				    json_object_get(state, "digest"));
			json_decref(state);
		}
		json_array_append_new(list, one);
	}
	secret_free(key);
	fields_reset(open_fields, FIELDS_COUNT(open_fields), &body);
	json_decref(json);
	vm_reset(&vm);
	/* One key that its KMS has lost does not keep the others away. */
	if (rc == ERR_NOTFOUND && answer->fault != NULL &&
	    strcmp(answer->fault, "kms") == 0)
		log_warning("VM %s is left out of what host %s fetches ahead: "
		    "%s", text, b->claims.host, err->text);
	if (rc == ERR_NOTFOUND || rc == ERR_KEY) {
		answer->fault = NULL;
		rc = 0;
	}
	return rc;
}

static int
list_keys(struct kmxd *k, struct bearer *b, const char *after,
    struct http_answer *answer, struct err *err)
{
	char prefix[NAME_MAX_SIZE + 1], from[NAME_MAX_SIZE + UUID_TEXT_SIZE];
	struct store_query query = { .kind = VM_GROUP_KIND, .prefix = prefix,
		.max = PAGE };
	struct store_list list = { 0 };
	int64_t began = monotonic_ms();
	json_t *keys = json_array();
	size_t skip;
	int rc;

	skip = (size_t)snprintf(prefix, sizeof(prefix), "%.64s/",
	    b->claims.group);
	snprintf(from, sizeof(from), "%s%.36s", prefix, after != NULL ? after :
	    "");
	if (after != NULL)
		query.after = from;
	rc = store_list(k->service.store, &query, &list, err);
	for (size_t i = 0; rc == 0 && i < list.count; i++)
		rc = add_key(k, b, list.records[i].key + skip, keys, answer,
		    err);
	if (rc == 0 && long_ago(began))
		rc = bearer_keep(k, b, keys, answer, err);
	if (rc == 0)
		answer->json = json_pack("{sO sb ss*}", "keys", keys, "more",
		    list.more, "next", list.more ?
		    list.records[list.count - 1].key + skip : NULL);
	json_decref(keys);
	store_list_reset(&list);
	return rc;
}

static int
get_keys(void *ctx, const struct http_request *request,
    struct http_answer *answer, struct err *err)
{
	const char *after = http_query(request, "after");
	char canonical[UUID_TEXT_SIZE];
	uint8_t uuid[UUID_SIZE];
	struct bearer b;
	int rc = bearer_read(ctx, request, &b, answer, err);

	if (rc == 0 && after != NULL)
		rc = uuid_canonical(after, uuid, canonical, err);
	if (rc == 0)
		rc = list_keys(ctx, &b, after != NULL ? canonical : NULL,
		    answer, err);
	bearer_reset(&b);
	return host_answer(request, answer, rc, err);
}

/* -- DELETE /v1/vms/{vm} -------------------------------------------------- */

static int
forget(struct kmxd *k, const struct http_request *request, struct asked *a,
    struct http_answer *answer, struct err *err)
{
	char who[VM_BY_SIZE], object[UUID_TEXT_SIZE + 8];
	const struct audit_entry entry = { who, "vm.forget", object,
		request->peer.address, "ok", NULL };
	struct err why = { 0 };
	int rc;

	snprintf(who, sizeof(who), "host %.64s", a->bearer.claims.host);
	snprintf(object, sizeof(object), "vm/%s", a->text);
	rc = vm_shred(k, &a->vm, a->bearer.claims.host, &entry, err);
	if (rc == ERR_BUSY)
		return blame(answer, "epoch", rc);
	if (rc == ERR_STALE)
		return err_set(err, ERR_BUSY, "the VM %s is being changed "
		    "just now; try again", a->text);
	/* What the KMS does not do now is done later. */
	if (rc == 0 && vm_finish(k, a->text, &why) < 0)
		log_warning("%s", why.text);
	return rc;
}

static int
delete_vm(void *ctx, const struct http_request *request,
    struct http_answer *answer, struct err *err)
{
	struct asked a;
	int rc = asked_read(ctx, request, request->params[0], &a, answer,
	    err);

	/* Done, and its answer was lost. */
	if (a.vm.forgotten) {
		answer->fault = NULL;
		rc = 0;
	} else if (rc == 0) {
		rc = forget(ctx, request, &a, answer, err);
	}
	asked_reset(&a);
	return host_answer(request, answer, rc, err);
}

const struct http_route routes_keys[] = {
	{ HTTP_POST, "/v1/vms", HTTP_ANYBODY, 4096, 0, post_vms },
	{ HTTP_DELETE, "/v1/vms/{}", HTTP_ANYBODY, 0, 0, delete_vm },
	{ HTTP_POST, "/v1/vms/{}/keys", HTTP_ANYBODY, 4096, 0, post_keys },
	{ HTTP_POST, "/v1/vms/{}/keys/open", HTTP_ANYBODY, 4096, 0,
	    post_open },
	{ HTTP_POST, "/v1/keys/rewrap", HTTP_ANYBODY, 4096, 0, post_rewrap },
	{ HTTP_GET, "/v1/keys", HTTP_ANYBODY, 0, 0, get_keys },
	{ .path = NULL },
};
