/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The monitor's side of the TPM's state: the open nvram file, its key and its
 * freshness record, as one object. Everything that needs paths or privileges
 * happens in storage_open.
 */
#ifndef VTPM_STORAGE_H
#define VTPM_STORAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/secret.h"
#include "migration/envelope.h"
#include "migration/migrate-table.h"
#include "nvram-crypt/nvram.h"
#include "vtpm/config.h"
#include "vtpm/tpm.h"

struct storage;

/* Locks and unlocks the file. passphrase may be NULL. agent and config must live
 * as long. */
int storage_open(struct storage **out, const char *path,
    const struct config *config, const struct secret *passphrase,
    struct agent *agent, struct err *err);
/* After storage_open: takes ownership of the VM's state (its next epoch). Until
 * then nothing is known of how old it is, and nothing can be stored. */
int storage_acquire(struct storage *s, struct err *err);
/* vtpmd --incoming: gets key and record ready, and takes neither lock nor
 * ownership. storage_own does, when a state has come. Where there is no file
 * one is made of a state that another host has sealed for this one:
 * ERR_NOTFOUND where none can have. */
int storage_open_waiting(struct storage **out, const char *path,
    const struct config *config, const struct secret *passphrase,
    struct agent *agent, struct err *err);
/* Reports a clean end and closes. NULL is allowed. ERR_STALE: the VM was
 * another's, nothing was reported. */
int storage_close(struct storage *s, struct err *err);

const struct nvram_header *storage_header(const struct storage *s);

/* The bytes stay until the next storage_store. ERR_NOTFOUND. */
int storage_load(struct storage *s, enum tpm_state which, const uint8_t **data,
    size_t *size, struct err *err);
/* On the disk, encrypted, when it returns 0. Volatile state is kept beside the
 * permanent state it belongs to, and dropped when that changes. A passing
 * fault is waited out for a moment; the state before stays whole. */
int storage_store(struct storage *s, enum tpm_state which,
    const uint8_t *data, size_t size, struct err *err);
/* Takes the last storage_store back, of which nobody was told: the permanent
 * state before it is what storage_load gives. It is also written, but that may
 * fail; then the file has either of the two until the next store. ERR_NOTFOUND
 * where something else has been written since, and nothing has changed. */
int storage_undo(struct storage *s, struct err *err);
/* Forgets volatile state that was stored, if any. */
int storage_drop_volatile(struct storage *s, struct err *err);
/* Keeps the header's note of which libtpms wrote the state true. */
int storage_note_version(struct storage *s, uint32_t version, struct err *err);

/* Says so (storage.vanished) where the file has no name any more, as a store and
 * the end do too. True once that was said: there is no more to look for. */
bool storage_look(struct storage *s);
/* Gives back memory that the next write takes again; what was lent is put in good
 * order on the disk. */
void storage_rest(struct storage *s);

/* Whether the VM is another owner's now, says the trust authority: nothing is
 * written any more. Says so once (storage.fenced). */
bool storage_fenced(struct storage *s);

/* Whether the state is on its way: handed out and not taken back, awaited, or
 * come and no command has run since. Whose the file is then, and what is known of
 * that, is not handed over. */
bool storage_moves(const struct storage *s);

/* For an upgrade: what another process needs to go on with the file, which only
 * one of the two may do. The descriptors are lent. */
struct storage_handover {
	struct nvram_handover secret;
	int file;
	int record;	/* of freshness; -1: none */
	int keys;	/* of migration; -1: none */
	uint8_t keys_key[MIGRATE_TABLE_KEY_SIZE];
};
int storage_hand_over(struct storage *s, struct storage_handover *h,
    struct err *err);
/* Without a word to file or record: they are another process's now. */
void storage_abandon(struct storage *s);
/* Takes the descriptors; path is for messages. Writes nothing. */
int storage_adopt(struct storage **out, const struct storage_handover *h,
    const char *path, struct agent *agent, struct err *err);
/* And the migration keys, which come later; takes fd. */
void storage_adopt_keys(struct storage *s, int fd,
    const uint8_t key[MIGRATE_TABLE_KEY_SIZE]);

/* -- the state moves: storage-migrate.c -- */

/* Whether SET_STATEBLOB may bring back an older state; at first not. */
void storage_allow_restore(struct storage *s, bool allow);
/* A new session: the file remembers it as what was handed out last, on the
 * disk. */
int storage_hand_out(struct storage *s, struct envelope_session **session,
    struct err *err);
/* All of the session is about to be handed out: the file says so, on the disk,
 * where it is for hosts that do not share it. */
int storage_sent(struct storage *s, struct err *err);
/* All of the session was handed out: whoever waits for the file may have it. A
 * failure is logged, and the file kept. */
void storage_lend(struct storage *s);
/* What came by SET_STATEBLOB is the state in the file, and nothing need be stored
 * to keep it. */
bool storage_holds_what_came(const struct storage *s);
/* What came was refused: the file is waited for again, if it ever was. */
void storage_give_up(struct storage *s);
/* Makes the file this vTPM's where it is not: after storage_lend unless
 * somebody has used it, which is ERR_STALE for ever (storage.moved); at first
 * with storage_open_waiting. Waits so long for the lock: ERR_BUSY. */
int storage_own(struct storage *s, unsigned int wait_ms, struct err *err);
/* The same, and what was handed out is void from now on, on the disk: to be
 * called before the TPM does anything. */
int storage_reclaim(struct storage *s, unsigned int wait_ms,
    struct err *err);
/* All of a session has come, and libtpms is about to take it: where there is no
 * file, there is room for it from now on, under no name. */
int storage_receive(struct storage *s, struct err *err);
/* libtpms has taken it: that file gets its name, and this host a record of the
 * VM. Afterwards, or where there was a file, nothing is to be done. */
int storage_arrived(struct storage *s, struct err *err);
/* Opens what came by SET_STATEBLOB: see envelope_open. Locks the file, waiting as
 * storage_own does; it is acquired only where what came is not the state in it.
 * ERR_STALE where it is not what was handed out last, and nobody has allowed
 * that. */
int storage_open_blob(struct storage *s, unsigned int wait_ms,
    const void *bytes, size_t size, struct envelope *e, struct secret **state, struct err *err);

#endif
