/* SPDX-License-Identifier: BSD-3-Clause */
/* Epochs and leases, for hosts. Everything by compare-and-swap on the VM's
 * record of kind vm-epoch. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "trust-authority/keyprovider/epoch-record.h"
#include "trust-authority/keyprovider/host-route.h"
#include "trust-authority/keyprovider/lease.h"

#define TRIES 16

struct body {
	int64_t epoch;
	char digest[2 * EPOCH_DIGEST_SIZE + 1];
	char instance[2 * EPOCH_INSTANCE_SIZE + 1], ended[2 *
	    EPOCH_INSTANCE_SIZE + 1];
	bool synced;
};

#define EPOCH { "epoch", FIELD_NUMBER, FIELD_AT(struct body, epoch), \
	FIELD_NEEDED }
#define DIGEST { "digest", FIELD_HEX, FIELD_AT(struct body, digest), \
	FIELD_NEEDED }
#define INSTANCE { "instance", FIELD_HEX, FIELD_AT(struct body, instance), \
	FIELD_NEEDED }

static const struct field register_fields[] = { EPOCH, DIGEST,
	{ "synced", FIELD_FLAG, FIELD_AT(struct body, synced), 0 } };
static const struct field acquire_fields[] = { EPOCH, DIGEST, INSTANCE,
	{ "ended", FIELD_HEX, FIELD_AT(struct body, ended),
	    FIELD_MAY_BE_EMPTY } };
static const struct field confirm_fields[] = { EPOCH, INSTANCE };
static const struct field release_fields[] = { EPOCH, DIGEST, INSTANCE,
	{ "synced", FIELD_FLAG, FIELD_AT(struct body, synced),
	    FIELD_NEEDED } };
static const struct field check_fields[] = { EPOCH, DIGEST };

/* One request about an epoch. */
struct about {
	struct kmxd *k;
	struct asked asked;
	struct body body;
	struct epoch_claim claim;
	struct epoch_asker who;
	struct epoch_record record;
	enum epoch_verdict verdict;
	struct http_answer *answer;
};

/* asked_read or asked_read_owner. */
typedef int (*asked_reader)(struct kmxd *k, const struct http_request *request,
    const char *uuid, struct asked *a, struct http_answer *answer,
    struct err *err);

static int
about_read(struct about *a, struct kmxd *k,
    const struct http_request *request, asked_reader asked,
    const struct field *fields, size_t count, struct http_answer *answer,
    struct err *err)
{
	int rc;

	*a = (struct about){ .k = k, .answer = answer };
	if ((rc = asked(k, request, request->params[0], &a->asked,
	    answer, err)) < 0 || (rc = fields_read(request->json, fields,
	    count, &a->body, ERR_USAGE, "the body", err)) < 0)
		return rc;
	if ((uint64_t)a->body.epoch >= EPOCH_MAX)
		return err_set(err, ERR_USAGE, "the body: \"epoch\" is too "
		    "large");
	a->claim.epoch = (uint64_t)a->body.epoch;
	(void)hex_read(a->body.digest, a->claim.digest,
	    sizeof(a->claim.digest));
	(void)hex_read(a->body.instance, a->who.instance,
	    sizeof(a->who.instance));
	a->who.host = a->asked.bearer.claims.host;
	return 0;
}

static int
put(struct about *a, uint64_t version, struct err *err)
{
	char *text = epoch_text(&a->record);
	struct store_op op;
	int rc;

	if (text == NULL)
		return err_set(err, ERR_SYSTEM, "no memory for a record");
	op = record_put(EPOCH_KIND, a->asked.text, text, version);
	rc = store_commit(a->k->service.store, &op, 1, NULL, NULL, err);
	free(text);
	return rc;
}

/* Reads, lets step think, commits; again where somebody else was faster. */
static int
change(struct about *a, enum epoch_step (*step)(struct about *a),
    enum epoch_step *done, struct err *err)
{
	uint64_t version = 0;
	int rc = 0;

	for (int i = 0; i < TRIES; i++) {
		rc = epoch_load(a->k->service.store, a->asked.text,
		    &a->record, &version, err);
		if (rc == ERR_NOTFOUND)
			return blame(a->answer, "epoch", err_set(err, rc,
			    "the VM %s is known, but no epoch of it: what made "
			    "it was cut short. If its vTPM is an older one "
			    "that was to be given to the authority, finish "
			    "that on the same host: vtpmctl protector add FILE "
			    "authority. A vTPM that was never used is "
			    "destroyed and created again", a->asked.text));
		if (rc < 0)
			return rc;
		*done = step(a);
		if (*done != EPOCH_DONE)
			return 0;
		rc = put(a, version, err);
		if (rc != ERR_STALE)
			return rc;
	}
	return err_set(err, ERR_BUSY, "the VM %s is being changed just now; "
	    "try again", a->asked.text);
}

/* -- why not -------------------------------------------------------------- */

