/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/agent/daemon/owner.h"

#include <string.h>

#include "base/log.h"
#include "trust-authority/agent/daemon/keeper.h"
#include "trust-authority/agent/daemon/leases-ask.h"
#include "trust-authority/agent/daemon/owner-alone.h"

/* What this host knows of the VM; false where it keeps nothing. */
static bool
record_load(struct kmxa *k, const uint8_t vm[UUID_SIZE],
    struct kept_record *r)
{
	struct kept *kept = keys_kept(k->keys);

	return kept != NULL && kept_load(kept, vm, r, NULL) == 0;
}

/* A record that cannot be written must not stay as it was. */
static int
record_save(struct kmxa *k, const struct kept_record *r, struct err *err)
{
	struct err why = { 0 };

	if (kept_save(keys_kept(k->keys), r, &why) == 0)
		return 0;
	log_event(LOG_LEVEL_WARNING, "agent.not_kept", "error=\"%s\"",
	    why.text);
	kept_drop(keys_kept(k->keys), r->vm);
	return err_set(err, why.code, "%s", why.text);
}

static int
own(struct kmxa *k, const struct owner_claim *c,
    const struct owner_grant *grant, bool alone, uint64_t connection,
    struct err *err)
{
	struct lease lease = { .epoch = grant->epoch,
		.seconds = grant->seconds, .alone = alone,
		.connection = connection };

	memcpy(lease.vm, c->vm, UUID_SIZE);
	memcpy(lease.instance, c->instance, LEASES_INSTANCE_SIZE);
	return leases_add(k->leases, &lease, err);
}

static int
acquire_alone(struct kmxa *k, const struct owner_claim *c,
    struct kept_record *r, uint64_t connection, struct owner_grant *grant,
    struct owner_why *why, struct err *err)
{
	char name[UUID_TEXT_SIZE];
	struct err down = { 0 };
	bool was_clean = r->clean;
	int rc;

	if (err != NULL)
		down = *err;
	uuid_format(c->vm, name);
	why->open = false;
	why->fault = AGENT_FAULT_EPOCH;
	/* A verdict came while kmxd was asked; what it wiped may have been
	 * read before. */
	if (trust_is_lost(k->trust)) {
		why->fault = AGENT_FAULT_HOST;
		return err_append(err, "; and the authority refuses this host");
	}
	if (leases_is_held(k->leases, c->vm, c->instance))
		return err_set(err, ERR_BUSY, "VM %s runs on this host "
		    "already", name);
	if ((rc = owner_alone_judge(r, c, err)) < 0) {
		why->fault = rc == ERR_STALE ? AGENT_FAULT_EPOCH :
		    AGENT_FAULT_AUTHORITY;
		return err_append(err, "; and the authority cannot be asked: "
		    "%s", down.text);
	}
	*grant = (struct owner_grant){ .epoch = r->epoch,
		.synced = was_clean && r->synced,
		.seconds = LEASES_ALONE_SECONDS };
	if ((rc = record_save(k, r, err)) < 0 ||
	    (rc = own(k, c, grant, r->local > 0, connection, err)) < 0)
		return rc;
	log_event(LOG_LEVEL_WARNING, "agent.granted_alone", "vm=%s epoch=%llu "
	    "error=\"%s\"", name, (unsigned long long)grant->epoch,
	    down.text);
	keeper_wake(k);
	return 0;
}

static void
lose(struct kmxa *k, const struct kept_record *r, const struct owner_why *why,
    const struct err *err)
{
	char name[UUID_TEXT_SIZE];

	uuid_format(r->vm, name);
	log_event(LOG_LEVEL_ERROR, "agent.reconcile_failed", "vm=%s "
	    "epoch=%llu fault=%s error=\"%s\"", name,
	    (unsigned long long)r->epoch, agent_fault_name(
	    (uint8_t)why->fault), err->text);
	leases_lost(k->leases, r->vm, r->epoch, r->instance,
	    AGENT_FAULT_EPOCH, err->text);
	keys_drop(k->keys, r->vm);
}

/* With the VM's lock. 0: the authority knows all now, or has given the VM to
 * another, and the record is not owned any more. Else why it could not be told;
 * why->open says whether that is for want of somebody who decides. */
static int
reconcile(struct kmxa *k, struct kept_record *r, struct owner_why *why,
    struct err *err)
{
	char name[UUID_TEXT_SIZE];
	int rc;

