/* SPDX-License-Identifier: BSD-3-Clause */
/* Which copy of a file may be opened, after which history. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "nvram-crypt/freshness-record.h"
#include "tests/unit/nvram-fixture.h"

static struct fixture fx;
static struct freshness *f;

/* A registered VM at epoch 1 whose file is fx.store. */
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
	cr_assert_eq(freshness_register(f, &claim, NULL), ERR_EXISTS);
	nvram_close(nv);
}

static void
teardown(void)
{
	freshness_free(f);
	fixture_free(&fx);
}

TestSuite(freshness, .init = setup, .fini = teardown);

/* Opens and acquires; the code of the acquisition. */
static int
take(struct nvram **nv, bool accept, struct err *err)
{
	int rc;

	cr_assert_eq(fixture_unlock(&fx, nv), 0);
	if ((rc = nvram_acquire(*nv, f, accept, err)) < 0) {
		nvram_close(*nv);
		*nv = NULL;
	}
	return rc;
}

/* The process ends without release: descriptors and memory are gone. */
static void
die(struct nvram *nv)
{
	nvram_close(nv);
	freshness_free(f);
	cr_assert_eq(freshness_native(&f, fx.native, NULL), 0);
}

/* Opens, commits state n, closes cleanly. */
static void
use(unsigned int n)
{
	struct err err = { 0 };
	struct nvram *nv;

	cr_assert_eq(take(&nv, false, &err), 0, "%s", err.text);
	cr_assert_eq(fixture_commit(nv, n), 0);
	cr_assert_eq(nvram_release(nv, &err), 0, "%s", err.text);
	nvram_close(nv);
}

static struct fault_store *
copy_file(void)
{
	struct fault_store *copy = fault_store_new(FIXTURE_FILE_SIZE);

	fault_store_copy(copy, fx.store);
	return copy;
}

static void
put_back(struct fault_store *copy)
{
	fault_store_copy(fx.store, copy);
	fault_store_free(copy);
}

Test(freshness, clean_closes)
{
	struct stat st;

	for (unsigned int n = 1; n < 5; n++)
		use(n);
	cr_assert_eq(fstatat(fx.records_fd,
	    "11223344-5566-4788-99aa-bbccddeeff01", &st, 0), 0);
	cr_assert_eq(st.st_mode & 07777, 0600);
	cr_assert_eq(st.st_size, FRESHNESS_RECORD_SIZE);
}

Test(freshness, older_copy)
{
	struct fault_store *copy = copy_file();
	struct err err = { 0 };
	struct nvram *nv;

	use(1);
	put_back(copy);
	cr_assert_eq(take(&nv, false, &err), ERR_STALE);
	cr_assert_not_null(strstr(err.text, "epoch 1"), "%s", err.text);
	cr_assert_not_null(strstr(err.text, "epoch 2"), "%s", err.text);
	cr_assert_not_null(strstr(err.text, "vtpmctl accept-restore"));
	cr_assert_not_null(strstr(fixture_log, "event=freshness.stale"));
	cr_assert_not_null(strstr(fixture_log, "file_epoch=1 record_epoch=2"));
	cr_assert_eq(take(&nv, true, &err), 0);
	cr_assert_not_null(strstr(fixture_log, "event=freshness.accepted"));
	/* One is left out: it may be in a file and in no record. */
	cr_assert_eq(nvram_header(nv)->epoch, 4);
	cr_assert_eq(fixture_commit(nv, 2), 0);
	cr_assert_eq(nvram_release(nv, NULL), 0);
	nvram_close(nv);
	use(3);
}

/* Same epoch, but not what was closed. */
Test(freshness, fork_of_the_last_epoch)
{
	struct fault_store *copy;
	struct err err = { 0 };
	struct nvram *nv;

	cr_assert_eq(take(&nv, false, &err), 0);
	cr_assert_eq(fixture_commit(nv, 1), 0);
	copy = copy_file();
	cr_assert_eq(fixture_commit(nv, 2), 0);
	cr_assert_eq(nvram_release(nv, NULL), 0);
	nvram_close(nv);
	put_back(copy);
	cr_assert_eq(take(&nv, false, &err), ERR_STALE);
	cr_assert_not_null(strstr(fixture_log, "reason=forked"));
}

