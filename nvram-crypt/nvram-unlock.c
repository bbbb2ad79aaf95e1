/* SPDX-License-Identifier: BSD-3-Clause */
/* From the superblocks as they look to a state that is authenticated. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "nvram-crypt/nvram-internal.h"

static void
report_torn(const struct nvram *nv, const char *area, size_t i)
{
	log_event(LOG_LEVEL_WARNING, "nvram.torn", "file=\"%s\" area=%s%zu",
	    nv->name, area, i);
}

/* The keys that follow from dek, which is taken over, checked against the
 * superblock that it is for. */
static int
keys_fit(const struct nvram_candidate *c, struct secret *dek,
    struct nvram_keys *keys, struct err *err)
{
	const struct nvram_header *h = &c->sb.header;
	int rc;

	if ((rc = nvram_keys_make(keys, dek, h->uuid, h->dek_id, err)) < 0)
		return rc;
	if (memcmp(keys->commitment, c->sb.commitment,
	    sizeof(keys->commitment)) != 0)
		rc = err_set(err, ERR_AUTH,
		    "the key is not the one the superblock names");
	else
		rc = superblock_authenticate(c->bytes, keys->superblock, err);
	if (rc < 0)
		nvram_keys_free(keys);
	return rc;
}

/* The DEK from one protector. */
static int
try_protector(struct nvram_candidate *c, const struct protector_ops *ops,
    const struct protector *p, const struct protector_creds *creds,
    struct nvram_keys *keys, struct err *err)
{
	const struct nvram_header *h = &c->sb.header;
	struct protector_binding binding;
	struct secret *dek = NULL;
	int rc;

	memcpy(binding.uuid, h->uuid, UUID_SIZE);
	memcpy(binding.dek_id, h->dek_id, DEK_ID_SIZE);
	if ((rc = ops->unwrap(creds, &binding, p, &dek, err)) < 0)
		return rc;
	return keys_fit(c, dek, keys, err);
}

/* ERR_KEY when nothing fitted; another code when something did, or might
 * have, but the superblock or the protector is damaged. */
static int
try_candidate(struct nvram_candidate *c, const struct protector_creds *creds,
    struct nvram_keys *keys, struct err *err)
{
	const struct nvram_header *h = &c->sb.header;
	const struct protector_ops *ops;
	int worst = ERR_KEY;

	for (size_t k = 0; (ops = protector_ops_at(k)) != NULL; k++)
		for (size_t i = 0; i < h->n_protectors; i++) {
			struct err why = { 0 };
			int rc;

			if (h->protectors[i].kind != ops->kind)
				continue;
			rc = try_protector(c, ops, &h->protectors[i], creds,
			    keys, &why);
			if (rc == 0)
				return 0;
			if (rc != ERR_KEY) {
				worst = rc;
				if (err != NULL)
					*err = why;
			}
		}
	return worst;
}

static int
no_key(const struct nvram *nv, const struct nvram_header *h, struct err *err)
{
	int rc = err_set(err, ERR_KEY,
	    "%s cannot be opened with the keys given here. It can be "
	    "opened with:", nv->name);

	for (size_t i = 0; i < h->n_protectors; i++) {
		const struct protector *p = &h->protectors[i];
		const struct protector_ops *ops =
		    protector_ops_by_kind(p->kind);

		if (err != NULL)
			err_append(err, "%s %s (%s)", i == 0 ? "" : ",",
			    ops != NULL ? ops->name : "a kind of protector "
			    "that this version does not know", p->label);
	}
	return rc;
}

static int
unlock_superblock(struct nvram *nv, const struct protector_creds *creds,
    struct err *err)
{
	struct nvram_candidate *c = nv->candidates;
	unsigned int first = nv->sb_active, n;
	int rc = ERR_AUTH;