	if (!r->dirty)
		return 0;
	rc = owner_tell(k, r, why, err);
	uuid_format(r->vm, name);
	if (rc == 0) {
		leases_known(k->leases, r->vm);
		log_event(LOG_LEVEL_INFO, "agent.reconciled", "vm=%s "
		    "epoch=%llu", name, (unsigned long long)r->epoch);
	} else if (rc == ERR_STALE ||
	    (rc == ERR_BUSY && why->fault == AGENT_FAULT_EPOCH)) {
		lose(k, r, why, err);
		r->owned = r->dirty = false;
		rc = 0;
	} else if (!why->open)
		log_warning("VM %s: the authority does not take what was "
		    "granted here yet: %s", name, err->text);
	return rc;
}

void
owner_reconcile(struct kmxa *k, const uint8_t vm[UUID_SIZE])
{
	struct owner_why why;
	struct err err = { 0 };
	struct kept_record r;

	kmxa_vm_lock(k, vm);
	if (record_load(k, vm, &r))
		(void)reconcile(k, &r, &why, &err);
	kmxa_vm_unlock(k, vm);
}

static int
acquire(struct kmxa *k, const struct owner_claim *c, uint64_t connection,
    struct owner_grant *grant, struct owner_why *why, struct err *err)
{
	struct kept_record r;
	bool kept = record_load(k, c->vm, &r);
	int rc = 0;

	if (kept && (rc = reconcile(k, &r, why, err)) < 0)
		(void)err_prefix(err, "it has not heard yet of what was "
		    "granted here");
	if (rc == 0)
		rc = owner_call_acquire(k, c, grant, why, err);
	if (rc < 0 && why->open && kept)
		return acquire_alone(k, c, &r, connection, grant, why, err);
	if (rc < 0)
		return rc;
	if (kept) {
		owner_record_grant(&r, c, grant);
		(void)record_save(k, &r, NULL);
	}
	return own(k, c, grant, false, connection, err);
}

int
owner_acquire(struct kmxa *k, const struct owner_claim *c,
    uint64_t connection, struct owner_grant *grant, struct owner_why *why,
    struct err *err)
{
	int rc;

	*why = (struct owner_why){ .fault = AGENT_FAULT_AGENT };
	kmxa_vm_lock(k, c->vm);
	rc = acquire(k, c, connection, grant, why, err);
	kmxa_vm_unlock(k, c->vm);
	return rc;
}

/* What was granted here, and the authority has not heard of, comes first. */
static int
settle(struct kmxa *k, const uint8_t vm[UUID_SIZE], struct kept_record *r,
    bool *kept, struct owner_why *why, struct err *err)
{
	int rc;

	*kept = record_load(k, vm, r);
	*why = (struct owner_why){ .fault = AGENT_FAULT_AGENT };
	if (*kept && (rc = reconcile(k, r, why, err)) < 0) {
		(void)err_prefix(err, "it has not heard yet of what was "
		    "granted here");
		return rc;
	}
	return 0;
}

int
owner_offer(struct kmxa *k, const struct owner_claim *c,
    struct owner_why *why, struct err *err)
{
	struct kept_record r;
	bool kept;
	int rc;

	kmxa_vm_lock(k, c->vm);
	rc = settle(k, c->vm, &r, &kept, why, err);
	if (rc == 0 && kept) {
		r.owned = r.held = false;
		rc = record_save(k, &r, err);
	}
	if (rc == 0)
		rc = owner_call_offer(k, c, why, err);
	/* Renewed no more: what is not claimed in a lease's time is anybody's
	 * who may have the VM. */
	if (rc == 0)
		leases_remove(k->leases, c->vm, c->instance);
	kmxa_vm_unlock(k, c->vm);
	return rc;
}

static int
take_up(struct kmxa *k, const char *path, const struct owner_claim *c,
    uint64_t connection, struct owner_grant *grant, struct owner_why *why,
    struct err *err)
{
	struct kept_record r;
	bool kept;
	int rc;

	kmxa_vm_lock(k, c->vm);
	rc = settle(k, c->vm, &r, &kept, why, err);
	if (rc == 0)
		rc = owner_call_take_up(k, path, c, grant, why, err);
	if (rc == 0 && kept) {
		owner_record_grant(&r, c, grant);
		(void)record_save(k, &r, NULL);
	}
	if (rc == 0)
		rc = own(k, c, grant, false, connection, err);
	kmxa_vm_unlock(k, c->vm);
	return rc;
}

int
owner_take_up(struct kmxa *k, const struct owner_claim *c,
    uint64_t connection, struct owner_grant *grant, struct owner_why *why,
    struct err *err)
{
	return take_up(k, "/claim", c, connection, grant, why, err);
}

int
owner_take_back(struct kmxa *k, const struct owner_claim *c,
    uint64_t connection, struct owner_grant *grant, struct owner_why *why,
    struct err *err)
{
	return take_up(k, "/reclaim", c, connection, grant, why, err);
}