Test(freshness, crash_while_open)
{
	struct fault_store *before = copy_file(), *copy;
	struct nvram *nv;

	cr_assert_eq(take(&nv, false, NULL), 0);
	cr_assert_eq(fixture_commit(nv, 1), 0);
	cr_assert_eq(fixture_commit(nv, 2), 0);
	die(nv);
	copy = copy_file();
	put_back(before);
	cr_assert_eq(take(&nv, false, NULL), ERR_STALE);
	put_back(copy);
	cr_assert_eq(take(&nv, false, NULL), 0);
	cr_assert_eq(fixture_state(nv), 2);
	cr_assert_eq(nvram_release(nv, NULL), 0);
	nvram_close(nv);
}

Test(freshness, two_owners_of_two_copies)
{
	struct freshness *other;
	struct freshness_claim claim;
	struct err err = { 0 };
	struct freshness_grant grant;
	struct nvram *nv;

	cr_assert_eq(take(&nv, false, NULL), 0);
	nvram_claim(nv, &claim);
	cr_assert_eq(freshness_native(&other, fx.native, NULL), 0);
	cr_assert_eq(freshness_acquire(other, &claim, false, &grant, &err),
	    ERR_BUSY);
	cr_assert_eq(freshness_acquire(other, &claim, true, &grant, &err),
	    ERR_BUSY);
	cr_assert_eq(freshness_forget(other, fixture_uuid, &err), ERR_BUSY);
	freshness_free(other);
	cr_assert_eq(nvram_release(nv, NULL), 0);
	nvram_close(nv);
}

Test(freshness, no_record)
{
	struct err err = { 0 };
	struct nvram *nv;

	cr_assert_eq(freshness_forget(f, fixture_uuid, NULL), 0);
	cr_assert_eq(take(&nv, false, &err), ERR_STALE);
	cr_assert_not_null(strstr(err.text, "missing"), "%s", err.text);
	cr_assert_not_null(strstr(err.text, "accept-restore"));
	cr_assert_eq(take(&nv, true, &err), 0, "%s", err.text);
	cr_assert_eq(nvram_release(nv, NULL), 0);
	nvram_close(nv);
	use(1);
}

/* A passphrase may open the file anywhere, so a host that never saw it takes
 * it, and one that saw it earlier takes what is ahead of its record. */
Test(freshness, file_from_elsewhere)
{
	struct protector_creds pass = { .passphrase = secret_from("w", 1) };
	struct nvram *nv;

	cr_assert_eq(take(&nv, false, NULL), 0);
	cr_assert_eq(nvram_protector_add(nv,
	    protector_ops_by_name("passphrase"), &pass, NULL, NULL), 0);
	cr_assert_eq(nvram_release(nv, NULL), 0);
	nvram_close(nv);
	nv = fixture_acquire(&fx);	/* elsewhere: epoch 3 */
	nvram_close(nv);
	cr_assert_eq(take(&nv, false, NULL), 0);
	cr_assert_not_null(strstr(fixture_log, "event=freshness.ahead"));
	cr_assert_eq(nvram_header(nv)->epoch, 4);
	cr_assert_eq(nvram_release(nv, NULL), 0);
	nvram_close(nv);
	cr_assert_eq(freshness_forget(f, fixture_uuid, NULL), 0);
	cr_assert_eq(take(&nv, false, NULL), 0);
	cr_assert_not_null(strstr(fixture_log, "event=freshness.new"));
	cr_assert_eq(nvram_release(nv, NULL), 0);
	nvram_close(nv);
}

static int
record_file(int flags)
{
	int fd = openat(fx.records_fd, "11223344-5566-4788-99aa-bbccddeeff01",
	    flags);

	cr_assert_geq(fd, 0);
	return fd;
}

