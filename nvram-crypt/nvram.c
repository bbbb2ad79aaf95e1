/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A file in use: taking it, committing states, giving it back. Each write goes
 * to the area that is not in use, and only a sync makes it the one in use.
 */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "nvram-crypt/crypto.h"
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

	if (rc < 0)
		return err_sys(err, -rc, "cannot sync %s", nv->name);
	nv->synced = true;
	return 0;
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
nvram_check_writable(const struct nvram *nv, const char *what,
    struct err *err)
{
	if (nv->releasing)
		return err_set(err, ERR_REFUSED, "%s: cannot %s: its release "
		    "has begun", nv->name, what);
	if (nv->writable && nv->unlocked)
		return 0;
	return err_set(err, ERR_REFUSED, "%s: cannot %s: the file was opened "
	    "%s", nv->name, what, nv->writable ? "but not unlocked" :
	    "for reading only");
}

void
nvram_set_floor(struct superblock *sb, const struct slot *slot)
{
	sb->floor_sequence = slot->sequence;
	memcpy(sb->floor_tag, slot->tag, sizeof(sb->floor_tag));
}

/* Numbers that only grow, and say which of two is the newer. No file comes to
 * the end of 64 bits, but one can be made that is there. */
static int
check_number(const struct nvram *nv, const char *what, uint64_t n,
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

	rc = store_write(nv, SUPERBLOCK_SIZE,
	    (uint64_t)(nv->sb_active ^ 1u) * SUPERBLOCK_SIZE, &why);
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

int
nvram_superblock_put(struct nvram *nv, struct superblock *next,
    struct xaes *key, bool erase, struct err *err)
{
	unsigned int target = nv->sb_active ^ 1u;
	int rc;

	if ((rc = check_number(nv, "generation", nv->sb.header.generation,
	    err)) < 0 || (rc = harden(nv, err)) < 0)
		return rc;
	next->header.generation = nv->sb.header.generation + 1;
	if ((rc = superblock_seal(next, key, nv->io, err)) < 0)
		return rc;
	nv->sb_uncertain = true;
	if ((rc = store_write(nv, SUPERBLOCK_SIZE,
	    (uint64_t)target * SUPERBLOCK_SIZE, err)) < 0 ||
	    (rc = store_sync(nv, err)) < 0)
		return rc;
	nv->sb_uncertain = false;
	nv->sb_active = target;
	nv->sb = *next;
	return mirror(nv, erase, err);
}

int
nvram_slot_put(struct nvram *nv, struct xaes *key,
    const uint8_t dek_id[DEK_ID_SIZE], size_t payload_size, bool whole,
    struct err *err)
{
	uint32_t target = nv->slot.index ^ 1u;
	struct slot next = { .index = target,
		.sequence = nv->slot.sequence + 1,
		.epoch = nv->sb.header.epoch,
		.payload_size = (uint32_t)payload_size };
	size_t slot_size = nv->sb.header.slot_size;
	size_t size;
	int rc;

	if ((rc = check_number(nv, "sequence number", nv->slot.sequence,
	    err)) < 0 || (rc = harden(nv, err)) < 0)
		return rc;
	memcpy(next.dek_id, dek_id, DEK_ID_SIZE);
	if ((rc = slot_seal(&next, nv->sb.header.uuid, key,
	    secret_bytes(nv->state[target]), nv->io, slot_size, &size,
	    err)) < 0)
		return rc;
	if (whole) {
		memset(nv->io + size, 0, slot_size - size);
		size = slot_size;
	}
	nv->slot_uncertain = true;
	if ((rc = store_write(nv, size, nvram_slot_offset(nv, target),
	    err)) < 0 || (rc = store_sync(nv, err)) < 0)
		return rc;
	nv->slot_uncertain = false;
	nv->slot = next;
	return 0;
}

int
nvram_slot_copy(struct nvram *nv, struct xaes *key,
    const uint8_t dek_id[DEK_ID_SIZE], bool whole, struct err *err)
{
	size_t size = nv->slot.payload_size;
	uint32_t target = nv->slot.index ^ 1u;
	int rc;

	if ((rc = nvram_state_reserve(nv, target, size, err)) < 0)
		return rc;
	memcpy(secret_data(nv->state[target]),
	    secret_bytes(nv->state[nv->slot.index]), size);
	return nvram_slot_put(nv, key, dek_id, size, whole, err);
}

int
nvram_settle(struct nvram *nv, struct err *err)
{
	struct superblock again = nv->sb;

	if (!nv->sb_uncertain)
		return 0;
	return nvram_superblock_put(nv, &again, nv->keys.superblock, false,
	    err);
}

static int
payload_fits(const struct nvram *nv, size_t size, struct err *err)
{
	size_t room = nv->sb.header.slot_size - SLOT_HEADER_SIZE;

	if (size <= room)
		return 0;
	return err_set(err, ERR_NOSPACE, "%s: a state of %zu bytes is larger "
	    "than a slot of the file (%zu bytes)", nv->name, size, room);
}

int
nvram_commit(struct nvram *nv, const struct nvram_record *records,
    size_t n_records, struct err *err)
{
	uint32_t target = nv->slot.index ^ 1u;
	uint8_t *payload;
	size_t size;
	int rc;

	if ((rc = nvram_check_writable(nv, "store a state", err)) < 0)
		return rc;
	if (!nv->acquired)
		return err_set(err, ERR_REFUSED,
		    "%s: cannot store a state: the file was not acquired",
		    nv->name);
	if (slot_payload_size(records, n_records, &size) < 0)
		return err_set(err, ERR_NOSPACE, "%s: a state of more than "
		    "%u records or %u bytes", nv->name, SLOT_RECORDS_MAX,
		    NVRAM_STATE_MAX);
	if ((rc = payload_fits(nv, size, err)) < 0 ||
	    (rc = nvram_settle(nv, err)) < 0 ||
	    (rc = nvram_state_reserve(nv, target, size, err)) < 0)
		return rc;
	payload = secret_data(nv->state[target]);
	if (slot_payload_put(records, n_records, payload, size) < 0 ||
	    slot_payload_check(payload, size) < 0)
		return err_set(err, ERR_USAGE,
		    "%s: a state with two records of one kind", nv->name);
	return nvram_slot_put(nv, nv->keys.slot, nv->sb.header.dek_id, size,
	    false, err);
}

int
nvram_get(const struct nvram *nv, enum nvram_kind kind,
    const uint8_t **data, size_t *size, struct err *err)
{
	*data = NULL;
	*size = 0;
	if (!nv->unlocked)
		return err_set(err, ERR_REFUSED, "%s is not unlocked",
		    nv->name);
	if (slot_payload_get(secret_bytes(nv->state[nv->slot.index]),
	    nv->slot.payload_size, kind, data, size) < 0)
		return err_set(err, ERR_NOTFOUND,
		    "%s holds no state of kind %d", nv->name, (int)kind);
	return 0;
}

int
nvram_digest(const struct nvram *nv, uint8_t digest[FRESHNESS_DIGEST_SIZE],
    struct err *err)
{
	uint8_t bytes[XAES_TAG_SIZE + 8 + XAES_NONCE_SIZE + XAES_TAG_SIZE];
	struct buf b = buf_writer(bytes, sizeof(bytes));

	buf_put_bytes(&b, nv->sb.tag, sizeof(nv->sb.tag));
	buf_put_u64be(&b, nv->slot.sequence);
	buf_put_bytes(&b, nv->slot.nonce, sizeof(nv->slot.nonce));
	buf_put_bytes(&b, nv->slot.tag, sizeof(nv->slot.tag));
	return crypto_sha256(bytes, sizeof(bytes), digest, err);
}

void
nvram_claim(const struct nvram *nv, struct freshness_claim *claim)
{
	const struct nvram_header *h = &nv->sb.header;

	memset(claim, 0, sizeof(*claim));
	memcpy(claim->uuid, h->uuid, UUID_SIZE);
	claim->epoch = h->epoch;
	claim->host_bound = true;
	for (size_t i = 0; i < h->n_protectors; i++)
		if (h->protectors[i].kind != PROTECTOR_NATIVE)
			claim->host_bound = false;
	/* Zeros where SHA-256 fails: a digest that no file has. */
	if (nvram_digest(nv, claim->digest, NULL) < 0)
		memset(claim->digest, 0, sizeof(claim->digest));
}

bool
nvram_vanished(const struct nvram *nv, char *where, size_t where_size)
{
	/* One that cannot be asked will fail where that matters. */
	return nv->store->ops->vanished(nv->store, where, where_size) > 0;
}

static void
set_owner(struct nvram_header *h, pid_t pid)
{
	char host[HOST_NAME_MAX + 1] = "";

	(void)gethostname(host, sizeof(host) - 1);
	memset(h->owner, 0, sizeof(h->owner));
	snprintf(h->owner, sizeof(h->owner), "host %s, process %ld", host,
	    (long)(pid != 0 ? pid : getpid()));
}

void
nvram_act_for(struct nvram *nv, pid_t pid)
{
	nv->acts_for = pid;
}

static int
refuse_fallback(const struct nvram *nv, struct err *err)
{
	return err_set(err, ERR_STALE, "%s: the newest state (sequence %llu) "
	    "is damaged; the file still holds the one before it (%llu). To go "
	    "on with that one: vtpmctl accept-restore %s", nv->name,
	    (unsigned long long)nv->sb.floor_sequence,
	    (unsigned long long)nv->slot.sequence, nv->name);
}

int
nvram_acquire(struct nvram *nv, struct freshness *f, bool accept_restore,
    struct err *err)
{
	struct superblock next = nv->sb;
	struct freshness_claim claim;
	uint64_t epoch = nv->sb.header.epoch + 1;
	int rc;

	nv->releasing = false;
	if ((rc = nvram_check_writable(nv, "take it into use", err)) < 0)
		return rc;
	if (nv->fallback && !accept_restore)
		return refuse_fallback(nv, err);
	if ((rc = check_number(nv, "epoch", nv->sb.header.epoch, err)) < 0)
		return rc;
	/* Now, so that a commit finds its memory while the state stays small:
	 * it may run where mapping more is forbidden. */
	if ((rc = nvram_state_reserve(nv, nv->slot.index ^ 1u, 0, err)) < 0)
		return rc;
	nvram_claim(nv, &claim);
	if (f != NULL && (rc = freshness_acquire(f, &claim, accept_restore,
	    &epoch, err)) < 0) {
		err_prefix(err, "%s", nv->name);
		return rc;
	}
	next.header.epoch = epoch;
	set_owner(&next.header, nv->acts_for);
	nvram_set_floor(&next, &nv->slot);
	if ((rc = nvram_superblock_put(nv, &next, nv->keys.superblock, false,
	    err)) < 0)
		return rc;
	nv->fallback = false;
	if (f != NULL && (rc = freshness_confirm(f, err)) < 0)
		return rc;
	nv->freshness = f;
	nv->acquired = true;
	return 0;
}

int
nvram_set_state_version(struct nvram *nv, uint32_t version, struct err *err)
{
	struct superblock next = nv->sb;
	int rc;

	if ((rc = nvram_check_writable(nv, "note a version", err)) < 0)
		return rc;
	if (next.header.state_version == version)
		return 0;
	next.header.state_version = version;
	nvram_set_floor(&next, &nv->slot);
	return nvram_superblock_put(nv, &next, nv->keys.superblock, false,
	    err);
}

int
nvram_release(struct nvram *nv, struct err *err)
{
	uint8_t digest[FRESHNESS_DIGEST_SIZE];
	int rc;

	if (!nv->acquired)
		return err_set(err, ERR_REFUSED, "%s was not acquired",
		    nv->name);
	/* What a failed write left behind must not be what the next opening
	 * finds, for then the digest would be another. */
	if ((rc = nvram_settle(nv, err)) < 0 || (nv->slot_uncertain &&
	    (rc = nvram_slot_copy(nv, nv->keys.slot, nv->sb.header.dek_id,
	    false, err)) < 0))
		return rc;
	if ((rc = nvram_digest(nv, digest, err)) < 0)
		return rc;
	/* Even if it fails, the record may hold this digest now: the file
	 * must not change any more. */
	nv->releasing = true;
	if (nv->freshness != NULL &&
	    (rc = freshness_release(nv->freshness, digest, err)) < 0)
		return rc;
	nv->releasing = false;
	nv->acquired = false;
	nv->freshness = NULL;
	return 0;
}
