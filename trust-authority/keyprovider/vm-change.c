/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/keyprovider/vm-change.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "trust-authority/keyprovider/epoch-record.h"
#include "trust-authority/keyprovider/kek.h"
#include "trust-authority/keyprovider/vm-key.h"

#define OPS_MAX (STORE_OPS_MAX - 2)

/* One commit in the making. Its keys and texts are freed with it. */
struct batch {
	struct store_op ops[OPS_MAX];
	size_t count;
	char keys[OPS_MAX][NAME_MAX_SIZE + UUID_TEXT_SIZE];
	char *texts[OPS_MAX];
	bool failed;
};

static void
batch_add(struct batch *b, enum store_what what, const char *kind,
    const char *key, char *text, uint64_t expect)
{
	size_t i = b->count;

	if (i >= OPS_MAX || (what == STORE_PUT && text == NULL)) {
		b->failed = true;
		free(text);
		return;
	}
	snprintf(b->keys[i], sizeof(b->keys[i]), "%s", key);
	b->texts[i] = text;
	b->ops[i] = (struct store_op){ .what = what, .kind = kind,
		.key = b->keys[i], .value = text,
		.size = text != NULL ? strlen(text) : 0, .expect = expect };
	b->count++;
}

static void
batch_group(struct batch *b, enum store_what what, const char *group,
    const char *uuid)
{
	char key[NAME_MAX_SIZE + UUID_TEXT_SIZE];

	snprintf(key, sizeof(key), "%s/%s", group, uuid);
	batch_add(b, what, VM_GROUP_KIND, key,
	    what == STORE_PUT ? strdup("{}") : NULL, STORE_ANY);
}

static int
batch_commit(struct kmxd *k, struct batch *b, const struct audit_entry *entry,
    struct err *err)
{
	int rc;

	if (b->failed)
		rc = err_set(err, ERR_INTERNAL, "a change does not fit one "
		    "commit");
	else if (entry != NULL)
		rc = audit_commit(k->service.store, entry, b->ops, b->count,
		    NULL, err);
	else
		rc = store_commit(k->service.store, b->ops, b->count, NULL,
		    NULL, err);
	for (size_t i = 0; i < b->count; i++)
		free(b->texts[i]);
	b->count = 0;
	return rc;
}

static int revoke_all(struct kmxd *k, const char *uuid, struct err *err);

/* A UUID that was forgotten: numbers of KEKs and certificates go on, so that
 * what is still being destroyed is. */
static int
take_over_forgotten(struct kmxd *k, struct vm *vm, struct err *err)
{
	struct vm old = { 0 };
	int rc = vm_load(k->service.store, vm->uuid, &old, err);

	if (rc == ERR_NOTFOUND) {
		*err = (struct err){ 0 };
		return 0;
	}
	if (rc < 0)
		return rc;
	if (!old.forgotten) {
		rc = old.shredded != 0 ? err_set(err, ERR_REFUSED, "the VM %s "
		    "has been shredded: its UUID is not used again", vm->uuid) :
		    err_set(err, ERR_EXISTS, "the authority has a VM %s "
		    "already (%s): destroy its vTPM first, or give the VM "
		    "another UUID", vm->uuid, old.title);
		vm_reset(&old);
		return rc;
	}
	/* While the record still says that they are to be. */
	if ((rc = revoke_all(k, vm->uuid, err)) < 0) {
		vm_reset(&old);
		return rc;
	}
	vm->keks = old.keks;
	vm->kek_count = old.kek_count;
	vm->serials = old.serials;
	vm->serial_count = old.serial_count;
	vm->version = old.version;
	return 0;
}

