/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A VM's record of epochs, and the rules that judge a file by it: one owner at
 * a time, no older copy, no fork. Pure: nothing here reads a clock or a store.
 * The words are those of nvram-crypt/freshness.h; doc/authority-protocols.md
 * argues each crash and race.
 *
 * Three states: closed (clean), opening (an epoch granted that the file may not
 * have yet: before says what else it may be), open (confirmed, not clean).
 */
#ifndef TRUST_AUTHORITY_KEYPROVIDER_EPOCH_H
#define TRUST_AUTHORITY_KEYPROVIDER_EPOCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define EPOCH_DIGEST_SIZE 32
#define EPOCH_INSTANCE_SIZE 16
#define EPOCH_HOST_SIZE 65	/* a name of a host, with its NUL */
/* Nothing is opened as often; a claim of more is not a number of ours, and
 * JSON keeps such numbers exactly. */
#define EPOCH_MAX ((uint64_t)1 << 48)

struct epoch_owner {
	char host[EPOCH_HOST_SIZE];	/* "": nobody */
	uint8_t instance[EPOCH_INSTANCE_SIZE];
	int64_t lease_until;
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
 * not recorded. */
enum epoch_step epoch_fence(struct epoch_record *r);

#endif
