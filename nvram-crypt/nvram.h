/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The nvram file: the whole state of one vTPM, always encrypted, authenticated
 * before it is parsed, updated by one pwrite and one fdatasync of preallocated
 * space. doc/nvram-format.md specifies the bytes.
 *
 * Life of a file in use:
 *
 *   nvram_open -> nvram_unlock -> nvram_acquire -> nvram_get / nvram_commit ...
 *       -> nvram_release -> nvram_close
 *
 * Tools that only look stop after nvram_open (plain header, unauthenticated)
 * or nvram_unlock.
 */
#ifndef NVRAM_CRYPT_NVRAM_H
#define NVRAM_CRYPT_NVRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/secret.h"
#include "base/uuid.h"
#include "nvram-crypt/freshness.h"
#include "nvram-crypt/protector.h"
#include "nvram-crypt/store.h"

#define NVRAM_NAME_SIZE 64		/* with the final NUL */
#define NVRAM_OWNER_SIZE 128		/* with the final NUL */
#define NVRAM_STATE_MAX (256u * 1024u)	/* bytes of all records together */

/* Kinds of state record in a slot. */
enum nvram_kind {
	NVRAM_PERMANENT = 1,	/* libtpms TPMLIB_STATE_PERMANENT */
	NVRAM_VOLATILE = 2,	/* libtpms TPMLIB_STATE_VOLATILE; only as long
				 * as it belongs to the permanent one beside
				 * it */
	NVRAM_MIGRATION = 3,	/* migration/note.h; no TPM's state */
};

struct nvram_record {
	uint32_t kind;
	const uint8_t *data;
	size_t size;
};

/* The superblock in use, as far as people see it. */
struct nvram_header {
	uint32_t format;		/* version of the file format */
	uint8_t uuid[UUID_SIZE];	/* of the VM */
	char name[NVRAM_NAME_SIZE];
	uint64_t created;		/* seconds since 1970, UTC */
	uint64_t generation;		/* of the superblock */
	uint64_t epoch;
	uint8_t dek_id[DEK_ID_SIZE];
	uint32_t superblock_size;
	uint32_t slot_size;
	uint32_t state_version;		/* libtpms version that wrote the state,
					 * TPMLIB_GetVersion() */
	char owner[NVRAM_OWNER_SIZE];	/* host and pid of last opener */
	size_t n_protectors;
	struct protector protectors[PROTECTOR_SLOTS];
};

/* One superblock or slot as verify found it. */
enum nvram_area_state {
	NVRAM_AREA_CURRENT,	/* valid, and the one in use */
	NVRAM_AREA_OLDER,	/* valid; superseded, or a superblock's copy */
	NVRAM_AREA_EMPTY,	/* never written */
	NVRAM_AREA_TORN,	/* does not authenticate */
	NVRAM_AREA_LEFTOVER,	/* of another DEK: a rekey was interrupted */
};

struct nvram_area {
	enum nvram_area_state state;
	uint64_t sequence;	/* generation or sequence; 0 unless valid */
	uint64_t epoch;
	size_t state_size;	/* slots: bytes of state in it */
};

struct nvram_report {
	struct nvram_area superblock[2];
	struct nvram_area slot[2];
};

struct nvram;

struct nvram_create_args {
	const char *path;
	uint8_t uuid[UUID_SIZE];
	const char *name;		/* may be NULL */
	uint32_t state_version;
	const struct protector_ops *protector;	/* the first one */
	const struct protector_creds *creds;
	const struct nvram_record *records;
	size_t n_records;
	struct freshness *freshness;	/* NULL: register nowhere */
	uint32_t slot_size;		/* 0: the default, for NVRAM_STATE_MAX;
					 * else a multiple of 4096 */
	uint64_t epoch;			/* 0: the first; else one that was
					 * granted for a state that goes on */
	struct freshness_claim *claim;	/* what the new file claims; or NULL */
	bool prepared;			/* nvram_create_store: the store was
					 * written before with another's file of
					 * the same size */
};

/* Makes a new file, mode 0600, whole or not at all: written under a temporary
 * name in the same directory, synced, then linked in place without replacing
 * (ERR_EXISTS). All space is allocated and written. */
int nvram_create(const struct nvram_create_args *args, struct err *err);
/* Writes a new file's contents to a store, which stays the caller's; path and
 * freshness are not used. */
int nvram_create_store(struct store *store,
    const struct nvram_create_args *args, struct err *err);

/* The same, opened too, without asking for a key again. Takes the store, also on
 * failure. */
int nvram_create_opened(struct nvram **out, struct store *store,
    const struct nvram_create_args *args, struct err *err);