	for (n = 0; n < 2; n++) {
		unsigned int i = first ^ n;

		if (c[i].rc < 0)
			continue;
		rc = try_candidate(&c[i], creds, &nv->keys, err);
		/* A whole superblock that is not for us is not damage: the
		 * older one must not let in whom the newer one shut out. */
		if (rc == ERR_KEY)
			return no_key(nv, &c[i].sb.header, err);
		if (rc == 0) {
			nv->sb_active = i;
			nv->sb = c[i].sb;
			return 0;
		}
		if (rc != ERR_AUTH && rc != ERR_FORMAT)
			return rc;
		c[i].rc = rc;
	}
	return err_set(err, ERR_AUTH, "%s: the superblock is damaged, or "
	    "somebody changed it. Nothing was changed. Put back a copy of the "
	    "file and take it into use with: vtpmctl accept-restore FILE",
	    nv->name);
}

static int
judge_superblocks(struct nvram *nv, struct err *err)
{
	for (unsigned int i = 0; i < 2; i++) {
		struct nvram_candidate *c = &nv->candidates[i];
		struct nvram_area *area = &nv->report.superblock[i];
		int rc = c->rc;

		area->sequence = c->sb.header.generation;
		area->epoch = c->sb.header.epoch;
		if (i == nv->sb_active) {
			area->state = NVRAM_AREA_CURRENT;
			continue;
		}
		if (rc == 0 && memcmp(c->sb.header.dek_id,
		    nv->sb.header.dek_id, DEK_ID_SIZE) != 0) {
			*area = (struct nvram_area){
			    .state = NVRAM_AREA_LEFTOVER };
			continue;
		}
		if (rc == 0)
			rc = superblock_authenticate(c->bytes,
			    nv->keys.superblock, err);
		if (rc == 0) {
			area->state = NVRAM_AREA_OLDER;
		} else if (rc == ERR_CRYPTO) {
			return rc;
		} else {
			*area = (struct nvram_area){
			    .state = NVRAM_AREA_TORN };
			report_torn(nv, "superblock", i);
		}
	}
	return 0;
}

/* Header into nv->io and *s, payload behind it. The length is believed only
 * as far as slot_decode has checked it against the slot's size. */
static int
read_slot(struct nvram *nv, uint32_t i, struct slot *s, struct err *err)
{
	const struct store_ops *ops = nv->store->ops;
	uint64_t at = nvram_slot_offset(nv, i);
	int rc;

	if ((rc = ops->read(nv->store, nv->io, SLOT_HEADER_SIZE, at)) < 0)
		return err_sys(err, -rc, "cannot read %s", nv->name);
	if ((rc = slot_decode(nv->io, nv->sb.header.slot_size, s)) < 0)
		return rc;
	if ((rc = ops->read(nv->store, nv->io + SLOT_HEADER_SIZE,
	    s->payload_size, at + SLOT_HEADER_SIZE)) < 0)
		return err_sys(err, -rc, "cannot read %s", nv->name);
	return 0;
}

/* Fills the area's report and, where its state says so, state[i]. */
static int
load_slot(struct nvram *nv, uint32_t i, struct slot *s, struct err *err)
{
	struct nvram_area *area = &nv->report.slot[i];
	const struct nvram_header *h = &nv->sb.header;
	struct err why = { 0 };
	int rc;

	area->state = NVRAM_AREA_TORN;
	rc = read_slot(nv, i, s, err);
	if (rc == ERR_NOTFOUND)
		area->state = NVRAM_AREA_EMPTY;
	if (rc == ERR_NOTFOUND || rc == ERR_FORMAT)
		return 0;
	if (rc < 0)
		return rc;
	if (memcmp(s->dek_id, h->dek_id, DEK_ID_SIZE) != 0) {
		area->state = NVRAM_AREA_LEFTOVER;
		return 0;
	}
	if (s->index != i || s->epoch > h->epoch)
		return 0;
	if ((rc = nvram_state_reserve(nv, i, s->payload_size, err)) < 0)
		return rc;
	rc = slot_open(s, nv->io, h->uuid, nv->keys.slot,
	    secret_data(nv->state[i]), &why);
	if (rc == ERR_AUTH)
		return 0;
	if (rc < 0)
		return err_set(err, rc, "%s: %s", nv->name, why.text);
	if (slot_payload_check(secret_bytes(nv->state[i]),
	    s->payload_size) < 0 ||
	    (s->sequence == nv->sb.floor_sequence &&
	    memcmp(s->tag, nv->sb.floor_tag, XAES_TAG_SIZE) != 0))
		return 0;
	*area = (struct nvram_area){ .state = NVRAM_AREA_OLDER,
	    .sequence = s->sequence, .epoch = s->epoch,
	    .state_size = s->payload_size };
	return 0;
}

