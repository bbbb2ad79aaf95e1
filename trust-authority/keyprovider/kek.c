/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/keyprovider/kek.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "trust-authority/keyprovider/kek-name.h"

#define MAKING_SECONDS 60	/* more than all that the KMS may take */
#define COMMIT_TRIES 8

void
kek_name(const char *authority, const char *uuid, uint32_t n,
    char out[KEK_NAME_SIZE])
{
	snprintf(out, KEK_NAME_SIZE, "vta:%.64s:%.40s:%u", authority, uuid, n);
}

/* Some workers stay free of a KMS that is slow: leases must not wait for it. */
static int
kms_enter(struct kmxd *k, struct err *err)
{
	bool room;

	pthread_mutex_lock(&k->lock);
	if ((room = k->at_kms < k->at_kms_max))
		k->at_kms++;
	pthread_mutex_unlock(&k->lock);
	return room ? 0 : err_set(err, ERR_BUSY, "too many requests wait for "
	    "the KMS; try again");
}

static void
kms_leave(struct kmxd *k)
{
	pthread_mutex_lock(&k->lock);
	k->at_kms--;
	pthread_mutex_unlock(&k->lock);
}

/* -- using ---------------------------------------------------------------- */

struct fetching {
	struct kmxd *k;
	const char *uuid;
	const struct vm_kek *kek;
};

static int
fetch(void *arg, uint8_t key[KEK_SIZE], struct err *err)
{
	struct fetching *f = arg;
	struct secret *got = NULL;
	struct kms *kms = NULL;
	int rc;

	if ((rc = kms_enter(f->k, err)) < 0)
		return rc;
	if ((rc = kms_hold(f->k->kms, f->kek->kms, &kms, err)) == 0)
		rc = kmip_get(kms_client(kms), f->kek->id, &got, err);
	if (rc == 0)
		memcpy(key, secret_bytes(got), KEK_SIZE);
	if (rc == ERR_NOTFOUND)
		rc = err_prefix(err, "KEK %u of the VM %s is not in the KMS "
		    "%s (destroyed there?)", f->kek->n, f->uuid, f->kek->kms);
	secret_free(got);
	kms_release(f->k->kms, kms);
	kms_leave(f->k);
	/* What a host would take for its own mistake; ERR_NOTFOUND, which is
	 * this KEK's alone, is host_answer's to say. */
	return rc == ERR_REFUSED || rc == ERR_AUTH || rc == ERR_FORMAT ||
	    rc == ERR_USAGE ?
	    err_as(err, ERR_CLOSED) : rc;
}

int
kek_hold(struct kmxd *k, const struct vm *vm, uint32_t n,
    struct kek_entry **entry, const uint8_t **key, struct http_answer *answer,
    struct err *err)
{
	const struct vm_kek *kek = vm_kek(vm, n);
	struct fetching f = { k, vm->uuid, kek };
	uint8_t uuid[UUID_SIZE];
	int rc;

	if (kek == NULL || uuid_parse(vm->uuid, uuid) < 0)
		return err_set(err, ERR_KEY, "the VM %s has never had a KEK "
		    "%u: this key is another VM's, or altered", vm->uuid, n);
	if (kek->state != KEK_ACTIVE)
		return blame(answer, "grant", err_set(err, ERR_KEY, "KEK %u of "
		    "the VM %s has been %s: what it wrapped cannot be opened "
		    "any more; use a copy that was rekeyed since", n, vm->uuid,
		    kek->state == KEK_MAKING ? "begun only" : "destroyed"));
	rc = kek_cache_hold(k->keks, uuid, n, fetch, &f, entry, key, err);
	return rc < 0 ? blame(answer, "kms", rc) : 0;
}

/* -- making --------------------------------------------------------------- */

