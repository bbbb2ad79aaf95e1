/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "trust-authority/keyprovider/kek-name.h"
#include "trust-authority/keyprovider/kek.h"

#define COMMIT_TRIES 8

/* An active key must be revoked before it can be destroyed (KMIP 1.4, 4.21). */
static int
destroy_id(struct kmip *c, const char *id, struct err *err)
{
	struct kmip_attributes a;
	int rc = kmip_get_attributes(c, id, &a, err);

	if (rc == 0 && (a.state == KMIP_DESTROYED ||
	    a.state == KMIP_DESTROYED_COMPROMISED))
		return 0;
	if (rc == 0 && a.state == KMIP_ACTIVE)
		rc = kmip_revoke(c, id, KMIP_CESSATION_OF_OPERATION,
		    "shredded", err);
	if (rc == 0)
		rc = kmip_destroy(c, id, err);
	return rc == ERR_NOTFOUND ? 0 : rc;
}

/* By its identifier, and whatever has its name: also one that was created for
 * somebody who never heard of it. */
static int
destroy_at(struct kmip *c, const char *id, const char *name, struct err *err)
{
	const struct kmip_key_spec spec = { .name = name };
	char ids[KEK_FOUND_MAX][KMIP_TEXT_SIZE];
	size_t count = 0;
	int rc = 0;

	if (id[0] != '\0')
		rc = destroy_id(c, id, err);
	if (rc == 0)
		rc = kmip_locate(c, &spec, ids, KEK_FOUND_MAX, &count, err);
	if (rc == ERR_NOTFOUND)
		return 0;
	for (size_t i = 0; rc == 0 && i < count && i < KEK_FOUND_MAX; i++)
		rc = destroy_id(c, ids[i], err);
	return rc;
}

/* Each node is asked by itself: what one of them has destroyed may still be in
 * another that was away. */
static int
destroy_one(struct kmxd *k, const char *uuid, const struct vm_kek *kek,
    struct err *err)
{
	char name[KEK_NAME_SIZE];
	struct kms *kms = NULL;
	int rc, first = 0;

	kek_name(k->config->common.authority.name, uuid, kek->n, name);
	if ((rc = kms_hold(k->kms, kek->kms, &kms, err)) < 0)
		return rc;
	for (size_t i = 0; i < kms_of(kms)->node_count; i++) {
		struct err why = { 0 };
		struct kmip *c = NULL;

		rc = kms_connect(kms_of(kms), i, &c, &why);
		if (rc == 0)
			rc = destroy_at(c, kek->id, name, &why);
		kmip_free(c);
		if (rc < 0 && first == 0)
			first = err_set(err, rc, "KEK %u of the VM %s is not "
			    "destroyed yet at %s: %s", kek->n, uuid,
			    kms_of(kms)->nodes[i], why.text);
	}
	kms_release(k->kms, kms);
	return first;
}

/* Of the record as it is by now. */
static int
record_destroyed(struct kmxd *k, const char *uuid, uint32_t n,
    struct err *err)
{
	const struct audit_entry entry = { "vta-kmxd", "key.destroyed", NULL,
		NULL, "ok", NULL };
	int rc = 0;

	for (int i = 0; i < COMMIT_TRIES; i++) {
		char object[UUID_TEXT_SIZE + 24];
		struct audit_entry one = entry;
		struct vm_kek *kek;
		struct vm vm = { 0 };
		struct store_op op;
		char *text = NULL;

		snprintf(object, sizeof(object), "vm/%s/kek/%u", uuid, n);
		one.object = object;
		rc = vm_load(k->service.store, uuid, &vm, err);
		if (rc == 0 && (kek = vm_kek(&vm, n)) != NULL &&
		    kek->state == KEK_DESTROYING) {
			kek->state = KEK_DESTROYED;
			text = vm_text(&vm);
			rc = text == NULL ? err_set(err, ERR_SYSTEM,
			    "no memory for a record") : 0;
		}
		if (rc == 0 && text != NULL) {
			op = record_put(VM_KIND, uuid, text, vm.version);
			rc = audit_commit(k->service.store, &one, &op, 1,
			    NULL, err);
		}
		free(text);
		vm_reset(&vm);
		if (rc != ERR_STALE)
			break;
	}
	return rc;
}

int
kek_destroy(struct kmxd *k, const char *uuid, struct err *err)
{
	uint8_t raw[UUID_SIZE];
	struct vm vm = { 0 };
	int rc, first = 0;

	if (uuid_parse(uuid, raw) == 0)
		kek_cache_forget(k->keks, raw);
	if ((rc = vm_load(k->service.store, uuid, &vm, err)) < 0)
		return rc;
	for (size_t i = 0; i < vm.kek_count; i++) {
		const struct vm_kek *kek = &vm.keks[i];

		if (kek->state != KEK_DESTROYING)
			continue;
		rc = destroy_one(k, uuid, kek, err);
		if (rc == 0)
			rc = record_destroyed(k, uuid, kek->n, err);
		if (rc < 0 && first == 0)
			first = rc;
	}
	vm_reset(&vm);
	if (first < 0)
		alarm_raise(k->alarms, "key.not-destroyed", uuid, err->text);
	else
		alarm_clear(k->alarms, "key.not-destroyed", uuid);
	return first;
}
