/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Stops at every write and sync of a file and of its freshness record together,
 * from opening to clean close. In each power cut every sector of both that was
 * not synced is kept or lost. After each stop the file opens with no word of an
 * administrator, holds what was acknowledged, and no copy opens that a change
 * acknowledged since has made old. doc/nvram-format.md, "Opening and closing".
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "nvram-crypt/freshness-record.h"
#include "tests/unit/nvram-fixture.h"

static struct fixture fx;
static struct freshness *f;

/* The record: its file is the page cache, disk what a power cut leaves. */
static struct {
	ino_t inode;		/* 0: not simulated yet */
	uint8_t disk[FRESHNESS_RECORD_SIZE];
	enum { SYNCED, DIRTY, LIMBO } sector[2]; /* LIMBO: its sync failed */
	unsigned int operations;
	unsigned int stop_at;	/* UINT_MAX: never */
	bool fail_once;		/* instead of stopping there */
	bool stopped;
} record;

static bool
is_record(int fd)
{
	struct stat st;

	return record.inode != 0 && fstat(fd, &st) == 0 &&
	    st.st_ino == record.inode;
}

/* Whether this operation fails; from a stop on, all of both files do. */
static bool
fails(void)
{
	if (record.stopped || fault_store_stopped(fx.store))
		return true;
	if (record.operations++ != record.stop_at)
		return false;
	if (!record.fail_once) {
		record.stopped = true;
		fault_store_stop_at(fx.store, 0, 0);
	}
	return true;
}

/* In place of the C library's, for all that this program is linked from. */
ssize_t pwrite(int fd, const void *data, size_t size, off_t at);
int fdatasync(int fd);

ssize_t
pwrite(int fd, const void *data, size_t size, off_t at)
{
	bool stopped = record.stopped || fault_store_stopped(fx.store);
	bool failed;

	if (!is_record(fd))
		return syscall(SYS_pwrite64, fd, data, size, at);
	failed = fails();
	/* The one that the stop comes with has reached the page cache. */
	if (!stopped && syscall(SYS_pwrite64, fd, data, size, at) !=
	    (ssize_t)size)
		cr_assert(false, "the test's own write failed");
	for (size_t i = 0; i < 2 && !stopped; i++)
		if (at < (off_t)((i + 1) * FRESHNESS_SECTOR_SIZE) &&
		    at + (off_t)size > (off_t)(i * FRESHNESS_SECTOR_SIZE))
			record.sector[i] = DIRTY;
	errno = EIO;
	return failed ? -1 : (ssize_t)size;
}

int
fdatasync(int fd)
{
	uint8_t bytes[FRESHNESS_RECORD_SIZE];
	bool failed;

	if (!is_record(fd))
		return (int)syscall(SYS_fdatasync, fd);
	failed = fails();
	cr_assert_eq(pread(fd, bytes, sizeof(bytes), 0), sizeof(bytes));
	for (size_t i = 0; i < 2 && !record.stopped; i++) {
		size_t at = i * FRESHNESS_SECTOR_SIZE;

		if (record.sector[i] != DIRTY)
			continue;
		record.sector[i] = failed ? LIMBO : SYNCED;
		if (!failed)
			memcpy(record.disk + at, bytes + at,
			    FRESHNESS_SECTOR_SIZE);
	}
	errno = EIO;
	return failed ? -1 : 0;
}

static int
record_file(void)
{
	int fd = openat(fx.records_fd, "11223344-5566-4788-99aa-bbccddeeff01",
	    O_RDWR);

	cr_assert_geq(fd, 0);
	return fd;
}

static void
record_set(const uint8_t bytes[FRESHNESS_RECORD_SIZE])
{
	int fd = record_file();

	cr_assert_eq(syscall(SYS_pwrite64, fd, bytes, FRESHNESS_RECORD_SIZE, 0),
	    FRESHNESS_RECORD_SIZE);
	close(fd);
}

