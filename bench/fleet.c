/* SPDX-License-Identifier: BSD-3-Clause */
#include "bench/fleet.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "trust-authority/attest/ek-cert.h"
#include "trust-authority/common/directory.h"
#include "trust-authority/common/token.h"
#include "trust-authority/keyprovider/epoch-record.h"
#include "trust-authority/keyprovider/vm.h"

#define LEASE 305	/* seconds, as vta-kmxd grants them */

void
fleet_host_name(size_t host, char out[32])
{
	snprintf(out, 32, "host-%05zu", host);
}

void
fleet_vm(size_t host, size_t vm, char uuid[40], char instance[40])
{
	snprintf(uuid, 40, "f1ee0000-%04zx-4000-8000-%012zx", vm, host);
	snprintf(instance, 40, "%016zx%016zx", host, vm);
}

/* The store's own table, in one transaction: store_commit syncs each. */
struct writer {
	sqlite3 *db;
	sqlite3_stmt *put;
};

static int
put(struct writer *w, const struct store_op *op, struct err *err)
{
	sqlite3_bind_text(w->put, 1, op->kind, -1, SQLITE_STATIC);
	sqlite3_bind_text(w->put, 2, op->key, -1, SQLITE_STATIC);
	sqlite3_bind_blob(w->put, 3, op->value, (int)op->size, SQLITE_STATIC);
	if (sqlite3_step(w->put) != SQLITE_DONE)
		return err_set(err, ERR_SYSTEM, "cannot fill the store: %s",
		    sqlite3_errmsg(w->db));
	sqlite3_reset(w->put);
	return 0;
}

static int
put_text(struct writer *w, const char *kind, const char *key, char *text,
    struct err *err)
{
	struct store_op op = { .kind = kind, .key = key, .value = text,
		.size = text != NULL ? strlen(text) : 0 };
	int rc = text != NULL ? put(w, &op, err) :
	    err_set(err, ERR_INTERNAL, "out of memory");

	free(text);
	return rc;
}

/* Releases the op's text. */
static int
put_op(struct writer *w, int rc, struct store_op *op, struct err *err)
{
	if (rc == 0)
		rc = put(w, op, err);
	if (rc == 0)
		free((void *)(uintptr_t)op->value);
	return rc;
}

static int
put_host(struct fleet *f, struct writer *w, size_t i, struct err *err)
{
	static struct directory_attested attested;
	static struct directory_host host;
	const struct soft_host *soft = i < f->attesting ? &f->soft[i] : NULL;
	struct store_op op = { .value = NULL };
	int64_t now = time(NULL);
	uint8_t digest[HASH_MAX];
	char hex[HASH_HEX_SIZE], *ak;
	int rc;

	memset(&attested, 0, sizeof(attested));
	memset(&host, 0, sizeof(host));
	fleet_host_name(i, host.name);
	snprintf(host.group, sizeof(host.group), "%.64s", f->a->place.group);
	snprintf(host.ek, sizeof(host.ek), "%064zx", i);
	snprintf(host.ek_pem, sizeof(host.ek_pem), "%0400zx", i);
	host.added = now;
	memcpy(attested.host, host.name, sizeof(attested.host));
	snprintf(attested.state, sizeof(attested.state), ATTESTED_ATTESTED);
	snprintf(attested.policy, sizeof(attested.policy), "base");
	snprintf(attested.ak, sizeof(attested.ak), "x");
	attested.since = attested.last = now;
	attested.token_expires = now + 3600;
	if (soft != NULL) {
		if ((rc = ek_fingerprint(soft->ek_key, digest, err)) < 0 ||
		    (ak = base64_text(soft->ak_pub, soft->ak_size)) == NULL)
			return ERR_INTERNAL;
		hash_hex(digest, 32, hex);
		memcpy(host.ek, hex, sizeof(host.ek));
		snprintf(attested.ak, sizeof(attested.ak), "%s", ak);
		free(ak);
	}
	if ((rc = put_op(w, directory_host_op(&host, &op, err), &op,
	    err)) < 0 ||
	    (rc = put_op(w, directory_host_ek_op(&host, 0, &op, err), &op,
	    err)) < 0)
		return rc;
	return put_op(w, directory_attested_op(&attested, &op, err), &op, err);
}

/* As one that runs there; leases end at different times. */
static int
put_vm(struct fleet *f, struct writer *w, size_t host, size_t i,
    struct err *err)
{
	struct vm vm = { .needs_trust = true, .group_count = 1 };
	struct epoch_record e = { .epoch = FLEET_EPOCH, .confirmed = true };
	char uuid[40], instance[40], key[NAME_MAX_SIZE + UUID_TEXT_SIZE];
	struct vm_kek *kek;
	int rc;

