/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/agent/daemon/owner-alone.h"

#include <string.h>

static bool
same_digest(const uint8_t *a, const uint8_t *b)
{
	return memcmp(a, b, KEPT_DIGEST_SIZE) == 0;
}

static void
take_instance(struct kept_record *r, const struct owner_claim *c)
{
	memcpy(r->instance, c->instance, KEPT_INSTANCE_SIZE);
}

/* It was open here, and did not come to an orderly end: the same instance may
 * go on in its epoch, as with the authority. */
static int
judge_open(const struct kept_record *r, const struct owner_claim *c,
    struct err *err)
{
	if (memcmp(r->instance, c->instance, KEPT_INSTANCE_SIZE) != 0)
		return err_set(err, ERR_BUSY, "another instance of this VM's "
		    "vTPM had it open on this host last, and only the "
		    "authority can take it from that one");
	if (c->epoch == r->epoch)
		return 0;
	/* The file may not have got the epoch. */
	if (!r->confirmed && r->local > 0 && c->epoch + 1 == r->epoch &&
	    (r->local > 1 || same_digest(c->digest, r->base_digest)))
		return 0;
	return err_set(err, ERR_STALE, "the file is of epoch %llu, and this "
	    "host had epoch %llu open last", (unsigned long long)c->epoch,
	    (unsigned long long)r->epoch);
}

int
owner_alone_judge(struct kept_record *r, const struct owner_claim *c,
    struct err *err)
{
	if (!r->owned)
		return err_set(err, ERR_CLOSED, "this host was not the last "
		    "that had the VM open");
	if (!r->clean)
		return judge_open(r, c, err);
	if (c->epoch != r->epoch || !same_digest(c->digest, r->digest))
		return err_set(err, ERR_STALE, "the file (epoch %llu) is not "
		    "what was closed on this host last (epoch %llu)",
		    (unsigned long long)c->epoch,
		    (unsigned long long)r->epoch);
	if (r->local == 0)
		memcpy(r->base_digest, r->digest, KEPT_DIGEST_SIZE);
	r->local++;
	r->epoch++;
	r->confirmed = r->clean = false;
	r->dirty = true;
	take_instance(r, c);
	return 0;
}

void
owner_record_grant(struct kept_record *r, const struct owner_claim *c,
    const struct owner_grant *grant)
{
	r->owned = r->held = true;
	r->epoch = r->base_epoch = grant->epoch;
	r->confirmed = r->clean = r->synced = r->dirty = false;
	r->local = 0;
	take_instance(r, c);
	memcpy(r->base_instance, c->instance, KEPT_INSTANCE_SIZE);
}

void
owner_record_clean(struct kept_record *r, const struct owner_claim *c)
{
	r->confirmed = r->clean = true;
	r->synced = c->synced;
	memcpy(r->digest, c->digest, KEPT_DIGEST_SIZE);
}

static struct owner_claim
claim_of(const struct kept_record *r, const uint8_t *instance,
    const uint8_t *digest, bool synced)
{
	struct owner_claim c = { .epoch = r->base_epoch, .synced = synced };

	memcpy(c.vm, r->vm, UUID_SIZE);
	memcpy(c.instance, instance, KEPT_INSTANCE_SIZE);
	memcpy(c.digest, digest, KEPT_DIGEST_SIZE);
	return c;
}

/* The epoch that the authority knows to be held here was left since. */
static int
tell_left(struct kmxa *k, struct kept_record *r, struct owner_why *why,
    struct err *err)
{
	struct owner_claim c = claim_of(r, r->base_instance, r->base_digest,
	    false);
	int rc;

	if ((rc = owner_call_release(k, &c, why, err)) < 0)
		return rc;
	r->held = false;
	return kept_save(keys_kept(k->keys), r, err);
}

/* One more epoch that was granted here. What was left in those between is of no
 * use to anybody: the last one counts. */
static int
tell_granted(struct kmxa *k, struct kept_record *r, struct owner_why *why,
    struct err *err)
{
	struct owner_claim c = claim_of(r, r->instance, r->base_digest,
	    false);
	struct owner_grant grant;
	int rc;

	if ((rc = owner_call_acquire(k, &c, &grant, why, err)) < 0)
		return rc;
	if (grant.epoch != r->base_epoch + 1) {
		why->fault = AGENT_FAULT_EPOCH;
		return err_set(err, ERR_STALE, "the authority grants epoch "
		    "%llu where this host gave %llu",
		    (unsigned long long)grant.epoch,
		    (unsigned long long)r->base_epoch + 1);
	}
	r->base_epoch++;
	r->local--;
	r->held = true;
	memcpy(r->base_instance, r->instance, KEPT_INSTANCE_SIZE);
	return kept_save(keys_kept(k->keys), r, err);
}

static int
tell_last(struct kmxa *k, struct kept_record *r, struct owner_why *why,
    struct err *err)
{
	struct owner_claim c = claim_of(r, r->instance, r->digest, r->synced);
	int rc = 0;

	if (r->clean)
		rc = owner_call_release(k, &c, why, err);
	else if (r->confirmed)
		rc = owner_call_confirm(k, &c, why, err);
	if (rc < 0)
		return rc;
	r->held = !r->clean;
	r->dirty = false;
	return kept_save(keys_kept(k->keys), r, err);
}

int
owner_tell(struct kmxa *k, struct kept_record *r, struct owner_why *why,
    struct err *err)
{
	int rc;

	*why = (struct owner_why){ .fault = AGENT_FAULT_AGENT };
	while (r->local > 0) {
		if ((r->held && (rc = tell_left(k, r, why, err)) < 0) ||
		    (rc = tell_granted(k, r, why, err)) < 0)
			return rc;
	}
	return tell_last(k, r, why, err);
}
