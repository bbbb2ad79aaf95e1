/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One VM's freshness record on this host, and the rules that judge a file by
 * it. Two sectors take turns, so that a torn write leaves the one before.
 * doc/nvram-format.md, "Native freshness record".
 */
#ifndef NVRAM_CRYPT_FRESHNESS_RECORD_H
#define NVRAM_CRYPT_FRESHNESS_RECORD_H

#include "nvram-crypt/freshness.h"

#define FRESHNESS_SECTOR_SIZE 512u
#define FRESHNESS_RECORD_SIZE (2 * FRESHNESS_SECTOR_SIZE)

/* Numbers on the disk. */
enum freshness_state {
	FRESHNESS_CLEAN = 1,	/* closed at epoch, leaving digest */
	FRESHNESS_OPENING = 2,	/* epoch granted, perhaps not in the file yet:
				 * previous, since, from_clean and digest say
				 * what else the file may be */
	FRESHNESS_OPEN = 3,	/* epoch is in the file, which changes */
};

struct freshness_record {
	enum freshness_state state;
	uint64_t generation;
	uint8_t uuid[UUID_SIZE];
	uint64_t epoch;
	uint64_t previous;
	uint64_t since;		/* opening: see freshness_judge */
	bool from_clean;
	bool synced;		/* clean: the file was on the disk as a whole */
	uint8_t digest[FRESHNESS_DIGEST_SIZE];
};

enum freshness_verdict {
	FRESHNESS_FRESH,
	FRESHNESS_AHEAD,	/* used elsewhere since: allowed, but noted */
	FRESHNESS_OLDER,	/* of an earlier epoch */
	FRESHNESS_FORKED,	/* right epoch, not what was left there */
};

enum freshness_verdict freshness_judge(const struct freshness_record *r,
    const struct freshness_claim *c);

/* The record of an opening of c after *now, which may be all zero. accepted:
 * refused, but for an administrator's word. */
void freshness_record_open(struct freshness_record *next,
    const struct freshness_record *now, const struct freshness_claim *c,
    bool accepted);

int freshness_record_encode(const struct freshness_record *r,
    uint8_t sector[FRESHNESS_SECTOR_SIZE], struct err *err);
/* The newer valid one of the two sectors; ERR_FORMAT when there is none,
 * another code when that cannot be told now. */
int freshness_record_decode(const uint8_t both[FRESHNESS_RECORD_SIZE],
    const uint8_t uuid[UUID_SIZE], struct freshness_record *r,
    struct err *err);

/* One write of the sector whose turn it is, and one sync. After a failure the
 * same sector is written again, and the other one is still whole. */
int freshness_record_write(int fd, const struct freshness_record *r,
    struct err *err);

#endif