/* Opens and, with writable, takes the OFD lock (ERR_BUSY says who, from the
 * owner record; one that names a process of this host that has ended is waited
 * for a little, PROCESS_LEAVES_MS: it may have been killed just now). Symbolic
 * links are followed; anything but a regular file is refused. Reads the superblocks; believes nothing yet. What is opened for
 * reading only may be changed meanwhile by its owner: what seems torn then may
 * be whole a moment later. */
int nvram_open(struct nvram **out, const char *path, bool writable,
    struct err *err);
/* The same over a storage layer of the caller's, which is closed by
 * nvram_close; name is for messages. */
int nvram_open_store(struct nvram **out, struct store *store, const char *name,
    struct err *err);
void nvram_close(struct nvram *nv);

/* Opens for writing without the lock, for one who waits for the file: it can be
 * unlocked and looked at, and nvram_take makes it this process's. */
int nvram_open_waiting(struct nvram **out, const char *path, struct err *err);
/* Locks a file of which this process has the key, and reads it anew: others may
 * have written meanwhile. *nv is then another object, to be acquired. ERR_BUSY
 * while somebody else has the lock; after any failure *nv is as it was. */
int nvram_take(struct nvram **nv, struct err *err);
/* Between the two, for who may not need to change the file: that it is fresh, and
 * this host's record of it taken, with nothing written. See freshness_admit. */
int nvram_admit(struct nvram *nv, struct freshness *f, struct err *err);
/* Gives up the lock of a file that is released, or was only admitted; key and
 * state stay. */
void nvram_give(struct nvram *nv);

/* Of the newest superblock that looks whole; authenticated only after
 * nvram_unlock. */
const struct nvram_header *nvram_header(const struct nvram *nv);
bool nvram_unlocked(const struct nvram *nv);

/* Opens a protector with creds, authenticates superblock and slots, loads the
 * newest valid state. ERR_KEY: nothing fits (the text names each protector
 * there is); ERR_AUTH: damaged. A torn area that was passed over is in the
 * report and a log event nvram.torn. */
int nvram_unlock(struct nvram *nv, const struct protector_creds *creds,
    struct err *err);
const struct nvram_report *nvram_report(const struct nvram *nv);

/* Whether it is the trust authority that keeps this file's record: the file has
 * an authority protector. Authenticated once unlocked. */
bool nvram_wants_authority(const struct nvram *nv);

/* Freshness: takes the next epoch and writes it into the file; after a clean
 * close that need not be on the disk before the first change, which then sees
 * to it and to the record. Needs writable and unlocked. f must live until
 * nvram_release or nvram_close; NULL where nobody keeps a record. ERR_STALE
 * also when the newest state is damaged and only an older one is left. ERR_REFUSED
 * where f is this host's and the authority keeps the record, unless
 * accept_restore. After a failure it can be called again. */
int nvram_acquire(struct nvram *nv, struct freshness *f, bool accept_restore,
    struct err *err);
/* The same for a file of which something in it says that its owner has lent it: no
 * more than one sync now, and two with the first change. */
int nvram_acquire_lent(struct nvram *nv, struct freshness *f, struct err *err);
/* Where the authority keeps the record: it lets whoever comes with the session
 * have the VM. All is on the disk then. After that comes nvram_lend and, perhaps,
 * nvram_take_up; or no change until then. */
int nvram_offer(struct nvram *nv,
    const uint8_t session[FRESHNESS_SESSION_SIZE], struct err *err);
/* nvram_acquire, of what was offered; back: here. */
int nvram_take_up(struct nvram *nv, struct freshness *f,
    const uint8_t session[FRESHNESS_SESSION_SIZE], bool back,
    struct err *err);
/* For a state that comes from where the VM went on without this file: an epoch
 * that is no lower than this. On the disk, and the record knows. */
int nvram_raise_epoch(struct nvram *nv, uint64_t epoch, struct err *err);
/* Whom the owner record names from the next nvram_acquire on, for a process
 * that people know by another one's pid; the caller's if never called. */
void nvram_act_for(struct nvram *nv, pid_t pid);
/* What this file would claim. */
void nvram_claim(const struct nvram *nv, struct freshness_claim *claim);

/* A key for another purpose than the file's own, from the DEK: label says which,
 * and is that purpose's alone. */
int nvram_derive_key(const struct nvram *nv, const char *label,
    const void *context, size_t context_size, uint8_t key[DEK_SIZE],
    struct err *err);

/* The state record of a kind as last committed; ERR_NOTFOUND. The bytes are
 * the file's own until the next commit or close. */
int nvram_get(const struct nvram *nv, enum nvram_kind kind,
    const uint8_t **data, size_t *size, struct err *err);

