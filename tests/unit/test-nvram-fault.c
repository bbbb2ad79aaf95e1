/* SPDX-License-Identifier: BSD-3-Clause */
/* Stops, lost and torn writes, and failing calls, at every write and sync of
 * every operation: what is acknowledged is there, and nothing is lost. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "tests/unit/nvram-fixture.h"

/* The file holds state 1 in slot 1 and state 0 in slot 0 when it begins. */
struct scenario {
	const char *name;
	int (*run)(struct fixture *fx, struct nvram *nv);
	bool commits;		/* state 2 */
};

static int
run_commit(struct fixture *fx, struct nvram *nv)
{
	(void)fx;
	return fixture_commit(nv, 2);
}

static int
run_unsynced(struct fixture *fx, struct nvram *nv)
{
	int rc = fixture_commit_unsynced(nv, 1);

	(void)fx;
	return rc < 0 ? rc : fixture_commit(nv, 2);
}

static int
run_add(struct fixture *fx, struct nvram *nv)
{
	return nvram_protector_add(nv, protector_ops_by_name("native"),
	    &fx->creds, "another", NULL);
}

static int
run_remove(struct fixture *fx, struct nvram *nv)
{
	(void)fx;
	return nvram_protector_remove(nv, nvram_header(nv)->protectors[1].id,
	    NULL);
}

static int
run_shallow(struct fixture *fx, struct nvram *nv)
{
	return nvram_rekey(nv, false, &fx->creds, NULL);
}

static int
run_deep(struct fixture *fx, struct nvram *nv)
{
	return nvram_rekey(nv, true, &fx->creds, NULL);
}

static int
run_acquire(struct fixture *fx, struct nvram *nv)
{
	(void)fx;
	return nvram_acquire(nv, NULL, false, NULL);
}

static int
run_deep_and_commit(struct fixture *fx, struct nvram *nv)
{
	int rc = nvram_rekey(nv, true, &fx->creds, NULL);

	return rc < 0 ? rc : fixture_commit(nv, 2);
}

static const struct scenario scenarios[] = {
	{ "commit", run_commit, true },
	{ "the same state unsynced, commit", run_unsynced, true },
	{ "protector add", run_add, false },
	{ "protector remove", run_remove, false },
	{ "shallow rekey", run_shallow, false },
	{ "deep rekey", run_deep, false },
	{ "acquire", run_acquire, false },
	{ "deep rekey, commit", run_deep_and_commit, true },
};

#define N_SCENARIOS (sizeof(scenarios) / sizeof(scenarios[0]))

static const size_t torn_at[] = { 0, 1, 100, 512, 1500, 4096, 8192, 12288 };

#define N_TORN (sizeof(torn_at) / sizeof(torn_at[0]))

/* The file every run starts from, made once. */
static struct fixture fx;
static struct fault_store *baseline;

static void
setup(void)
{
	struct nvram *nv;

	memset(&fx, 0, sizeof(fx));
	fixture_make(&fx);
	nv = fixture_acquire(&fx);
	cr_assert_eq(run_add(&fx, nv), 0);
	cr_assert_eq(fixture_commit(nv, 1), 0);
	nvram_close(nv);
	fault_store_settle(fx.store);
	baseline = fault_store_new(FIXTURE_FILE_SIZE);
	fault_store_copy(baseline, fx.store);
}

static void
teardown(void)
{
	fault_store_free(baseline);
	fixture_free(&fx);
}

static struct nvram *
begin(void)
{
	struct nvram *nv;

	fault_store_copy(fx.store, baseline);
	nv = fixture_acquire(&fx);
	fault_store_disarm(fx.store);
	return nv;
}

static unsigned int
count_operations(const struct scenario *s)
{
	struct nvram *nv = begin();
	unsigned int n;

	cr_assert_eq(s->run(&fx, nv), 0);
	n = fault_store_operations(fx.store);
	nvram_close(nv);
	return n;
}

