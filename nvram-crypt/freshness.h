/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Freshness: who may open a VM's state, and which copy is the latest. A
 * provider keeps, per VM, an epoch, whether the last owner closed cleanly,
 * and the digest of what it left. design.md, "Freshness"; doc/nvram-format.md
 * tells the order of writes and why each crash in between is harmless.
 */
#ifndef NVRAM_CRYPT_FRESHNESS_H
#define NVRAM_CRYPT_FRESHNESS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/uuid.h"
#include "nvram-crypt/native.h"

#define FRESHNESS_DIGEST_SIZE 32

/* What a file says of itself, all of it authenticated by then. */
struct freshness_claim {
	uint8_t uuid[UUID_SIZE];
	uint64_t epoch;
	uint8_t digest[FRESHNESS_DIGEST_SIZE];	/* of superblock and slot */
	bool host_bound;	/* only this host's native key opens it: then a
				 * missing record is refused too */
	bool synced;		/* to freshness_register: every byte of the file
				 * is known to be on the disk */
	bool lent;		/* to freshness_acquire: its owner gave it up with
				 * the record open, and that is on the disk */
};

/* A state that is handed out, under a name of its own. */
#define FRESHNESS_SESSION_SIZE 16
struct freshness_handover {
	uint8_t session[FRESHNESS_SESSION_SIZE];
	uint8_t digest[FRESHNESS_DIGEST_SIZE];	/* of the file */
	bool synced;		/* all of the file is on the disk */
};

/* What an owner got. */
struct freshness_grant {
	uint64_t epoch;		/* to be written into the file */
	/* The file is what a clean close left and was synced then. Otherwise
	 * what was read from the file has to be made durable before anything of
	 * it is overwritten. */
	bool synced;
	/* Nothing has been recorded yet, nor need the epoch be on the disk
	 * before freshness_confirm; so it is where synced is. */
	bool pending;
};

struct freshness;

/* The host's own records; n must live as long. Keeps a descriptor of the record
 * from freshness_acquire on, so that confirm and release work after privileges
 * and paths are gone. */
int freshness_native(struct freshness **out, const struct native *n,
    struct err *err);
void freshness_free(struct freshness *f);
/* Whether it is the trust authority's (freshness-authority.h). */
bool freshness_is_authority(const struct freshness *f);

/* First record of a VM that has just been created, at epoch and digest, clean.
 * ERR_EXISTS. */
int freshness_register(struct freshness *f, const struct freshness_claim *c,
    struct err *err);
/* Judges the claim and takes the next epoch for this owner: ERR_STALE for an
 * older copy, or another copy of the last epoch after a clean close; ERR_BUSY
 * when another process on this host owns the VM (also through a copy of the
 * file at another path). The caller then writes the epoch into the file. With
 * accept, a stale claim is taken all the same. */
int freshness_acquire(struct freshness *f, const struct freshness_claim *c,
    bool accept, struct freshness_grant *grant, struct err *err);
/*
 * The owner lets whoever comes with this session be the next owner, and changes
 * nothing until it has taken that back. Only the authority wants to know; with
 * the host's own records the lock decides. Needs freshness_confirm before.
 */
int freshness_offer(struct freshness *f, const struct freshness_handover *h,
    struct err *err);
/* Becomes the owner of what was offered, once: session, of a file at c->epoch.
 * back: who has offered it. ERR_BUSY: somebody has it, but has not run it;
 * ERR_STALE: it is on offer no more. ERR_UNSUPPORTED without the authority. */
int freshness_take_up(struct freshness *f, const struct freshness_claim *c,
    const uint8_t session[FRESHNESS_SESSION_SIZE], bool back,
    struct freshness_grant *grant, struct err *err);
/* Judges the claim as freshness_acquire does, and locks the record so that nobody
 * else on this host owns the VM, but writes nothing yet. ERR_UNSUPPORTED with the
 * authority's records. */
int freshness_admit(struct freshness *f, const struct freshness_claim *c,
    struct err *err);
/* Gives up the lock and leaves the record as it is; with the authority's records
 * after freshness_offer. ERR_UNSUPPORTED, and nothing is done, where it cannot
 * be. */
int freshness_let_go(struct freshness *f);
/* After freshness_let_go by an owner: freshness_release, unless the record has
 * been taken or has gone on since. */
int freshness_end_loan(struct freshness *f,
    const uint8_t digest[FRESHNESS_DIGEST_SIZE], bool synced,
    struct err *err);
/* Opens what freshness_acquire will need, takes nothing: for one who will have
 * no paths and privileges any more by then. c is what the file says now; it may
 * have gone on by then. */
int freshness_prepare(struct freshness *f, const struct freshness_claim *c,
    struct err *err);
/* The epoch is on the disk, in the file. To be called before any change of
 * state or protectors is acknowledged: from now on what was there before is an
 * older copy. */
int freshness_confirm(struct freshness *f, struct err *err);
/* The file's epoch becomes this one, which is higher than what was granted, for
 * a state from where the VM went on without the file: to be confirmed. */
int freshness_raise(struct freshness *f, uint64_t epoch, struct err *err);
/* Clean close with the digest of the final state, which is on the disk; needs
 * freshness_confirm before. Gives up ownership. synced: both copies of the
 * superblock are on the disk too, and the next owner may build on it at once.
 */
int freshness_release(struct freshness *f,
    const uint8_t digest[FRESHNESS_DIGEST_SIZE], bool synced,
    struct err *err);
/* The record of an owner goes to another process with the file (nvram_adopt):
 * its descriptor, lent, or -1 where nothing is held. */
int freshness_hand_over(const struct freshness *f);
/* Takes fd: the host's own record of this VM, as its owner at epoch. */
int freshness_adopt(struct freshness **out, int fd,
    const uint8_t uuid[UUID_SIZE], uint64_t epoch, struct err *err);
/* For a VM that comes without its file, the descriptor of its record:
 * ERR_NOTFOUND, or with make a new one that says that epoch, which is the other
 * host's, was closed. */
int freshness_record_fd(const struct native *n, const uint8_t uuid[UUID_SIZE],
    bool make, uint64_t epoch, int *fd, struct err *err);
/* Locks that, and judges: ERR_BUSY; ERR_STALE where the state at epoch is not
 * later than all that this host has had. *last is the record's epoch. */
int freshness_record_judge(int fd, const uint8_t uuid[UUID_SIZE],
    uint64_t epoch, uint64_t *last, struct err *err);
/* f, the host's own records, becomes the owner at epoch, which is in the file
 * and on the disk. Takes fd, also on failure. */
int freshness_record_take(struct freshness *f, int fd,
    const uint8_t uuid[UUID_SIZE], uint64_t epoch, struct err *err);
/* Removes the record of a destroyed VM. */
int freshness_forget(struct freshness *f, const uint8_t uuid[UUID_SIZE],
    struct err *err);
/* Judges only; takes nothing. 0, ERR_STALE or ERR_NOTFOUND. */
int freshness_check(struct freshness *f, const struct freshness_claim *c,
    struct err *err);

#endif
