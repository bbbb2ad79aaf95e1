/* SPDX-License-Identifier: BSD-3-Clause */
/* Epochs and leases, for hosts. Everything by compare-and-swap on the VM's
 * record of kind vm-epoch. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "trust-authority/keyprovider/epoch-request.h"
#include "trust-authority/keyprovider/lease.h"

static const struct field register_fields[] = { EPOCH_FIELD, DIGEST_FIELD,
	{ "synced", FIELD_FLAG, FIELD_AT(struct epoch_body, synced), 0 } };
static const struct field acquire_fields[] = { EPOCH_FIELD, DIGEST_FIELD,
	INSTANCE_FIELD,
	{ "ended", FIELD_HEX, FIELD_AT(struct epoch_body, ended),
	    FIELD_MAY_BE_EMPTY } };
static const struct field confirm_fields[] = { EPOCH_FIELD, INSTANCE_FIELD };
static const struct field release_fields[] = { EPOCH_FIELD, DIGEST_FIELD,
	INSTANCE_FIELD,
	{ "synced", FIELD_FLAG, FIELD_AT(struct epoch_body, synced),
	    FIELD_NEEDED } };
static const struct field check_fields[] = { EPOCH_FIELD, DIGEST_FIELD };

/* -- why not -------------------------------------------------------------- */

static int
stale_copy(struct epoch_request *a, struct err *err)
{
	const struct epoch_record *r = &a->record;
	bool older = a->verdict == EPOCH_OLDER;
	const char *owner = r->owner.host;
	char text[96];

	log_event(LOG_LEVEL_ERROR, "epoch.stale", "vm=%s host=%s reason=%s "
	    "file_epoch=%" PRIu64 " record_epoch=%" PRIu64, a->asked.text,
	    a->who.host, older ? "older" : "forked", a->claim.epoch,
	    r->epoch);
	snprintf(text, sizeof(text), "possible replay: a%s copy was refused "
	    "on host %.40s", older ? "n older" : "nother", a->who.host);
	alarm_raise(a->k->alarms, "epoch.replay", a->asked.text, text);
	if (older)
		err_set(err, ERR_STALE, "this is an older copy of the VM %s: "
		    "it is of epoch %" PRIu64 ", and the VM was last opened "
		    "at epoch %" PRIu64 "%s%s", a->asked.text, a->claim.epoch,
		    r->epoch, owner[0] != '\0' ? ", on host " : "", owner);
	else
		err_set(err, ERR_STALE, "this is another copy of the VM %s "
		    "than the one that was closed last: both are of epoch %"
		    PRIu64 ", with another content", a->asked.text,
		    a->claim.epoch);
	err_append(err, ". If it was put back on purpose, an operator can "
	    "accept it with: vtactl vm accept-restore %s", a->asked.text);
	return blame(a->answer, "epoch", ERR_STALE);
}

static int
offered(struct epoch_request *a, struct err *err)
{
	return blame(a->answer, "epoch", err_set(err, ERR_BUSY, "the VM %s is "
	    "being handed over by host %s to another one, as a live migration "
	    "does; nobody else opens it for %" PRId64 " s more, unless: vtactl "
	    "vm fence %s", a->asked.text, a->record.owner.host,
	    a->record.owner.lease_until - (int64_t)time(NULL),
	    a->asked.text));
}

/* -- routes --------------------------------------------------------------- */

static int
post_register(void *ctx, const struct http_request *request,
    struct http_answer *answer, struct err *err)
{
	struct epoch_request a;
	int rc = epoch_request_read(&a, ctx, request, asked_read,
	    register_fields, FIELDS_COUNT(register_fields), answer, err);

	if (rc == 0) {
		epoch_register(&a.record, &a.claim, a.body.synced);
		rc = epoch_request_put(&a, 0, err);
		if (rc == ERR_EXISTS)
			rc = blame(answer, "epoch", err_set(err, rc, "the "
			    "authority has epochs of the VM %s already",
			    a.asked.text));
	}
	asked_reset(&a.asked);
	return host_answer(request, answer, rc, err);
}

/* What the host's agent says of an instance of its own that has ended is
 * believed: leases are of hosts. */
static void
end_instance(struct epoch_request *a)
{
	struct epoch_asker ended = { .host = a->who.host };

	if (a->body.ended[0] != '\0' && hex_read(a->body.ended,
	    ended.instance, sizeof(ended.instance)) == 0 &&
	    epoch_owns(&a->record, &ended))
		a->record.owner.lease_until = 0;
}

static enum epoch_step
acquire(struct epoch_request *a)
{
	int64_t now = time(NULL);

	end_instance(a);
	return epoch_acquire(&a->record, &a->claim, &a->who, now,
	    epoch_request_lease(a, now), &a->verdict);
}