/* Usable keys of that name; those that have been destroyed are passed over. */
static int
locate(struct kmip *c, const char *name, char id[KMIP_TEXT_SIZE],
    bool *activate, struct err *err)
{
	const struct kmip_key_spec spec = { .name = name };
	char ids[KEK_FOUND_MAX][KMIP_TEXT_SIZE];
	size_t count = 0;
	int rc = kmip_locate(c, &spec, ids, KEK_FOUND_MAX, &count, err);

	id[0] = '\0';
	for (size_t i = 0; rc == 0 && i < count && i < KEK_FOUND_MAX; i++) {
		struct kmip_attributes a;

		rc = kmip_get_attributes(c, ids[i], &a, err);
		if (rc == 0 && (a.state == KMIP_PRE_ACTIVE ||
		    a.state == KMIP_ACTIVE)) {
			memcpy(id, ids[i], KMIP_TEXT_SIZE);
			*activate = a.state == KMIP_PRE_ACTIVE;
			break;
		}
		if (rc == ERR_NOTFOUND)
			rc = 0;
	}
	return rc;
}

/* Found by its name, where a create's answer was lost or its asker died, or
 * created. */
static int
make_at(struct kmip *c, const char *name, char id[KMIP_TEXT_SIZE],
    struct err *err)
{
	const struct kmip_key_spec spec = { .name = name,
		.usage = KMIP_USE_WRAP | KMIP_USE_UNWRAP };
	bool activate = true;
	int rc;

	if ((rc = locate(c, name, id, &activate, err)) < 0)
		return rc;
	if (id[0] == '\0') {
		activate = true;
		rc = kmip_create(c, &spec, id, err);
		if (rc == ERR_CLOSED) {
			*err = (struct err){ 0 };
			rc = locate(c, name, id, &activate, err);
			if (rc == 0 && id[0] == '\0')
				rc = err_set(err, ERR_CLOSED, "the KMS did "
				    "not answer, and has made no key");
		}
	}
	if (rc == 0 && activate)
		rc = kmip_activate(c, id, err);
	return rc;
}

static int
commit_vm(struct kmxd *k, struct vm *vm, const struct audit_entry *entry,
    struct err *err)
{
	struct store_op op;
	char *text = vm_text(vm);
	int rc;

	if (text == NULL)
		return err_set(err, ERR_SYSTEM, "no memory for a record");
	op = record_put(VM_KIND, vm->uuid, text, vm->version);
	if (entry != NULL)
		rc = audit_commit(k->service.store, entry, &op, 1, NULL, err);
	else
		rc = store_commit(k->service.store, &op, 1, &vm->version, NULL,
		    err);
	free(text);
	return rc;
}

static int
reload(struct kmxd *k, struct vm *vm, struct err *err)
{
	char uuid[UUID_TEXT_SIZE];

	memcpy(uuid, vm->uuid, sizeof(uuid));
	vm_reset(vm);
	return vm_load(k->service.store, uuid, vm, err);
}

/* Takes the making of KEK n upon this process for MAKING_SECONDS; or, where n
 * is 0, begins a new one. */
static int
claim(struct kmxd *k, struct vm *vm, uint32_t *n, struct http_answer *answer,
    struct err *err)
{
	struct vm_kek *making = vm_making(vm);
	int64_t now = time(NULL);
	struct kms *kms = NULL;
	int rc;

	if (making != NULL && now < making->making_until)
		return blame(answer, "kms", err_set(err, ERR_BUSY, "a KEK of "
		    "the VM %s is being made just now, or was when vta-kmxd "
		    "ended; try again in %" PRId64 " s at most", vm->uuid,
		    making->making_until - now));
	if (making == NULL) {
		if ((rc = kms_hold(k->kms, NULL, &kms, err)) < 0)
			return rc;
		making = vm_add_kek(vm, kms_of(kms)->name);
		kms_release(k->kms, kms);
		if (making == NULL)
			return err_set(err, ERR_REFUSED, "the VM %s has had "
			    "%d KEKs: it gets no more", vm->uuid, VM_KEKS_MAX);
	}
	making->making_until = now + MAKING_SECONDS;
	*n = making->n;
	return commit_vm(k, vm, NULL, err);
}

