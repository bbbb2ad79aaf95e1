/* SPDX-License-Identifier: BSD-3-Clause */
#include "nvram-crypt/freshness-record.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "nvram-crypt/crypto.h"

#define VERSION 2u
#define FLAG_FROM_CLEAN 1u
#define FLAG_SYNCED 2u
#define CHECKSUM_AT (FRESHNESS_SECTOR_SIZE - SHA256_SIZE)

static const uint8_t magic[8] = { 'V', 'T', 'P', 'M', 'F', 'R', 'S', 'H' };

static bool
same_digest(const struct freshness_record *r, const struct freshness_claim *c)
{
	return memcmp(r->digest, c->digest, sizeof(r->digest)) == 0;
}

/*
 * An owner that got as far as OPENING may have written its epoch or not, and
 * so may one before it that failed to; none of them has changed the state, so
 * every epoch granted since the file was last judged anew is as good. That is
 * not every epoch above the previous one: a restored copy is of an old epoch,
 * and what was used between it and the restore stays refused. The previous
 * epoch itself must still be what it was.
 */
static enum freshness_verdict
judge_opening(const struct freshness_record *r,
    const struct freshness_claim *c)
{
	if (c->epoch > r->since)
		return FRESHNESS_FRESH;
	if (c->epoch != r->previous)
		return FRESHNESS_OLDER;
	if (r->from_clean && !same_digest(r, c))
		return FRESHNESS_FORKED;
	return FRESHNESS_FRESH;
}

/*
 * The epoch after a clean close is written into the file before it is
 * recorded, so an owner that went before its first change leaves this; with the
 * record before that one if the close itself was not synced. Where more than
 * this host opens the file it may also have been used elsewhere.
 */
static bool
interrupted(const struct freshness_record *r, const struct freshness_claim *c)
{
	return c->epoch > r->epoch && c->epoch - r->epoch == 1;
}

enum freshness_verdict
freshness_judge(const struct freshness_record *r,
    const struct freshness_claim *c)
{
	if (interrupted(r, c) && c->host_bound)
		return FRESHNESS_FRESH;
	if (c->epoch > r->epoch)
		return FRESHNESS_AHEAD;
	if (r->state == FRESHNESS_OPENING)
		return judge_opening(r, c);
	if (c->epoch < r->epoch)
		return FRESHNESS_OLDER;
	if (r->state == FRESHNESS_CLEAN && !same_digest(r, c))
		return FRESHNESS_FORKED;
	return FRESHNESS_FRESH;
}

/*
 * One that goes on from openings that failed grants an epoch more and leaves
 * the rest: what they found may still be what a power cut brings back. So may
 * what was there before an interrupted() one. Any other starts anew, above
 * whatever was used; after a restore also above what an interrupted one may
 * have written that nobody has recorded.
 */
void
freshness_record_open(struct freshness_record *next,
    const struct freshness_record *now, const struct freshness_claim *c,
    bool accepted)
{
	bool goes_on = !accepted && now->generation > 0 &&
	    (interrupted(now, c) || (now->state == FRESHNESS_OPENING &&
	    c->epoch <= now->epoch));

	*next = *now;
	next->state = FRESHNESS_OPENING;
	next->synced = false;
	memcpy(next->uuid, c->uuid, UUID_SIZE);
	if (goes_on) {
		next->epoch = 1 + (c->epoch > now->epoch ? c->epoch :
		    now->epoch);
		if (now->state == FRESHNESS_OPENING)
			return;
		next->previous = next->since = now->epoch;
		next->from_clean = now->state == FRESHNESS_CLEAN;
		return;
	}
	next->previous = c->epoch;
	next->since = c->epoch > now->epoch ? c->epoch : now->epoch;
	if (accepted)
		next->since++;
	next->epoch = next->since + 1;
	/* While nobody runs it a file closed cleanly does not change, and of
	 * an accepted one only this copy is; one that was open when its owner
	 * died may still lose what was not synced, if power fails now. */
	next->from_clean = accepted || now->state == FRESHNESS_CLEAN;
	memcpy(next->digest, c->digest, sizeof(next->digest));
}