static int
stale_copy(struct about *a, struct err *err)
{
	const struct epoch_record *r = &a->record;
	bool older = a->verdict == EPOCH_OLDER;
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
		    "at epoch %" PRIu64, a->asked.text, a->claim.epoch,
		    r->epoch);
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
owned(struct about *a, struct err *err)
{
	int64_t left = a->record.owner.lease_until - time(NULL);

	return blame(a->answer, "epoch", err_set(err, ERR_BUSY, "the VM %s is "
	    "owned by host %s%s, whose lease runs for %" PRId64 " s more. If "
	    "that host is dead and cut off from the storage: vtactl vm fence "
	    "%s", a->asked.text, a->record.owner.host,
	    strcmp(a->record.owner.host, a->who.host) == 0 ?
	    " (another vtpmd on it)" : "", left, a->asked.text));
}

static int
lost(struct about *a, struct err *err)
{
	char why[LEASE_REASON_SIZE];

	lease_reason(&a->record, a->claim.epoch, why);
	log_event(LOG_LEVEL_WARNING, "lease.lost", "vm=%s host=%s epoch=%"
	    PRIu64 " reason=\"%s\"", a->asked.text, a->who.host,
	    a->claim.epoch, why);
	return blame(a->answer, "epoch", err_set(err, ERR_STALE, "epoch %"
	    PRIu64 " of the VM %s is not this host's: %s", a->claim.epoch,
	    a->asked.text, why));
}

/* -- routes --------------------------------------------------------------- */

static int
post_register(void *ctx, const struct http_request *request,
    struct http_answer *answer, struct err *err)
{
	struct about a;
	int rc = about_read(&a, ctx, request, asked_read, register_fields,
	    FIELDS_COUNT(register_fields), answer, err);

	if (rc == 0) {
		epoch_register(&a.record, &a.claim, a.body.synced);
		rc = put(&a, 0, err);
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
end_instance(struct about *a)
{
	struct epoch_asker ended = { .host = a->who.host };

	if (a->body.ended[0] != '\0' && hex_read(a->body.ended,
	    ended.instance, sizeof(ended.instance)) == 0 &&
	    epoch_owns(&a->record, &ended))
		a->record.owner.lease_until = 0;
}

static enum epoch_step
acquire(struct about *a)
{
	const struct kmxd_config *c = a->k->config;
	int64_t now = time(NULL);

	end_instance(a);
	return epoch_acquire(&a->record, &a->claim, &a->who, now, now +
	    c->lease_seconds + c->lease_skew, &a->verdict);
}

static void
granted(struct about *a)
{
	if (a->verdict == EPOCH_AHEAD)
		log_event(LOG_LEVEL_WARNING, "epoch.ahead", "vm=%s host=%s "
		    "file_epoch=%" PRIu64, a->asked.text, a->who.host,
		    a->claim.epoch);
	if (a->verdict == EPOCH_OLDER || a->verdict == EPOCH_FORKED)
		log_event(LOG_LEVEL_WARNING, "epoch.accepted", "vm=%s host=%s "
		    "file_epoch=%" PRIu64, a->asked.text, a->who.host,
		    a->claim.epoch);
	alarm_clear(a->k->alarms, "epoch.replay", a->asked.text);
	log_event(LOG_LEVEL_INFO, "vm.acquired", "vm=%s host=%s epoch=%" PRIu64,
	    a->asked.text, a->who.host, a->record.epoch);
	a->answer->json = json_pack("{sI sb sI}", "epoch",
	    (json_int_t)a->record.epoch, "synced", a->record.synced,
	    "lease_seconds", (json_int_t)a->k->config->lease_seconds);
}

static int
post_acquire(void *ctx, const struct http_request *request,
    struct http_answer *answer, struct err *err)
{
	enum epoch_step step = EPOCH_DONE;
	struct about a;
	int rc = about_read(&a, ctx, request, asked_read, acquire_fields,
	    FIELDS_COUNT(acquire_fields), answer, err);

	if (rc == 0)
		rc = change(&a, acquire, &step, err);
	if (rc == 0 && step == EPOCH_BUSY)
		rc = owned(&a, err);
	else if (rc == 0 && step == EPOCH_STALE)
		rc = stale_copy(&a, err);
	else if (rc == 0)
		granted(&a);
	asked_reset(&a.asked);
	return host_answer(request, answer, rc, err);
}

static enum epoch_step
confirm(struct about *a)
{
	return epoch_confirm(&a->record, a->claim.epoch, &a->who);
}

static enum epoch_step
release(struct about *a)
{
	return epoch_release(&a->record, &a->claim, a->body.synced, &a->who);
}

static int
finish(void *ctx, const struct http_request *request,
    const struct field *fields, size_t count,
    enum epoch_step (*step)(struct about *a), struct http_answer *answer,
    struct err *err)
{
	enum epoch_step done = EPOCH_DONE;
	struct about a;
	int rc = about_read(&a, ctx, request, asked_read_owner, fields, count,
	    answer, err);

	if (rc == 0)
		rc = change(&a, step, &done, err);
	if (rc == 0 && done == EPOCH_STALE)
		rc = lost(&a, err);
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
look(struct about *a)
{
	a->verdict = epoch_judge(&a->record, &a->claim);
	return EPOCH_SAME;
}

static int
post_check(void *ctx, const struct http_request *request,
    struct http_answer *answer, struct err *err)
{
	enum epoch_step done;
	struct about a;
	int rc = about_read(&a, ctx, request, asked_read, check_fields,
	    FIELDS_COUNT(check_fields), answer, err);

	if (rc == 0)
		rc = change(&a, look, &done, err);
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