/* One torn sector: the one before decides. After one opening and one clean
 * close the fourth generation is in the first sector. */
Test(freshness, torn_record)
{
	struct fault_store *older = copy_file();
	int fd;

	use(1);
	fd = record_file(O_RDWR);
	cr_assert_eq(pwrite(fd, "torn", 4, 100), 4);
	close(fd);
	use(2);
	put_back(older);
	cr_assert_eq(take(&(struct nvram *){ NULL }, false, NULL), ERR_STALE);
}

/* Both: an administrator decides. */
Test(freshness, damaged_record)
{
	uint8_t both[FRESHNESS_RECORD_SIZE] = { 0 };
	struct nvram *nv;
	int fd;

	use(1);
	fd = record_file(O_RDWR);
	cr_assert_eq(pwrite(fd, both, sizeof(both), 0), sizeof(both));
	close(fd);
	cr_assert_eq(take(&nv, false, NULL), ERR_STALE);
	cr_assert_not_null(strstr(fixture_log, "reason=damaged"));
	cr_assert_eq(take(&nv, true, NULL), 0);
	cr_assert_eq(nvram_release(nv, NULL), 0);
	nvram_close(nv);
	use(2);
}

Test(freshness, each_byte_of_a_sector)
{
	struct freshness_record r = { .state = FRESHNESS_CLEAN,
		.generation = 7, .epoch = 9 }, got;
	uint8_t both[FRESHNESS_RECORD_SIZE] = { 0 };

	memcpy(r.uuid, fixture_uuid, UUID_SIZE);
	cr_assert_eq(freshness_record_encode(&r, both, NULL), 0);
	for (size_t i = 0; i < FRESHNESS_SECTOR_SIZE; i++) {
		both[i] ^= 0x10;
		cr_assert_eq(freshness_record_decode(both, fixture_uuid,
		    &got, NULL), ERR_FORMAT, "byte %zu", i);
		both[i] ^= 0x10;
	}
	cr_assert_eq(freshness_record_decode(both, fixture_uuid, &got, NULL),
	    0);
	cr_assert_eq(got.epoch, 9);
	/* A whole record, but of another VM: somebody renamed the file. */
	cr_assert_eq(freshness_record_decode(both, r.digest, &got, NULL),
	    ERR_FORMAT);
}