static void
record_get(uint8_t bytes[FRESHNESS_RECORD_SIZE])
{
	int fd = record_file();

	cr_assert_eq(pread(fd, bytes, FRESHNESS_RECORD_SIZE, 0),
	    FRESHNESS_RECORD_SIZE);
	close(fd);
}

static void
record_disarm(void)
{
	record.operations = 0;
	record.stop_at = UINT_MAX;
	record.stopped = record.fail_once = false;
}

/* keep: bit n for sector n of those that were not synced. */
static void
record_cut(unsigned int keep)
{
	uint8_t bytes[FRESHNESS_RECORD_SIZE];

	record_disarm();
	record_get(bytes);
	for (size_t i = 0; i < 2; i++)
		if ((keep >> i & 1) == 0 && record.sector[i] != SYNCED)
			memcpy(bytes + i * FRESHNESS_SECTOR_SIZE,
			    record.disk + i * FRESHNESS_SECTOR_SIZE,
			    FRESHNESS_SECTOR_SIZE);
	record_set(bytes);
	memcpy(record.disk, bytes, sizeof(bytes));
	record.sector[0] = record.sector[1] = SYNCED;
}

/* The file says that its owner lent it, and nothing was changed since. */
static bool lent;

/* Everything at one moment. */
struct moment {
	bool lent;
	struct fault_store *file;
	uint8_t cache[FRESHNESS_RECORD_SIZE], disk[FRESHNESS_RECORD_SIZE];
	int sector[2];
};

static void
remember(struct moment *m)
{
	if (m->file == NULL)
		m->file = fault_store_new(FIXTURE_FILE_SIZE);
	m->lent = lent;
	fault_store_copy(m->file, fx.store);
	record_get(m->cache);
	memcpy(m->disk, record.disk, sizeof(m->disk));
	memcpy(m->sector, record.sector, sizeof(m->sector));
}

static void
go_back(const struct moment *m)
{
	lent = m->lent;
	fault_store_copy(fx.store, m->file);
	record_set(m->cache);
	memcpy(record.disk, m->disk, sizeof(m->disk));
	memcpy(record.sector, m->sector, sizeof(m->sector));
	record_disarm();
}

static int
acquire(struct nvram *nv, struct err *err)
{
	return lent ? nvram_acquire_lent(nv, f, err) :
	    nvram_acquire(nv, f, false, err);
}

static int
take(struct nvram **nv, struct err *err)
{
	int rc;

	if ((rc = fixture_unlock(&fx, nv)) < 0)
		return rc;
	if ((rc = acquire(*nv, err)) < 0) {
		nvram_close(*nv);
		*nv = NULL;
	}
	return rc;
}

/* The process is gone, and its lock. */
static void
die(struct nvram *nv)
{
	nvram_close(nv);
	freshness_free(f);
	cr_assert_eq(freshness_native(&f, fx.native, NULL), 0);
}

/* What an owner does, and how far it got. */
enum script { COMMITS, NOTHING, PROTECTOR, VERSION_AND_COMMIT, LENDS,
	N_SCRIPTS };

struct progress {
	int acked, tried;	/* states */
	bool changed;		/* something was acknowledged */
	bool released;
	struct fault_store *mid;	/* the file after the first commit */
};

static int
commit(struct nvram *nv, struct progress *p, int n)
{
	int rc;

	p->tried = n;
	if ((rc = fixture_commit(nv, (unsigned int)n)) == 0) {
		p->acked = n;
		p->changed = true;
	}
	return rc;
}