int
freshness_record_encode(const struct freshness_record *r,
    uint8_t sector[FRESHNESS_SECTOR_SIZE], struct err *err)
{
	struct buf b = buf_writer(sector, FRESHNESS_SECTOR_SIZE);

	buf_put_bytes(&b, magic, sizeof(magic));
	buf_put_u32be(&b, VERSION);
	buf_put_u32be(&b, (uint32_t)r->state);
	buf_put_u64be(&b, r->generation);
	buf_put_bytes(&b, r->uuid, sizeof(r->uuid));
	buf_put_u64be(&b, r->epoch);
	buf_put_u64be(&b, r->previous);
	buf_put_u64be(&b, r->since);
	buf_put_u32be(&b, (r->from_clean ? FLAG_FROM_CLEAN : 0) |
	    (r->synced ? FLAG_SYNCED : 0));
	buf_put_bytes(&b, r->digest, sizeof(r->digest));
	buf_put_zero(&b, CHECKSUM_AT - b.pos);
	if (!buf_ok(&b))
		return err_set(err, ERR_INTERNAL,
		    "a freshness record does not fit its sector");
	return crypto_sha256(sector, CHECKSUM_AT, sector + CHECKSUM_AT, err);
}

static int
decode_sector(const uint8_t sector[FRESHNESS_SECTOR_SIZE],
    struct freshness_record *r, struct err *err)
{
	struct buf b = buf_reader(sector, FRESHNESS_SECTOR_SIZE);
	uint8_t start[sizeof(magic)], sum[SHA256_SIZE];
	uint32_t version, state, flags;
	int rc;

	if ((rc = crypto_sha256(sector, CHECKSUM_AT, sum, err)) < 0)
		return rc;
	if (memcmp(sum, sector + CHECKSUM_AT, sizeof(sum)) != 0)
		return ERR_FORMAT;
	buf_get_bytes(&b, start, sizeof(start));
	buf_get_u32be(&b, &version);
	buf_get_u32be(&b, &state);
	buf_get_u64be(&b, &r->generation);
	buf_get_bytes(&b, r->uuid, sizeof(r->uuid));
	buf_get_u64be(&b, &r->epoch);
	buf_get_u64be(&b, &r->previous);
	buf_get_u64be(&b, &r->since);
	buf_get_u32be(&b, &flags);
	buf_get_bytes(&b, r->digest, sizeof(r->digest));
	if (!buf_ok(&b) || memcmp(start, magic, sizeof(magic)) != 0 ||
	    version != VERSION || state < FRESHNESS_CLEAN ||
	    state > FRESHNESS_OPEN)
		return ERR_FORMAT;
	r->state = (enum freshness_state)state;
	r->from_clean = (flags & FLAG_FROM_CLEAN) != 0;
	r->synced = (flags & FLAG_SYNCED) != 0;
	return 0;
}

int
freshness_record_decode(const uint8_t both[FRESHNESS_RECORD_SIZE],
    const uint8_t uuid[UUID_SIZE], struct freshness_record *r,
    struct err *err)
{
	struct freshness_record got;
	bool found = false;
	int rc;

	memset(r, 0, sizeof(*r));
	for (size_t i = 0; i < 2; i++) {
		rc = decode_sector(both + i * FRESHNESS_SECTOR_SIZE, &got, err);
		/* One that could not be checked may be the newer one; without
		 * it an older file would pass for the latest. */
		if (rc < 0 && rc != ERR_FORMAT)
			return rc;
		if (rc < 0 || memcmp(got.uuid, uuid, UUID_SIZE) != 0)
			continue;
		if (!found || got.generation > r->generation)
			*r = got;
		found = true;
	}
	return found ? 0 : err_set(err, ERR_FORMAT, "neither sector of the "
	    "freshness record is whole");
}

int
freshness_record_write(int fd, const struct freshness_record *r,
    struct err *err)
{
	uint8_t sector[FRESHNESS_SECTOR_SIZE];
	off_t at = (off_t)(r->generation % 2) * FRESHNESS_SECTOR_SIZE;
	ssize_t n;
	int rc;

	if ((rc = freshness_record_encode(r, sector, err)) < 0)
		return rc;
	do
		n = pwrite(fd, sector, sizeof(sector), at);
	while (n < 0 && errno == EINTR);
	if (n >= 0 && (size_t)n != sizeof(sector)) {
		errno = EIO;
		n = -1;
	}
	if (n < 0 || fdatasync(fd) < 0)
		return err_sys(err, errno,
		    "cannot write the VM's freshness record");
	return 0;
}
