/* SPDX-License-Identifier: BSD-3-Clause */
#include "nvram-crypt/freshness-record.h"

#include <string.h>

#include "base/buf.h"
#include "nvram-crypt/crypto.h"

#define VERSION 2u
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

enum freshness_verdict
freshness_judge(const struct freshness_record *r,
    const struct freshness_claim *c)
{
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
	buf_put_u32be(&b, r->from_clean ? 1 : 0);
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
	uint32_t version, state, from_clean;
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
	buf_get_u32be(&b, &from_clean);
	buf_get_bytes(&b, r->digest, sizeof(r->digest));
	if (!buf_ok(&b) || memcmp(start, magic, sizeof(magic)) != 0 ||
	    version != VERSION || state < FRESHNESS_CLEAN ||
	    state > FRESHNESS_OPEN)
		return ERR_FORMAT;
	r->state = (enum freshness_state)state;
	r->from_clean = from_clean != 0;
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
