/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/keyprovider/epoch-request.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "trust-authority/common/audit.h"
#include "trust-authority/keyprovider/lease.h"

#define TRIES 16

int
epoch_request_read(struct epoch_request *q, struct kmxd *k,
    const struct http_request *request, epoch_asked asked,
    const struct field *fields, size_t count, struct http_answer *answer,
    struct err *err)
{
	int rc;

	*q = (struct epoch_request){ .k = k, .peer = request->peer,
		.answer = answer };
	if ((rc = asked(k, request, request->params[0], &q->asked,
	    answer, err)) < 0 || (rc = fields_read(request->json, fields,
	    count, &q->body, ERR_USAGE, "the body", err)) < 0)
		return rc;
	if ((uint64_t)q->body.epoch >= EPOCH_MAX)
		return err_set(err, ERR_USAGE, "the body: \"epoch\" is too "
		    "large");
	q->claim.epoch = (uint64_t)q->body.epoch;
	(void)hex_read(q->body.digest, q->claim.digest,
	    sizeof(q->claim.digest));
	(void)hex_read(q->body.instance, q->who.instance,
	    sizeof(q->who.instance));
	(void)hex_read(q->body.session, q->session, sizeof(q->session));
	q->who.host = q->asked.bearer.claims.host;
	return 0;
}

static int
commit(struct epoch_request *q, const struct store_op *op, struct err *err)
{
	char who[VM_BY_SIZE], object[UUID_TEXT_SIZE + 8];
	struct audit_entry entry = { who, q->audit, object,
		q->peer.address, "ok", NULL };
	json_t *detail;
	int rc;

	if (q->audit == NULL)
		return store_commit(q->k->service.store, op, 1, NULL, NULL,
		    err);
	snprintf(who, sizeof(who), "host %.64s", q->who.host);
	snprintf(object, sizeof(object), "vm/%s", q->asked.text);
	detail = json_pack("{sI ss}", "epoch", (json_int_t)q->record.epoch,
	    "session", q->body.session);
	entry.detail = detail;
	rc = audit_commit(q->k->service.store, &entry, op, 1, NULL, err);
	json_decref(detail);
	return rc;
}

int
epoch_request_put(struct epoch_request *q, uint64_t version, struct err *err)
{
	char *text = epoch_text(&q->record);
	struct store_op op;
	int rc;

	if (text == NULL)
		return err_set(err, ERR_SYSTEM, "no memory for a record");
	op = record_put(EPOCH_KIND, q->asked.text, text, version);
	rc = commit(q, &op, err);
	free(text);
	return rc;
}

int
epoch_request_change(struct epoch_request *q,
    enum epoch_step (*step)(struct epoch_request *q), enum epoch_step *done,
    struct err *err)
{
	uint64_t version = 0;
	int rc = 0;

	for (int i = 0; i < TRIES; i++) {
		rc = epoch_load(q->k->service.store, q->asked.text,
		    &q->record, &version, err);
		if (rc == ERR_NOTFOUND)
			return blame(q->answer, "epoch", err_set(err, rc,
			    "the VM %s is known, but no epoch of it: what made "
			    "it was cut short. If its vTPM is an older one "
			    "that was to be given to the authority, finish "
			    "that on the same host: vtpmctl protector add FILE "
			    "authority. A vTPM that was never used is "
			    "destroyed and created again", q->asked.text));
		if (rc < 0)
			return rc;
		*done = step(q);
		if (*done != EPOCH_DONE)
			return 0;
		rc = epoch_request_put(q, version, err);
		if (rc != ERR_STALE)
			return rc;
	}
	return err_set(err, ERR_BUSY, "the VM %s is being changed just now; "
	    "try again", q->asked.text);
}

int
epoch_request_lost(struct epoch_request *q, struct err *err)
{
	/* Who has handed it over asks once more when it ends. */
	bool moved = epoch_offerer(&q->record, &q->who);
	char why[LEASE_REASON_SIZE];

	lease_reason(&q->record, q->claim.epoch, why);
	log_event(moved ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING, "lease.lost",
	    "vm=%s host=%s epoch=%" PRIu64 " reason=\"%s\"", q->asked.text,
	    q->who.host, q->claim.epoch, why);
	return blame(q->answer, "epoch", err_set(err, ERR_STALE, "epoch %"
	    PRIu64 " of the VM %s is not this host's: %s", q->claim.epoch,
	    q->asked.text, why));
}

int
epoch_request_owned(struct epoch_request *q, struct err *err)
{
	int64_t left = q->record.owner.lease_until - time(NULL);

	return blame(q->answer, "epoch", err_set(err, ERR_BUSY, "the VM %s is "
	    "owned by host %s%s, whose lease runs for %" PRId64 " s more. If "
	    "that host is dead and cut off from the storage: vtactl vm fence "
	    "%s", q->asked.text, q->record.owner.host,
	    strcmp(q->record.owner.host, q->who.host) == 0 ?
	    " (another vtpmd on it)" : "", left, q->asked.text));
}

void
epoch_request_granted(struct epoch_request *q)
{
	alarm_clear(q->k->alarms, "epoch.replay", q->asked.text);
	q->answer->json = json_pack("{sI sb sI}", "epoch",
	    (json_int_t)q->record.epoch, "synced", q->record.synced,
	    "lease_seconds", (json_int_t)q->k->config->lease_seconds);
}

int64_t
epoch_request_lease(const struct epoch_request *q, int64_t now)
{
	return now + q->k->config->lease_seconds +
	    q->k->config->lease_skew;
}