/* The table at the end of doc/nvram-format.md. */
Test(freshness, judgement)
{
	static const struct {
		enum freshness_state state;
		uint64_t epoch, previous, since;
		bool from_clean;
		uint64_t file_epoch;
		bool same_digest;
		enum freshness_verdict expected;
	} cases[] = {
		{ FRESHNESS_CLEAN, 5, 0, 0, false, 4, true, FRESHNESS_OLDER },
		{ FRESHNESS_CLEAN, 5, 0, 0, false, 5, true, FRESHNESS_FRESH },
		{ FRESHNESS_CLEAN, 5, 0, 0, false, 5, false, FRESHNESS_FORKED },
		{ FRESHNESS_CLEAN, 5, 0, 0, false, 6, false, FRESHNESS_AHEAD },
		{ FRESHNESS_OPEN, 5, 0, 0, false, 4, true, FRESHNESS_OLDER },
		{ FRESHNESS_OPEN, 5, 0, 0, false, 5, false, FRESHNESS_FRESH },
		{ FRESHNESS_OPEN, 5, 0, 0, false, 6, false, FRESHNESS_AHEAD },
		{ FRESHNESS_OPENING, 5, 3, 3, true, 2, true,
		    FRESHNESS_OLDER },
		{ FRESHNESS_OPENING, 5, 3, 3, true, 3, true,
		    FRESHNESS_FRESH },
		{ FRESHNESS_OPENING, 5, 3, 3, true, 3, false,
		    FRESHNESS_FORKED },
		{ FRESHNESS_OPENING, 5, 3, 3, false, 3, false,
		    FRESHNESS_FRESH },
		{ FRESHNESS_OPENING, 5, 3, 3, true, 4, false,
		    FRESHNESS_FRESH },
		{ FRESHNESS_OPENING, 5, 3, 3, true, 5, false,
		    FRESHNESS_FRESH },
		{ FRESHNESS_OPENING, 5, 3, 3, true, 6, false,
		    FRESHNESS_AHEAD },
		/* a copy of epoch 3 was accepted when 7 had been in use */
		{ FRESHNESS_OPENING, 9, 3, 7, true, 2, true,
		    FRESHNESS_OLDER },
		{ FRESHNESS_OPENING, 9, 3, 7, true, 3, true,
		    FRESHNESS_FRESH },
		{ FRESHNESS_OPENING, 9, 3, 7, true, 3, false,
		    FRESHNESS_FORKED },
		{ FRESHNESS_OPENING, 9, 3, 7, true, 4, false,
		    FRESHNESS_OLDER },
		{ FRESHNESS_OPENING, 9, 3, 7, true, 7, true,
		    FRESHNESS_OLDER },
		{ FRESHNESS_OPENING, 9, 3, 7, true, 8, false,
		    FRESHNESS_FRESH },
		{ FRESHNESS_OPENING, 9, 3, 7, true, 9, false,
		    FRESHNESS_FRESH },
		{ FRESHNESS_OPENING, 9, 3, 7, true, 10, false,
		    FRESHNESS_AHEAD },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct freshness_record r = { .state = cases[i].state,
			.epoch = cases[i].epoch,
			.previous = cases[i].previous,
			.since = cases[i].since,
			.from_clean = cases[i].from_clean };
		struct freshness_claim c = { .epoch = cases[i].file_epoch };

		c.digest[31] = cases[i].same_digest ? 0 : 1;
		cr_assert_eq(freshness_judge(&r, &c), cases[i].expected,
		    "case %zu", i);
	}
}

/* Power fails after the epoch was granted; then a fork of the epoch before. */
Test(freshness, fork_while_opening)
{
	struct fault_store *fork_, *closed;
	struct nvram *nv;

	cr_assert_eq(take(&nv, false, NULL), 0);
	cr_assert_eq(fixture_commit(nv, 1), 0);
	fork_ = copy_file();
	cr_assert_eq(fixture_commit(nv, 2), 0);
	cr_assert_eq(nvram_release(nv, NULL), 0);
	nvram_close(nv);
	closed = copy_file();
	for (int i = 0; i < 2; i++) {	/* also when it happens twice */
		cr_assert_eq(fixture_unlock(&fx, &nv), 0);
		fault_store_stop_at(fx.store, 0, 0);
		cr_assert_eq(nvram_acquire(nv, f, false, NULL), ERR_SYSTEM);
		die(nv);
		fault_store_cut(fx.store, FAULT_CUT_LOSE, 1);
	}
	put_back(fork_);
	cr_assert_eq(take(&nv, false, NULL), ERR_STALE);
	put_back(closed);
	use(3);
}

/*
 * The crash matrix, of openings that do nothing else; test-opening.c has the
 * rest. One after a clean close is a write of the superblock. Any other is:
 * record OPENING, harden (3 operations on the file), superblock (2), its copy
 * (1). The file stops before each of its operations, power is cut in each way,
 * and the record may have lost its last write as well. It must open again
 * without an administrator, and the copy from before the last clean close must
 * not.
 */
