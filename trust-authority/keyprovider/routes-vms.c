/* SPDX-License-Identifier: BSD-3-Clause */
/* VMs, for administrators; status. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/log.h"
#include "trust-authority/keyprovider/bearer.h"
#include "trust-authority/keyprovider/epoch-record.h"
#include "trust-authority/keyprovider/vm-change.h"

#define PAGE 100
#define REASON_SIZE 257

/* -- showing -------------------------------------------------------------- */

static json_t *
vm_shown(struct kmxd *k, const struct vm *vm)
{
	struct epoch_record r;
	json_t *json = vm_json(vm), *epoch;

	json_object_set_new(json, "vm", json_string(vm->uuid));
	if (epoch_load(k->service.store, vm->uuid, &r, NULL, NULL) < 0)
		return json;
	epoch = epoch_json(&r);
	json_object_update(json, epoch);
	json_decref(epoch);
	return json;
}

static int
get_vm(void *ctx, const struct http_request *request,
    struct http_answer *answer, struct err *err)
{
	struct kmxd *k = ctx;
	char text[UUID_TEXT_SIZE];
	uint8_t uuid[UUID_SIZE];
	struct vm vm = { 0 };
	int rc;

	if ((rc = uuid_canonical(request->params[0], uuid, text, err)) == 0 &&
	    (rc = vm_load(k->service.store, text, &vm, err)) == 0)
		answer->json = vm_shown(k, &vm);
	vm_reset(&vm);
	return rc;
}

static int
get_vms(void *ctx, const struct http_request *request,
    struct http_answer *answer, struct err *err)
{
	struct kmxd *k = ctx;
	const struct store_query query = { .kind = VM_KIND, .max = PAGE,
		.after = http_query(request, "after") };
	struct store_list list = { 0 };
	json_t *vms = json_array();
	int rc = store_list(k->service.store, &query, &list, err);

	for (size_t i = 0; rc == 0 && i < list.count; i++) {
		json_t *json = NULL;
		struct vm vm = { 0 };

		if ((rc = record_parse(VM_KIND, &list.records[i], &json,
		    err)) == 0 && (rc = vm_read(json, list.records[i].key,
		    &vm, err)) == 0)
			json_array_append_new(vms, vm_shown(k, &vm));
		vm_reset(&vm);
		json_decref(json);
	}
	if (rc == 0)
		answer->json = json_pack("{sO sb ss*}", "vms", vms, "more",
		    list.more, "next", list.more ?
		    list.records[list.count - 1].key : NULL);
	json_decref(vms);
	store_list_reset(&list);
	return rc;
}

static size_t
count_kind(struct kmxd *k, const char *kind)
{
	struct store_query query = { .kind = kind };
	char after[STORE_KEY_MAX + 1];
	size_t count = 0;
	bool more = true;

	while (more) {
		struct store_list list = { 0 };

		if (store_list(k->service.store, &query, &list, NULL) < 0)
			return count;
		count += list.count;
		if ((more = list.more)) {
			snprintf(after, sizeof(after), "%s",
			    list.records[list.count - 1].key);
			query.after = after;
		}
		store_list_reset(&list);
	}
	return count;
}

static int
get_status(void *ctx, const struct http_request *request,
    struct http_answer *answer, struct err *err)
{
	struct kmxd *k = ctx;

	(void)request, (void)err;
	kms_judge(k->kms, k->alarms);
	answer->json = json_pack("{ss so sI sI sI so}", "authority",
	    k->config->common.authority.name, "kms", kms_status(k->kms, NULL),
	    "vms", (json_int_t)count_kind(k, VM_KIND), "shredding",
	    (json_int_t)count_kind(k, VM_SHREDDING_KIND), "keks_held",
	    (json_int_t)kek_cache_expire(k->keks), "alarms",
	    alarms_json(k->alarms));
	return 0;
}

/* -- changing ------------------------------------------------------------- */

/* What each of these has: the VM, and whom to name in the audit record. */
struct order {
	struct kmxd *k;
	const struct http_request *request;
	struct vm vm;
	char who[sizeof(((struct http_peer *)NULL)->name) + 24];
	char object[UUID_TEXT_SIZE + 8];
	struct audit_entry entry;
	char reason[REASON_SIZE];
	json_t *detail;
};

static int
order_read(struct order *o, struct kmxd *k, const struct http_request *request,
    const char *what, struct err *err)
{
	const struct http_peer *peer = &request->peer;
	char text[UUID_TEXT_SIZE];
	uint8_t uuid[UUID_SIZE];
	int rc;

	*o = (struct order){ .k = k, .request = request };
	if ((rc = uuid_canonical(request->params[0], uuid, text, err)) < 0)
		return rc;
	snprintf(o->who, sizeof(o->who), "%s (%.16s)", peer->name,
	    peer->fingerprint);
	snprintf(o->object, sizeof(o->object), "vm/%s", text);
	o->entry = (struct audit_entry){ o->who, what, o->object,
		peer->address, "ok", NULL };
	return vm_load(k->service.store, text, &o->vm, err);
}