/* Whether the record is about the epoch that this claim has. */
static bool
is_about(const struct kept_record *r, const struct owner_claim *c)
{
	return r->owned && r->epoch == c->epoch && memcmp(r->instance,
	    c->instance, KEPT_INSTANCE_SIZE) == 0;
}

/* confirm or release: change is what it does to the record. */
static int
tell_step(struct kmxa *k, const struct owner_claim *c,
    void (*change)(struct kept_record *r, const struct owner_claim *c),
    int (*call)(struct kmxa *k, const struct owner_claim *c,
    struct owner_why *why, struct err *err), struct owner_why *why,
    struct err *err)
{
	struct kept_record r;
	bool kept = record_load(k, c->vm, &r) && is_about(&r, c);
	struct err ignored = { 0 };
	int rc = 0;

	*why = (struct owner_why){ .fault = AGENT_FAULT_AGENT };
	if (kept && r.dirty) {
		change(&r, c);
		if ((rc = record_save(k, &r, err)) < 0)
			return rc;
		/* Told later: what runs goes on. */
		if (reconcile(k, &r, why, &ignored) < 0)
			return 0;
		if (!r.owned) {
			why->fault = AGENT_FAULT_EPOCH;
			return err_set(err, ERR_STALE, "the authority gave "
			    "this VM's epoch to another meanwhile");
		}
		return 0;
	}
	rc = call(k, c, why, err);
	if (!kept || (rc < 0 && !why->open))
		return rc;
	change(&r, c);
	r.dirty = rc < 0;
	r.held = rc < 0 || !r.clean;
	if (!r.dirty && r.clean)
		memcpy(r.base_digest, r.digest, KEPT_DIGEST_SIZE);
	rc = record_save(k, &r, r.dirty ? err : NULL);
	if (!r.dirty)
		return 0;
	keeper_wake(k);
	return rc;
}

static void
set_confirmed(struct kept_record *r, const struct owner_claim *c)
{
	(void)c;
	r->confirmed = true;
}

int
owner_confirm(struct kmxa *k, const struct owner_claim *c,
    struct owner_why *why, struct err *err)
{
	int rc;

	kmxa_vm_lock(k, c->vm);
	rc = tell_step(k, c, set_confirmed, owner_call_confirm, why, err);
	kmxa_vm_unlock(k, c->vm);
	return rc;
}

int
owner_release(struct kmxa *k, const struct owner_claim *c,
    struct owner_why *why, struct err *err)
{
	int rc;

	kmxa_vm_lock(k, c->vm);
	rc = tell_step(k, c, owner_record_clean, owner_call_release, why,
	    err);
	if (rc == 0)
		leases_remove(k->leases, c->vm, c->instance);
	kmxa_vm_unlock(k, c->vm);
	return rc;
}

int
owner_check(struct kmxa *k, const struct owner_claim *c,
    struct owner_why *why, struct err *err)
{
	struct kept_record r;
	struct err down = { 0 };
	int rc;

	kmxa_vm_lock(k, c->vm);
	rc = owner_call_check(k, c, why, &down);
	if (rc < 0 && why->open && record_load(k, c->vm, &r)) {
		why->fault = AGENT_FAULT_EPOCH;
		rc = owner_alone_judge(&r, c, &down);
	}
	kmxa_vm_unlock(k, c->vm);
	if (rc < 0 && err != NULL)
		*err = down;
	return rc;
}

int
owner_attach(struct kmxa *k, const struct owner_claim *c,
    uint64_t connection, struct owner_why *why, struct err *err)
{
	struct lease lease = { .epoch = c->epoch, .connection = connection,
		.seconds = LEASES_UNKNOWN_SECONDS };
	struct kept_record r;
	int rc = 0;

	*why = (struct owner_why){ .fault = AGENT_FAULT_AGENT };
	memcpy(lease.vm, c->vm, UUID_SIZE);
	memcpy(lease.instance, c->instance, LEASES_INSTANCE_SIZE);
	kmxa_vm_lock(k, c->vm);
	lease.alone = record_load(k, c->vm, &r) && is_about(&r, c) &&
	    r.local > 0;
	if (!lease.alone)
		rc = leases_ask_one(k, &lease, &why->fault, err);
	/* Nobody to ask, or refused for what may pass: the VM goes on, and the
	 * next renewal tells. */
	if (rc < 0 && rc != ERR_STALE)
		rc = 0;
	if (rc == 0 && !leases_attach(k->leases, &lease))
		rc = leases_add(k->leases, &lease, err);
	kmxa_vm_unlock(k, c->vm);
	return rc;
}