int
vm_add(struct kmxd *k, struct vm *vm, const char *from, struct err *err)
{
	char object[UUID_TEXT_SIZE + 8];
	struct audit_entry entry = { vm->by, "vm.create", object, from, "ok",
		NULL };
	struct batch b = { .count = 0 };
	int rc;

	if ((rc = take_over_forgotten(k, vm, err)) < 0)
		return rc;
	snprintf(object, sizeof(object), "vm/%s", vm->uuid);
	vm->created = time(NULL);
	vm->shredded = 0;
	vm->forgotten = false;
	batch_add(&b, STORE_PUT, VM_KIND, vm->uuid, vm_text(vm), vm->version);
	for (size_t i = 0; i < vm->group_count; i++)
		batch_group(&b, STORE_PUT, vm->groups[i], vm->uuid);
	batch_add(&b, STORE_REMOVE, EPOCH_KIND, vm->uuid, NULL, STORE_ANY);
	batch_add(&b, STORE_REMOVE, VM_KEY_KIND, vm->uuid, NULL, STORE_ANY);
	if ((rc = batch_commit(k, &b, &entry, err)) < 0)
		return rc;
	vm_reset(vm);
	memcpy(vm->uuid, object + 3, UUID_TEXT_SIZE);
	return vm_load(k->service.store, object + 3, vm, err);
}

int
vm_set_grants(struct kmxd *k, const struct vm *before, const struct vm *after,
    const struct audit_entry *entry, struct err *err)
{
	struct batch b = { .count = 0 };

	batch_add(&b, STORE_PUT, VM_KIND, after->uuid, vm_text(after),
	    before->version);
	for (size_t i = 0; i < before->group_count; i++)
		if (!vm_has_group(after, before->groups[i]))
			batch_group(&b, STORE_REMOVE, before->groups[i],
			    before->uuid);
	for (size_t i = 0; i < after->group_count; i++)
		if (!vm_has_group(before, after->groups[i]))
			batch_group(&b, STORE_PUT, after->groups[i],
			    after->uuid);
	return batch_commit(k, &b, entry, err);
}

/* The record with what is to be destroyed in it. */
static char *
shredding_text(const struct vm *vm, uint32_t below, bool shred, bool forget,
    size_t *count)
{
	struct vm next = *vm;
	char *text;

	next.keks = calloc(vm->kek_count + 1, sizeof(*next.keks));
	if (next.keks == NULL)
		return NULL;
	*count = 0;
	for (size_t i = 0; i < vm->kek_count; i++) {
		next.keks[i] = vm->keks[i];
		if (next.keks[i].n >= below ||
		    next.keks[i].state == KEK_DESTROYED)
			continue;
		next.keks[i].state = KEK_DESTROYING;
		(*count)++;
	}
	if (shred && next.shredded == 0)
		next.shredded = time(NULL);
	if (shred)
		next.forgotten = forget;
	text = vm_text(&next);
	free(next.keks);
	return text;
}

/* The VM's owner goes in the same commit, and nobody becomes it meanwhile.
 * What runs elsewhere is not forgotten. */
static int
take_epoch(struct kmxd *k, const char *uuid, const char *forgetter,
    struct batch *b, struct err *err)
{
	struct epoch_record epoch = { 0 };
	struct err why = { 0 };
	uint64_t version = 0;
	int rc = epoch_load(k->service.store, uuid, &epoch, &version, &why);

	if (rc < 0 && rc != ERR_NOTFOUND) {
		/* A record that is damaged must not save what is to be
		 * shredded. */
		if (forgetter == NULL)
			return 0;
		*err = why;
		return rc;
	}
	if (forgetter != NULL && epoch.owner.host[0] != '\0' &&
	    strcmp(epoch.owner.host, forgetter) != 0 &&
	    epoch.owner.lease_until > time(NULL))
		return err_set(err, ERR_BUSY, "the VM %s runs on the host %s: "
		    "it is not forgotten", uuid, epoch.owner.host);
	if (rc == 0 && epoch_fence(&epoch) == EPOCH_DONE)
		batch_add(b, STORE_PUT, EPOCH_KIND, uuid, epoch_text(&epoch),
		    version);
	else
		batch_add(b, STORE_CHECK, EPOCH_KIND, uuid, NULL, version);
	return 0;
}

