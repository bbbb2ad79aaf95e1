/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files storage*.c share. Nobody else includes this. */
#ifndef VTPM_STORAGE_INTERNAL_H
#define VTPM_STORAGE_INTERNAL_H

#include <time.h>

#include "migration/migrate-table.h"
#include "migration/note.h"
#include "vtpm/porter.h"
#include "vtpm/storage.h"

/* Whose the file is. */
enum storage_hold {
	STORAGE_OWNED,		/* ours: locked, acquired */
	STORAGE_HELD,		/* locked, and as its note says: what came is
				 * the state in it. Acquired when it changes */
	STORAGE_LENT,		/* not locked any more after the state was handed
				 * out; ours again if nobody has used that */
	STORAGE_WAITING,	/* another's, perhaps, until a state comes */
	STORAGE_OPENED,		/* not acquired yet */
	STORAGE_ARRIVING,	/* there is no file: it is made of a state that
				 * comes from another host */
};

/* While hold is STORAGE_ARRIVING. nv is one that has no name yet; it is of a VM
 * once formatted, and before that of none, or the older file that is replaced.
 * Where a file is waited for that the trust authority keeps the record of, all is
 * ready for that. */
struct storage_arrival {
	struct freshness *authority;	/* by which a VM may come; or NULL */
	int instances;			/* of that; -1: none */
	uint64_t granted;		/* by that; 0: it does not come so */
	bool replaces;			/* an older file */
	bool room;			/* a file was formatted already */
	struct porter porter;
	const struct protector_ops *protector;
	struct secret *passphrase;	/* of that; or NULL */
	int store;			/* of the file; -1 */
	int record;			/* the VM's, locked; -1: none yet */
	uint64_t last;			/* the record's epoch */
	bool begun;			/* a blob has been taken */
	bool formatted;
	struct envelope first;		/* that blob's; the name is any's */
};

struct storage {
	struct native *native;
	struct agent *agent;	/* the caller's */
	struct freshness *freshness;
	struct nvram *nv;
	enum storage_hold hold;
	bool noted;		/* there is a note, and it goes into the file
				 * with every state */
	struct note note;
	struct note sending;	/* what it becomes when all is handed out */
	uint8_t lent[ENVELOPE_SESSION_SIZE];	/* the session, while lent */
	bool offered;		/* the authority knows of the session, and
				 * has to give it back */
	bool same;		/* what came is the state in the file */
	struct storage_arrival arrival;
	int keys_fd;		/* migrate-table.h; -1: no other host may */
	struct secret *keys_key;
	uint64_t floor;		/* epoch of the state in the file: what comes
				 * without the file has to be later */
	uint64_t raise_to;	/* the file's epoch, with the next state */
	bool moved;		/* it was used elsewhere, and that was told */
	bool allow_restore;
	struct authority_move move;	/* of a VM of the authority's */
	bool apart;		/* what came is in a file that was made of it,
				 * and the offerer has another */
	bool waits;		/* it was begun by storage_open_waiting, and no
				 * command has run since */
	bool known;		/* what came is what the note names, and so the
				 * file was lent */
	uint32_t version;	/* storage_note_version's */
	bool failing;		/* the last store failed */
	bool undoable;		/* the last commit was a storage_store of
				 * permanent state */
	bool fenced;		/* the VM is another's, and that was told */
	bool vanished;		/* the file has no name any more, and that was
				 * told */
	time_t looked;		/* for its name, CLOCK_MONOTONIC seconds */
};

/* ERR_STALE where the VM is another's: asked before anything is written. */
int storage_check_fence(struct storage *s, struct err *err);
/* Native key, DEK, freshness provider, for an nv that is open. */
int storage_unlock(struct storage *s, const struct config *config,
    const struct secret *passphrase, struct err *err);
/* Before anything is written: ERR_STALE where the VM is another's now. */
int storage_check_fence(struct storage *s, struct err *err);
/* The note in the file, once it is acquired. */
int storage_read_note(struct storage *s, struct err *err);
/* storage_store for the state as it is in the file: removes the note, or
 * accepts. */
int storage_write_note(struct storage *s, struct err *err);
/* The same to put the note of what is handed out there, not synced: a power cut
 * brings back the file without the note, which is as whole. */
int storage_write_note_unsynced(struct storage *s, struct err *err);
/* What was claimed and not used goes back to whoever offered it: before the file
 * is released. A failure is logged. True: he has a file of his own, and this one
 * is nobody's any more. */
bool storage_offer_again(struct storage *s);
/* A file that was lent and taken by nobody is closed; a failure is logged. */
void storage_end_loan(struct storage *s);
/* One that holds nothing; NULL: out of memory. */
struct storage *storage_new(struct agent *agent);
/* Frees the object and what it holds. */
void storage_free(struct storage *s);
/* ERR_STALE where the note says that the state went to other hosts. */
int storage_check_sent(const struct storage *s, struct err *err);

/* Whether the state that came, in a file that is held, may be taken; it is owned
 * where that takes an owner. */
int storage_judge(struct storage *s, const struct envelope *e,
    const struct envelope_kek *by, struct err *err);

/* -- storage-keys.c: what wraps a session's key -- */

/* Gets this host's migration keys ready; without them states go to and come
 * from nobody who has not got the file. */
void storage_keys_open(struct storage *s);
void storage_keys_close(struct storage *s);
/* All that a session of this VM is to be wrapped under; and who that is, in the
 * note. */
int storage_keks(struct storage *s,
    struct envelope_kek keks[ENVELOPE_PROTECTORS_MAX], size_t *n,
    struct note *note, struct err *err);
/* envelope_open for the VM uuid. */
int storage_unseal(struct storage *s, const void *bytes, size_t size,
    const uint8_t uuid[UUID_SIZE], struct envelope *e,
    struct envelope_kek *by, struct secret **state, struct err *err);

/* -- storage-arrive.c -- */

/* storage_open_waiting where there is no file. */
int storage_open_arriving(struct storage **out, const char *path,
    const struct config *config, const struct secret *passphrase,
    struct agent *agent, struct err *err);
/* A file is waited for that the trust authority keeps the record of: its VM may
 * also come without it, from where it went on since. A failure is logged; then it
 * cannot. */
void storage_prepare_arrival(struct storage *s, const char *path,
    const struct config *config);
/* It does so. */
void storage_arrive(struct storage *s);
/* storage_open_blob while arriving. */
int storage_arrival_open_blob(struct storage *s, const void *bytes,
    size_t size, struct envelope *e, struct secret **state, struct err *err);
/* What came was refused. */
void storage_arrival_forget(struct storage *s);
/* There is nothing to come that way any more. */
void storage_arrival_free(struct storage *s);
int storage_not_arrived(struct err *err);

#endif