static void
order_reset(struct order *o)
{
	vm_reset(&o->vm);
	json_decref(o->detail);
}

static const struct field reason_fields[] = {
	{ "reason", FIELD_TEXT, FIELD_AT(struct order, reason),
	    FIELD_NEEDED },
};

static int
read_reason(struct order *o, struct err *err)
{
	int rc = fields_read(o->request->json, reason_fields, 1, o, ERR_USAGE,
	    "the body", err);

	if (rc == 0) {
		o->detail = json_pack("{ss}", "reason", o->reason);
		o->entry.detail = o->detail;
	}
	return rc;
}

static int
changed(int rc, struct err *err)
{
	return rc == ERR_STALE ? err_append(err, ". Somebody else has changed "
	    "it at the same moment, and this change was not made: look at it "
	    "and try again") : rc;
}

struct grants {
	json_t *groups;
	bool needs_trust;
};

static const struct field grants_fields[] = {
	{ "groups", FIELD_JSON, FIELD_JSON_AT(struct grants, groups),
	    FIELD_NEEDED },
	{ "needs_trust", FIELD_FLAG, FIELD_AT(struct grants, needs_trust),
	    0 },
};

static int
read_grants(struct order *o, struct vm *after, struct err *err)
{
	struct grants g = { NULL, true };
	const json_t *item;
	size_t i;
	int rc = fields_read(o->request->json, grants_fields,
	    FIELDS_COUNT(grants_fields), &g, ERR_USAGE, "the body", err);

	if (rc < 0)
		return rc;
	if (!json_is_array(g.groups) ||
	    json_array_size(g.groups) > VM_GROUPS_MAX)
		return err_set(err, ERR_USAGE, "\"groups\" is a list of at "
		    "most %d names", VM_GROUPS_MAX);
	after->group_count = 0;
	after->needs_trust = g.needs_trust;
	json_array_foreach(g.groups, i, item) {
		const char *name = json_string_value(item);

		if (name == NULL || !name_is_good(name))
			return err_set(err, ERR_USAGE, "a name of a group is "
			    "1 to 64 of A-Z a-z 0-9 . _ -");
		if (!vm_has_group(after, name))
			memcpy(after->groups[after->group_count++], name,
			    strlen(name) + 1);
	}
	/* Apart from what is ours: a group may be called needs_trust. */
	o->detail = json_pack("{sb s{}}", "needs_trust", g.needs_trust,
	    "groups");
	for (i = 0; i < after->group_count; i++)
		json_object_set_new(json_object_get(o->detail, "groups"),
		    after->groups[i], json_true());
	o->entry.detail = o->detail;
	return 0;
}

static int
put_grants(void *ctx, const struct http_request *request,
    struct http_answer *answer, struct err *err)
{
	struct order o;
	struct vm after;
	int rc = order_read(&o, ctx, request, "vm.grant", err);

	(void)answer;
	after = o.vm;		/* shares what does not change */
	if (rc == 0 && o.vm.shredded != 0)
		rc = err_set(err, ERR_REFUSED, "the VM %s has been shredded",
		    o.vm.uuid);
	if (rc == 0 && (rc = read_grants(&o, &after, err)) == 0)
		rc = vm_set_grants(ctx, &o.vm, &after, &o.entry, err);
	order_reset(&o);
	return changed(rc, err);
}

/* Of the VM's epochs, with its audit record. */
static int
change_epoch(struct order *o, bool fence, struct err *err)
{
	struct store *store = o->k->service.store;
	struct epoch_record r;
	uint64_t version = 0;
	struct store_op op;
	char *text;
	int rc;

	if ((rc = read_reason(o, err)) < 0)
		return rc;
	rc = epoch_load(store, o->vm.uuid, &r, &version, err);
	if (rc == ERR_NOTFOUND)
		return err_set(err, rc, "the VM %s has never been opened",
		    o->vm.uuid);
	if (rc < 0)
		return rc;
	if (fence)
		(void)epoch_fence(&r);
	else
		r.accept = true;
	if ((text = epoch_text(&r)) == NULL)
		return err_set(err, ERR_SYSTEM, "no memory");
	op = record_put(EPOCH_KIND, o->vm.uuid, text, version);
	rc = audit_commit(store, &o->entry, &op, 1, NULL, err);
	free(text);
	return rc;
}

static int
post_fence(void *ctx, const struct http_request *request,
    struct http_answer *answer, struct err *err)
{
	struct kmxd *k = ctx;
	uint8_t uuid[UUID_SIZE];
	struct order o;
	int rc = order_read(&o, k, request, "vm.fence", err);

	(void)answer;
	/* A lease that its owner renews at the same moment ends all the
	 * same. */
	for (int i = 0; rc == 0 && i < 8; i++) {
		json_decref(o.detail);
		o.detail = NULL;
		if ((rc = change_epoch(&o, true, err)) != ERR_STALE)
			break;
		rc = 0;
	}
	if (rc == 0 && uuid_parse(o.vm.uuid, uuid) == 0) {
		kek_cache_forget(k->keks, uuid);
		log_event(LOG_LEVEL_WARNING, "vm.fenced", "vm=%s by=\"%s\"",
		    o.vm.uuid, request->peer.name);
	}
	order_reset(&o);
	return rc;
}