int
vm_shred(struct kmxd *k, const struct vm *vm, const char *forgetter,
    const struct audit_entry *entry, struct err *err)
{
	bool forget = forgetter != NULL;
	struct batch b = { .count = 0 };
	uint8_t uuid[UUID_SIZE];
	size_t count;
	int rc;

	if ((rc = take_epoch(k, vm->uuid, forgetter, &b, err)) < 0)
		return rc;
	batch_add(&b, STORE_PUT, VM_KIND, vm->uuid, shredding_text(vm,
	    UINT32_MAX, true, forget, &count), vm->version);
	for (size_t i = 0; i < vm->group_count; i++)
		batch_group(&b, STORE_REMOVE, vm->groups[i], vm->uuid);
	batch_add(&b, STORE_REMOVE, VM_KEY_KIND, vm->uuid, NULL, STORE_ANY);
	batch_add(&b, STORE_PUT, VM_SHREDDING_KIND, vm->uuid, strdup("{}"),
	    STORE_ANY);
	rc = batch_commit(k, &b, entry, err);
	if (rc == ERR_EXISTS)
		return err_as(err, ERR_STALE);	/* opened meanwhile */
	if (rc == 0 && uuid_parse(vm->uuid, uuid) == 0)
		kek_cache_forget(k->keks, uuid);
	return rc;
}

/* 0 where no key was made yet. */
static int
newest_key_kek(struct kmxd *k, const char *uuid, uint32_t *n, struct err *err)
{
	struct field_bytes wrapped = { NULL, 0 };
	static const struct field fields[] = {
		{ "wrapped", FIELD_BYTES, 0, VM_KEY_WRAPPED_SIZE,
		    FIELD_NEEDED },
	};
	json_t *json = NULL;
	int rc = record_get(k->service.store, VM_KEY_KIND, uuid, &json, NULL,
	    err);

	*n = 0;
	if (rc == ERR_NOTFOUND) {
		*err = (struct err){ 0 };
		return 0;
	}
	if (rc == 0)
		rc = fields_read(json, fields, 1, &wrapped, ERR_FORMAT,
		    "a record of kind vm-key", err);
	if (rc == 0)
		rc = vm_key_number(wrapped.data, wrapped.size, n, err);
	free(wrapped.data);
	json_decref(json);
	return rc;
}

int
vm_retire(struct kmxd *k, const struct vm *vm, const struct audit_entry *entry,
    size_t *count, struct err *err)
{
	const struct vm_kek *newest = vm_newest(vm);
	struct batch b = { .count = 0 };
	uint8_t uuid[UUID_SIZE];
	uint32_t used = 0;
	int rc;

	if (newest == NULL)
		return err_set(err, ERR_REFUSED, "the VM %s has no KEK that "
		    "could stay", vm->uuid);
	if ((rc = newest_key_kek(k, vm->uuid, &used, err)) < 0)
		return rc;
	if (used != 0 && used < newest->n)
		return err_set(err, ERR_REFUSED, "the newest key of the VM %s "
		    "is under its KEK %u, which would be destroyed: rekey its "
		    "vTPM first (vtpmctl rekey)", vm->uuid, used);
	batch_add(&b, STORE_PUT, VM_KIND, vm->uuid, shredding_text(vm,
	    newest->n, false, false, count), vm->version);
	batch_add(&b, STORE_PUT, VM_SHREDDING_KIND, vm->uuid, strdup("{}"),
	    STORE_ANY);
	rc = batch_commit(k, &b, entry, err);
	if (rc == 0 && uuid_parse(vm->uuid, uuid) == 0)
		kek_cache_forget(k->keks, uuid);
	return rc;
}