static void
crash_once(bool was_clean, unsigned int op, int cut, bool lose_record)
{
	uint8_t record[FRESHNESS_RECORD_SIZE];
	struct fault_store *older, *keep;
	struct err err = { 0 };
	struct nvram *nv;
	int fd;

	older = copy_file();
	use(1);
	if (!was_clean) {
		cr_assert_eq(take(&nv, false, NULL), 0);
		cr_assert_eq(fixture_commit(nv, 2), 0);
		die(nv);
	}
	fault_store_settle(fx.store);
	fd = record_file(O_RDWR);
	cr_assert_eq(pread(fd, record, sizeof(record), 0), sizeof(record));
	cr_assert_eq(fixture_unlock(&fx, &nv), 0);
	fault_store_stop_at(fx.store, op, 5000);
	(void)nvram_acquire(nv, f, false, NULL);
	die(nv);
	fault_store_cut(fx.store, (enum fault_cut)cut, op + 1);
	/* The record's write is synced before the file's first, so it can be
	 * lost only if the file has not been touched. */
	if (lose_record && op == 0)
		cr_assert_eq(pwrite(fd, record, sizeof(record), 0),
		    sizeof(record));
	close(fd);
	keep = copy_file();
	put_back(older);
	cr_assert_eq(take(&nv, false, &err), ERR_STALE,
	    "operation %u, cut %d: an older copy opens", op, cut);
	put_back(keep);
	cr_assert_eq(take(&nv, false, &err), 0, "operation %u, cut %d: %s", op,
	    cut, err.text);
	cr_assert_eq(fixture_state(nv), was_clean ? 1 : 2);
	cr_assert_eq(nvram_release(nv, NULL), 0);
	nvram_close(nv);
}

Test(freshness, crash_matrix, .timeout = 60)
{
	for (int clean = 0; clean < 2; clean++)
		for (unsigned int op = 0; op < 7; op++)
			for (int cut = 0; cut < 4; cut++)
				crash_once(clean != 0, op, cut, cut % 2 != 0);
}

/*
 * The same matrix of an accepted restore: the copy of epoch 1 is put back when
 * epoch 4 was closed last, or is what its owner died with, and its opening
 * stops. What was used between stays refused, and so does another copy of epoch
 * 1; the accepted one opens with no further word. Twice, as the second opening
 * goes on from the first one's record.
 */
static void
accept_crash_once(bool was_clean, unsigned int op, int cut)
{
	struct fault_store *older = copy_file(), *used[4], *keep;
	struct err err = { 0 };
	struct nvram *nv;

	use(1);
	used[0] = copy_file();
	use(2);
	used[1] = copy_file();
	cr_assert_eq(take(&nv, false, NULL), 0);
	cr_assert_eq(fixture_commit(nv, 3), 0);
	used[2] = copy_file();
	if (was_clean)
		cr_assert_eq(nvram_release(nv, NULL), 0);
	die(nv);
	used[3] = copy_file();
	put_back(older);
	fault_store_settle(fx.store);
	for (int i = 0; i < 2; i++) {
		cr_assert_eq(fixture_unlock(&fx, &nv), 0);
		fault_store_stop_at(fx.store, op, 5000);
		(void)nvram_acquire(nv, f, i == 0, NULL);
		die(nv);
		fault_store_cut(fx.store, (enum fault_cut)cut, op + 1);
	}
	keep = copy_file();
	for (size_t i = 0; i < 4; i++) {
		put_back(used[i]);
		cr_assert_eq(take(&nv, false, &err), ERR_STALE,
		    "operation %u, cut %d: copy %zu opens", op, cut, i);
	}
	put_back(keep);
	cr_assert_eq(take(&nv, false, &err), 0, "operation %u, cut %d: %s", op,
	    cut, err.text);
	cr_assert_eq(fixture_state(nv), 0);
	cr_assert_eq(nvram_release(nv, NULL), 0);
	nvram_close(nv);
}

Test(freshness, accepted_crash_matrix, .timeout = 60)
{
	for (int clean = 0; clean < 2; clean++)
		for (unsigned int op = 0; op < 7; op++)
			for (int cut = 0; cut < 4; cut++) {
				teardown();
				setup();
				accept_crash_once(clean != 0, op, cut);
			}
}

/*
 * The file that an opening wrote may be in the page cache only when the next
 * one reads it: a power cut then brings the one before back.
 */
