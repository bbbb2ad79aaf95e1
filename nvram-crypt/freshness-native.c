/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The host's own freshness records: one small file per VM in a directory that
 * only root (or the service's user) reaches. The lock on the file is the
 * ownership on this host, however many copies of the nvram file there are.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "nvram-crypt/freshness-file.h"
#include "nvram-crypt/freshness-provider.h"

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

/* Two lines: what is wrong, and that an administrator may allow it. */
static int
refuse(enum freshness_verdict v, const struct freshness_record *r,
    const struct freshness_claim *c, struct err *err)
{
	if (v == FRESHNESS_OLDER)
		return err_set(err, ERR_STALE, "this is an older copy: it is "
		    "of epoch %" PRIu64 ", and the VM was last opened at "
		    "epoch %" PRIu64 ". If it was put back on purpose, accept "
		    "it with: vtpmctl accept-restore FILE", c->epoch,
		    r->epoch);
	return err_set(err, ERR_STALE, "this is another copy than the one that "
	    "was closed last: both are of epoch %" PRIu64 " (the VM's record "
	    "is at %" PRIu64 "), but with another content. If it was put back "
	    "on purpose, accept it with: vtpmctl accept-restore FILE",
	    c->epoch, r->epoch);
}

static void
report(enum log_level level, const char *event, const char *reason,
    const struct freshness_record *r, const struct freshness_claim *c)
{
	char uuid[UUID_TEXT_SIZE];

	uuid_format(c->uuid, uuid);
	log_event(level, event, "uuid=%s reason=%s file_epoch=%" PRIu64
	    " record_epoch=%" PRIu64, uuid, reason, c->epoch, r->epoch);
}

/* *accepted: refused but for the administrator's word. */
static int
judge(const struct freshness_record *r, const struct freshness_claim *c,
    bool accept, bool *accepted, struct err *err)
{
	enum freshness_verdict v = freshness_judge(r, c);
	const char *reason = v == FRESHNESS_OLDER ? "older" : "forked";

	if (v == FRESHNESS_FRESH)
		return 0;
	if (v == FRESHNESS_AHEAD) {
		report(LOG_LEVEL_WARNING, "freshness.ahead", "elsewhere", r,
		    c);
		return 0;
	}
	if (accept) {
		*accepted = true;
		report(LOG_LEVEL_WARNING, "freshness.accepted", reason, r, c);
		return 0;
	}
	report(LOG_LEVEL_ERROR, "freshness.stale", reason, r, c);
	return refuse(v, r, c, err);
}

/* No record here, or none that can be read: what then? */
static int
judge_missing(int why, const struct freshness_claim *c, bool accept,
    struct err *err)
{
	static const struct freshness_record none;
	const char *reason = why == ERR_NOTFOUND ? "missing" : "damaged";

	if (accept) {
		report(LOG_LEVEL_WARNING, "freshness.accepted", reason, &none,
		    c);
		return 0;
	}
	if (why == ERR_NOTFOUND && !c->host_bound) {
		report(LOG_LEVEL_WARNING, "freshness.new", reason, &none, c);
		return 0;
	}
	report(LOG_LEVEL_ERROR, "freshness.stale", reason, &none, c);
	return err_set(err, ERR_STALE, "this host's record of the VM is %s, so "
	    "nothing tells whether the file (epoch %" PRIu64 ") is the latest. "
	    "If it is, accept it with: vtpmctl accept-restore FILE", reason,
	    c->epoch);
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
	if (rc == ERR_NOTFOUND && ((rc = judge_missing(rc, c, accept,
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
		return judge_missing(rc, c, accept, err);
	}
	if (rc < 0)
		return err_set(err, rc, "%s", why.text);
	return judge(&fn->record, c, accept, accepted, err);
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
	if (!grant->synced &&
	    (rc = record_opening(fn, c, accepted, err)) < 0)
		goto out;
	fn->epoch = fn->record.epoch + (grant->synced ? 1 : 0);
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
		if ((rc = judge_missing(rc, c, false, err)) < 0 ||
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
			rc = refuse(v, &r, c, err);
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
