/* SPDX-License-Identifier: BSD-3-Clause */
/* Epochs of a VM that comes from a host which does not share its file: the
 * file's epoch is raised, and a host's record judges what comes. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "nvram-crypt/freshness-record.h"
#include "tests/unit/nvram-fixture.h"

#define RAISED 50u

static struct fixture fx;
static struct freshness *f;

static void
setup(void)
{
	struct freshness_claim claim;
	struct nvram *nv;

	memset(&fx, 0, sizeof(fx));
	fixture_dir(&fx);
	fixture_make(&fx);
	cr_assert_eq(freshness_native(&f, fx.native, NULL), 0);
	cr_assert_eq(fixture_unlock(&fx, &nv), 0);
	nvram_claim(nv, &claim);
	cr_assert_eq(freshness_register(f, &claim, NULL), 0);
	nvram_close(nv);
}

static void
teardown(void)
{
	freshness_free(f);
	fixture_free(&fx);
}

TestSuite(arrival, .init = setup, .fini = teardown);

static struct nvram *
take(void)
{
	struct err err = { 0 };
	struct nvram *nv;

	cr_assert_eq(fixture_unlock(&fx, &nv), 0);
	cr_assert_eq(nvram_acquire(nv, f, false, &err), 0, "%s", err.text);
	return nv;
}

static void
die(struct nvram *nv)
{
	nvram_close(nv);
	freshness_free(f);
	cr_assert_eq(freshness_native(&f, fx.native, NULL), 0);
}

static void
refuse_copy(struct fault_store *copy, const char *what, unsigned int op)
{
	struct fault_store *keep = fault_store_new(FIXTURE_FILE_SIZE);
	struct err err = { 0 };
	struct nvram *nv;

	fault_store_copy(keep, fx.store);
	fault_store_copy(fx.store, copy);
	cr_assert_eq(fixture_unlock(&fx, &nv), 0);
	cr_assert_eq(nvram_acquire(nv, f, false, &err), ERR_STALE,
	    "%s, operation %u", what, op);
	nvram_close(nv);
	fault_store_copy(fx.store, keep);
	fault_store_free(keep);
}

Test(arrival, a_raised_epoch_is_in_file_and_record)
{
	struct fault_store *older = fault_store_new(FIXTURE_FILE_SIZE);
	struct nvram *nv = take();
	struct err err = { 0 };

	cr_assert_eq(fixture_commit(nv, 1), 0);
	fault_store_copy(older, fx.store);
	cr_assert_eq(nvram_raise_epoch(nv, RAISED, &err), 0, "%s", err.text);
	cr_expect_eq(nvram_header(nv)->epoch, RAISED);
	cr_assert_eq(nvram_raise_epoch(nv, 3, &err), 0, "%s", err.text);
	cr_expect_eq(nvram_header(nv)->epoch, RAISED, "it is never lowered");
	cr_assert_eq(fixture_commit(nv, 2), 0);
	die(nv);
	refuse_copy(older, "the copy from before", 0);
	nv = take();
	cr_expect_eq(nvram_header(nv)->epoch, RAISED + 1);
	cr_expect_eq(fixture_state(nv), 2);
	cr_assert_eq(nvram_release(nv, &err), 0, "%s", err.text);
	nvram_close(nv);
	fault_store_free(older);
}

/* Wherever it stops, and whatever of that the disk has kept: the file opens,
 * with the state that was acknowledged last. */
Test(arrival, a_raise_may_stop_anywhere, .timeout = 60)
{
	unsigned int op = 0, n = 1;
	bool stopped = true;

	for (; stopped; op++)
		for (int cut = 0; cut < 4; cut++) {
			struct nvram *nv = take();
			struct err err = { 0 };
			unsigned int state = ++n % 4, got;

			cr_assert_eq(fixture_commit(nv, state), 0);
			fault_store_settle(fx.store);
			fault_store_stop_at(fx.store, op, 5000);
			(void)(nvram_raise_epoch(nv, nvram_header(nv)->epoch +
			    RAISED, &err) == 0 && fixture_commit(nv,
			    state + 1) == 0);
			stopped = fault_store_stopped(fx.store);
			die(nv);
			fault_store_cut(fx.store, (enum fault_cut)cut, op + 1);
			fault_store_disarm(fx.store);
			nv = take();
			got = fixture_state(nv);
			cr_assert(got == state || got == state + 1,
			    "operation %u, cut %d: %u, not %u", op, cut, got,
			    state);
			cr_assert_eq(nvram_release(nv, &err), 0, "%s",
			    err.text);
			nvram_close(nv);
		}
	cr_expect_gt(op, 3);
}

/* One that fails leaves what there was in use. */
Test(arrival, a_raise_may_fail)
{
	for (unsigned int op = 0; op < 4; op++) {
		struct nvram *nv = take();
		struct err err = { 0 };

		cr_assert_eq(fixture_commit(nv, 1), 0);
		fault_store_fail_at(fx.store, op, EIO, 100);
		(void)nvram_raise_epoch(nv, nvram_header(nv)->epoch + RAISED,
		    &err);
		fault_store_disarm(fx.store);
		cr_assert_eq(fixture_commit(nv, 2), 0);
		die(nv);
		nv = take();
		cr_assert_eq(fixture_state(nv), 2, "operation %u", op);
		cr_assert_eq(nvram_release(nv, &err), 0, "%s", err.text);
		nvram_close(nv);
	}
}

Test(arrival, a_record_judges_what_comes)
{
	static const uint8_t unknown[UUID_SIZE] = { 9 };
	struct err err = { 0 };
	uint64_t last = 0;
	int fd = -1;

	cr_assert_eq(freshness_record_fd(fx.native, unknown, false, 0, &fd,
	    &err), ERR_NOTFOUND);
	cr_assert_eq(freshness_record_fd(fx.native, unknown, true, 6, &fd,
	    &err), 0, "%s", err.text);
	cr_assert_eq(freshness_record_judge(fd, unknown, 7, &last, &err), 0);
	cr_expect_eq(last, 6);
	cr_expect_eq(freshness_record_judge(fd, unknown, 6, &last, &err),
	    ERR_STALE);
	cr_assert_eq(freshness_record_take(f, fd, unknown, 9, &err), 0, "%s",
	    err.text);
	/* It is this owner's now. */
	cr_assert_eq(freshness_record_fd(fx.native, unknown, false, 0, &fd,
	    &err), 0, "%s", err.text);
	cr_expect_eq(freshness_record_judge(fd, unknown, 20, &last, &err),
	    ERR_BUSY);
	close(fd);
	cr_assert_eq(freshness_release(f, (const uint8_t[32]){ 1 }, false,
	    &err), 0, "%s", err.text);
	cr_assert_eq(freshness_record_fd(fx.native, unknown, false, 0, &fd,
	    &err), 0, "%s", err.text);
	cr_expect_eq(freshness_record_judge(fd, unknown, 9, &last, &err),
	    ERR_STALE);
	cr_expect_eq(freshness_record_judge(fd, unknown, 10, &last, &err), 0);
	close(fd);
	cr_assert_eq(freshness_forget(f, unknown, &err), 0, "%s", err.text);
}
