/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How areas of a file are written: each write goes to the area that is not in
 * use, and only a sync makes it the one in use. doc/nvram-format.md, "Writing".
 */
#include <string.h>

#include "base/log.h"
#include "nvram-crypt/nvram-internal.h"

static int
store_write(struct nvram *nv, size_t size, uint64_t offset, struct err *err)
{
	int rc = nv->store->ops->write(nv->store, nv->io, size, offset);

	if (rc < 0)
		return err_sys(err, -rc, "cannot write %zu bytes of %s", size,
		    nv->name);
	return 0;
}

static int
store_sync(struct nvram *nv, struct err *err)
{
	int rc = nv->store->ops->sync(nv->store);

	if (rc < 0) {
		if (nv->copy == NVRAM_COPY_WRITTEN)
			nv->copy = NVRAM_COPY_UNKNOWN;
		return err_sys(err, -rc, "cannot sync %s", nv->name);
	}
	nv->synced = true;
	if (nv->copy == NVRAM_COPY_WRITTEN)
		nv->copy = NVRAM_COPY_SYNCED;
	return 0;
}

int
nvram_sync(struct nvram *nv, struct err *err)
{
	return store_sync(nv, err);
}

int
nvram_confirm(struct nvram *nv, struct err *err)
{
	int rc;

	if (!nv->unconfirmed)
		return 0;
	if ((rc = freshness_confirm(nv->freshness, err)) == 0)
		nv->unconfirmed = false;
	return rc;
}

/* Writes an area's bytes over themselves. */
static int
rewrite(struct nvram *nv, size_t size, uint64_t offset, struct err *err)
{
	int rc = nv->store->ops->read(nv->store, nv->io, size, offset);

	if (rc < 0)
		return err_sys(err, -rc, "cannot read %zu bytes of %s", size,
		    nv->name);
	return store_write(nv, size, offset, err);
}

/*
 * Before the first change after opening. What was read may be in the page cache
 * only: its writer was killed before the sync, or its sync failed, and then
 * Linux takes the pages for clean though the disk never got them. So the two
 * areas in use are written once more and synced. A power cut meanwhile harms
 * nothing: each of their sectors holds the same before and after, or was not on
 * the disk, and then the other area is still whole.
 */
