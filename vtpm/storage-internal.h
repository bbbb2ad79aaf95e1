/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files storage*.c share. Nobody else includes this. */
#ifndef VTPM_STORAGE_INTERNAL_H
#define VTPM_STORAGE_INTERNAL_H

#include <time.h>

#include "migration/note.h"
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
	uint8_t lent[ENVELOPE_SESSION_SIZE];	/* the session, while lent */
	bool offered;		/* the authority knows of the session, and
				 * has to give it back */
	bool same;		/* what came is the state in the file */
	bool moved;		/* it was used elsewhere, and that was told */
	bool allow_restore;
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
 * is released. A failure is logged. */
void storage_offer_again(struct storage *s);
/* A file that was lent and taken by nobody is closed; a failure is logged. */
void storage_end_loan(struct storage *s);
/* Frees the object and what it holds. */
void storage_free(struct storage *s);

#endif
