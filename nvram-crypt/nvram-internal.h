/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files nvram*.c share. Nobody else includes this. */
#ifndef NVRAM_CRYPT_NVRAM_INTERNAL_H
#define NVRAM_CRYPT_NVRAM_INTERNAL_H

#include <limits.h>

#include "nvram-crypt/nvram.h"
#include "nvram-crypt/slot.h"
#include "nvram-crypt/superblock.h"
#include "nvram-crypt/xaes.h"

/* Everything that follows from the DEK. The DEK itself only wraps. */
struct nvram_keys {
	struct secret *dek;
	struct xaes *superblock;
	struct xaes *slot;
	uint8_t commitment[SUPERBLOCK_COMMITMENT_SIZE];
};

/* A superblock area as it was read, until nvram_unlock has judged it. */
struct nvram_candidate {
	uint8_t bytes[SUPERBLOCK_SIZE];
	struct superblock sb;
	int rc;			/* of superblock_decode */
};

/* The superblock that is not in use: what is known of it. */
enum nvram_copy {
	NVRAM_COPY_UNKNOWN,
	NVRAM_COPY_WRITTEN,	/* the same as the one in use; not synced */
	NVRAM_COPY_SYNCED,
};

struct nvram {
	struct store *store;
	char *name;		/* for messages */
	bool writable;
	pid_t acts_for;		/* 0: itself */
	bool owner_left;	/* just when the file was opened */
	char host[HOST_NAME_MAX + 1];	/* empty: not asked for yet */
	bool unlocked;
	bool acquired;
	bool releasing;		/* the record may say already what is left */
	bool lent;		/* and the record does not say so yet */
	struct nvram_candidate *candidates;	/* two; NULL once unlocked */
	struct superblock sb;	/* the one in use */
	unsigned int sb_active;	/* area that holds it durably */
	struct slot slot;	/* the current one */
	struct nvram_keys keys;
	struct secret *state[SLOT_COUNT];	/* payload of each slot; that of
						 * the inactive is scratch */
	uint8_t *io;		/* one slot or superblock, page-aligned */
	size_t io_size;
	struct nvram_report report;
	struct freshness *freshness;

	/* What was read at open may be in the page cache only. Until it is
	 * known to be on the disk, no area may be overwritten on the strength
	 * of the other. */
	bool synced;
	/* A write failed, so its area may hold the old, the new or rubbish;
	 * it is written again before anything is built on it. */
	bool sb_uncertain;
	bool slot_uncertain;
	/* What nvram_undo goes back to: the slot that the last commit replaced,
	 * whose payload is still in state[before.index]. */
	bool undoable;
	struct slot before;
	/* The highest sequence number that was taken back; none is given to
	 * two states that were current. */
	uint64_t sequence_spent;
	/* sb is written to the area that is not sb_active, and not synced: the
	 * next sync of a slot makes it the one in use. */
	bool sb_pending;
	enum nvram_copy copy;
	/* The freshness record does not yet refuse what was before this
	 * opening: to be told before a change is acknowledged. */
	bool unconfirmed;
	/* The newest state is damaged and only one from before the floor is
	 * left: an administrator has to accept that. */
	bool fallback;
};

/* At the start of a file whose destruction has begun. */
#define NVRAM_MARK_SIZE 8
extern const uint8_t nvram_destroyed_mark[NVRAM_MARK_SIZE];

uint64_t nvram_slot_offset(const struct nvram *nv, uint32_t index);

/* Takes dek over, also on failure. */
int nvram_keys_make(struct nvram_keys *keys, struct secret *dek,
    const uint8_t uuid[UUID_SIZE], const uint8_t dek_id[DEK_ID_SIZE],
    struct err *err);
void nvram_keys_free(struct nvram_keys *keys);
/* A new DEK and its id. */
int nvram_dek_new(struct secret **dek, uint8_t dek_id[DEK_ID_SIZE],
    struct err *err);

/* nvram_unlock with the DEK itself. */
int nvram_unlock_dek(struct nvram *nv, const uint8_t dek[DEK_SIZE],
    struct err *err);

