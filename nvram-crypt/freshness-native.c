/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The host's own freshness records: one small file per VM in a directory that
 * only root (or the service's user) reaches. The lock on the file is the
 * ownership on this host, however many copies of the nvram file there are.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "nvram-crypt/freshness-file.h"
#include "nvram-crypt/freshness-provider.h"
#include "nvram-crypt/freshness-verdict.h"

struct freshness_native {
	struct freshness base;	/* first: the two are cast into each other */
	const struct native *native;
	int fd;			/* of the record, locked; -1 */
	int kept;		/* of the record, not locked: it may be out of
				 * reach when it is needed again; -1 */
	struct freshness_record record;	/* as last acknowledged */
	uint64_t epoch;		/* this owner's */
};

static int
native_register(struct freshness *f, const struct freshness_claim *c,
    struct err *err)
{
	struct freshness_native *fn = (struct freshness_native *)f;
	struct freshness_record r = { .state = FRESHNESS_CLEAN,
		.generation = 1, .epoch = c->epoch, .synced = c->synced };

	memcpy(r.uuid, c->uuid, UUID_SIZE);
	memcpy(r.digest, c->digest, sizeof(r.digest));
	return freshness_file_make(fn->native, &r, err);
}

/* A record for a VM that came from elsewhere, as if it had closed here. */
static int
adopt(struct freshness_native *fn, const struct freshness_claim *c,
    struct err *err)
{
	int rc;

	if ((rc = native_register(&fn->base, c, err)) < 0)
		return rc;
	return freshness_file_open(fn->native, c->uuid, &fn->fd, err);
}

/* A record that was removed meanwhile is none. */
static int
reopen_record(struct freshness_native *fn, const uint8_t uuid[UUID_SIZE],
    struct err *err)
{
	struct stat st;

	if (fn->kept >= 0 && fstat(fn->kept, &st) == 0 && st.st_nlink > 0) {
		fn->fd = fn->kept;
		fn->kept = -1;
		return 0;
	}
	/* One that was adopted knows no directory. */
	if (fn->native == NULL)
		return err_set(err, ERR_STALE, "the VM's freshness record was "
		    "removed while its file was given up");
	return freshness_file_open(fn->native, uuid, &fn->fd, err);
}

/* Opens, locks and reads; judges. On success fn->record is what to go from. */
static int
take_record(struct freshness_native *fn, const struct freshness_claim *c,
    bool accept, bool *accepted, struct err *err)
{
	struct err why = { 0 };
	int rc;

	rc = reopen_record(fn, c->uuid, &why);
	if (rc == ERR_NOTFOUND && ((rc = freshness_judge_missing(rc, c, accept,
	    err)) < 0 || (rc = adopt(fn, c, err)) < 0))
		return rc;
	if (rc < 0)
		return err_set(err, rc, "%s", why.text);
	if ((rc = freshness_file_lock(fn->fd, c->uuid, err)) < 0)
		return rc;
	rc = freshness_file_read(fn->fd, c->uuid, &fn->record, &why);
	if (rc == ERR_FORMAT) {
		memset(&fn->record, 0, sizeof(fn->record));
		memcpy(fn->record.uuid, c->uuid, UUID_SIZE);
		*accepted = accept;
		return freshness_judge_missing(rc, c, accept, err);
	}
	if (rc < 0)
		return err_set(err, rc, "%s", why.text);
	return freshness_verdict_on(&fn->record, c, accept, accepted, err);
}

static void
drop_record(struct freshness_native *fn)
{
	struct flock fl = { .l_type = F_UNLCK, .l_whence = SEEK_SET };

	if (fn->fd < 0)
		return;
	(void)fcntl(fn->fd, F_OFD_SETLK, &fl);
	if (fn->kept >= 0)
		close(fn->kept);
	fn->kept = fn->fd;
	fn->fd = -1;
}

/* Makes *next durable; fn->record is the acknowledged one whatever happens. */
static int
advance(struct freshness_native *fn, struct freshness_record *next,
    struct err *err)
{
	int rc;

	next->generation = fn->record.generation + 1;
	if ((rc = freshness_record_write(fn->fd, next, err)) < 0)
		return rc;
	fn->record = *next;
	return 0;
}

/* What was closed cleanly, whole on the disk, and is still the same. */
static bool
as_closed(const struct freshness_record *r, const struct freshness_claim *c)
{
	return r->state == FRESHNESS_CLEAN && r->synced &&
	    c->epoch == r->epoch &&
	    freshness_judge(r, c) == FRESHNESS_FRESH;
}

/* What an owner has left open, but in good order. */
static bool
as_lent(const struct freshness_record *r, const struct freshness_claim *c)
{
	return c->lent && r->state == FRESHNESS_OPEN && c->epoch == r->epoch;
}

/*
 * Before the epoch is in the file: the record lets in the file as it is, and
 * with the new epoch. What was read may be in the page cache only, if its writer was
 * killed or its sync failed; the other sector is overwritten on the strength of
 * it, so first write it once more.
 */
static int
record_opening(struct freshness_native *fn, const struct freshness_claim *c,
    bool accepted, struct err *err)
{
	struct freshness_record next;
	int rc;

	freshness_record_open(&next, &fn->record, c, accepted);
	if (next.epoch <= c->epoch || next.epoch <= fn->record.epoch)
		return err_set(err, ERR_REFUSED, "its epoch is at the end of "
		    "its range");
	if (fn->record.generation > 0 &&
	    (rc = freshness_record_write(fn->fd, &fn->record, err)) < 0)
		return rc;
	return advance(fn, &next, err);
}

static int
native_acquire(struct freshness *f, const struct freshness_claim *c,
    bool accept, struct freshness_grant *grant, struct err *err)
{
	struct freshness_native *fn = (struct freshness_native *)f;
	bool accepted = false;
	int rc;

	drop_record(fn);	/* of an attempt before that failed half-way */
	if ((rc = take_record(fn, c, accept, &accepted, err)) < 0)
		goto out;
	grant->synced = as_closed(&fn->record, c);
	grant->pending = grant->synced || as_lent(&fn->record, c);
	if (!grant->pending &&
	    (rc = record_opening(fn, c, accepted, err)) < 0)
		goto out;
	fn->epoch = fn->record.epoch + (grant->pending ? 1 : 0);
	grant->epoch = fn->epoch;
out:
	if (rc < 0)
		drop_record(fn);
	return rc;
}

/*
 * Where there is no record yet, one is begun that lets in this copy and all that
 * come after it: by the time that it counts the file has been used elsewhere.
 */
static int
native_prepare(struct freshness *f, const struct freshness_claim *c,
    struct err *err)
{
	struct freshness_native *fn = (struct freshness_native *)f;
	struct freshness_claim before = *c;
	struct err why = { 0 };
	int fd = -1, rc;

	rc = freshness_file_open(fn->native, c->uuid, &fd, &why);
	if (rc == ERR_NOTFOUND) {
		if (before.epoch > 0)
			before.epoch--;
		if ((rc = freshness_judge_missing(rc, c, false, err)) < 0 ||
		    (rc = native_register(f, &before, err)) < 0)
			return rc;
		rc = freshness_file_open(fn->native, c->uuid, &fd, &why);
	}
	if (rc < 0)
		return err_set(err, rc, "%s", why.text);
	if (fn->kept >= 0)
		close(fn->kept);
	fn->kept = fd;
	return 0;
}

static int
check_owned(const struct freshness_native *fn, struct err *err)
{
	if (fn->fd >= 0)
		return 0;
	return err_set(err, ERR_INTERNAL, "the VM's freshness record is not "
	    "held by this process");
}

/* Of this owner's epoch; digest NULL while it is open. */
static int
record_epoch(struct freshness_native *fn, enum freshness_state state,
    const uint8_t *digest, bool synced, struct err *err)
{
	struct freshness_record next = { .state = state, .epoch = fn->epoch,
		.synced = synced };

	memcpy(next.uuid, fn->record.uuid, UUID_SIZE);
	if (digest != NULL)
		memcpy(next.digest, digest, sizeof(next.digest));
	return advance(fn, &next, err);
}

static int
native_confirm(struct freshness *f, struct err *err)
{
	struct freshness_native *fn = (struct freshness_native *)f;
	int rc;

	if ((rc = check_owned(fn, err)) < 0)
		return rc;
	return record_epoch(fn, FRESHNESS_OPEN, NULL, false, err);
}

static int
native_raise(struct freshness *f, uint64_t epoch, struct err *err)
{
	struct freshness_native *fn = (struct freshness_native *)f;
	int rc;

	if ((rc = check_owned(fn, err)) == 0)
		fn->epoch = epoch;
	return rc;
}

static int
native_release(struct freshness *f,
    const uint8_t digest[FRESHNESS_DIGEST_SIZE], bool synced, struct err *err)
{
	struct freshness_native *fn = (struct freshness_native *)f;
	int rc;

	if ((rc = check_owned(fn, err)) < 0 ||
	    (rc = record_epoch(fn, FRESHNESS_CLEAN, digest, synced, err)) < 0)
		return rc;
	drop_record(fn);
	return 0;
}

/* As native_acquire, but for what is only noted: that will be said by it. */
static int
native_admit(struct freshness *f, const struct freshness_claim *c,
    struct err *err)
{
	struct freshness_native *fn = (struct freshness_native *)f;
	enum freshness_verdict v;
	bool accepted = false;
	int rc;

	drop_record(fn);
	if ((rc = reopen_record(fn, c->uuid, err)) == 0 &&
	    (rc = freshness_file_lock(fn->fd, c->uuid, err)) == 0)
		rc = freshness_file_read(fn->fd, c->uuid, &fn->record, err);
	if (rc == ERR_NOTFOUND || rc == ERR_FORMAT)
		rc = freshness_judge_missing(rc, c, false, err);
	else if (rc == 0) {
		v = freshness_judge(&fn->record, c);
		if (v == FRESHNESS_OLDER || v == FRESHNESS_FORKED)
			rc = freshness_verdict_on(&fn->record, c, false,
			    &accepted, err);
	}
	if (rc < 0)
		drop_record(fn);
	return rc;
}

static void
native_let_go(struct freshness *f)
{
	drop_record((struct freshness_native *)f);
}

static bool
same_record(const struct freshness_record *a, const struct freshness_record *b)
{
	return a->state == b->state && a->epoch == b->epoch &&
	    a->generation == b->generation;
}

static int
native_end_loan(struct freshness *f,
    const uint8_t digest[FRESHNESS_DIGEST_SIZE], bool synced, struct err *err)
{
	struct freshness_native *fn = (struct freshness_native *)f;
	struct freshness_record now;
	int rc;

	if ((rc = reopen_record(fn, fn->record.uuid, err)) < 0)
		return rc;
	rc = freshness_file_lock(fn->fd, fn->record.uuid, err);
	if (rc == 0)
		rc = freshness_file_read(fn->fd, fn->record.uuid, &now, err);
	if (rc == 0 && same_record(&now, &fn->record))
		rc = record_epoch(fn, FRESHNESS_CLEAN, digest, synced, err);
	drop_record(fn);
	/* Taken: the end is somebody else's. */
	return rc == ERR_BUSY ? 0 : rc;
}

static int
native_forget(struct freshness *f, const uint8_t uuid[UUID_SIZE],
    struct err *err)
{
	struct freshness_native *fn = (struct freshness_native *)f;
	int dir = native_records_fd(fn->native);
	char name[UUID_TEXT_SIZE];
	int fd, rc;

	uuid_format(uuid, name);
	if ((rc = freshness_file_open(fn->native, uuid, &fd, err)) < 0)
		return rc;
	if ((rc = freshness_file_lock(fd, uuid, err)) < 0)
		goto out;
	if (unlinkat(dir, name, 0) < 0 || fsync(dir) < 0)
		rc = err_sys(err, errno,
		    "cannot remove the freshness record %s", name);
out:
	close(fd);
	return rc;
}

static int
native_check(struct freshness *f, const struct freshness_claim *c,
    struct err *err)
{
	struct freshness_native *fn = (struct freshness_native *)f;
	struct freshness_record r = { 0 };
	enum freshness_verdict v;
	int fd, rc;

	if ((rc = freshness_file_open(fn->native, c->uuid, &fd, err)) < 0)
		return rc;
	if ((rc = freshness_file_read(fd, c->uuid, &r, err)) == 0) {
		v = freshness_judge(&r, c);
		if (v == FRESHNESS_OLDER || v == FRESHNESS_FORKED)
			rc = freshness_refuse(v, &r, c, err);
	} else if (rc == ERR_FORMAT)
		rc = ERR_STALE;
	close(fd);
	return rc;
}

static int
native_hand_over(const struct freshness *f)
{
	return ((const struct freshness_native *)f)->fd;
}

static void
native_close(struct freshness *f)
{
	struct freshness_native *fn = (struct freshness_native *)f;

	drop_record(fn);
	if (fn->kept >= 0)
		close(fn->kept);
	free(fn);
}

static const struct freshness_ops native_ops = {
	.register_vm = native_register,
	.acquire = native_acquire,
	.prepare = native_prepare,
	.admit = native_admit,
	.let_go = native_let_go,
	.end_loan = native_end_loan,
	.confirm = native_confirm,
	.release = native_release,
	.forget = native_forget,
	.check = native_check,
	.hand_over = native_hand_over,
	.raise = native_raise,
	.close = native_close,
};

int
freshness_native(struct freshness **out, const struct native *n,
    struct err *err)
{
	struct freshness_native *fn = calloc(1, sizeof(*fn));

	*out = NULL;
	if (fn == NULL)
		return err_sys(err, ENOMEM, "cannot open freshness records");
	fn->base.ops = &native_ops;
	fn->native = n;
	fn->fd = fn->kept = -1;
	*out = &fn->base;
	return 0;
}

int
freshness_adopt(struct freshness **out, int fd, const uint8_t uuid[UUID_SIZE],
    uint64_t epoch, struct err *err)
{
	struct freshness_native *fn;
	int rc;

	if ((rc = freshness_native(out, NULL, err)) < 0) {
		close(fd);
		return rc;
	}
	fn = (struct freshness_native *)*out;
	fn->fd = fd;
	rc = freshness_file_read(fd, uuid, &fn->record, err);
	fn->epoch = epoch;
	if (rc == 0 && (fn->record.state != FRESHNESS_OPEN ||
	    fn->record.epoch != epoch))
		rc = err_set(err, ERR_STALE, "the VM's freshness record is not "
		    "that of its owner");
	if (rc < 0) {
		freshness_free(*out);
		*out = NULL;
	}
	return rc;
}

/* For a VM that comes without its file: freshness-arrive.c. */
int
freshness_record_take(struct freshness *f, int fd,
    const uint8_t uuid[UUID_SIZE], uint64_t epoch, struct err *err)
{
	struct freshness_native *fn = (struct freshness_native *)f;
	int rc;

	drop_record(fn);
	fn->fd = fd;
	if ((rc = freshness_file_read(fd, uuid, &fn->record, err)) < 0)
		return rc;
	fn->epoch = epoch;
	return record_epoch(fn, FRESHNESS_OPEN, NULL, false, err);
}