static void
granted(struct epoch_request *a)
{
	if (a->verdict == EPOCH_AHEAD)
		log_event(LOG_LEVEL_WARNING, "epoch.ahead", "vm=%s host=%s "
		    "file_epoch=%" PRIu64, a->asked.text, a->who.host,
		    a->claim.epoch);
	if (a->verdict == EPOCH_OLDER || a->verdict == EPOCH_FORKED)
		log_event(LOG_LEVEL_WARNING, "epoch.accepted", "vm=%s host=%s "
		    "file_epoch=%" PRIu64, a->asked.text, a->who.host,
		    a->claim.epoch);
	log_event(LOG_LEVEL_INFO, "vm.acquired", "vm=%s host=%s epoch=%" PRIu64,
	    a->asked.text, a->who.host, a->record.epoch);
	epoch_request_granted(a);
}

static int
post_acquire(void *ctx, const struct http_request *request,
    struct http_answer *answer, struct err *err)
{
	enum epoch_step step = EPOCH_DONE;
	struct epoch_request a;
	int rc = epoch_request_read(&a, ctx, request, asked_read,
	    acquire_fields, FIELDS_COUNT(acquire_fields), answer, err);

	if (rc == 0)
		rc = epoch_request_change(&a, acquire, &step, err);
	if (rc == 0 && step == EPOCH_BUSY)
		rc = epoch_request_owned(&a, err);
	else if (rc == 0 && step == EPOCH_OFFERED)
		rc = offered(&a, err);
	else if (rc == 0 && step == EPOCH_STALE)
		rc = stale_copy(&a, err);
	else if (rc == 0)
		granted(&a);
	asked_reset(&a.asked);
	return host_answer(request, answer, rc, err);
}

static enum epoch_step
confirm(struct epoch_request *a)
{
	return epoch_confirm(&a->record, a->claim.epoch, &a->who);
}

static enum epoch_step
release(struct epoch_request *a)
{
	return epoch_release(&a->record, &a->claim, a->body.synced, &a->who);
}

static int
finish(void *ctx, const struct http_request *request,
    const struct field *fields, size_t count,
    enum epoch_step (*step)(struct epoch_request *a),
    struct http_answer *answer, struct err *err)
{
	enum epoch_step done = EPOCH_DONE;
	struct epoch_request a;
	int rc = epoch_request_read(&a, ctx, request, asked_read_owner,
	    fields, count, answer, err);

	if (rc == 0)
		rc = epoch_request_change(&a, step, &done, err);
	if (rc == 0 && done == EPOCH_STALE)
		rc = epoch_request_lost(&a, err);
	asked_reset(&a.asked);
	return host_answer(request, answer, rc, err);
}

static int
post_confirm(void *ctx, const struct http_request *request,
    struct http_answer *answer, struct err *err)
{
	return finish(ctx, request, confirm_fields,
	    FIELDS_COUNT(confirm_fields), confirm, answer, err);
}

static int
post_release(void *ctx, const struct http_request *request,
    struct http_answer *answer, struct err *err)
{
	return finish(ctx, request, release_fields,
	    FIELDS_COUNT(release_fields), release, answer, err);
}

static enum epoch_step
look(struct epoch_request *a)
{
	a->verdict = epoch_judge(&a->record, &a->claim);
	return EPOCH_SAME;
}

static int
post_check(void *ctx, const struct http_request *request,
    struct http_answer *answer, struct err *err)
{
	enum epoch_step done;
	struct epoch_request a;
	int rc = epoch_request_read(&a, ctx, request, asked_read, check_fields,
	    FIELDS_COUNT(check_fields), answer, err);

	if (rc == 0)
		rc = epoch_request_change(&a, look, &done, err);
	if (rc == 0 && (a.verdict == EPOCH_OLDER ||
	    a.verdict == EPOCH_FORKED))
		rc = stale_copy(&a, err);
	asked_reset(&a.asked);
	return host_answer(request, answer, rc, err);
}

static int
post_leases(void *ctx, const struct http_request *request,
    struct http_answer *answer, struct err *err)
{
	struct bearer b;
	int rc = bearer_read(ctx, request, &b, answer, err);

	if (rc == 0)
		rc = leases_renew(ctx, &b, request->json, &answer->json, err);
	bearer_reset(&b);
	return host_answer(request, answer, rc, err);
}

const struct http_route routes_epochs[] = {
	{ HTTP_POST, "/v1/vms/{}/register", HTTP_ANYBODY, 4096, 0,
	    post_register },
	{ HTTP_POST, "/v1/vms/{}/acquire", HTTP_ANYBODY, 4096, 0,
	    post_acquire },
	{ HTTP_POST, "/v1/vms/{}/confirm", HTTP_ANYBODY, 4096, 0,
	    post_confirm },
	{ HTTP_POST, "/v1/vms/{}/release", HTTP_ANYBODY, 4096, 0,
	    post_release },
	{ HTTP_POST, "/v1/vms/{}/check", HTTP_ANYBODY, 4096, 0, post_check },
	{ HTTP_POST, "/v1/leases", HTTP_ANYBODY, 128 * 1024, 0, post_leases },
	{ .path = NULL },
};