static int
play(struct nvram *nv, enum script script, struct progress *p)
{
	int rc = 0;

	switch (script) {
	case NOTHING:
		break;
	case PROTECTOR:
		rc = nvram_protector_add(nv, protector_ops_by_name("native"),
		    &fx.creds, "another", NULL);
		p->changed = rc == 0;
		break;
	case VERSION_AND_COMMIT:
		if ((rc = nvram_set_state_version(nv, 7, NULL)) == 0)
			rc = commit(nv, p, 2);
		break;
	case LENDS:
		if ((rc = commit(nv, p, 2)) == 0)
			rc = fixture_commit_unsynced(nv, 2);
		break;
	default:
		if ((rc = commit(nv, p, 2)) == 0) {
			fault_store_copy(p->mid, fx.store);
			rc = commit(nv, p, 3);
		}
		break;
	}
	return rc;
}

/* Lent, and closed after that as nobody takes it. */
static int
lend(struct nvram *nv)
{
	cr_assert(nvram_lend(nv));
	cr_assert_eq(fixture_commit(nv, 4), ERR_REFUSED);
	return nvram_end_loan(nv, NULL);
}

/* One owner from opening to close or stop; p says what was promised. */
static void
own(enum script script, struct progress *p)
{
	struct nvram *nv;
	int rc;

	p->acked = p->tried = 1;
	p->changed = p->released = false;
	if (take(&nv, NULL) < 0) {
		die(NULL);
		return;
	}
	rc = play(nv, script, p);
	p->released = rc == 0 && (script == LENDS ? lend(nv) :
	    nvram_release(nv, NULL)) == 0;
	die(nv);
}

/* Where it starts from: state 1 in each. */
enum start { CLEAN, CLEAN_UNCHANGED, OPEN, INTERRUPTED, LENT, N_STARTS };

static struct moment starts[N_STARTS];
static struct fault_store *older;	/* from before the last clean close */
static struct progress so_far;

static void
setup(void)
{
	struct freshness_claim claim;
	struct stat st;
	struct nvram *nv;

	memset(&fx, 0, sizeof(fx));
	fixture_dir(&fx);
	fixture_make(&fx);
	fault_store_settle(fx.store);
	cr_assert_eq(freshness_native(&f, fx.native, NULL), 0);
	cr_assert_eq(fixture_unlock(&fx, &nv), 0);
	nvram_claim(nv, &claim);
	claim.synced = true;
	cr_assert_eq(freshness_register(f, &claim, NULL), 0);
	nvram_close(nv);
	cr_assert_eq(fstatat(fx.records_fd,
	    "11223344-5566-4788-99aa-bbccddeeff01", &st, 0), 0);
	record.inode = st.st_ino;
	record_disarm();
	record_get(record.disk);

	older = fault_store_new(FIXTURE_FILE_SIZE);
	fault_store_copy(older, fx.store);
	so_far.mid = fault_store_new(FIXTURE_FILE_SIZE);
	cr_assert_eq(take(&nv, NULL), 0);
	cr_assert_eq(fixture_commit(nv, 1), 0);
	cr_assert_eq(nvram_release(nv, NULL), 0);
	die(nv);
	remember(&starts[CLEAN]);
	own(NOTHING, &so_far);
	cr_assert(so_far.released);
	remember(&starts[CLEAN_UNCHANGED]);
	cr_assert_eq(take(&nv, NULL), 0);
	die(nv);
	remember(&starts[INTERRUPTED]);
	go_back(&starts[CLEAN]);
	cr_assert_eq(take(&nv, NULL), 0);
	cr_assert_eq(fixture_commit(nv, 1), 0);
	die(nv);
	remember(&starts[OPEN]);
	go_back(&starts[CLEAN]);
	cr_assert_eq(take(&nv, NULL), 0);
	cr_assert_eq(fixture_commit(nv, 1), 0);
	cr_assert_eq(fixture_commit_unsynced(nv, 1), 0);
	cr_assert(nvram_lend(nv));
	die(nv);
	lent = true;
	remember(&starts[LENT]);
	lent = false;
}

static void
teardown(void)
{
	for (size_t i = 0; i < N_STARTS; i++)
		fault_store_free(starts[i].file);
	fault_store_free(older);
	fault_store_free(so_far.mid);
	freshness_free(f);
	fixture_free(&fx);
}

