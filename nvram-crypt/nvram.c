/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A file in use: taking it, committing states, giving it back.
 */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/process.h"
#include "nvram-crypt/crypto.h"
#include "nvram-crypt/nvram-internal.h"

/* A killed process closes one of its files after the other, within
 * microseconds; but it may have to wait for the processor in between. */
#define RECORD_LEAVES_MS 500

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

static int
payload_fits(const struct nvram *nv, size_t size, struct err *err)
{
	size_t room = nv->sb.header.slot_size - SLOT_HEADER_SIZE;

	if (size <= room)
		return 0;
	return err_set(err, ERR_NOSPACE, "%s: a state of %zu bytes is larger "
	    "than a slot of the file (%zu bytes)", nv->name, size, room);
}

static int
commit(struct nvram *nv, const struct nvram_record *records,
    size_t n_records, enum nvram_put how, struct err *err)
{
	uint32_t target = nv->slot.index ^ 1u;
	struct slot before = nv->slot;
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
	    (nv->sb_uncertain && (rc = nvram_settle(nv, err)) < 0) ||
	    (rc = nvram_state_reserve(nv, target, size, err)) < 0)
		return rc;
	payload = secret_data(nv->state[target]);
	if (slot_payload_put(records, n_records, payload, size) < 0 ||
	    slot_payload_check(payload, size) < 0)
		return err_set(err, ERR_USAGE,
		    "%s: a state with two records of one kind", nv->name);
	if ((rc = nvram_slot_put(nv, nv->keys.slot, nv->sb.header.dek_id, size,
	    how, err)) < 0)
		return rc;
	nv->before = before;
	nv->undoable = how == NVRAM_PUT_SYNCED;
	return 0;
}

int
nvram_commit(struct nvram *nv, const struct nvram_record *records,
    size_t n_records, struct err *err)
{
	return commit(nv, records, n_records, NVRAM_PUT_SYNCED, err);
}

int
nvram_commit_unsynced(struct nvram *nv, const struct nvram_record *records,
    size_t n_records, struct err *err)
{
	return commit(nv, records, n_records, nvram_in_doubt(nv) ?
	    NVRAM_PUT_SYNCED : NVRAM_PUT_UNSYNCED, err);
}

