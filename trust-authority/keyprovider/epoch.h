/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A VM's record of epochs, and the rules that judge a file by it: one owner at
 * a time, no older copy, no fork. Pure: nothing here reads a clock or a store.
 * The words are those of nvram-crypt/freshness.h; doc/authority-protocols.md
 * argues each crash and race.
 *
 * Three states: closed (clean), opening (an epoch granted that the file may not
 * have yet: before says what else it may be), open (confirmed, not clean).
 *
 * Beside these there may be an offer: the state was handed out, sealed, and
 * whoever brings the session's name may be the next owner, once. epoch-offer.c
 * has the rules.
 */
#ifndef TRUST_AUTHORITY_KEYPROVIDER_EPOCH_H
#define TRUST_AUTHORITY_KEYPROVIDER_EPOCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define EPOCH_DIGEST_SIZE 32
#define EPOCH_INSTANCE_SIZE 16
#define EPOCH_SESSION_SIZE 16
#define EPOCH_HOST_SIZE 65	/* a name of a host, with its NUL */
/* Nothing is opened as often; a claim of more is not a number of ours, and
 * JSON keeps such numbers exactly. */
#define EPOCH_MAX ((uint64_t)1 << 48)

struct epoch_owner {
	char host[EPOCH_HOST_SIZE];	/* "": nobody */
	uint8_t instance[EPOCH_INSTANCE_SIZE];
	int64_t lease_until;
};

/* What a migration hands over: the state of this file, of which no command has
 * run since. */
struct epoch_offer {
	bool is;		/* there is one; the rest counts only then */
	bool open;		/* nobody has claimed it */
	bool synced;		/* as in a record */
	uint8_t session[EPOCH_SESSION_SIZE];
	uint64_t epoch;		/* of the file */
	uint8_t digest[EPOCH_DIGEST_SIZE];
	char host[EPOCH_HOST_SIZE];	/* who offered it first, and may take
					 * it back */
	uint8_t instance[EPOCH_INSTANCE_SIZE];
	int64_t at;
};

struct epoch_record {
	uint64_t epoch;
	bool confirmed;		/* the file has epoch */
	bool clean;		/* closed at epoch, leaving digest */
	bool synced;		/* clean: all of it was on the disk; opening:
				 * what the grant says */
	bool accept;		/* the next acquire takes any claim */
	uint8_t digest[EPOCH_DIGEST_SIZE];	/* clean */
	struct {		/* opening */
		uint64_t epoch;	/* of the file that was opened */
		uint64_t since;	/* every epoch above was granted since, and
				 * changed nothing but itself */
		bool clean;	/* then it has this digest */
		uint8_t digest[EPOCH_DIGEST_SIZE];
	} before;
	struct epoch_owner owner;
	struct epoch_offer offer;
};

/* What a file says of itself. */
struct epoch_claim {
	uint64_t epoch;
	uint8_t digest[EPOCH_DIGEST_SIZE];
};

/* Who asks. */
struct epoch_asker {
	const char *host;
	uint8_t instance[EPOCH_INSTANCE_SIZE];
};

enum epoch_verdict {
	EPOCH_FRESH,
	EPOCH_AHEAD,	/* opened since without us (a passphrase, a native
			 * provider): allowed, but noted */
	EPOCH_OLDER,	/* of an earlier epoch */
	EPOCH_FORKED,	/* right epoch, not what was left there */
};

/* Whether the file is the newest copy. Whoever owns it does not matter, nor
 * does accept. */
enum epoch_verdict epoch_judge(const struct epoch_record *r,
    const struct epoch_claim *c);

/* Somebody else's lease still runs. */
bool epoch_owned(const struct epoch_record *r, const struct epoch_asker *who,
    int64_t now);
bool epoch_owns(const struct epoch_record *r, const struct epoch_asker *who);

/* A VM that has just been made. */
void epoch_register(struct epoch_record *r, const struct epoch_claim *c,
    bool synced);

enum epoch_step {
	EPOCH_DONE,	/* *r is to be stored */
	EPOCH_SAME,	/* it was done before: nothing to store */
	EPOCH_BUSY,	/* owned by somebody else */
	EPOCH_STALE,	/* *why says how: for acquire EPOCH_OLDER or _FORKED */
	EPOCH_OFFERED,	/* acquire: it is being handed over */
};

/* Grants r->epoch, to be written into the file, until lease_until. *verdict is
 * epoch_judge's. */
enum epoch_step epoch_acquire(struct epoch_record *r,
    const struct epoch_claim *c, const struct epoch_asker *who, int64_t now,
    int64_t lease_until, enum epoch_verdict *verdict);
/* The file has the epoch. */
enum epoch_step epoch_confirm(struct epoch_record *r, uint64_t epoch,
    const struct epoch_asker *who);
/* Closed. It says more than confirm, which may be missing. */
enum epoch_step epoch_release(struct epoch_record *r,
    const struct epoch_claim *left, bool synced,
    const struct epoch_asker *who);
/* EPOCH_SAME where more than `enough` is left of the lease. */
enum epoch_step epoch_renew(struct epoch_record *r, uint64_t epoch,
    const struct epoch_asker *who, int64_t lease_until, int64_t enough);
/* The owner is none any more; of what it left, nothing is believed that was
 * not recorded. Its offer is void, also of a VM that was saved and is nobody's;
 * one that it had claimed and not used can be taken back. */
enum epoch_step epoch_fence(struct epoch_record *r);

/* -- handing over: epoch-offer.c -- */

/* The owner, whose file is open at c->epoch, lets the session be claimed, and
 * stays the owner until then, or until lease_until. Again for a session that it
 * has claimed itself: it gives that back, unused. */
enum epoch_step epoch_offer(struct epoch_record *r,
    const struct epoch_claim *c, bool synced,
    const uint8_t session[EPOCH_SESSION_SIZE], const struct epoch_asker *who,
    int64_t now, int64_t lease_until);
/* Grants r->epoch to who brings the session, whose file (if he has one) is of
 * epoch. back: only to the one that has offered it. Of a claim that was never
 * confirmed, and whose owner is gone, the session can be claimed anew: nobody
 * has used it. EPOCH_BUSY: claimed, and not used yet; EPOCH_STALE: there is no
 * such offer any more. */
enum epoch_step epoch_take_up(struct epoch_record *r, uint64_t epoch,
    const uint8_t session[EPOCH_SESSION_SIZE], const struct epoch_asker *who,
    bool back, int64_t now, int64_t lease_until);
/* Whether who has offered this VM last. */
bool epoch_offerer(const struct epoch_record *r,
    const struct epoch_asker *who);
/* own() of epoch.c. */
void epoch_set_owner(struct epoch_record *r, const struct epoch_asker *who,
    int64_t until);

#endif
