/* SPDX-License-Identifier: BSD-3-Clause */
/* Bytes that somebody, or the disk, has changed: refused or recovered, and
 * never taken for what they are not. */
#include <criterion/criterion.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

#include "nvram-crypt/slot.h"
#include "tests/unit/nvram-fixture.h"

#define SB_CHECKSUM_AT (FIXTURE_SB_SIZE - 32)
#define SLOT_AT(i) (2 * FIXTURE_SB_SIZE + (i) * FIXTURE_SLOT_SIZE)
#define SLOT_USED (128 + 2 * (8 + FIXTURE_STATE_SIZE))

/* A superblock alone, the other one gone: whatever byte is changed. */
static void
change_each_byte(bool fix_checksum)
{
	struct fixture fx = { 0 };
	struct nvram *nv;
	uint8_t *sb;

	fixture_make(&fx);
	sb = fault_store_bytes(fx.store);
	memset(sb + FIXTURE_SB_SIZE, 0, FIXTURE_SB_SIZE);
	cr_assert_eq(fixture_unlock(&fx, &nv), 0);
	nvram_close(nv);
	for (size_t i = 0; i < (fix_checksum ? SB_CHECKSUM_AT :
	    FIXTURE_SB_SIZE); i++) {
		uint8_t sum[32];
		int rc;

		memcpy(sum, sb + SB_CHECKSUM_AT, sizeof(sum));
		sb[i] ^= (uint8_t)(1 << i % 8);
		if (fix_checksum)
			SHA256(sb, SB_CHECKSUM_AT, sb + SB_CHECKSUM_AT);
		rc = fixture_unlock(&fx, &nv);
		cr_assert(rc == ERR_AUTH || rc == ERR_FORMAT ||
		    (fix_checksum && (rc == ERR_KEY ||
		    rc == ERR_UNSUPPORTED)), "byte %zu gave %d", i, rc);
		sb[i] ^= (uint8_t)(1 << i % 8);
		memcpy(sb + SB_CHECKSUM_AT, sum, sizeof(sum));
	}
	cr_assert_eq(fixture_unlock(&fx, &nv), 0);
	nvram_close(nv);
	fixture_free(&fx);
}

Test(damage, superblock_by_chance)
{
	change_each_byte(false);
}

Test(damage, superblock_by_intent, .timeout = 60)
{
	change_each_byte(true);
}

/* One damaged superblock is recovered from the other, which is a copy. */
Test(damage, either_superblock_is_enough)
{
	for (unsigned int i = 0; i < 2; i++) {
		struct fixture fx = { 0 };
		struct nvram *nv;

		fixture_make(&fx);
		nv = fixture_acquire(&fx);
		cr_assert_eq(fixture_commit(nv, 1), 0);
		nvram_close(nv);
		fault_store_bytes(fx.store)[i * FIXTURE_SB_SIZE + 777] ^= 1;
		cr_assert_eq(fixture_unlock(&fx, &nv), 0);
		cr_assert_eq(nvram_report(nv)->superblock[i].state,
		    NVRAM_AREA_TORN);
		cr_assert_eq(nvram_report(nv)->superblock[1 - i].state,
		    NVRAM_AREA_CURRENT);
		cr_assert_eq(fixture_state(nv), 1);
		nvram_close(nv);
		fixture_free(&fx);
	}
}

Test(damage, both_superblocks)
{
	struct fixture fx = { 0 };
	struct err err = { 0 };
	struct nvram *nv;

	fixture_make(&fx);
	for (size_t i = 0; i < 2; i++)
		fault_store_bytes(fx.store)[i * FIXTURE_SB_SIZE + 100] ^= 1;
	cr_assert_eq(nvram_open_store(&nv, fault_store_base(fx.store), "f",
	    &err), ERR_AUTH);
	cr_assert_not_null(strstr(err.text, "accept-restore"));
	memset(fault_store_bytes(fx.store), 0, 2 * FIXTURE_SB_SIZE);
	cr_assert_eq(nvram_open_store(&nv, fault_store_base(fx.store), "f",
	    &err), ERR_FORMAT);
	fixture_free(&fx);
}

