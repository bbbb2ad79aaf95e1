/* SPDX-License-Identifier: BSD-3-Clause */
/* Every single bit of a file flipped in turn, and every length it can be cut
 * to: refused or recovered, never taken for what it is not. */
#include <config.h>

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <openssl/sha.h>
#include <string.h>

#include "tests/unit/nvram-fixture.h"

#define SB_CHECKSUM_AT (FIXTURE_SB_SIZE - 32)
#define SLOT_AT(i) (2 * FIXTURE_SB_SIZE + (i) * FIXTURE_SLOT_SIZE)
#define SLOT_USED (128 + 2 * (8 + FIXTURE_STATE_SIZE))
/* Criterion runs the slices side by side. */
#define SLICES 4
#ifdef SANITIZERS
#define STEP 7		/* every seventh bit: the sanitizers' cost is tenfold */
#else
#define STEP 1
#endif

static const size_t slices[SLICES] = { 0, 1, 2, 3 };

ParameterizedTestParameters(bits, flipped)
{
	return cr_make_param_array(const size_t, slices, SLICES);
}

ParameterizedTestParameters(bits, flipped_with_checksum)
{
	return cr_make_param_array(const size_t, slices, SLICES);
}

/* State 0 in slot 0, state 1 in slot 1; superblocks A and B are copies. */
static void
make(struct fixture *fx)
{
	struct nvram *nv;

	fixture_make(fx);
	nv = fixture_acquire(fx);
	cr_assert_eq(fixture_commit(nv, 1), 0);
	nvram_close(nv);
}

/* doc/nvram-format.md, "Opening": the newest whole slot; one whole superblock
 * is enough. */
static int
expected_state(size_t byte)
{
	return byte >= SLOT_AT(1) && byte < SLOT_AT(1) + SLOT_USED ? 0 : 1;
}

static bool
is_torn(const struct nvram *nv, size_t byte)
{
	const struct nvram_report *r = nvram_report(nv);

	if (byte < SLOT_AT(0))
		return r->superblock[byte / FIXTURE_SB_SIZE].state ==
		    NVRAM_AREA_TORN;
	byte -= SLOT_AT(0);
	/* A DEK id that is another looks like an interrupted rekey. */
	if (byte % FIXTURE_SLOT_SIZE >= 32 && byte % FIXTURE_SLOT_SIZE < 48)
		return true;
	return byte % FIXTURE_SLOT_SIZE >= SLOT_USED ||
	    r->slot[byte / FIXTURE_SLOT_SIZE].state == NVRAM_AREA_TORN;
}

ParameterizedTest(const size_t *slice, bits, flipped, .timeout = 200)
{
	struct fixture fx = { 0 };
	uint8_t *bytes;

	make(&fx);
	bytes = fault_store_bytes(fx.store);
	for (size_t bit = *slice * STEP; bit < 8 * FIXTURE_FILE_SIZE;
	    bit += SLICES * STEP) {
		size_t byte = bit / 8;
		struct nvram *nv;

		bytes[byte] ^= (uint8_t)(1 << bit % 8);
		cr_assert_eq(fixture_unlock(&fx, &nv), 0, "bit %zu", bit);
		cr_assert_eq(fixture_state(nv), expected_state(byte),
		    "bit %zu", bit);
		cr_assert(is_torn(nv, byte), "bit %zu", bit);
		nvram_close(nv);
		bytes[byte] ^= (uint8_t)(1 << bit % 8);
	}
	fixture_free(&fx);
}

/* By somebody who knows the format: the checksum fits, and the other
 * superblock is gone. */
ParameterizedTest(const size_t *slice, bits, flipped_with_checksum,
    .timeout = 200)
{
	struct fixture fx = { 0 };
	uint8_t sum[32], *sb;

	make(&fx);
	sb = fault_store_bytes(fx.store);
	memset(sb + FIXTURE_SB_SIZE, 0, FIXTURE_SB_SIZE);
	memcpy(sum, sb + SB_CHECKSUM_AT, sizeof(sum));
	for (size_t bit = *slice * STEP; bit < 8 * SB_CHECKSUM_AT;
	    bit += SLICES * STEP) {
		struct nvram *nv;
		int rc;

		sb[bit / 8] ^= (uint8_t)(1 << bit % 8);
		SHA256(sb, SB_CHECKSUM_AT, sb + SB_CHECKSUM_AT);
		rc = fixture_unlock(&fx, &nv);
		cr_assert(rc == ERR_AUTH || rc == ERR_FORMAT ||
		    rc == ERR_KEY || rc == ERR_UNSUPPORTED, "bit %zu gave %d",
		    bit, rc);
		sb[bit / 8] ^= (uint8_t)(1 << bit % 8);
		memcpy(sb + SB_CHECKSUM_AT, sum, sizeof(sum));
	}
	fixture_free(&fx);
}

Test(bits, every_length, .timeout = 200)
{
	struct fixture fx = { 0 };
	struct fault_store *whole;

	make(&fx);
	whole = fx.store;
	for (size_t size = 0; size < FIXTURE_FILE_SIZE; size += STEP) {
		struct nvram *nv;
		int rc;

		fx.store = fault_store_new(size);
		memcpy(fault_store_bytes(fx.store), fault_store_bytes(whole),
		    size);
		rc = fixture_unlock(&fx, &nv);
		cr_assert_eq(rc, size < 2 * FIXTURE_SB_SIZE ? ERR_FORMAT :
		    ERR_AUTH, "%zu bytes gave %d", size, rc);
		fault_store_free(fx.store);
	}
	fx.store = whole;
	fixture_free(&fx);
}
