/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Long random histories of a file whose machine or process stops again and
 * again, at any write or sync, with any part of what was not synced on the
 * disk. After each stop the file opens and holds the state acknowledged last,
 * or the one that was being stored: nothing older, nothing else.
 *
 * VTPMD_STOPS: how many stops in all, instead of 100,000. VTPMD_SEED: another
 * history than the usual one.
 */
#include <config.h>

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "tests/unit/nvram-fixture.h"

#define SLICES 4	/* Criterion runs them side by side */
#ifdef SANITIZERS
#define STOPS 12000u
#else
#define STOPS 100000u
#endif
#define STATE_MIN 8u
#define STATE_MAX 7900u
#define SESSION_MAX 5u		/* operations before a stop */
#define STOP_WITHIN 14u		/* writes and syncs of a session */
#define PROTECTORS_MAX 4u

static const unsigned int slices[SLICES] = { 1, 2, 3, 4 };

ParameterizedTestParameters(stops, history)
{
	return cr_make_param_array(const unsigned int, slices, SLICES);
}

struct history {
	struct fixture fx;
	uint32_t random;
	uint32_t next;		/* number of the next state */
	uint32_t acked;		/* must be there ... */
	uint32_t tried;		/* ... or this */
};

static uint32_t
any(struct history *h, uint32_t below)
{
	h->random ^= h->random << 13;
	h->random ^= h->random >> 17;
	h->random ^= h->random << 5;
	return (h->random >> 3) % below;
}

/* State n: its number, and a size and bytes that follow from it. */
static size_t
make_state(uint32_t n, uint8_t data[STATE_MAX])
{
	struct buf b = buf_writer(data, STATE_MAX);
	size_t size = STATE_MIN + n * 2654435761u % (STATE_MAX - STATE_MIN);

	buf_put_u32be(&b, n);
	for (size_t i = b.pos; i < size; i++)
		data[i] = (uint8_t)(n * 31 + i * 7);
	return size;
}

static int
commit(struct history *h, struct nvram *nv)
{
	uint8_t data[STATE_MAX];
	struct nvram_record record = { NVRAM_PERMANENT, data, 0 };
	int rc;

	h->tried = h->next++;
	record.size = make_state(h->tried, data);
	if ((rc = nvram_commit(nv, &record, 1, NULL)) == 0)
		h->acked = h->tried;
	return rc;
}

/* The number of the state that is there, whole; aborts on anything else. */
static uint32_t
state_of(const struct nvram *nv)
{
	uint8_t expected[STATE_MAX];
	const uint8_t *data;
	struct buf b;
	uint32_t n;
	size_t size;

	cr_assert_eq(nvram_get(nv, NVRAM_PERMANENT, &data, &size, NULL), 0);
	b = buf_reader(data, size);
	cr_assert_eq(buf_get_u32be(&b, &n), 0);
	cr_assert_eq(size, make_state(n, expected));
	cr_assert_eq(memcmp(data, expected, size), 0, "state %u", n);
	return n;
}

/* What is there anyway: a state that nobody counts on, and so not synced. */
static int
commit_again(struct history *h, struct nvram *nv)
{
	uint8_t data[STATE_MAX];
	struct nvram_record record = { NVRAM_PERMANENT, data, 0 };

	record.size = make_state(h->acked, data);
	return nvram_commit_unsynced(nv, &record, 1, NULL);
}

static int
change_protectors(struct history *h, struct nvram *nv)
{
	const struct nvram_header *header = nvram_header(nv);

	if (header->n_protectors < PROTECTORS_MAX)
		return nvram_protector_add(nv, protector_ops_by_name("native"),
		    &h->fx.creds, "x", NULL);
	return nvram_protector_remove(nv, header->protectors[any(h,
	    PROTECTORS_MAX)].id, NULL);
}

/* Mostly commits, as in life. */
static int
operate(struct history *h, struct nvram *nv)
{
	switch (any(h, 12)) {
	case 0:
		return nvram_rekey(nv, true, &h->fx.creds, NULL);
	case 1:
		return nvram_rekey(nv, false, &h->fx.creds, NULL);
	case 2:
		return change_protectors(h, nv);
	case 3:
		return nvram_set_state_version(nv, any(h, 5), NULL);
	case 4:
		return commit_again(h, nv);
	default:
		return commit(h, nv);
	}
}

/* One owner of the file, until it is stopped or goes. */
static void
session(struct history *h)
{
	uint32_t stop = any(h, STOP_WITHIN);
	struct nvram *nv;
	uint32_t n;
	int rc;

	cr_assert_eq(fixture_unlock(&h->fx, &nv), 0, "after state %u",
	    h->acked);
	n = state_of(nv);
	cr_assert(n == h->acked || n == h->tried,
	    "state %u is there, %u was acknowledged and %u tried", n,
	    h->acked, h->tried);
	fault_store_stop_at(h->fx.store, stop, any(h, 3) == 0 ?
	    any(h, FIXTURE_SB_SIZE) : any(h, 2) * 512 * any(h, 16));
	rc = nvram_acquire(nv, NULL, false, NULL);
	/* No stop may make it look like an older copy. */
	cr_assert(rc == 0 || rc == ERR_SYSTEM, "acquiring gave %d", rc);
	if (rc == 0) {
		/* What was read is durable now, and so as good as stored. */
		h->acked = h->tried = n;
		for (uint32_t i = any(h, SESSION_MAX) + 1; i > 0; i--)
			if (operate(h, nv) < 0)
				break;
	}
	nvram_close(nv);
	fault_store_cut(h->fx.store, (enum fault_cut)any(h, 4),
	    any(h, UINT32_MAX) | 1);
}

static unsigned int
setting(const char *name, unsigned int usual)
{
	const char *value = getenv(name);

	return value != NULL ? (unsigned int)strtoul(value, NULL, 10) : usual;
}

ParameterizedTest(const unsigned int *slice, stops, history, .timeout = 36000)
{
	unsigned int count = setting("VTPMD_STOPS", STOPS) / SLICES;
	struct history h = { .random = setting("VTPMD_SEED", 2463534242u) *
		2 * *slice + 1, .next = 1 };
	struct nvram *nv;

	fixture_make(&h.fx);
	nv = fixture_acquire(&h.fx);
	cr_assert_eq(commit(&h, nv), 0);
	nvram_close(nv);
	for (unsigned int i = 0; i < count; i++)
		session(&h);
	cr_assert_gt(h.next, count / 10, "hardly anything was stored");
	fixture_free(&h.fx);
}