/* States 0 in slot 0 and 1 in slot 1: a change in slot 1 falls back to 0, and
 * never yields anything else. Behind the payload nothing counts. */
Test(damage, each_byte_of_a_slot)
{
	struct fixture fx = { 0 };
	struct nvram *nv;
	uint8_t *slot;

	fixture_make(&fx);
	nv = fixture_acquire(&fx);
	cr_assert_eq(fixture_commit(nv, 1), 0);
	nvram_close(nv);
	slot = fault_store_bytes(fx.store) + SLOT_AT(1);
	for (size_t i = 0; i < SLOT_USED + 64; i++) {
		slot[i] ^= (uint8_t)(1 << i % 8);
		cr_assert_eq(fixture_unlock(&fx, &nv), 0, "byte %zu", i);
		cr_assert_eq(fixture_state(nv), i < SLOT_USED ? 0 : 1,
		    "byte %zu", i);
		cr_assert(nvram_report(nv)->slot[1].state ==
		    (i < SLOT_USED ? NVRAM_AREA_TORN : NVRAM_AREA_CURRENT) ||
		    /* the DEK's id: looks like an interrupted rekey */
		    (i >= 32 && i < 48), "byte %zu", i);
		nvram_close(nv);
		slot[i] ^= (uint8_t)(1 << i % 8);
	}
	fixture_free(&fx);
}

Test(damage, both_slots)
{
	struct fixture fx = { 0 };
	struct err err = { 0 };
	struct nvram *nv;

	fixture_make(&fx);
	nv = fixture_acquire(&fx);
	cr_assert_eq(fixture_commit(nv, 1), 0);
	nvram_close(nv);
	fault_store_bytes(fx.store)[SLOT_AT(0) + 200] ^= 1;
	fault_store_bytes(fx.store)[SLOT_AT(1) + 200] ^= 1;
	cr_assert_eq(nvram_open_store(&nv, fault_store_base(fx.store), "f",
	    &err), 0);
	cr_assert_eq(nvram_unlock(nv, &fx.creds, &err), ERR_AUTH);
	cr_assert_not_null(strstr(err.text, "accept-restore"));
	cr_assert_not(nvram_unlocked(nv));
	nvram_close(nv);
	fixture_free(&fx);
}

/* The state under the floor is damaged, so only one from before it is left:
 * not lost, but nobody goes back without being told to. */
Test(damage, going_below_the_floor_must_be_accepted)
{
	struct fixture fx = { 0 };
	struct err err = { 0 };
	struct nvram *nv;

	fixture_make(&fx);
	nv = fixture_acquire(&fx);
	cr_assert_eq(fixture_commit(nv, 1), 0);
	nvram_close(nv);
	nv = fixture_acquire(&fx);	/* the floor is now state 1 */
	nvram_close(nv);
	fault_store_bytes(fx.store)[SLOT_AT(1) + 200] ^= 1;
	cr_assert_eq(fixture_unlock(&fx, &nv), 0);
	cr_assert_eq(fixture_state(nv), 0);
	cr_assert_eq(nvram_acquire(nv, NULL, false, &err), ERR_STALE);
	cr_assert_not_null(strstr(err.text, "accept-restore"));
	cr_assert_eq(fixture_commit(nv, 2), ERR_REFUSED);
	cr_assert_eq(nvram_acquire(nv, NULL, true, NULL), 0);
	cr_assert_eq(fixture_commit(nv, 2), 0);
	nvram_close(nv);
	cr_assert_eq(fixture_unlock(&fx, &nv), 0);
	cr_assert_eq(fixture_state(nv), 2);
	nvram_close(nv);
	fixture_free(&fx);
}