/* Replaces the state by exactly these records: one pwrite of the inactive slot
 * and one fdatasync; the first after nvram_acquire also writes and syncs the
 * freshness record. When it fails the previous state stays current, in the
 * file and here, and the call can be repeated. The data may be in memory that
 * somebody else writes to meanwhile: it is copied once, first. ERR_REFUSED
 * unless acquired; ERR_NOSPACE when the state is larger than a slot. */
int nvram_commit(struct nvram *nv, const struct nvram_record *records,
    size_t n_records, struct err *err);

/* Takes back the last nvram_commit, of whose effect nobody was told: the state
 * before it is current again. Writes nothing: until the next commit or release
 * the file may hold either, as after a commit that has failed in its sync.
 * ERR_NOTFOUND where the state before is not there any more. */
int nvram_undo(struct nvram *nv, struct err *err);

/*
 * The same for a state that is as good as the one before it, of which nobody has
 * been told: written, and on the disk with the next sync. What a power cut brings
 * back until then is either. Synced where the file has something else to sync.
 */
int nvram_commit_unsynced(struct nvram *nv, const struct nvram_record *records,
    size_t n_records, struct err *err);

/* Whether the file has lost its last name, so that all of it goes with this
 * process; where is then how it can be read until then. One fstat. */
bool nvram_vanished(const struct nvram *nv, char *where, size_t where_size);
/* Gives back memory that the next write takes again. */
void nvram_rest(struct nvram *nv);

/* Updates the version in the header if it differs (superblock write). It is on
 * the disk no later than the next state. */
int nvram_set_state_version(struct nvram *nv, uint32_t version,
    struct err *err);

/* Clean end of ownership: reports the digest. When it fails the file is still
 * owned but takes no more changes; the call can be repeated. */
int nvram_release(struct nvram *nv, struct err *err);

/*
 * Gives up an acquired file and its lock without a write or a sync: to the disk
 * this is an owner that was killed, and whoever comes next acquires it as after
 * that. False, and nothing is done, where something has to be written first, or
 * the record's keeper must hear of it: nvram_release does that.
 */
bool nvram_lend(struct nvram *nv);
/* Later, and without the lock: what nvram_release would have done, unless
 * somebody has taken the file meanwhile. Nothing where it was not lent. After a
 * failure it can be repeated; if that was the file's, it stays open. */
int nvram_end_loan(struct nvram *nv, struct err *err);

/* A file that is in use goes from one process to another that gets *fd (lent
 * here) and *h over a channel that nobody else reads; the one that adopts it
 * takes fd, writes nothing yet and finds just the state that the other had.
 * Only one of the two may go on. ERR_UNSUPPORTED unless the store is a file. */
struct nvram_handover {
	uint8_t dek[DEK_SIZE];
	uint8_t digest[FRESHNESS_DIGEST_SIZE];
};
int nvram_hand_over(struct nvram *nv, int *fd, struct nvram_handover *h,
    struct err *err);
int nvram_adopt(struct nvram **out, int fd, const char *name,
    const struct nvram_handover *h, struct err *err);
/* f as for nvram_acquire, and adopted as the file was. */
void nvram_keep_fresh(struct nvram *nv, struct freshness *f);
/* The same, and f is still to be told of the file's epoch: freshness_confirm. */
void nvram_keep_unconfirmed(struct nvram *nv, struct freshness *f);

/* Protectors, on a file that is unlocked, writable and (where it has a
 * freshness record) acquired. index: slot in header->protectors. Removing the
 * last one is ERR_REFUSED. Superblock writes, atomic. */
int nvram_protector_add(struct nvram *nv, const struct protector_ops *ops,
    const struct protector_creds *creds, const char *label, struct err *err);
int nvram_protector_remove(struct nvram *nv,
    const uint8_t id[PROTECTOR_ID_SIZE], struct err *err);

/* Shallow: all protectors that creds can make are wrapped anew, the DEK stays.
 * Deep: a new DEK, state and superblock written under it, old copies
 * overwritten. Every protector must be makeable from creds, else ERR_KEY and
 * nothing has changed. Atomic, and can be repeated after a crash. */
int nvram_rekey(struct nvram *nv, bool deep,
    const struct protector_creds *creds, struct err *err);

/* To destroy a file: nvram_open for writing; or, where that was cut short
 * before and no superblock is left, *begun, and the header is empty. */
int nvram_open_to_destroy(struct nvram **out, const char *path, bool *begun,
    struct err *err);
/* ERR_REFUSED where path leads to another file by now than the one open. */
int nvram_check_name(const struct nvram *nv, const char *path,
    struct err *err);
/* Overwrites the DEK's wrapped copies in both superblocks, syncs, overwrites
 * the rest, syncs, removes the name path, which has to lead there still. Needs
 * no key. Cut short anywhere, it can be done again. The file stays open. */
int nvram_destroy(struct nvram *nv, const char *path, struct err *err);

#endif
