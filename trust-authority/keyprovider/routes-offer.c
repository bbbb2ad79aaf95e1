/* SPDX-License-Identifier: BSD-3-Clause */
/* A running VM goes from one host to another: doc/authority-protocols.md,
 * "Handing over". */
#include <inttypes.h>
#include <time.h>

#include "base/log.h"
#include "trust-authority/keyprovider/epoch-request.h"

static const struct field offer_fields[] = { EPOCH_FIELD, DIGEST_FIELD,
	INSTANCE_FIELD, SESSION_FIELD,
	{ "synced", FIELD_FLAG, FIELD_AT(struct epoch_body, synced),
	    FIELD_NEEDED } };
static const struct field take_fields[] = { EPOCH_FIELD, INSTANCE_FIELD,
	SESSION_FIELD };

static enum epoch_step
offer(struct epoch_request *q)
{
	int64_t now = time(NULL);

	return epoch_offer(&q->record, &q->claim, q->body.synced, q->session,
	    &q->who, now, epoch_request_lease(q, now));
}

/* asked_read_owner: a host that has lost its trust keeps what runs there, and
 * may as well give it to one that has not. */
static int
post_offer(void *ctx, const struct http_request *request,
    struct http_answer *answer, struct err *err)
{
	enum epoch_step done = EPOCH_DONE;
	struct epoch_request q;
	int rc = epoch_request_read(&q, ctx, request, asked_read_owner,
	    offer_fields, FIELDS_COUNT(offer_fields), answer, err);

	q.audit = "vm.offer";
	if (rc == 0)
		rc = epoch_request_change(&q, offer, &done, err);
	if (rc == 0 && done == EPOCH_STALE)
		rc = epoch_request_lost(&q, err);
	else if (rc == 0)
		log_event(LOG_LEVEL_INFO, "vm.offered", "vm=%s host=%s "
		    "epoch=%" PRIu64, q.asked.text, q.who.host,
		    q.claim.epoch);
	asked_reset(&q.asked);
	return host_answer(request, answer, rc, err);
}

static enum epoch_step
take(struct epoch_request *q, bool back)
{
	int64_t now = time(NULL);

	return epoch_take_up(&q->record, q->claim.epoch, q->session, &q->who,
	    back, now, epoch_request_lease(q, now));
}

static enum epoch_step
claim(struct epoch_request *q)
{
	return take(q, false);
}

static enum epoch_step
reclaim(struct epoch_request *q)
{
	return take(q, true);
}

static int
not_on_offer(struct epoch_request *q, bool back, struct err *err)
{
	const struct epoch_record *r = &q->record;
	const char *owner = r->owner.host;
	char text[128];

	log_event(back ? LOG_LEVEL_WARNING : LOG_LEVEL_ERROR,
	    "vm.claim_refused", "vm=%s host=%s claim_epoch=%" PRIu64
	    " record_epoch=%" PRIu64 " owner=%s", q->asked.text, q->who.host,
	    q->claim.epoch, r->epoch, owner[0] != '\0' ? owner : "-");
	if (!back) {
		snprintf(text, sizeof(text), "possible replay: a state that "
		    "is not on offer was brought to host %.40s", q->who.host);
		alarm_raise(q->k->alarms, "epoch.replay", q->asked.text,
		    text);
	}
	return blame(q->answer, "epoch", err_set(err, ERR_STALE, "this state "
	    "of the VM %s (epoch %" PRIu64 ") is not on offer any more: the VM "
	    "is at epoch %" PRIu64 "%s%s", q->asked.text, q->claim.epoch,
	    r->epoch, owner[0] != '\0' ? ", on host " : "", owner));
}

static int
claimed_already(struct epoch_request *q, struct err *err)
{
	return blame(q->answer, "epoch", err_set(err, ERR_BUSY, "host %s has "
	    "claimed this state of the VM %s and has not run it yet; its lease "
	    "runs for %" PRId64 " s more", q->record.owner.host,
	    q->asked.text, q->record.owner.lease_until -
	    (int64_t)time(NULL)));
}

static int
take_up(struct epoch_request *q, bool back, struct err *err)
{
	enum epoch_step done = EPOCH_DONE;
	int rc;

	q->audit = back ? "vm.reclaim" : "vm.claim";
	if ((rc = epoch_request_change(q, back ? reclaim : claim, &done,
	    err)) < 0)
		return rc;
	if (done == EPOCH_STALE)
		return not_on_offer(q, back, err);
	if (done == EPOCH_BUSY)
		return claimed_already(q, err);
	log_event(LOG_LEVEL_INFO, back ? "vm.reclaimed" : "vm.claimed",
	    "vm=%s host=%s from=%s epoch=%" PRIu64, q->asked.text,
	    q->who.host, q->record.offer.host, q->record.epoch);
	epoch_request_granted(q);
	return 0;
}

static int
post_claim(void *ctx, const struct http_request *request,
    struct http_answer *answer, struct err *err)
{
	struct epoch_request q;
	int rc = epoch_request_read(&q, ctx, request, asked_read, take_fields,
	    FIELDS_COUNT(take_fields), answer, err);

	if (rc == 0)
		rc = take_up(&q, false, err);
	asked_reset(&q.asked);
	return host_answer(request, answer, rc, err);
}

/* As for confirm: the host goes on with what it has open, whatever became of
 * its trust. But not with what was shredded. */
static int
post_reclaim(void *ctx, const struct http_request *request,
    struct http_answer *answer, struct err *err)
{
	struct epoch_request q;
	int rc = epoch_request_read(&q, ctx, request, asked_read_owner,
	    take_fields, FIELDS_COUNT(take_fields), answer, err);

	if (rc == 0 && q.asked.vm.shredded != 0)
		rc = blame(answer, "epoch", err_set(err, ERR_STALE, "the VM "
		    "%s has been shredded", q.asked.text));
	if (rc == 0)
		rc = take_up(&q, true, err);
	asked_reset(&q.asked);
	return host_answer(request, answer, rc, err);
}

const struct http_route routes_offer[] = {
	{ HTTP_POST, "/v1/vms/{}/offer", HTTP_ANYBODY, 4096, 0, post_offer },
	{ HTTP_POST, "/v1/vms/{}/claim", HTTP_ANYBODY, 4096, 0, post_claim },
	{ HTTP_POST, "/v1/vms/{}/reclaim", HTTP_ANYBODY, 4096, 0,
	    post_reclaim },
	{ .path = NULL },
};
