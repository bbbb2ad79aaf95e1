/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/keyprovider/epoch-record.h"

#include <string.h>

static json_t *
bytes(const uint8_t *data, size_t size)
{
	char text[2 * EPOCH_DIGEST_SIZE + 1];

	hex_write(data, size, text);
	return json_string(text);
}

static json_t *
offer_json(const struct epoch_offer *o)
{
	return json_pack("{ss so so sI so sb sb sI}", "host", o->host,
	    "instance", bytes(o->instance, sizeof(o->instance)), "session",
	    bytes(o->session, sizeof(o->session)), "epoch",
	    (json_int_t)o->epoch, "digest", bytes(o->digest,
	    sizeof(o->digest)), "open", o->open, "synced", o->synced, "at",
	    (json_int_t)o->at);
}

json_t *
epoch_json(const struct epoch_record *r)
{
	json_t *json = json_pack("{sI sb sb sb}", "epoch", (json_int_t)r->epoch,
	    "confirmed", r->confirmed, "clean", r->clean, "synced", r->synced);

	if (r->accept)
		json_object_set_new(json, "accept", json_true());
	if (r->clean)
		json_object_set_new(json, "digest", bytes(r->digest,
		    sizeof(r->digest)));
	if (!r->confirmed)
		json_object_set_new(json, "before", json_pack(
		    "{sI sI sb so*}", "epoch", (json_int_t)r->before.epoch,
		    "since", (json_int_t)r->before.since, "clean",
		    r->before.clean, "digest", r->before.clean ?
		    bytes(r->before.digest, sizeof(r->before.digest)) : NULL));
	if (r->owner.host[0] != '\0')
		json_object_set_new(json, "owner", json_pack("{ss so sI}",
		    "host", r->owner.host, "instance", bytes(r->owner.instance,
		    sizeof(r->owner.instance)), "lease_until",
		    (json_int_t)r->owner.lease_until));
	if (r->offer.is)
		json_object_set_new(json, "offer", offer_json(&r->offer));
	return json;
}

char *
epoch_text(const struct epoch_record *r)
{
	json_t *json = epoch_json(r);
	char *text = json != NULL ? record_text(json) : NULL;

	json_decref(json);
	return text;
}

static bool
number_good(json_int_t n)
{
	return n >= 0 && (uint64_t)n <= EPOCH_MAX;
}

static int
read_before(const json_t *json, struct epoch_record *r)
{
	json_int_t epoch, since;
	const char *digest = NULL;
	int clean;

	if (json_unpack((json_t *)(uintptr_t)json, "{s:I s:I s:b s?s !}",
	    "epoch", &epoch, "since", &since, "clean", &clean, "digest",
	    &digest) < 0 || !number_good(epoch) || !number_good(since) ||
	    (clean != 0) != (digest != NULL))
		return ERR_FORMAT;
	r->before.epoch = (uint64_t)epoch;
	r->before.since = (uint64_t)since;
	r->before.clean = clean;
	return clean ? hex_read(digest, r->before.digest,
	    sizeof(r->before.digest)) : 0;
}

static int
read_owner(const json_t *json, struct epoch_record *r)
{
	const char *host, *instance;
	json_int_t until;

	if (json_unpack((json_t *)(uintptr_t)json, "{s:s s:s s:I !}", "host",
	    &host, "instance", &instance, "lease_until", &until) < 0 ||
	    !name_is_good(host) || hex_read(instance, r->owner.instance,
	    sizeof(r->owner.instance)) < 0)
		return ERR_FORMAT;
	memcpy(r->owner.host, host, strlen(host) + 1);
	r->owner.lease_until = until;
	return 0;
}

static int
read_offer(const json_t *json, struct epoch_record *r)
{
	const char *host, *instance, *session, *digest;
	struct epoch_offer *o = &r->offer;
	json_int_t epoch, at;
	int open, synced;

	if (json_unpack((json_t *)(uintptr_t)json,
	    "{s:s s:s s:s s:I s:s s:b s:b s:I !}", "host", &host, "instance",
	    &instance, "session", &session, "epoch", &epoch, "digest",
	    &digest, "open", &open, "synced", &synced, "at", &at) < 0 ||
	    !name_is_good(host) || !number_good(epoch) ||
	    (uint64_t)epoch > r->epoch ||
	    hex_read(instance, o->instance, sizeof(o->instance)) < 0 ||
	    hex_read(session, o->session, sizeof(o->session)) < 0 ||
	    hex_read(digest, o->digest, sizeof(o->digest)) < 0)
		return ERR_FORMAT;
	memcpy(o->host, host, strlen(host) + 1);
	o->epoch = (uint64_t)epoch;
	o->at = at;
	o->open = open;
	o->synced = synced;
	o->is = true;
	return 0;
}

int
epoch_read(const json_t *json, const char *vm, struct epoch_record *r,
    struct err *err)
{
	const json_t *before = NULL, *owner = NULL, *offer = NULL;
	int confirmed, clean, synced, accept = 0;
	const char *digest = NULL;
	json_int_t epoch;

	*r = (struct epoch_record){ 0 };
	if (json_unpack((json_t *)(uintptr_t)json,
	    "{s:I s:b s:b s:b s?b s?s s?o s?o s?o !}", "epoch", &epoch,
	    "confirmed", &confirmed, "clean", &clean, "synced", &synced,
	    "accept", &accept, "digest", &digest, "before", &before, "owner",
	    &owner, "offer", &offer) < 0 || !number_good(epoch) ||
	    (clean && !confirmed) ||
	    (clean != 0) != (digest != NULL) ||
	    (confirmed != 0) == (before != NULL))
		return record_damaged(EPOCH_KIND, vm, err);
	r->epoch = (uint64_t)epoch;
	r->confirmed = confirmed;
	r->clean = clean;
	r->synced = synced;
	r->accept = accept;
	if ((clean && hex_read(digest, r->digest, sizeof(r->digest)) < 0) ||
	    (before != NULL && read_before(before, r) < 0) ||
	    (owner != NULL && read_owner(owner, r) < 0) ||
	    (offer != NULL && read_offer(offer, r) < 0))
		return record_damaged(EPOCH_KIND, vm, err);
	return 0;
}

int
epoch_load(struct store *store, const char *vm, struct epoch_record *r,
    uint64_t *version, struct err *err)
{
	json_t *json = NULL;
	int rc = record_get(store, EPOCH_KIND, vm, &json, version, err);

	if (rc == 0)
		rc = epoch_read(json, vm, r, err);
	json_decref(json);
	return rc;
}