/* The file opens, holds one of the two states, and can go on from there. */
static void
check_after(int state_min, int state_max, const char *what, unsigned int op,
    size_t bytes, int how)
{
	struct nvram *nv;
	int state;

	cr_assert_eq(fixture_unlock(&fx, &nv), 0, "%s: operation %u, %zu "
	    "bytes, cut %d: does not open", what, op, bytes, how);
	state = fixture_state(nv);
	cr_assert(state >= state_min && state <= state_max,
	    "%s: operation %u, %zu bytes, cut %d: state %d", what, op, bytes,
	    how, state);
	cr_assert_eq(nvram_acquire(nv, NULL, false, NULL), 0,
	    "%s: operation %u, %zu bytes, cut %d", what, op, bytes, how);
	cr_assert_eq(fixture_commit(nv, 5), 0);
	nvram_close(nv);
	fault_store_cut(fx.store, FAULT_CUT_LOSE, 1);
	cr_assert_eq(fixture_unlock(&fx, &nv), 0);
	cr_assert_eq(fixture_state(nv), 5);
	nvram_close(nv);
}

static void
one_stop(const struct scenario *s, unsigned int op, size_t bytes, int how)
{
	struct nvram *nv = begin();
	int rc;

	fault_store_stop_at(fx.store, op, bytes);
	rc = s->run(&fx, nv);
	nvram_close(nv);
	fault_store_cut(fx.store, how < 3 ? (enum fault_cut)how :
	    how == 3 ? FAULT_CUT_KILL : FAULT_CUT_MIX,
	    1 + op * 7919 + (uint32_t)bytes * 31 + (uint32_t)how);
	check_after(s->commits && rc == 0 ? 2 : 1, s->commits ? 2 : 1,
	    s->name, op, bytes, how);
}

Test(fault, stop_at_every_operation, .init = setup, .fini = teardown,
    .timeout = 120)
{
	for (size_t i = 0; i < N_SCENARIOS; i++) {
		unsigned int n = count_operations(&scenarios[i]);

		cr_assert_geq(n, 2);
		for (unsigned int op = 0; op <= n; op++)
			for (size_t t = 0; t < N_TORN; t++)
				for (int how = 0; how < 6; how++)
					one_stop(&scenarios[i], op,
					    torn_at[t], how);
	}
}

/* A process that is killed between a write and its sync, or that gives up after
 * a failed one, leaves what only the page cache has; its successor goes on from
 * that, and then power fails. */
static void
kill_then_cut(const struct scenario *s, bool killed, unsigned int op,
    unsigned int op2, int how)
{
	struct nvram *nv = begin();

	if (killed)
		fault_store_stop_at(fx.store, op, SIZE_MAX);
	else
		fault_store_fail_at(fx.store, op, EIO, SIZE_MAX);
	(void)s->run(&fx, nv);
	nvram_close(nv);
	fault_store_cut(fx.store, FAULT_CUT_KILL, 1);
	cr_assert_eq(fixture_unlock(&fx, &nv), 0);
	fault_store_stop_at(fx.store, op2, 5000);
	(void)nvram_acquire(nv, NULL, false, NULL);
	nvram_close(nv);
	fault_store_cut(fx.store, (enum fault_cut)how, op * 17 + op2 + 1);
	check_after(1, s->commits ? 2 : 1, s->name, op, op2, how);
}

Test(fault, kill_and_then_power_cut, .init = setup, .fini = teardown,
    .timeout = 120)
{
	for (size_t i = 0; i < N_SCENARIOS; i++) {
		unsigned int n = count_operations(&scenarios[i]);

		for (unsigned int op = 0; op <= n; op++)
			for (unsigned int op2 = 0; op2 < 7; op2++)
				for (int how = 0; how < 3; how++) {
					kill_then_cut(&scenarios[i], true, op,
					    op2, how);
					kill_then_cut(&scenarios[i], false, op,
					    op2, how);
				}
	}
}

/* Each call fails once; the operation says so, or did not need it; the state
 * is the one before; the same again works, and a release after it leaves what
 * it says. */