TestSuite(opening, .init = setup, .fini = teardown, .timeout = 600);

static void
refused(const struct fault_store *copy, const char *which, const char *where)
{
	struct err err = { 0 };
	struct nvram *nv;

	fault_store_copy(fx.store, copy);
	cr_assert_eq(take(&nv, &err), ERR_STALE, "%s: %s opens", where, which);
	die(NULL);
}

static unsigned int checks;

/* What was promised is kept. start: what the owner found. */
static void
check_promises(const struct fault_store *start, const struct progress *p,
    const char *where)
{
	struct fault_store *keep = fault_store_new(FIXTURE_FILE_SIZE);
	struct err err = { 0 };
	struct nvram *nv;
	int state;

	/* A change that was tried has gone with the word of the loan; and one who
	 * only opens the file does not ask for it. */
	lent = lent && p->tried == 1 && ++checks % 2 == 0;
	fault_store_copy(keep, fx.store);
	refused(older, "a copy of before the last clean close", where);
	if (p->changed || p->released)
		refused(start, "the copy that was changed", where);
	if (p->released && p->acked == 3)
		refused(p->mid, "a copy of before the close", where);
	fault_store_copy(fx.store, keep);
	fault_store_free(keep);
	fixture_log[0] = '\0';
	cr_assert_eq(take(&nv, &err), 0, "%s: %s", where, err.text);
	cr_assert_null(strstr(fixture_log, "freshness"), "%s: %s", where,
	    fixture_log);
	state = fixture_state(nv);
	cr_assert(state == p->acked || state == p->tried,
	    "%s: state %d is there, %d was acknowledged", where, state,
	    p->acked);
	cr_assert_eq(fixture_commit(nv, 5), 0, "%s", where);
	cr_assert_eq(nvram_release(nv, NULL), 0, "%s", where);
	die(nv);
	fault_store_cut(fx.store, FAULT_CUT_LOSE, 1);
	record_cut(0);
	cr_assert_eq(take(&nv, &err), 0, "%s, again: %s", where, err.text);
	cr_assert_eq(fixture_state(nv), 5, "%s", where);
	die(nv);
}

/* The n-th point at which an owner can stop: those of the file, twice (a write
 * that is lost and one that is torn), then the record's. */
static void
stop_at(unsigned int n, unsigned int of_file)
{
	if (n < 2 * of_file)
		fault_store_stop_at(fx.store, n / 2, n % 2 * 5000);
	else
		record.stop_at = n - 2 * of_file;
}

/* How many there are, and how many of them are the file's. */
static unsigned int
count_stops(const struct moment *from, enum script script,
    unsigned int *of_file)
{
	struct progress whole = { .mid = so_far.mid };

	go_back(from);
	own(script, &whole);
	cr_assert(whole.released);
	*of_file = fault_store_operations(fx.store);
	return 2 * *of_file + record.operations;
}

#define CUTS 20		/* 5 of the file by 4 of the record */

static void
cut(unsigned int how, uint32_t seed)
{
	static const enum fault_cut file[] = { FAULT_CUT_LOSE, FAULT_CUT_KEEP,
		FAULT_CUT_MIX, FAULT_CUT_MIX, FAULT_CUT_MIX };

	fault_store_cut(fx.store, file[how % 5], seed * 7919 + how + 1);
	record_cut(how / 5);
}

Test(opening, stop_anywhere)
{
	char where[160];

	for (int start = 0; start < N_STARTS; start++)
		for (int script = 0; script < N_SCRIPTS; script++) {
			unsigned int of_file, stops;

			stops = count_stops(&starts[start],
			    (enum script)script, &of_file);
			cr_assert_geq(stops - 2 * of_file, 2);
			for (unsigned int i = 0; i < stops * CUTS; i++) {
				snprintf(where, sizeof(where), "start %d, "
				    "script %d, stop %u of %u (file %u), cut "
				    "%u", start, script, i / CUTS, stops,
				    of_file, i % CUTS);
				go_back(&starts[start]);
				stop_at(i / CUTS, of_file);
				own((enum script)script, &so_far);
				cut(i % CUTS, i);
				check_promises(starts[start].file, &so_far,
				    where);
			}
		}
}