Test(freshness, power_cut_after_a_killed_opening)
{
	struct fault_store *closed;
	struct nvram *nv;

	use(1);
	closed = copy_file();
	for (unsigned int i = 0; i < 2; i++) {
		cr_assert_eq(fixture_unlock(&fx, &nv), 0);
		/* Before the superblock's sync, then before anything. */
		fault_store_stop_at(fx.store, i == 0 ? 4 : 0, 0);
		(void)nvram_acquire(nv, f, false, NULL);
		die(nv);
		fault_store_disarm(fx.store);
	}
	put_back(closed);
	cr_assert_eq(take(&nv, false, NULL), 0);
	cr_assert_eq(fixture_state(nv), 1);
	cr_assert_eq(nvram_release(nv, NULL), 0);
	nvram_close(nv);
}

/* Failing openings one after the other never lock the owner out. */
Test(freshness, failed_openings_in_a_row)
{
	struct nvram *nv;

	use(1);
	cr_assert_eq(fixture_unlock(&fx, &nv), 0);
	for (unsigned int op = 0; op < 5; op++) {
		fault_store_fail_at(fx.store, op, EIO, 100);
		(void)nvram_acquire(nv, f, false, NULL);
	}
	fault_store_disarm(fx.store);
	cr_assert_eq(nvram_acquire(nv, f, false, NULL), 0);
	cr_assert_eq(fixture_commit(nv, 3), 0);
	cr_assert_eq(nvram_release(nv, NULL), 0);
	nvram_close(nv);
	use(4);
}

/* Writes to real files fail (setrlimit(2): EFBIG), those to fx.store do not. */
static void
record_writes_fail(bool fail)
{
	struct rlimit limit;

	signal(SIGXFSZ, SIG_IGN);
	cr_assert_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = fail ? 0 : limit.rlim_max;
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

Test(freshness, record_cannot_be_written)
{
	struct err err = { 0 };
	struct nvram *nv;

	record_writes_fail(true);
	cr_assert_eq(take(&nv, false, &err), ERR_SYSTEM);
	cr_assert_eq(err.sys, EFBIG);
	record_writes_fail(false);
	cr_assert_eq(take(&nv, false, &err), 0);
	cr_assert_eq(fixture_commit(nv, 1), 0);
	record_writes_fail(true);
	cr_assert_eq(nvram_release(nv, &err), ERR_SYSTEM);
	/* The digest may be in the record: nothing may change it now. */
	cr_assert_eq(fixture_commit(nv, 2), ERR_REFUSED);
	cr_assert_eq(nvram_rekey(nv, false, &fx.creds, NULL), ERR_REFUSED);
	record_writes_fail(false);
	cr_assert_eq(nvram_release(nv, &err), 0);
	nvram_close(nv);
	use(3);
}

/* Protectors change the digest; between acquire and release that is fine. */
Test(freshness, protectors_change_the_digest)
{
	struct freshness_claim before, after;
	struct nvram *nv;

	cr_assert_eq(take(&nv, false, NULL), 0);
	nvram_claim(nv, &before);
	cr_assert(before.host_bound);
	cr_assert_eq(nvram_rekey(nv, false, &fx.creds, NULL), 0);
	nvram_claim(nv, &after);
	cr_assert_neq(memcmp(before.digest, after.digest,
	    sizeof(before.digest)), 0);
	cr_assert_eq(nvram_release(nv, NULL), 0);
	nvram_close(nv);
	cr_assert_eq(fixture_unlock(&fx, &nv), 0);
	nvram_claim(nv, &after);
	cr_assert_eq(freshness_check(f, &after, NULL), 0);
	after.digest[0] ^= 1;
	cr_assert_eq(freshness_check(f, &after, NULL), ERR_STALE);
	after.epoch--;
	cr_assert_eq(freshness_check(f, &after, NULL), ERR_STALE);
	after.uuid[0] ^= 1;
	cr_assert_eq(freshness_check(f, &after, NULL), ERR_NOTFOUND);
	nvram_close(nv);
}