static void
one_failure(const struct scenario *s, unsigned int op, size_t bytes, int sys)
{
	struct freshness_claim before, after;
	struct nvram *nv = begin();
	int rc;

	fault_store_fail_at(fx.store, op, sys, bytes);
	rc = s->run(&fx, nv);
	cr_assert(rc == 0 || rc == (sys == ENOSPC ? ERR_NOSPACE : ERR_SYSTEM),
	    "%s: operation %u: %d", s->name, op, rc);
	cr_assert_eq(fixture_state(nv), s->commits && rc == 0 ? 2 : 1,
	    "%s: operation %u", s->name, op);
	if (rc < 0 && s->run != run_remove)
		cr_assert_eq(s->run(&fx, nv), 0, "%s: operation %u", s->name,
		    op);
	cr_assert_eq(fixture_state(nv), s->commits ? 2 : 1);
	cr_assert_eq(nvram_release(nv, NULL), 0);
	nvram_claim(nv, &before);
	nvram_close(nv);
	fault_store_cut(fx.store, FAULT_CUT_LOSE, 1);
	cr_assert_eq(fixture_unlock(&fx, &nv), 0);
	cr_assert_eq(fixture_state(nv), s->commits ? 2 : 1);
	nvram_claim(nv, &after);
	cr_assert_eq(memcmp(&before, &after, sizeof(before)), 0,
	    "%s: operation %u: another digest", s->name, op);
	nvram_close(nv);
}

Test(fault, each_call_fails_once, .init = setup, .fini = teardown,
    .timeout = 120)
{
	for (size_t i = 0; i < N_SCENARIOS; i++) {
		unsigned int n = count_operations(&scenarios[i]);

		for (unsigned int op = 0; op < n; op++)
			for (size_t t = 0; t < N_TORN; t++) {
				one_failure(&scenarios[i], op, torn_at[t],
				    ENOSPC);
				one_failure(&scenarios[i], op, torn_at[t],
				    EIO);
			}
	}
}

/* What failed may be on the disk all the same: nothing that follows may rely
 * on its not being there. A commit is acknowledged, or was not even tried;
 * release without it leaves the digest it reports. */
static void
failure_then_stop(const struct scenario *s, unsigned int op, unsigned int op2,
    int how, bool again)
{
	struct freshness_claim before, after;
	struct nvram *nv = begin();
	int rc;

	fault_store_fail_at(fx.store, op, EIO, SIZE_MAX);
	rc = s->run(&fx, nv);
	fault_store_stop_at(fx.store, op2, 5000);
	if (rc < 0 && op2 == 0) {	/* instead: give up and release */
		fault_store_disarm(fx.store);
		cr_assert_eq(nvram_release(nv, NULL), 0);
		nvram_claim(nv, &before);
		nvram_close(nv);
		fault_store_cut(fx.store, (enum fault_cut)how, op + 1);
		cr_assert_eq(fixture_unlock(&fx, &nv), 0);
		nvram_claim(nv, &after);
		cr_assert_eq(memcmp(&before, &after, sizeof(before)), 0,
		    "%s: operation %u, cut %d: another digest", s->name, op,
		    how);
		nvram_close(nv);
		return;
	}
	if (again)
		(void)s->run(&fx, nv);
	rc = again ? -1 : fixture_commit(nv, 3);
	nvram_close(nv);
	fault_store_cut(fx.store, (enum fault_cut)how, op * 17 + op2 + 1);
	check_after(rc == 0 ? 3 : 1, 3, s->name, op, op2, how);
}

Test(fault, failure_and_then_stop, .init = setup, .fini = teardown,
    .timeout = 120)
{
	for (size_t i = 0; i < N_SCENARIOS; i++) {
		unsigned int n = count_operations(&scenarios[i]);

		for (unsigned int op = 0; op < n; op++)
			for (unsigned int op2 = 0; op2 < 9; op2++)
				for (int how = 0; how < 8; how++)
					failure_then_stop(&scenarios[i], op,
					    op2, how / 2, how % 2 != 0);
	}
}
