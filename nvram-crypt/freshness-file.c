/* SPDX-License-Identifier: BSD-3-Clause */
#include "nvram-crypt/freshness-file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int
freshness_file_open(const struct native *n, const uint8_t uuid[UUID_SIZE],
    int *fd, struct err *err)
{
	char name[UUID_TEXT_SIZE];

	uuid_format(uuid, name);
	*fd = openat(native_records_fd(n), name,
	    O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY);
	if (*fd >= 0)
		return 0;
	if (errno == ENOENT)
		return err_set(err, ERR_NOTFOUND, "this host has no freshness "
		    "record of the VM %s", name);
	return err_sys(err, errno, "cannot open the freshness record %s",
	    name);
}

int
freshness_file_lock(int fd, const uint8_t uuid[UUID_SIZE], struct err *err)
{
	struct flock fl = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char name[UUID_TEXT_SIZE];

	if (fcntl(fd, F_OFD_SETLK, &fl) == 0)
		return 0;
	uuid_format(uuid, name);
	if (errno == EAGAIN || errno == EACCES)
		return err_set(err, ERR_BUSY, "the VM %s is in use on this "
		    "host, perhaps through another copy of its file", name);
	return err_sys(err, errno, "cannot lock the freshness record %s",
	    name);
}

/* A read that ends early, though not at the file's end, must not make what it
 * left out look damaged. */
static ssize_t
read_sectors(int fd, uint8_t both[FRESHNESS_RECORD_SIZE])
{
	size_t done = 0;
	ssize_t n;

	do {
		n = pread(fd, both + done, FRESHNESS_RECORD_SIZE - done,
		    (off_t)done);
		if (n > 0)
			done += (size_t)n;
	} while (n > 0 || (n < 0 && errno == EINTR));
	return n;
}

int
freshness_file_read(int fd, const uint8_t uuid[UUID_SIZE],
    struct freshness_record *r, struct err *err)
{
	uint8_t both[FRESHNESS_RECORD_SIZE] = { 0 };
	char name[UUID_TEXT_SIZE];
	struct err why = { 0 };
	int rc;

	uuid_format(uuid, name);
	if (read_sectors(fd, both) < 0)
		return err_sys(err, errno,
		    "cannot read the freshness record %s", name);
	rc = freshness_record_decode(both, uuid, r, &why);
	if (rc == ERR_FORMAT)
		return err_set(err, rc, "the freshness record %s is damaged",
		    name);
	return rc < 0 ? err_set(err, rc, "cannot check the freshness record "
	    "%s: %s", name, why.text) : 0;
}

/* The record's file gets the owner of the directory that it lies in, which is
 * the service's user even while root does this. */
int
freshness_file_make(const struct native *n, const struct freshness_record *r,
    struct err *err)
{
	int dir = native_records_fd(n);
	uint8_t zero[FRESHNESS_RECORD_SIZE] = { 0 };
	char name[UUID_TEXT_SIZE], temporary[UUID_TEXT_SIZE + 32];
	struct stat st;
	int fd, rc = 0;

	uuid_format(r->uuid, name);
	snprintf(temporary, sizeof(temporary), ".%s.%ld", name,
	    (long)getpid());
	(void)unlinkat(dir, temporary, 0);	/* of a process long dead */
	fd = openat(dir, temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC |
	    O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_sys(err, errno,
		    "cannot make a freshness record of the VM %s", name);
	if (fstat(dir, &st) < 0 ||
	    (st.st_uid != geteuid() && fchown(fd, st.st_uid, st.st_gid) < 0) ||
	    pwrite(fd, zero, sizeof(zero), 0) != (ssize_t)sizeof(zero)) {
		rc = err_sys(err, errno,
		    "cannot make a freshness record of the VM %s", name);
		goto out;
	}
	if ((rc = freshness_record_write(fd, r, err)) < 0)
		goto out;
	if (linkat(dir, temporary, dir, name, 0) < 0)
		rc = errno == EEXIST ? err_set(err, ERR_EXISTS, "this host "
		    "has a freshness record of a VM %s already: if that VM is "
		    "gone, remove STATE_DIR/native/records/%s", name, name) :
		    err_sys(err, errno,
		    "cannot make a freshness record of the VM %s", name);
out:
	close(fd);
	if (unlinkat(dir, temporary, 0) < 0 && rc == 0)
		rc = err_sys(err, errno, "cannot remove %s", temporary);
	if (rc == 0 && fsync(dir) < 0)
		rc = err_sys(err, errno, "cannot sync the records' directory");
	return rc;
}