static int
no_slot(const struct nvram *nv, struct err *err)
{
	return err_set(err, ERR_AUTH, "%s: neither state slot can be used: "
	    "both are damaged. Nothing was changed. Put back a copy of the "
	    "file and take it into use with: vtpmctl accept-restore FILE",
	    nv->name);
}

/* The newest that is not from before the floor; failing that, the newest, and
 * nvram_acquire will want to be told that somebody knows. */
static int
choose_slot(struct nvram *nv, const struct slot slots[SLOT_COUNT],
    struct err *err)
{
	struct nvram_area *area = nv->report.slot;
	int best = -1;

	for (unsigned int i = 0; i < SLOT_COUNT; i++) {
		if (area[i].state == NVRAM_AREA_TORN)
			report_torn(nv, "slot", i);
		if (area[i].state == NVRAM_AREA_OLDER && (best < 0 ||
		    area[i].sequence > area[best].sequence))
			best = (int)i;
	}
	if (best < 0)
		return no_slot(nv, err);
	area[best].state = NVRAM_AREA_CURRENT;
	nv->slot = slots[best];
	nv->fallback = nv->slot.sequence < nv->sb.floor_sequence;
	if (nv->fallback)
		log_event(LOG_LEVEL_ERROR, "nvram.fallback",
		    "file=\"%s\" sequence=%llu floor=%llu", nv->name,
		    (unsigned long long)nv->slot.sequence,
		    (unsigned long long)nv->sb.floor_sequence);
	return 0;
}

static int
load_slots(struct nvram *nv, struct err *err)
{
	struct slot slots[SLOT_COUNT] = { 0 };
	int64_t size = nv->store->ops->size(nv->store);
	int rc;

	if (size < 0)
		return err_sys(err, (int)-size, "cannot stat %s", nv->name);
	if ((uint64_t)size < nvram_slot_offset(nv, SLOT_COUNT))
		return err_set(err, ERR_AUTH, "%s has been cut short: it has "
		    "%lld bytes of %llu", nv->name, (long long)size,
		    (unsigned long long)nvram_slot_offset(nv, SLOT_COUNT));
	for (uint32_t i = 0; i < SLOT_COUNT; i++)
		if ((rc = load_slot(nv, i, &slots[i], err)) < 0)
			return rc;
	return choose_slot(nv, slots, err);
}

/* With the keys of the superblock in use. */
static int
unlock_rest(struct nvram *nv, struct err *err)
{
	int rc;

	if ((rc = judge_superblocks(nv, err)) < 0 ||
	    (rc = nvram_buffers_make(nv, err)) < 0 ||
	    (rc = load_slots(nv, err)) < 0) {
		nvram_keys_free(&nv->keys);
		free(nv->io);
		nv->io = NULL;
		return rc;
	}
	free(nv->candidates);
	nv->candidates = NULL;
	nv->unlocked = true;
	return 0;
}

int
nvram_unlock(struct nvram *nv, const struct protector_creds *creds,
    struct err *err)
{
	int rc;

	if (nv->unlocked)
		return 0;
	if ((rc = unlock_superblock(nv, creds, err)) < 0)
		return rc;
	return unlock_rest(nv, err);
}

int
nvram_unlock_dek(struct nvram *nv, const uint8_t dek[DEK_SIZE],
    struct err *err)
{
	struct nvram_candidate *c = &nv->candidates[nv->sb_active];
	struct secret *copy = secret_from(dek, DEK_SIZE);
	int rc;

	if (copy == NULL)
		return err_sys(err, errno, "cannot lock memory for a key");
	if ((rc = keys_fit(c, copy, &nv->keys, err)) < 0)
		return rc;
	return unlock_rest(nv, err);
}
