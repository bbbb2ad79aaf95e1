/* SPDX-License-Identifier: BSD-3-Clause */
#include "nvram-crypt/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct file_store {
	struct store base;	/* first: the two are cast into each other */
	int fd;
};

static int
file_read(struct store *s, void *data, size_t size, uint64_t offset)
{
	int fd = ((struct file_store *)s)->fd;
	size_t done = 0;

	while (done < size) {
		ssize_t n = pread(fd, (uint8_t *)data + done, size - done,
		    (off_t)(offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -ENODATA;
		done += (size_t)n;
	}
	return 0;
}

static int
file_write(struct store *s, const void *data, size_t size, uint64_t offset)
{
	int fd = ((struct file_store *)s)->fd;
	size_t done = 0;

	while (done < size) {
		ssize_t n = pwrite(fd, (const uint8_t *)data + done,
		    size - done, (off_t)(offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EIO;
		done += (size_t)n;
	}
	return 0;
}

static int
file_sync(struct store *s)
{
	int rc;

	do
		rc = fdatasync(((struct file_store *)s)->fd);
	while (rc < 0 && errno == EINTR);
	return rc < 0 ? -errno : 0;
}

static int64_t
file_size(struct store *s)
{
	struct stat st;

	if (fstat(((struct file_store *)s)->fd, &st) < 0)
		return -errno;
	return st.st_size;
}

/* A file that was made here has all its space. One that was copied may have
 * holes: `cp --sparse`, `rsync -S` and backups leave zeros out. */
static int
file_reserve(struct store *s, uint64_t size)
{
	int fd = ((struct file_store *)s)->fd;
	struct stat st;
	int rc;

	if (fstat(fd, &st) < 0)
		return -errno;
	if ((uint64_t)st.st_blocks * 512 >= size)
		return 0;
	do
		rc = fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)size);
	while (rc < 0 && errno == EINTR);
	/* Where there is no such call, nothing can be promised either. */
	return rc < 0 && errno != EOPNOTSUPP ? -errno : 0;
}

/* The name itself may be out of reach (Landlock, another user), but removing it
 * and putting another file in its place both show here. */
static int
file_vanished(struct store *s, char *where, size_t where_size)
{
	int fd = ((struct file_store *)s)->fd;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_nlink > 0)
		return 0;
	snprintf(where, where_size, "/proc/%ld/fd/%d", (long)getpid(), fd);
	return 1;
}

static void
file_close(struct store *s)
{
	close(((struct file_store *)s)->fd);
	free(s);
}

static const struct store_ops file_ops = {
	.read = file_read,
	.write = file_write,
	.sync = file_sync,
	.size = file_size,
	.reserve = file_reserve,
	.vanished = file_vanished,
	.close = file_close,
};

/* An open file description lock: it goes with this descriptor, whatever else
 * in this process opens and closes the same file. */
static int
lock(int fd, const char *path, struct err *err)
{
	struct flock fl = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	if (fcntl(fd, F_OFD_SETLK, &fl) == 0)
		return 0;
	if (errno == EAGAIN || errno == EACCES)
		return err_set(err, ERR_BUSY, "%s is in use", path);
	return err_sys(err, errno, "cannot lock %s", path);
}

int
store_file(const struct store *s)
{
	return s->ops == &file_ops ? ((const struct file_store *)s)->fd : -1;
}

int
store_lock(struct store *s, const char *name, struct err *err)
{
	int fd = store_file(s);

	return fd < 0 ? 0 : lock(fd, name, err);
}

void
store_unlock(struct store *s)
{
	struct flock fl = { .l_type = F_UNLCK, .l_whence = SEEK_SET };
	int fd = store_file(s);

	if (fd >= 0)
		(void)fcntl(fd, F_OFD_SETLK, &fl);
}

int
store_from_fd(struct store **out, int fd, struct err *err)
{
	struct file_store *fs = calloc(1, sizeof(*fs));

	*out = NULL;
	if (fs == NULL) {
		close(fd);
		return err_sys(err, ENOMEM, "cannot open the store");
	}
	fs->base.ops = &file_ops;
	fs->fd = fd;
	*out = &fs->base;
	return 0;
}

static int
open_file(struct store **out, const char *path, bool writable, bool locked,
    struct err *err)
{
	struct stat st;
	int fd, rc;

	*out = NULL;
	/* O_NONBLOCK: a FIFO put in the file's place must not hang us. */
	fd = open(path, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOCTTY |
	    O_NONBLOCK);
	if (fd < 0 && errno == ENOENT)
		return err_set(err, ERR_NOTFOUND, "there is no file %s", path);
	if (fd < 0)
		return err_sys(err, errno, "cannot open %s", path);
	if (fstat(fd, &st) < 0) {
		rc = err_sys(err, errno, "cannot stat %s", path);
		goto out;
	}
	if (!S_ISREG(st.st_mode)) {
		rc = err_set(err, ERR_REFUSED, "%s is not a regular file",
		    path);
		goto out;
	}
	if (locked && (rc = lock(fd, path, err)) < 0)
		goto out;
	return store_from_fd(out, fd, err);
out:
	close(fd);
	return rc;
}

int
store_open_file(struct store **out, const char *path, bool writable,
    struct err *err)
{
	return open_file(out, path, writable, writable, err);
}

int
store_open_unlocked(struct store **out, const char *path, struct err *err)
{
	return open_file(out, path, true, false, err);
}