/* The first is killed, so that what it did not sync is there still and may yet
 * be lost; power fails under the second, before its first change. With
 * VTPMD_STOPS in the environment in every way, a minute's worth. */
Test(opening, killed_and_then_power_cut)
{
	struct progress second = { .mid = fault_store_new(FIXTURE_FILE_SIZE) };
	struct moment killed = { 0 };
	/* No multiple of the cuts, so that all kinds come by. */
	unsigned int step = getenv("VTPMD_STOPS") != NULL ? 1 : 11;
	unsigned int of_file, stops, of_file2, stops2;
	char where[160];

	for (int s = 0; s < N_STARTS * 2; s++) {
		enum script script = s % 2 == 0 ? COMMITS : NOTHING;
		int start = s / 2;

		stops = count_stops(&starts[start], script, &of_file);
		for (unsigned int i = 0; i < stops; i++) {
			go_back(&starts[start]);
			stop_at(i, of_file);
			own(script, &so_far);
			fault_store_cut(fx.store, FAULT_CUT_KILL, 1);
			record_disarm();
			lent = lent && so_far.tried == 1;
			remember(&killed);
			stops2 = count_stops(&killed, NOTHING, &of_file2);
			for (unsigned int k = 0; k < stops2 * CUTS;
			    k += step) {
				snprintf(where, sizeof(where), "start %d, "
				    "script %d, killed at %u (file %u), stop "
				    "%u (file %u), cut %u", start,
				    (int)script, i, of_file,
				    k / CUTS, of_file2, k % CUTS);
				go_back(&killed);
				stop_at(k / CUTS, of_file2);
				own(NOTHING, &second);
				cut(k % CUTS, k);
				check_promises(starts[start].file, &so_far,
				    where);
			}
		}
	}
	fault_store_free(killed.file);
	fault_store_free(second.mid);
}

/* How it goes on after a failure that passed. */
enum sequel { LEFT_OPEN, CLOSED, USED_AND_CLOSED, CLOSED_AND_TAKEN, N_SEQUELS };

/* Everything is tried once more. The next owner's first write meets what failed
 * to be synced, which is in the page cache all the same. */
static void
try_again(enum sequel sequel, struct progress *p, const char *where)
{
	struct progress next = *p;
	struct nvram *nv;
	int rc;

	cr_assert_eq(fixture_unlock(&fx, &nv), 0);
	if ((rc = acquire(nv, NULL)) < 0)
		rc = acquire(nv, NULL);
	cr_assert_eq(rc, 0, "%s", where);
	if (commit(nv, p, 2) < 0)
		cr_assert_eq(commit(nv, p, 2), 0, "%s", where);
	if (sequel == USED_AND_CLOSED && commit(nv, p, 3) < 0)
		cr_assert_eq(commit(nv, p, 3), 0, "%s", where);
	if (sequel != LEFT_OPEN && nvram_release(nv, NULL) < 0)
		cr_assert_eq(nvram_release(nv, NULL), 0, "%s", where);
	die(nv);
	if (sequel != CLOSED_AND_TAKEN)
		return;
	fault_store_cut(fx.store, FAULT_CUT_KILL, 1);
	record_disarm();
	fault_store_stop_at(fx.store, 0, 5000);
	own(NOTHING, &next);
}

static void
fail_at(unsigned int n, unsigned int of_file)
{
	if (n < 2 * of_file) {
		fault_store_fail_at(fx.store, n / 2, EIO, n % 2 * 5000);
	} else {
		record.stop_at = n - 2 * of_file;
		record.fail_once = true;
	}
}