/* Records that KEK n is id, or (id NULL) that it may be tried again at once.
 * Others may have changed the record meanwhile. */
static int
settle(struct kmxd *k, struct vm *vm, uint32_t n, const char *id,
    const struct audit_entry *entry, struct err *err)
{
	int rc = 0;

	for (int i = 0; i < COMMIT_TRIES; i++) {
		struct vm_kek *kek = vm_kek(vm, n);

		if (kek == NULL || kek->state != KEK_MAKING)
			return err_set(err, ERR_REFUSED, "the VM %s was "
			    "shredded while KEK %u was made", vm->uuid, n);
		kek->making_until = 0;
		if (id != NULL) {
			snprintf(kek->id, sizeof(kek->id), "%s", id);
			kek->state = KEK_ACTIVE;
		}
		rc = commit_vm(k, vm, entry, err);
		if (rc != ERR_STALE)
			break;
		if ((rc = reload(k, vm, err)) < 0)
			break;
	}
	return rc;
}

static int
make_in_kms(struct kmxd *k, const struct vm *vm, uint32_t n,
    char id[KMIP_TEXT_SIZE], struct err *err)
{
	char name[KEK_NAME_SIZE];
	struct kms *kms = NULL;
	int rc;

	kek_name(k->config->common.authority.name, vm->uuid, n, name);
	if ((rc = kms_enter(k, err)) < 0)
		return rc;
	rc = kms_hold(k->kms, vm_kek(vm, n)->kms, &kms, err);
	if (rc == 0)
		rc = make_at(kms_client(kms), name, id, err);
	kms_release(k->kms, kms);
	kms_leave(k);
	return rc;
}

static int
make_one(struct kmxd *k, struct vm *vm, const char *who, const char *from,
    struct http_answer *answer, struct err *err)
{
	char id[KMIP_TEXT_SIZE], object[UUID_TEXT_SIZE + 8];
	struct audit_entry entry = { who, "key.create", object, from, "ok",
		NULL };
	struct err ignored = { 0 };
	json_t *detail = NULL;
	uint32_t n = 0;
	int rc;

	if ((rc = claim(k, vm, &n, answer, err)) < 0)
		return rc;
	snprintf(object, sizeof(object), "vm/%s", vm->uuid);
	if ((rc = make_in_kms(k, vm, n, id, err)) < 0) {
		(void)settle(k, vm, n, NULL, NULL, &ignored);
		return rc;
	}
	detail = json_pack("{sI ss ss}", "kek", (json_int_t)n, "kms",
	    vm_kek(vm, n)->kms, "id", id);
	entry.detail = detail;
	rc = settle(k, vm, n, id, &entry, err);
	json_decref(detail);
	return rc;
}

int
kek_make(struct kmxd *k, struct vm *vm, const char *who, const char *from,
    struct http_answer *answer, struct err *err)
{
	int rc = make_one(k, vm, who, from, answer, err);

	if (rc == 0) {
		alarm_clear(k->alarms, "key.create-failed", vm->uuid);
		return reload(k, vm, err);
	}
	if (rc != ERR_STALE && rc != ERR_EXISTS && rc != ERR_BUSY)
		alarm_raise(k->alarms, "key.create-failed", vm->uuid,
		    err->text);
	/* Somebody was faster. */
	if (rc == ERR_STALE)
		return err_set(err, ERR_BUSY, "the VM %s is being changed "
		    "just now; try again", vm->uuid);
	if (rc == ERR_EXISTS || rc == ERR_BUSY)
		return rc;
	return blame(answer, "kms", rc == ERR_REFUSED || rc == ERR_NOTFOUND ||
	    rc == ERR_UNSUPPORTED || rc == ERR_FORMAT || rc == ERR_AUTH ?
	    err_as(err, ERR_CLOSED) : rc);
}