static int
post_accept(void *ctx, const struct http_request *request,
    struct http_answer *answer, struct err *err)
{
	struct order o;
	int rc = order_read(&o, ctx, request, "vm.accept-restore", err);

	(void)answer;
	if (rc == 0)
		rc = change_epoch(&o, false, err);
	order_reset(&o);
	return changed(rc, err);
}

struct shred {
	char name[VM_TITLE_SIZE];
};

static const struct field shred_fields[] = {
	{ "name", FIELD_TEXT, FIELD_AT(struct shred, name), FIELD_NEEDED },
};

/* Who opens and closes the VM all the time does not keep it. What was forgotten
 * and made anew meanwhile is not the VM that was named. */
static int
shred_it(struct order *o, struct err *err)
{
	char uuid[UUID_TEXT_SIZE];
	int64_t created = o->vm.created;
	int rc = ERR_STALE;

	memcpy(uuid, o->vm.uuid, sizeof(uuid));
	for (int i = 0; rc == ERR_STALE && i < 8; i++) {
		if (i > 0) {
			vm_reset(&o->vm);
			if ((rc = vm_load(o->k->service.store, uuid, &o->vm,
			    err)) < 0)
				return rc;
			if (o->vm.created != created)
				return err_set(err, ERR_STALE, "the VM %s has "
				    "just been made anew", uuid);
		}
		rc = vm_shred(o->k, &o->vm, NULL, &o->entry, err);
	}
	return rc;
}

static int
post_shred(void *ctx, const struct http_request *request,
    struct http_answer *answer, struct err *err)
{
	struct kmxd *k = ctx;
	struct shred s = { .name = "" };
	struct err why = { 0 };
	struct order o;
	int rc = order_read(&o, k, request, "vm.shred", err);

	if (rc == 0)
		rc = fields_read(request->json, shred_fields, 1, &s,
		    ERR_USAGE, "the body", err);
	if (rc == 0 && strcmp(s.name, o.vm.title) != 0 &&
	    strcasecmp(s.name, o.vm.uuid) != 0)
		rc = err_set(err, ERR_REFUSED, "\"%s\" is neither the name "
		    "nor the UUID of this VM, which is called \"%s\"", s.name,
		    o.vm.title);
	if (rc == 0)
		rc = shred_it(&o, err);
	if (rc == 0) {
		log_event(LOG_LEVEL_WARNING, "vm.shredded", "vm=%s by=\"%s\"",
		    o.vm.uuid, request->peer.name);
		rc = vm_finish(k, o.vm.uuid, &why);
		/* From now on it cannot be used; the rest is repeated until
		 * it is done. */
		answer->status = rc == 0 ? 200 : 202;
		answer->json = json_pack("{ss sb ss*}", "vm", o.vm.uuid,
		    "destroyed", rc == 0, "waiting", rc < 0 ? why.text :
		    NULL);
		rc = 0;
	}
	order_reset(&o);
	return changed(rc, err);
}

static int
post_retire(void *ctx, const struct http_request *request,
    struct http_answer *answer, struct err *err)
{
	struct kmxd *k = ctx;
	struct err why = { 0 };
	size_t count = 0;
	struct order o;
	int rc = order_read(&o, k, request, "vm.retire", err);

	if (rc == 0)
		rc = vm_retire(k, &o.vm, &o.entry, &count, err);
	if (rc == 0) {
		rc = vm_finish(k, o.vm.uuid, &why);
		answer->status = rc == 0 ? 200 : 202;
		answer->json = json_pack("{sI sb ss*}", "retired",
		    (json_int_t)count, "destroyed", rc == 0, "waiting",
		    rc < 0 ? why.text : NULL);
		rc = 0;
	}
	order_reset(&o);
	return changed(rc, err);
}

const struct http_route routes_vms[] = {
	{ HTTP_GET, "/v1/vms", MAY_READ, 0, 0, get_vms },
	{ HTTP_GET, "/v1/vms/{}", MAY_READ, 0, 0, get_vm },
	{ HTTP_PUT, "/v1/vms/{}/grants", MAY_OPERATE, 4096, 0, put_grants },
	{ HTTP_POST, "/v1/vms/{}/fence", MAY_OPERATE, 4096, 0, post_fence },
	{ HTTP_POST, "/v1/vms/{}/accept-restore", MAY_OPERATE, 4096, 0,
	    post_accept },
	{ HTTP_POST, "/v1/vms/{}/shred", MAY_ADMINISTER, 4096, 0,
	    post_shred },
	{ HTTP_POST, "/v1/vms/{}/retire", MAY_ADMINISTER, 4096, 0,
	    post_retire },
	{ HTTP_GET, "/v1/status", MAY_READ, 0, 0, get_status },
	{ .path = NULL },
};
