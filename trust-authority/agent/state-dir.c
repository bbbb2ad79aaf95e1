/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/agent/state-dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdio.h"

#define DIR_FLAGS (O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)

static int
owner_judge(int fd, const char *path, const char *name, mode_t forbidden,
    struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys(err, errno, "cannot examine %s/%s", path, name);
	if (st.st_uid != 0 && st.st_uid != geteuid())
		return err_set(err, ERR_REFUSED, "%s/%s belongs to user %u: "
		    "chown it to the agent's user, or use another directory",
		    path, name, (unsigned)st.st_uid);
	if (st.st_mode & forbidden)
		return err_set(err, ERR_REFUSED, "%s/%s is open to others "
		    "(mode %04o): run chmod go-rwx on it, and find out who "
		    "used it", path, name, (unsigned)st.st_mode & 07777);
	return 0;
}

static int
dir_take(struct state_dir *d, int at, const char *name, struct err *err)
{
	int rc;

	d->fd = -1;
	if (mkdirat(at, name, 0700) < 0 && errno != EEXIST)
		return err_sys(err, errno, "cannot make the directory %s",
		    d->path);
	if ((d->fd = openat(at, name, DIR_FLAGS)) < 0)
		return err_sys(err, errno, "cannot open the directory %s",
		    d->path);
	rc = owner_judge(d->fd, d->path, "", S_IWGRP | S_IWOTH, err);
	if (rc < 0)
		state_dir_close(d);
	return rc;
}

int
state_dir_open(struct state_dir *d, const char *path, struct err *err)
{
	d->fd = -1;
	if (path[0] != '/' || strlen(path) >= sizeof(d->path))
		return err_set(err, ERR_USAGE, "the state directory %.64s is "
		    "no absolute path, or it is too long", path);
	memcpy(d->path, path, strlen(path) + 1);
	return dir_take(d, AT_FDCWD, path, err);
}

int
state_dir_below(struct state_dir *d, const struct state_dir *up,
    const char *name, struct err *err)
{
	int n = snprintf(d->path, sizeof(d->path), "%s/%s", up->path, name);

	d->fd = -1;
	if (n < 0 || (size_t)n >= sizeof(d->path))
		return err_set(err, ERR_USAGE, "the path %.64s... is too long",
		    up->path);
	return dir_take(d, up->fd, name, err);
}

void
state_dir_close(struct state_dir *d)
{
	if (d->fd >= 0)
		close(d->fd);
	d->fd = -1;
}

int
state_file_read(const struct state_dir *d, const char *name, size_t max,
    uint8_t **data, size_t *size, struct err *err)
{
	int fd = openat(d->fd, name,
	    O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;
	int rc;

	*data = NULL;
	if (fd < 0 && errno == ENOENT)
		return err_set(err, ERR_NOTFOUND, "there is no %s/%s", d->path,
		    name);
	if (fd < 0)
		return err_sys(err, errno, "cannot open %s/%s", d->path, name);
	if ((rc = owner_judge(fd, d->path, name, S_IRWXG | S_IRWXO, err)) < 0)
		goto out;
	if (fstat(fd, &st) < 0) {
		rc = err_sys(err, errno, "cannot examine %s/%s", d->path,
		    name);
		goto out;
	}
	if (!S_ISREG(st.st_mode) || st.st_size < 0 ||
	    (size_t)st.st_size > max) {
		rc = err_set(err, ERR_FORMAT, "%s/%s is no file, or has more "
		    "than %zu bytes: it is not ours", d->path, name, max);
		goto out;
	}
	*size = (size_t)st.st_size;
	if ((*data = malloc(*size + 1)) == NULL) {
		rc = err_set(err, ERR_INTERNAL, "out of memory");
		goto out;
	}
	if ((rc = fdio_read(fd, *data, *size)) < 0) {
		rc = err_sys(err, rc == ERR_SYSTEM ? errno : EIO,
		    "cannot read %s/%s", d->path, name);
		free(*data);
		*data = NULL;
	}
out:
	close(fd);
	return rc;
}

int
state_file_write(const struct state_dir *d, const char *name,
    const void *data, size_t size, struct err *err)
{
	char other[64];
	uint64_t tag;
	int fd, rc = 0;

	if (getrandom(&tag, sizeof(tag), 0) != sizeof(tag))
		return err_sys(err, errno, "no random number");
	snprintf(other, sizeof(other), ".%.40s.%016llx", name,
	    (unsigned long long)tag);
	fd = openat(d->fd, other,
	    O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_sys(err, errno, "cannot make a file in %s", d->path);
	if (fchmod(fd, 0600) < 0 || fdio_write(fd, data, size) < 0 ||
	    fsync(fd) < 0 || renameat(d->fd, other, d->fd, name) < 0) {
		rc = err_sys(err, errno, "cannot write %s/%s", d->path, name);
		(void)unlinkat(d->fd, other, 0);
	} else if (fsync(d->fd) < 0)
		rc = err_sys(err, errno, "cannot sync %s", d->path);
	close(fd);
	return rc;
}

int
state_file_remove(const struct state_dir *d, const char *name,
    struct err *err)
{
	if (unlinkat(d->fd, name, 0) < 0 && errno != ENOENT)
		return err_sys(err, errno, "cannot remove %s/%s", d->path,
		    name);
	if (fsync(d->fd) < 0)
		return err_sys(err, errno, "cannot sync %s", d->path);
	return 0;
}