/* A slot's bytes in the other slot: authentic, but not there. */
Test(damage, slot_moved)
{
	struct fixture fx = { 0 };
	struct nvram *nv;
	uint8_t *bytes;

	fixture_make(&fx);
	nv = fixture_acquire(&fx);
	cr_assert_eq(fixture_commit(nv, 1), 0);
	nvram_close(nv);
	bytes = fault_store_bytes(fx.store);
	memcpy(bytes + SLOT_AT(0), bytes + SLOT_AT(1), FIXTURE_SLOT_SIZE);
	memset(bytes + SLOT_AT(1), 0, FIXTURE_SLOT_SIZE);
	cr_assert_eq(fixture_unlock(&fx, &nv), ERR_AUTH);
	fixture_free(&fx);
}

/* Another VM's slot, superblock or protector, under the same host's key. */
Test(damage, blobs_of_another_vm)
{
	static const struct { size_t at, size; } parts[] = {
		{ SLOT_AT(0), FIXTURE_SLOT_SIZE },	/* its only slot */
		{ 1024, 1024 },				/* protector 0 */
		{ 32, 16 },				/* UUID */
	};
	struct fixture a = { 0 }, b = { 0 };
	struct nvram *nv;

	fixture_make(&a);
	fixture_make(&b);	/* the same UUID even, but another DEK */
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		uint8_t *to = fault_store_bytes(a.store);
		const uint8_t *from = fault_store_bytes(b.store);
		uint8_t saved[FIXTURE_FILE_SIZE];

		memcpy(saved, to, sizeof(saved));
		memset(to + FIXTURE_SB_SIZE, 0, FIXTURE_SB_SIZE);
		memcpy(to + parts[i].at, from + parts[i].at, parts[i].size);
		if (i == 2)
			to[32] ^= 1;
		SHA256(to, SB_CHECKSUM_AT, to + SB_CHECKSUM_AT);
		cr_assert_eq(fixture_unlock(&a, &nv), ERR_AUTH, "part %zu", i);
		memcpy(to, saved, sizeof(saved));
	}
	cr_assert_eq(fixture_unlock(&a, &nv), 0);
	nvram_close(nv);
	fixture_free(&a);
	fixture_free(&b);
}

/* An older slot of this very file, put back under a newer superblock. */
Test(damage, older_slots_under_a_newer_superblock)
{
	struct fixture fx = { 0 };
	uint8_t old[2 * FIXTURE_SLOT_SIZE];
	struct nvram *nv;

	fixture_make(&fx);
	nv = fixture_acquire(&fx);
	memcpy(old, fault_store_bytes(fx.store) + SLOT_AT(0), sizeof(old));
	cr_assert_eq(fixture_commit(nv, 1), 0);
	cr_assert_eq(fixture_commit(nv, 2), 0);
	nvram_close(nv);
	nv = fixture_acquire(&fx);
	nvram_close(nv);
	memcpy(fault_store_bytes(fx.store) + SLOT_AT(0), old, sizeof(old));
	cr_assert_eq(fixture_unlock(&fx, &nv), 0);
	cr_assert_eq(nvram_acquire(nv, NULL, false, NULL), ERR_STALE);
	nvram_close(nv);
	fixture_free(&fx);
}

Test(damage, cut_short)
{
	struct fixture fx = { 0 };
	struct fault_store *whole;
	static const size_t sizes[] = { 0, 100, FIXTURE_SB_SIZE,
		2 * FIXTURE_SB_SIZE - 1, 2 * FIXTURE_SB_SIZE, SLOT_AT(1),
		FIXTURE_FILE_SIZE - 1 };

	fixture_make(&fx);
	whole = fx.store;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct nvram *nv;
		int rc;

		fx.store = fault_store_new(sizes[i]);
		memcpy(fault_store_bytes(fx.store), fault_store_bytes(whole),
		    sizes[i]);
		rc = fixture_unlock(&fx, &nv);
		cr_assert(rc == ERR_FORMAT || rc == ERR_AUTH,
		    "%zu bytes gave %d", sizes[i], rc);
		fault_store_free(fx.store);
	}
	fx.store = whole;
	fixture_free(&fx);
}
