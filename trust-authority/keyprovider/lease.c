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
	{ "vms", FIELD_JSON, FIELD_AT(struct leases, vms), FIELD_NEEDED },
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

static int
renew_item(struct kmxd *k, const struct bearer *b, const json_t *item,
    json_t *list, struct err *err)
{
	struct epoch_asker who = { .host = b->claims.host };
	char why[LEASE_REASON_SIZE] = "";
	uint8_t uuid[UUID_SIZE];
	struct lease l = { .vm = "" };
	const char *state;
	int rc;

	if ((rc = fields_read(item, lease_fields, FIELDS_COUNT(lease_fields),
	    &l, ERR_USAGE, "an item of \"vms\"", err)) < 0 ||
	    (rc = uuid_canonical(l.vm, uuid, l.vm, err)) < 0)
		return rc;
	(void)hex_read(l.instance, who.instance, sizeof(who.instance));
	if ((rc = renew_one(k, &l, &who, &state, why, err)) < 0)
		return rc;
	if (strcmp(state, "lost") == 0)
		log_event(LOG_LEVEL_WARNING, "lease.lost", "vm=%s host=%s "
		    "epoch=%" PRId64 " reason=\"%s\"", l.vm, who.host, l.epoch,
		    why);
	json_array_append_new(list, json_pack("{ss ss ss*}", "vm", l.vm,
	    "state", state, "reason", why[0] != '\0' ? why : NULL));
	return 0;
}

int
leases_renew(struct kmxd *k, const struct bearer *b, const json_t *json,
    json_t **out, struct err *err)
{
	struct leases leases = { NULL };
	json_t *list = json_array();
	const json_t *item;
	size_t i;
	int rc = fields_read(json, leases_fields, FIELDS_COUNT(leases_fields),
	    &leases, ERR_USAGE, "the body", err);

	if (rc == 0 && (!json_is_array(leases.vms) ||
	    json_array_size(leases.vms) > LEASES_MAX))
		rc = err_set(err, ERR_USAGE, "\"vms\" is a list of at most %d",
		    LEASES_MAX);
	if (rc == 0)
		json_array_foreach(leases.vms, i, item)
			if ((rc = renew_item(k, b, item, list, err)) < 0)
				break;
	if (rc == 0)
		*out = json_pack("{sO sI}", "vms", list, "lease_seconds",
		    (json_int_t)k->config->lease_seconds);
	json_decref(list);
	return rc;
}