/* Makes the buffers for the geometry in nv->sb. */
int nvram_buffers_make(struct nvram *nv, struct err *err);
/* Room of at least size bytes in state[index]; what was there is lost. */
int nvram_state_reserve(struct nvram *nv, uint32_t index, size_t size,
    struct err *err);

/* Writes *next, sealed under key, as the next generation: the inactive area,
 * a sync, the freshness record where it is still to be told, and then a copy
 * over the other area. With erase the copy must be durable too, so that nothing
 * of the old superblock is left. On success *next is nv->sb. Its floor is the
 * caller's. */
int nvram_superblock_put(struct nvram *nv, struct superblock *next,
    struct xaes *key, bool erase, struct err *err);
/*
 * The first one of an opening after a clean close, when all that it replaces is
 * on the disk: nothing has to be durable yet, for until the first change the
 * superblock before it is as good. One that was pending is replaced.
 */
int nvram_superblock_put_pending(struct nvram *nv, struct superblock *next,
    struct err *err);
/* After a failed superblock write the area may hold what was refused to the
 * caller, a new DEK even. Overwrites it; call it before writing a slot. A
 * pending one is synced. */
int nvram_settle(struct nvram *nv, struct err *err);
/* Whether a write or a sync is still to be made before anybody else may have
 * the file. */
bool nvram_in_doubt(const struct nvram *nv);
/* For the record of a clean close: that the next opening may overwrite either
 * superblock without writing the other one first. Not worth a failure. */
bool nvram_copy_synced(struct nvram *nv);
/* Numbers that only grow, and say which of two is the newer. No file comes to
 * the end of 64 bits, but one can be made that is there. */
int nvram_check_number(const struct nvram *nv, const char *what, uint64_t n,
    struct err *err);
/* Tells the freshness record, where it is still to be told, that the epoch is
 * on the disk: a change is about to be acknowledged, or the end. */
int nvram_confirm(struct nvram *nv, struct err *err);
/* Puts the floor under this slot. */
void nvram_set_floor(struct superblock *sb, const struct slot *slot);

/* How much a state's write takes along. */
enum nvram_put {
	NVRAM_PUT_SYNCED,
	NVRAM_PUT_WHOLE,	/* the rest of the slot is overwritten, too */
	NVRAM_PUT_UNSYNCED,	/* for who has nothing pending: see
				 * nvram_commit_unsynced */
};

/* Seals the payload in state[inactive] and writes it to the inactive slot,
 * which on success is the current one. */
int nvram_slot_put(struct nvram *nv, struct xaes *key,
    const uint8_t dek_id[DEK_ID_SIZE], size_t payload_size,
    enum nvram_put how, struct err *err);
/* The current state once more into the inactive slot. */
int nvram_slot_copy(struct nvram *nv, struct xaes *key,
    const uint8_t dek_id[DEK_ID_SIZE], enum nvram_put how, struct err *err);

/* All that was written is on the disk. */
int nvram_sync(struct nvram *nv, struct err *err);
/* ERR_STALE: the newest state is damaged. */
int nvram_refuse_fallback(const struct nvram *nv, struct err *err);

int nvram_digest(const struct nvram *nv,
    uint8_t digest[FRESHNESS_DIGEST_SIZE], struct err *err);
/* ERR_REFUSED with a text unless the file is writable and unlocked. */
int nvram_check_writable(const struct nvram *nv, const char *what,
    struct err *err);

/* What the owner record says. */
void nvram_owner_format(char owner[NVRAM_OWNER_SIZE], const char *host,
    pid_t pid);
/* It names a process of this host, and that has ended. The text need not be
 * authentic. */
bool nvram_owner_has_ended(const char owner[NVRAM_OWNER_SIZE]);

/* A fresh file's contents, written to a store: nvram-create.c. */
int nvram_format(struct store *store, const struct nvram_create_args *args,
    struct freshness_claim *claim, struct err *err);

#endif