static int
revoke_one(struct kmxd *k, const char *serial, struct err *err)
{
	struct batch b = { .count = 0 };
	struct store_record there = { 0 };
	json_t *json = NULL;
	uint64_t version = 0;
	int rc = store_get(k->service.store, EK_REVOKED_KIND, serial, &there,
	    NULL);

	store_record_reset(&there);
	if (rc == 0)
		return 0;
	rc = record_get(k->service.store, EK_CERT_KIND, serial, &json,
	    &version, err);
	if (rc == 0) {
		json_object_set_new(json, "revoked", json_integer(time(NULL)));
		batch_add(&b, STORE_PUT, EK_CERT_KIND, serial,
		    record_text(json), version);
		json_object_del(json, "issued");
		batch_add(&b, STORE_PUT, EK_REVOKED_KIND, serial,
		    record_text(json), STORE_ANY);
		rc = batch_commit(k, &b, NULL, err);
	}
	json_decref(json);
	return rc;
}

static int
revoke_all(struct kmxd *k, const char *uuid, struct err *err)
{
	struct vm vm = { 0 };
	int rc = vm_load(k->service.store, uuid, &vm, err);

	if (rc == 0 && vm.shredded != 0) {
		for (size_t i = 0; rc == 0 && i < vm.serial_count; i++)
			rc = revoke_one(k, vm.serials[i], err);
		if (vm.serial_count > 0 && k->ek_issuer != NULL)
			ek_issuer_revoked(k->ek_issuer);
	}
	vm_reset(&vm);
	return rc;
}

int
vm_finish(struct kmxd *k, const char *uuid, struct err *err)
{
	struct store_record mark = { 0 };
	int rc = store_get(k->service.store, VM_SHREDDING_KIND, uuid, &mark,
	    err);

	if (rc == ERR_NOTFOUND) {
		*err = (struct err){ 0 };
		return 0;
	}
	/* Its version, so that what others put meanwhile stays. */
	if (rc == 0 && (rc = revoke_all(k, uuid, err)) == 0 &&
	    (rc = kek_destroy(k, uuid, err)) == 0) {
		rc = store_remove(k->service.store, VM_SHREDDING_KIND, uuid,
		    mark.version, err);
		if (rc == ERR_STALE)
			rc = 0;
	}
	store_record_reset(&mark);
	return rc;
}

void
vm_finish_all(struct kmxd *k)
{
	struct store_list list = { 0 };
	struct err err = { 0 };

	if (store_list(k->service.store, &(struct store_query){
	    .kind = VM_SHREDDING_KIND, .max = 100 }, &list, &err) < 0)
		log_warning("cannot read what is to be destroyed: %s",
		    err.text);
	for (size_t i = 0; i < list.count; i++) {
		err = (struct err){ 0 };
		/* A node that is silent takes its time. */
		(void)kek_cache_expire(k->keks);
		if (vm_finish(k, list.records[i].key, &err) < 0)
			log_warning("%s", err.text);
	}
	store_list_reset(&list);
}

static void
review(struct kmxd *k, const char *alarm,
    bool (*over)(const struct vm *vm))
{
	char objects[ALARMS_MAX][ALARM_OBJECT_SIZE];
	size_t count = alarm_objects(k->alarms, alarm, objects);

	for (size_t i = 0; i < count; i++) {
		struct vm vm = { 0 };
		int rc = vm_load(k->service.store, objects[i], &vm, NULL);

		if (rc == ERR_NOTFOUND || (rc == 0 && over(&vm)))
			alarm_clear(k->alarms, alarm, objects[i]);
		vm_reset(&vm);
	}
}

static bool
is_shredded(const struct vm *vm)
{
	return vm->shredded != 0;
}

static bool
has_its_kek(const struct vm *vm)
{
	return is_shredded(vm) || vm_making(vm) == NULL;
}

static bool
is_destroyed(const struct vm *vm)
{
	for (size_t i = 0; i < vm->kek_count; i++)
		if (vm->keks[i].state == KEK_DESTROYING)
			return false;
	return true;
}

void
vm_review_alarms(struct kmxd *k)
{
	review(k, "key.create-failed", has_its_kek);
	review(k, "key.not-destroyed", is_destroyed);
	review(k, "epoch.replay", is_shredded);
}
