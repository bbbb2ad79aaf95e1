/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/keyprovider/lease.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "trust-authority/keyprovider/epoch-record.h"

#define TRIES 8

struct lease {
	char vm[UUID_TEXT_SIZE];
	char instance[2 * EPOCH_INSTANCE_SIZE + 1];
	int64_t epoch;
};

static const struct field lease_fields[] = {
	{ "vm", FIELD_TEXT, FIELD_AT(struct lease, vm), FIELD_NEEDED },
	{ "epoch", FIELD_NUMBER, FIELD_AT(struct lease, epoch),
	    FIELD_NEEDED },
	{ "instance", FIELD_HEX, FIELD_AT(struct lease, instance),
	    FIELD_NEEDED },
};

struct leases {
	json_t *vms;
};

static const struct field leases_fields[] = {
	{ "vms", FIELD_JSON, FIELD_JSON_AT(struct leases, vms), FIELD_NEEDED },
};

void
lease_reason(const struct epoch_record *r, uint64_t epoch,
    char out[LEASE_REASON_SIZE])
{
	if (r->epoch > epoch && r->owner.host[0] != '\0')
		snprintf(out, LEASE_REASON_SIZE, "the host %s has opened the "
		    "VM since, at epoch %" PRIu64, r->owner.host, r->epoch);
	else if (r->epoch > epoch)
		snprintf(out, LEASE_REASON_SIZE, "the VM has been opened "
		    "since, at epoch %" PRIu64, r->epoch);
	else if (r->epoch < epoch)
		snprintf(out, LEASE_REASON_SIZE, "the authority knows epoch %"
		    PRIu64 " only (was its store put back from a backup?)",
		    r->epoch);
	else if (r->owner.host[0] == '\0' && r->clean)
		snprintf(out, LEASE_REASON_SIZE, "it was closed");
	else if (r->owner.host[0] == '\0')
		snprintf(out, LEASE_REASON_SIZE, "an administrator has fenced "
		    "its host off");
	else
		snprintf(out, LEASE_REASON_SIZE, "the host %s owns it",
		    r->owner.host);
}

/* Stored only when less than two thirds of it are left, or most renewals would
 * be a write: hosts renew three times in a lease. */
static enum epoch_step
renew(struct kmxd *k, const struct lease *l, const struct epoch_asker *who,
    struct epoch_record *r)
{
	const struct kmxd_config *c = k->config;
	int64_t whole = c->lease_seconds + c->lease_skew;

	return epoch_renew(r, (uint64_t)l->epoch, who, time(NULL) + whole,
	    c->lease_seconds / 3);
}

/* Text for one that is not kept, NULL for one that is. */
static int
renew_one(struct kmxd *k, const struct lease *l,
    const struct epoch_asker *who, const char **state,
    char why[LEASE_REASON_SIZE], struct err *err)
{
	struct epoch_record r;
	uint64_t version = 0;
	int rc = 0;

	*state = "kept";
	for (int i = 0; i < TRIES; i++) {
		enum epoch_step step;
		struct store_op op;
		char *text;

		rc = epoch_load(k->service.store, l->vm, &r, &version, err);
		if (rc == ERR_NOTFOUND) {
			*state = "unknown";
			snprintf(why, LEASE_REASON_SIZE, "the authority has "
			    "no epoch of this VM");
			return 0;
		}
		if (rc < 0)
			return rc;
		step = renew(k, l, who, &r);
		if (step == EPOCH_SAME)
			return 0;
		if (step == EPOCH_STALE) {
			/* A store from a backup knows less than the hosts: no
			 * reason to stop what runs. */
			*state = r.epoch < (uint64_t)l->epoch ? "unknown" :
			    "lost";
			lease_reason(&r, (uint64_t)l->epoch, why);
			return 0;
		}
		if ((text = epoch_text(&r)) == NULL)
			return err_set(err, ERR_SYSTEM, "no memory");
		op = record_put(EPOCH_KIND, l->vm, text, version);
		rc = store_commit(k->service.store, &op, 1, NULL, NULL, err);
		free(text);
		if (rc != ERR_STALE)
			return rc;
	}
	return rc;
}

static void
tell_lost(const struct lease *l, const char *host, const char *why)
{
	log_event(LOG_LEVEL_WARNING, "lease.lost", "vm=%s host=%s epoch=%" PRId64
	    " reason=\"%s\"", l->vm, host, l->epoch, why);
}

static void
set_answer(json_t *item, const char *state, const char *why)
{
	json_object_set_new(item, "state", json_string(state));
	if (why[0] != '\0')
		json_object_set_new(item, "reason", json_string(why));
}

/* Renewals that wait for one commit: each by itself would be a sync of the
 * disk. */
struct renewals {
	struct kmxd *k;
	const char *host;
	struct store_op ops[STORE_OPS_MAX];
	struct lease leases[STORE_OPS_MAX];
	json_t *items[STORE_OPS_MAX];	/* of the answer */
	size_t count;
};