static int
harden(struct nvram *nv, struct err *err)
{
	size_t size = (SLOT_HEADER_SIZE + (size_t)nv->slot.payload_size +
	    PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
	int rc;

	if (nv->synced)
		return 0;
	if ((rc = rewrite(nv, SUPERBLOCK_SIZE,
	    (uint64_t)nv->sb_active * SUPERBLOCK_SIZE, err)) < 0 ||
	    (rc = rewrite(nv, size, nvram_slot_offset(nv, nv->slot.index),
	    err)) < 0)
		return rc;
	return store_sync(nv, err);
}

int
nvram_check_number(const struct nvram *nv, const char *what, uint64_t n,
    struct err *err)
{
	if (n < UINT64_MAX)
		return 0;
	return err_set(err, ERR_REFUSED, "%s: its %s is at the end of its "
	    "range: the file was not made by a vtpmd", nv->name, what);
}

/* nv->io holds the superblock that has just become the current one. */
static int
mirror(struct nvram *nv, bool erase, struct err *err)
{
	struct err why = { 0 };
	int rc;

	nv->copy = NVRAM_COPY_UNKNOWN;
	rc = store_write(nv, SUPERBLOCK_SIZE,
	    (uint64_t)(nv->sb_active ^ 1u) * SUPERBLOCK_SIZE, &why);
	if (rc == 0)
		nv->copy = NVRAM_COPY_WRITTEN;
	if (rc == 0 && erase)
		rc = store_sync(nv, &why);
	if (rc == 0)
		return 0;
	if (!erase) {
		/* The change itself is durable; the copy is for bad days. */
		log_warning("%s: the superblock has no second copy now",
		    why.text);
		return 0;
	}
	return err_set(err, rc, "%s: the change is made, but the "
	    "superblock before it could not be overwritten: repeat the "
	    "command when the disk works again", why.text);
}

/* Into the inactive area. Until the caller knows that it is on the disk, the
 * area is in doubt. */
static int
superblock_write(struct nvram *nv, struct superblock *next, struct xaes *key,
    struct err *err)
{
	int rc;

	if ((rc = nvram_check_number(nv, "generation", nv->sb.header.generation,
	    err)) < 0 || (rc = harden(nv, err)) < 0)
		return rc;
	next->header.generation = nv->sb.header.generation + 1;
	if ((rc = superblock_seal(next, key, nv->io, err)) < 0)
		return rc;
	nv->sb_uncertain = true;
	nv->copy = NVRAM_COPY_UNKNOWN;
	return store_write(nv, SUPERBLOCK_SIZE,
	    (uint64_t)(nv->sb_active ^ 1u) * SUPERBLOCK_SIZE, err);
}

int
nvram_superblock_put(struct nvram *nv, struct superblock *next,
    struct xaes *key, bool erase, struct err *err)
{
	int rc;

	if ((rc = superblock_write(nv, next, key, err)) < 0 ||
	    (rc = store_sync(nv, err)) < 0 ||
	    (rc = nvram_confirm(nv, err)) < 0)
		return rc;
	nv->sb_uncertain = nv->sb_pending = false;
	nv->sb_active ^= 1u;
	nv->sb = *next;
	return mirror(nv, erase, err);
}

int
nvram_superblock_put_pending(struct nvram *nv, struct superblock *next,
    struct err *err)
{
	int rc;

	if ((rc = superblock_write(nv, next, nv->keys.superblock, err)) < 0)
		return rc;
	nv->sb_uncertain = false;
	nv->sb_pending = true;
	nv->sb = *next;
	return 0;
}

/* The sync that a pending superblock waited for has been. */
static int
adopt_pending(struct nvram *nv, struct err *err)
{
	int rc;

	if (!nv->sb_pending)
		return 0;
	nv->sb_pending = false;
	nv->sb_active ^= 1u;
	if ((rc = nv->store->ops->read(nv->store, nv->io, SUPERBLOCK_SIZE,
	    (uint64_t)nv->sb_active * SUPERBLOCK_SIZE)) < 0) {
		log_warning("%s: cannot read the superblock: it has no second "
		    "copy now", nv->name);
		return 0;
	}
	return mirror(nv, false, err);
}

/* A sync failed: what was pending may never reach the disk, whatever the page
 * cache says. */
static void
doubt_pending(struct nvram *nv)
{
	nv->sb_uncertain = nv->sb_uncertain || nv->sb_pending;
	nv->sb_pending = false;
}

/* And with the slot all that waited for its sync. */
static int
slot_sync(struct nvram *nv, struct err *err)
{
	int rc;

	if ((rc = store_sync(nv, err)) < 0) {
		doubt_pending(nv);
		return rc;
	}
	if ((rc = adopt_pending(nv, err)) < 0)
		return rc;
	return nvram_confirm(nv, err);
}

int
nvram_slot_put(struct nvram *nv, struct xaes *key,
    const uint8_t dek_id[DEK_ID_SIZE], size_t payload_size,
    enum nvram_put how, struct err *err)
{
	uint32_t target = nv->slot.index ^ 1u;
	struct slot next = { .index = target,
		.sequence = nv->slot.sequence + 1,
		.epoch = nv->sb.header.epoch,
		.payload_size = (uint32_t)payload_size };
	size_t slot_size = nv->sb.header.slot_size;
	size_t size;
	int rc;

	if ((rc = nvram_check_number(nv, "sequence number", nv->slot.sequence,
	    err)) < 0 || (rc = harden(nv, err)) < 0)
		return rc;
	memcpy(next.dek_id, dek_id, DEK_ID_SIZE);
	if ((rc = slot_seal(&next, nv->sb.header.uuid, key,
	    secret_bytes(nv->state[target]), nv->io, slot_size, &size,
	    err)) < 0)
		return rc;
	if (how == NVRAM_PUT_WHOLE) {
		memset(nv->io + size, 0, slot_size - size);
		size = slot_size;
	}
	nv->slot_uncertain = true;
	if ((rc = store_write(nv, size, nvram_slot_offset(nv, target),
	    err)) < 0)
		return rc;
	if (how == NVRAM_PUT_UNSYNCED)
		/* The slot before it is overwritten only after harden. */
		nv->synced = false;
	else if ((rc = slot_sync(nv, err)) < 0)
		return rc;
	nv->slot_uncertain = false;
	nv->slot = next;
	return 0;
}

int
nvram_slot_copy(struct nvram *nv, struct xaes *key,
    const uint8_t dek_id[DEK_ID_SIZE], enum nvram_put how, struct err *err)
{
	size_t size = nv->slot.payload_size;
	uint32_t target = nv->slot.index ^ 1u;
	int rc;

	if ((rc = nvram_state_reserve(nv, target, size, err)) < 0)
		return rc;
	memcpy(secret_data(nv->state[target]),
	    secret_bytes(nv->state[nv->slot.index]), size);
	return nvram_slot_put(nv, key, dek_id, size, how, err);
}

int
nvram_settle(struct nvram *nv, struct err *err)
{
	struct superblock again = nv->sb;
	int rc;

	if (nv->acquired && (rc = harden(nv, err)) < 0)
		return rc;
	if (nv->sb_uncertain)
		return nvram_superblock_put(nv, &again, nv->keys.superblock,
		    false, err);
	if (!nv->sb_pending)
		return 0;
	if ((rc = store_sync(nv, err)) < 0) {
		doubt_pending(nv);
		return rc;
	}
	return adopt_pending(nv, err);
}

bool
nvram_in_doubt(const struct nvram *nv)
{
	return nv->sb_uncertain || nv->slot_uncertain || nv->sb_pending ||
	    nv->unconfirmed;
}

bool
nvram_copy_synced(struct nvram *nv)
{
	if (nv->copy == NVRAM_COPY_WRITTEN)
		(void)store_sync(nv, NULL);
	return nv->copy == NVRAM_COPY_SYNCED;
}