/* A write or sync that fails once, of the file or the record: the owner tries
 * again, and then power fails. What did not fail is kept, what did is not
 * believed though the page cache has it. */
Test(opening, fails_once)
{
	char where[160];

	for (int s = 0; s < N_STARTS * N_SEQUELS; s++) {
		enum sequel sequel = s % N_SEQUELS;
		int start = s / N_SEQUELS;
		unsigned int of_file, stops;

		stops = count_stops(&starts[start], COMMITS, &of_file);
		for (unsigned int i = 0; i < stops * CUTS; i++) {
			snprintf(where, sizeof(where), "start %d, sequel %d, "
			    "failure %u (file %u), cut %u", start, (int)sequel,
			    i / CUTS, of_file, i % CUTS);
			go_back(&starts[start]);
			fail_at(i / CUTS, of_file);
			so_far = (struct progress){ .acked = 1, .tried = 1,
				.mid = so_far.mid };
			try_again(sequel, &so_far, where);
			cut(i % CUTS, i);
			check_promises(starts[start].file, &so_far, where);
		}
	}
}

/* An epoch that an opening wrote into the file and never recorded; then an
 * older copy is accepted. It is above what was recorded, but not the restore.
 */
Test(opening, restore_outdates_what_nobody_recorded)
{
	struct nvram *nv;

	go_back(&starts[CLEAN_UNCHANGED]);
	fault_store_copy(fx.store, older);
	cr_assert_eq(fixture_unlock(&fx, &nv), 0);
	cr_assert_eq(nvram_acquire(nv, f, true, NULL), 0);
	die(nv);
	refused(starts[INTERRUPTED].file, "what was not recorded", "restored");
}

/* A migration: nothing is synced when a file is lent, one thing when the next
 * one acquires it, and two with the first change. */
Test(opening, syncs_of_a_loan)
{
	struct nvram *nv;

	go_back(&starts[OPEN]);
	cr_assert_eq(take(&nv, NULL), 0);
	cr_assert_eq(fixture_commit(nv, 2), 0);
	fault_store_disarm(fx.store);
	record_disarm();
	cr_assert_eq(fixture_commit_unsynced(nv, 2), 0);
	cr_assert(nvram_lend(nv));
	cr_assert_eq(fault_store_operations(fx.store), 1);	/* write */
	cr_assert_eq(record.operations, 0);
	die(nv);
	lent = true;
	fault_store_disarm(fx.store);
	cr_assert_eq(take(&nv, NULL), 0);
	/* Both areas and a sync, the superblock. */
	cr_assert_eq(fault_store_operations(fx.store), 4);
	cr_assert_eq(record.operations, 0);
	cr_assert_eq(fixture_commit(nv, 3), 0);
	cr_assert_eq(fault_store_operations(fx.store), 7);
	cr_assert_eq(record.operations, 2);
	die(nv);
}

/* Nothing that is not on the disk is lent: its record, or an epoch. */
Test(opening, nothing_in_doubt_is_lent)
{
	struct nvram *nv;

	go_back(&starts[CLEAN]);
	cr_assert_eq(take(&nv, NULL), 0);
	cr_assert_not(nvram_lend(nv));
	/* This one is synced, as the opening waits for that. */
	cr_assert_eq(fixture_commit_unsynced(nv, 1), 0);
	cr_assert_eq(record.operations, 2);
	fault_store_fail_at(fx.store, 0, EIO, 100);
	cr_assert_eq(fixture_commit_unsynced(nv, 1), ERR_SYSTEM);
	cr_assert_not(nvram_lend(nv));
	cr_assert_eq(fixture_commit(nv, 1), 0);
	cr_assert(nvram_lend(nv));
	cr_assert_not(nvram_lend(nv));
	die(nv);
}