	fleet_vm(host, i, uuid, instance);
	memcpy(vm.uuid, uuid, sizeof(vm.uuid));
	snprintf(vm.title, sizeof(vm.title), "vm %zu of host %zu", i, host);
	snprintf(vm.groups[0], NAME_MAX_SIZE, "%.64s", f->a->place.group);
	snprintf(vm.by, sizeof(vm.by), "host host-%05zu", host);
	vm.created = time(NULL);
	if ((kek = vm_add_kek(&vm, "main")) == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	kek->state = KEK_ACTIVE;
	snprintf(kek->id, sizeof(kek->id), "%zu", host * f->vms_each + i);
	fleet_host_name(host, e.owner.host);
	(void)hex_read(instance, e.owner.instance, sizeof(e.owner.instance));
	e.owner.lease_until = time(NULL) + LEASE - (int64_t)(host % 200);
	snprintf(key, sizeof(key), "%.60s/%.36s", f->a->place.group,
	    uuid);
	if ((rc = put_text(w, VM_KIND, uuid, vm_text(&vm), err)) == 0 &&
	    (rc = put_text(w, VM_GROUP_KIND, key, strdup("{}"), err)) == 0)
		rc = put_text(w, EPOCH_KIND, uuid, epoch_text(&e), err);
	vm_reset(&vm);
	return rc;
}

static int
fill(struct fleet *f, const char *file, struct err *err)
{
	struct writer w = { NULL, NULL };
	int rc = 0;

	if (sqlite3_open(file, &w.db) != SQLITE_OK ||
	    sqlite3_busy_timeout(w.db, 30000) != SQLITE_OK ||
	    sqlite3_exec(w.db, "BEGIN IMMEDIATE; UPDATE revision SET number = "
	    "number + 1", NULL, NULL, NULL) != SQLITE_OK ||
	    sqlite3_prepare_v2(w.db, "INSERT INTO record (kind, key, version, "
	    "value) VALUES (?1, ?2, (SELECT number FROM revision), ?3)", -1,
	    &w.put, NULL) != SQLITE_OK)
		rc = err_set(err, ERR_SYSTEM, "cannot fill the store: %s",
		    sqlite3_errmsg(w.db));
	for (size_t i = 0; i < f->hosts && rc == 0; i++) {
		rc = put_host(f, &w, i, err);
		for (size_t j = 0; j < f->vms_each && rc == 0; j++)
			rc = put_vm(f, &w, i, j, err);
	}
	sqlite3_finalize(w.put);
	if (rc == 0 && sqlite3_exec(w.db, "COMMIT", NULL, NULL,
	    NULL) != SQLITE_OK)
		rc = err_set(err, ERR_SYSTEM, "cannot fill the store: %s",
		    sqlite3_errmsg(w.db));
	sqlite3_close(w.db);
	return rc;
}

static int
make_token(struct fleet *f, size_t i, struct err *err)
{
	const struct place *p = &f->a->place;
	struct token_claims c = { .transport = f->a->transport };

	snprintf(c.issuer, sizeof(c.issuer), "%.255s", p->issuer);
	snprintf(c.audience, sizeof(c.audience), "vta-kmxd");
	fleet_host_name(i, c.host);
	snprintf(c.group, sizeof(c.group), "%.255s", p->group);
	snprintf(c.policy, sizeof(c.policy), "base");
	return token_issue(p->keys, &c, 3600, time(NULL), &f->tokens[i], err);
}

int
fleet_new(const struct authority_bench *a, size_t attesting,
    struct fleet **out, struct err *err)
{
	struct fleet *f = calloc(1, sizeof(*f));
	int rc = 0;

	if (f == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	*out = f;
	f->a = a;
	f->hosts = a->plan.hosts;
	f->vms_each = a->plan.vms_each;
	f->attesting = attesting < f->hosts ? attesting : f->hosts;
	f->soft = calloc(f->attesting, sizeof(*f->soft));
	f->tokens = calloc(f->hosts, sizeof(*f->tokens));
	if (f->soft == NULL || f->tokens == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	for (size_t i = 0; i < f->attesting && rc == 0; i++) {
		fleet_host_name(i, f->soft[i].name);
		rc = soft_host_make(&f->soft[i], false, &a->ca, err);
	}
	for (size_t i = 0; i < f->hosts && rc == 0; i++)
		rc = make_token(f, i, err);
	return rc < 0 ? rc : fill(f, a->place.file, err);
}

void
fleet_free(struct fleet *f)
{
	if (f == NULL)
		return;
	for (size_t i = 0; f->soft != NULL && i < f->attesting; i++)
		soft_host_reset(&f->soft[i]);
	for (size_t i = 0; f->tokens != NULL && i < f->hosts; i++)
		free(f->tokens[i]);
	free(f->soft);
	free(f->tokens);
	free(f);
}