int
nvram_undo(struct nvram *nv, struct err *err)
{
	int rc;

	if ((rc = nvram_check_writable(nv, "take a state back", err)) < 0)
		return rc;
	/* Nor below the floor, which the next opening would refuse. */
	if (!nv->acquired || !nv->undoable ||
	    nv->before.sequence < nv->sb.floor_sequence)
		return err_set(err, ERR_NOTFOUND, "%s: the state before the "
		    "last one is not there any more", nv->name);
	nv->undoable = false;
	nv->sequence_spent = nv->slot.sequence;
	nv->slot_uncertain = true;
	nv->slot = nv->before;
	return 0;
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

void
nvram_rest(struct nvram *nv)
{
	/* What is in it is on the disk; whoever reads it has filled it. */
	(void)madvise(nv->io, nv->io_size, MADV_DONTNEED);
}

static void
learn_host(struct nvram *nv)
{
	if (nv->host[0] == '\0')
		(void)gethostname(nv->host, sizeof(nv->host) - 1);
}

static void
set_owner(struct nvram *nv, struct nvram_header *h)
{
	learn_host(nv);
	nvram_owner_format(h->owner, nv->host,
	    nv->acts_for != 0 ? nv->acts_for : getpid());
}

void
nvram_act_for(struct nvram *nv, pid_t pid)
{
	nv->acts_for = pid;
	/* Who waits for a file may not ask any more when it is taken. */
	learn_host(nv);
}

int
nvram_refuse_fallback(const struct nvram *nv, struct err *err)
{
	return err_set(err, ERR_STALE, "%s: the newest state (sequence %llu) "
	    "is damaged; the file still holds the one before it (%llu). To go "
	    "on with that one: vtpmctl accept-restore %s", nv->name,
	    (unsigned long long)nv->sb.floor_sequence,
	    (unsigned long long)nv->slot.sequence, nv->name);
}

/* So that no later write runs out of it. On a full disk the file still opens:
 * most writes go where there is space already. */
static void
reserve_space(const struct nvram *nv)
{
	int rc = nv->store->ops->reserve(nv->store,
	    nvram_slot_offset(nv, SLOT_COUNT));

	if (rc < 0)
		log_event(LOG_LEVEL_WARNING, "storage.unreserved", "file=%s "
		    "error=\"%s\" consequence=\"the file has holes: while "
		    "the disk is full, changes of the TPM may fail\"",
		    nv->name, strerror(-rc));
}

bool
nvram_wants_authority(const struct nvram *nv)
{
	const struct nvram_header *h = nvram_header(nv);

	for (size_t i = 0; i < h->n_protectors; i++)
		if (h->protectors[i].kind == PROTECTOR_AUTHORITY)
			return true;
	return false;
}

/* Whoever holds the file must not choose who says whether it is the latest. */
static int
check_keeper(const struct nvram *nv, const struct freshness *f, bool accept,
    struct err *err)
{
	if (f == NULL || accept || freshness_is_authority(f) ||
	    !nvram_wants_authority(nv))
		return 0;
	return err_set(err, ERR_REFUSED, "%s: the trust authority keeps the "
	    "record of this VM, and was not asked", nv->name);
}

/* How an epoch is had: session NULL by what the file claims, else as what was
 * offered under that name. */
struct taking {
	struct freshness *f;
	bool accept, back, lent;
	const uint8_t *session;
};

static int
take_epoch(const struct nvram *nv, const struct taking *t,
    struct freshness_grant *grant, struct err *err)
{
	struct freshness_claim claim;
	int rc;

	if (t->f == NULL)
		return 0;
	nvram_claim(nv, &claim);
	claim.lent = t->lent && nv->slot.epoch == nv->sb.header.epoch;
	rc = t->session != NULL ? freshness_take_up(t->f, &claim, t->session,
	    t->back, grant, err) : freshness_acquire(t->f, &claim, t->accept,
	    grant, err);
	if (rc < 0)
		err_prefix(err, "%s", nv->name);
	return rc;
}

static int
take(struct nvram *nv, const struct taking *t, struct err *err)
{
	struct superblock next = nv->sb;
	struct freshness_grant grant = {
		.epoch = nv->sb.header.epoch + 1 };
	int rc;

	nv->releasing = nv->unconfirmed = nv->lent = false;
	if ((rc = nvram_check_writable(nv, "take it into use", err)) < 0)
		return rc;
	if ((rc = check_keeper(nv, t->f, t->accept, err)) < 0)
		return rc;
	if (nv->fallback && !t->accept)
		return nvram_refuse_fallback(nv, err);
	reserve_space(nv);
	if ((rc = nvram_check_number(nv, "epoch", nv->sb.header.epoch,
	    err)) < 0)
		return rc;
	/* Now, so that a commit finds its memory while the state stays small:
	 * it may run where mapping more is forbidden. */
	if ((rc = nvram_state_reserve(nv, nv->slot.index ^ 1u, 0, err)) < 0)
		return rc;
	if ((rc = take_epoch(nv, t, &grant, err)) < 0)
		return rc;
	nv->synced = nv->synced || grant.synced;
	next.header.epoch = grant.epoch;
	set_owner(nv, &next.header);
	nvram_set_floor(&next, &nv->slot);
	rc = grant.pending ? nvram_superblock_put_pending(nv, &next, err) :
	    nvram_superblock_put(nv, &next, nv->keys.superblock, false, err);
	if (rc < 0)
		return rc;
	nv->fallback = false;
	nv->freshness = t->f;
	nv->unconfirmed = t->f != NULL;
	nv->acquired = true;
	return 0;
}

int
nvram_acquire(struct nvram *nv, struct freshness *f, bool accept_restore,
    struct err *err)
{
	unsigned int waited = 0;
	int rc;

	/* Who has just let go of the file has not let go of its record. */
	do
		rc = take(nv, &(struct taking){ .f = f,
			.accept = accept_restore }, err);
	while (rc == ERR_BUSY && nv->owner_left &&
	    process_wait_for_leaving(&waited, RECORD_LEAVES_MS));
	return rc;
}

int
nvram_take_up(struct nvram *nv, struct freshness *f,
    const uint8_t session[FRESHNESS_SESSION_SIZE], bool back,
    struct err *err)
{
	return take(nv, &(struct taking){ .f = f, .session = session,
		.back = back }, err);
}

int
nvram_acquire_lent(struct nvram *nv, struct freshness *f, struct err *err)
{
	return take(nv, &(struct taking){ .f = f, .lent = true }, err);
}

int
nvram_raise_epoch(struct nvram *nv, uint64_t epoch, struct err *err)
{
	struct superblock next;
	uint64_t before = nv->sb.header.epoch;
	int rc;

	if ((rc = nvram_check_writable(nv, "raise its epoch", err)) < 0)
		return rc;
	if (before >= epoch)
		return 0;
	if ((rc = nvram_check_number(nv, "epoch", epoch, err)) < 0 ||
	    (rc = nvram_settle(nv, err)) < 0 || (nv->freshness != NULL &&
	    (rc = freshness_raise(nv->freshness, epoch, err)) < 0))
		return rc;
	next = nv->sb;
	next.header.epoch = epoch;
	nvram_set_floor(&next, &nv->slot);
	nv->unconfirmed = nv->freshness != NULL;
	rc = nvram_superblock_put(nv, &next, nv->keys.superblock, false, err);
	/* The file says what it did, or is to be settled to say so. */
	if (rc < 0 && nv->freshness != NULL)
		(void)freshness_raise(nv->freshness, before, NULL);
	return rc;
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
	if (nv->sb_pending)
		return nvram_superblock_put_pending(nv, &next, err);
	return nvram_superblock_put(nv, &next, nv->keys.superblock, false,
	    err);
}

/* All that the next owner will find, and its digest. */
static int
make_final(struct nvram *nv, uint8_t digest[FRESHNESS_DIGEST_SIZE],
    struct err *err)
{
	int rc;

	if (!nv->acquired)
		return err_set(err, ERR_REFUSED, "%s was not acquired",
		    nv->name);
	/* What a failed write left behind must not be what the next opening
	 * finds, for then the digest would be another. */
	if ((rc = nvram_settle(nv, err)) < 0 || (nv->slot_uncertain &&
	    (rc = nvram_slot_copy(nv, nv->keys.slot, nv->sb.header.dek_id,
	    NVRAM_PUT_SYNCED, err)) < 0))
		return rc;
	/* Also where nothing was changed: a release that is cut short must
	 * leave a record of this epoch, whichever of its writes is lost. */
	if ((rc = nvram_confirm(nv, err)) < 0)
		return rc;
	return nvram_digest(nv, digest, err);
}

int
nvram_offer(struct nvram *nv, const uint8_t session[FRESHNESS_SESSION_SIZE],
    struct err *err)
{
	struct freshness_handover h;
	int rc;

	if ((rc = make_final(nv, h.digest, err)) < 0)
		return rc;
	memcpy(h.session, session, sizeof(h.session));
	h.synced = nvram_copy_synced(nv);
	return nv->freshness != NULL ? freshness_offer(nv->freshness, &h,
	    err) : 0;
}

int
nvram_release(struct nvram *nv, struct err *err)
{
	uint8_t digest[FRESHNESS_DIGEST_SIZE];
	int rc;

	if ((rc = make_final(nv, digest, err)) < 0)
		return rc;
	/* Even if it fails, the record may hold this digest now: the file
	 * must not change any more. */
	nv->releasing = true;
	if (nv->freshness != NULL &&
	    (rc = freshness_release(nv->freshness, digest,
	    nvram_copy_synced(nv), err)) < 0)
		return rc;
	nv->releasing = nv->unconfirmed = false;
	nv->acquired = false;
	nv->freshness = NULL;
	return 0;
}