/* Who lent it does not close it when another has it (held), or has had it. */
static void
end_of_a_taken_loan(bool held)
{
	uint8_t before[FRESHNESS_RECORD_SIZE], after[FRESHNESS_RECORD_SIZE];
	struct freshness *lender = f;
	struct nvram *nv, *next;

	go_back(&starts[OPEN]);
	cr_assert_eq(take(&nv, NULL), 0);
	cr_assert_eq(fixture_commit(nv, 1), 0);
	cr_assert(nvram_lend(nv));
	cr_assert_eq(freshness_native(&f, fx.native, NULL), 0);
	cr_assert_eq(fixture_unlock(&fx, &next), 0);
	cr_assert_eq(nvram_admit(next, f, NULL), 0);
	lent = true;
	if (!held) {
		cr_assert_eq(acquire(next, NULL), 0);
		cr_assert_eq(fixture_commit(next, 2), 0);
		die(next);
	}
	record_get(before);
	cr_assert_eq(nvram_end_loan(nv, NULL), 0);
	record_get(after);
	cr_assert_eq(memcmp(before, after, sizeof(before)), 0, "held %d", held);
	nvram_close(nv);
	freshness_free(lender);
	if (held)
		die(next);
}

Test(opening, end_of_a_loan_that_was_taken)
{
	end_of_a_taken_loan(true);
	end_of_a_taken_loan(false);
}

/* What its sync failed for is not called closed by the next one, which finds
 * nothing to do: or a power cut would leave a file that the record refuses. */
Test(opening, end_of_a_loan_whose_sync_fails)
{
	struct nvram *nv;

	go_back(&starts[OPEN]);
	cr_assert_eq(take(&nv, NULL), 0);
	cr_assert_eq(fixture_commit(nv, 2), 0);
	cr_assert_eq(fixture_commit_unsynced(nv, 2), 0);
	cr_assert(nvram_lend(nv));
	fault_store_fail_at(fx.store, 0, EIO, 1);
	cr_assert_eq(nvram_end_loan(nv, NULL), ERR_SYSTEM);
	fault_store_disarm(fx.store);
	(void)nvram_end_loan(nv, NULL);
	die(nv);
	fault_store_cut(fx.store, FAULT_CUT_LOSE, 1);
	record_cut(0);
	cr_assert_eq(take(&nv, NULL), 0);
	cr_assert_eq(fixture_state(nv), 2);
	die(nv);
}

/* The record here is open since its owner died, and the file has been used elsewhere
 * since: its epochs go on from the file's. */
Test(opening, loan_from_elsewhere)
{
	struct nvram *nv;
	uint64_t epoch = 0;

	go_back(&starts[OPEN]);
	for (unsigned int i = 0; i < 2; i++) {
		nv = fixture_acquire(&fx);
		cr_assert_eq(fixture_commit(nv, 2), 0);
		epoch = nvram_header(nv)->epoch;
		nvram_close(nv);
	}
	lent = true;
	cr_assert_eq(take(&nv, NULL), 0);
	cr_assert_eq(nvram_header(nv)->epoch, epoch + 1);
	cr_assert_eq(fixture_commit(nv, 3), 0);
	cr_assert_eq(nvram_release(nv, NULL), 0);
	die(nv);
}

/* What this is all for: nothing is synced before the first change. */
Test(opening, syncs_of_a_clean_start)
{
	struct nvram *nv;

	go_back(&starts[CLEAN]);
	cr_assert_eq(take(&nv, NULL), 0);
	cr_assert_eq(nvram_set_state_version(nv, 7, NULL), 0);
	cr_assert_eq(record.operations, 0);
	cr_assert_eq(fault_store_operations(fx.store), 2);	/* writes */
	cr_assert_eq(fixture_commit(nv, 2), 0);
	cr_assert_eq(record.operations, 2);	/* write, sync */
	cr_assert_eq(fault_store_operations(fx.store), 5); /* 2 and the copy */
	die(nv);
}