static struct epoch_asker
asker_of(const struct renewals *w, const struct lease *l)
{
	struct epoch_asker who = { .host = w->host };

	(void)hex_read(l->instance, who.instance, sizeof(who.instance));
	return who;
}

/* Alone, with what the store has now. */
static int
renew_alone(struct renewals *w, const struct lease *l, json_t *item,
    struct err *err)
{
	struct epoch_asker who = asker_of(w, l);
	char why[LEASE_REASON_SIZE] = "";
	const char *state;
	int rc = renew_one(w->k, l, &who, &state, why, err);

	if (rc < 0)
		return rc;
	if (strcmp(state, "lost") == 0)
		tell_lost(l, w->host, why);
	set_answer(item, state, why);
	return 0;
}

static int
flush(struct renewals *w, struct err *err)
{
	int rc = 0;

	if (w->count > 0)
		rc = store_commit(w->k->service.store, w->ops, w->count, NULL,
		    NULL, err);
	for (size_t i = 0; i < w->count; i++)
		free((void *)(uintptr_t)w->ops[i].value);
	/* Somebody has written one of them: nothing was changed. */
	if (rc == ERR_STALE) {
		rc = 0;
		for (size_t i = 0; i < w->count && rc == 0; i++)
			rc = renew_alone(w, &w->leases[i], w->items[i], err);
	}
	w->count = 0;
	return rc;
}

static bool
is_waiting(const struct renewals *w, const char *vm)
{
	for (size_t i = 0; i < w->count; i++)
		if (strcmp(w->leases[i].vm, vm) == 0)
			return true;
	return false;
}

/* Joins the others where there is something to store and nothing to explain. */
static int
renew_with_others(struct renewals *w, const struct lease *l, json_t *item,
    struct err *err)
{
	struct epoch_asker who = asker_of(w, l);
	enum epoch_step step = EPOCH_STALE;
	struct epoch_record r;
	uint64_t version = 0;
	size_t i = w->count;
	char *text;

	if (epoch_load(w->k->service.store, l->vm, &r, &version, NULL) == 0)
		step = renew(w->k, l, &who, &r);
	if (step == EPOCH_STALE)
		return renew_alone(w, l, item, err);
	set_answer(item, "kept", "");
	if (step == EPOCH_SAME)
		return 0;
	if ((text = epoch_text(&r)) == NULL)
		return err_set(err, ERR_SYSTEM, "no memory");
	w->leases[i] = *l;
	w->items[i] = item;
	w->ops[i] = record_put(EPOCH_KIND, w->leases[i].vm, text, version);
	w->count++;
	return w->count == STORE_OPS_MAX ? flush(w, err) : 0;
}

static int
renew_item(struct renewals *w, const json_t *asked, json_t *list,
    struct err *err)
{
	uint8_t uuid[UUID_SIZE];
	struct lease l = { .vm = "" };
	json_t *item;
	int rc;

	if ((rc = fields_read(asked, lease_fields, FIELDS_COUNT(lease_fields),
	    &l, ERR_USAGE, "an item of \"vms\"", err)) < 0 ||
	    (rc = uuid_canonical(l.vm, uuid, l.vm, err)) < 0)
		return rc;
	/* A commit has no key twice. */
	if (is_waiting(w, l.vm) && (rc = flush(w, err)) < 0)
		return rc;
	item = json_pack("{ss}", "vm", l.vm);
	if (item == NULL || json_array_append_new(list, item) < 0)
		return err_set(err, ERR_SYSTEM, "no memory");
	return renew_with_others(w, &l, item, err);
}

/* Those before an error are renewed all the same, as those after it will be
 * when the host asks again. */
static int
renew_all(struct renewals *w, const json_t *vms, json_t *list,
    struct err *err)
{
	struct err why = { 0 };
	const json_t *item;
	int rc = 0, last;
	size_t i;

	json_array_foreach(vms, i, item)
		if ((rc = renew_item(w, item, list, err)) < 0)
			break;
	last = flush(w, rc == 0 ? err : &why);
	return rc < 0 ? rc : last;
}

int
leases_renew(struct kmxd *k, const struct bearer *b, const json_t *json,
    json_t **out, struct err *err)
{
	struct leases leases = { NULL };
	json_t *list = json_array();
	struct renewals w = { .k = k, .host = b->claims.host, .count = 0 };
	int rc = fields_read(json, leases_fields, FIELDS_COUNT(leases_fields),
	    &leases, ERR_USAGE, "the body", err);

	if (rc == 0 && (!json_is_array(leases.vms) ||
	    json_array_size(leases.vms) > LEASES_MAX))
		rc = err_set(err, ERR_USAGE, "\"vms\" is a list of at most %d",
		    LEASES_MAX);
	if (rc == 0)
		rc = renew_all(&w, leases.vms, list, err);
	if (rc == 0)
		*out = json_pack("{sO sI}", "vms", list, "lease_seconds",
		    (json_int_t)k->config->lease_seconds);
	json_decref(list);
	return rc;
}
