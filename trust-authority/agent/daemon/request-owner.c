/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests about epochs. */
#include <stdlib.h>
#include <string.h>

#include "trust-authority/agent/daemon/owner.h"
#include "trust-authority/agent/daemon/request.h"

static struct owner_claim
claim_of(const struct request *r)
{
	struct owner_claim c = { .epoch = r->q.epoch, .synced = r->q.synced };

	memcpy(c.vm, r->q.uuid, UUID_SIZE);
	memcpy(c.digest, r->q.digest, sizeof(c.digest));
	memcpy(c.instance, r->q.instance, sizeof(c.instance));
	memcpy(c.session, r->q.session, sizeof(c.session));
	return c;
}

static int
simple(struct request *r, int (*call)(struct kmxa *k,
    const struct owner_claim *c, struct owner_why *why, struct err *err),
    struct err *err)
{
	struct owner_claim c = claim_of(r);
	struct owner_why why = { 0 };
	int rc = call(r->k, &c, &why, err);

	r->fault = why.fault;
	return rc;
}

int
request_register(struct request *r, struct err *err)
{
	return simple(r, owner_call_register, err);
}

int
request_confirm(struct request *r, struct err *err)
{
	return simple(r, owner_confirm, err);
}

int
request_release(struct request *r, struct err *err)
{
	return simple(r, owner_release, err);
}

int
request_check(struct request *r, struct err *err)
{
	return simple(r, owner_check, err);
}

int
request_offer(struct request *r, struct err *err)
{
	return simple(r, owner_offer, err);
}

static int
granted(struct request *r, int (*call)(struct kmxa *k,
    const struct owner_claim *c, uint64_t connection,
    struct owner_grant *grant, struct owner_why *why, struct err *err),
    struct err *err)
{
	struct owner_claim c = claim_of(r);
	struct owner_grant grant = { 0 };
	struct owner_why why = { 0 };
	int rc = call(r->k, &c, r->peer.connection, &grant, &why, err);

	r->fault = why.fault;
	r->a.epoch = grant.epoch;
	r->a.synced = grant.synced;
	r->a.lease_seconds = grant.seconds;
	return rc;
}

int
request_acquire(struct request *r, struct err *err)
{
	return granted(r, owner_acquire, err);
}

int
request_claim(struct request *r, struct err *err)
{
	return granted(r, owner_take_up, err);
}

int
request_reclaim(struct request *r, struct err *err)
{
	return granted(r, owner_take_back, err);
}

/* Lost is an answer. */
int
request_attach(struct request *r, struct err *err)
{
	struct owner_claim c = claim_of(r);
	struct owner_why why = { 0 };
	struct err lost = { 0 };
	int rc = owner_attach(r->k, &c, r->peer.connection, &why, &lost);

	if (rc == 0)
		return 0;
	r->fault = why.fault;
	if (rc != ERR_STALE)
		return err_set(err, rc, "%s", lost.text);
	if ((r->text = strdup(lost.text)) == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	r->a.fault = AGENT_FAULT_EPOCH;
	r->a.text = (struct agent_bytes){ (const uint8_t *)r->text,
		strlen(r->text) };
	return 0;
}
