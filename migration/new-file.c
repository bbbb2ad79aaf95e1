/* SPDX-License-Identifier: BSD-3-Clause */
#include "migration/new-file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct new_file {
	int fd;
	char *path, *directory;
	char *temporary;	/* NULL once it is gone */
	bool replaces;
};

static int
name_it(struct new_file *f, const char *path, struct err *err)
{
	char *copy = strdup(path);
	int rc = 0;

	f->path = strdup(path);
	if (copy != NULL)
		f->directory = strdup(dirname(copy));
	free(copy);
	if (f->path == NULL || f->directory == NULL ||
	    asprintf(&f->temporary, "%s/.vtpm-new.XXXXXX", f->directory) < 0) {
		f->temporary = NULL;
		rc = err_sys(err, ENOMEM, "cannot create %s", path);
	}
	return rc;
}

/* What root makes in somebody's directory is his, or he could not use it. */
static int
give_to_owner(const struct new_file *f, struct err *err)
{
	struct stat st;

	if (geteuid() != 0)
		return 0;
	if (stat(f->directory, &st) < 0 || (st.st_uid != 0 &&
	    fchown(f->fd, st.st_uid, st.st_gid) < 0))
		return err_sys(err, errno, "cannot give %s to the owner of "
		    "its directory", f->path);
	return 0;
}

static int
open_it(struct new_file **out, const char *path, bool replaces,
    struct err *err)
{
	struct new_file *f = calloc(1, sizeof(*f));
	struct stat st;
	int rc;

	*out = NULL;
	if (f == NULL)
		return err_sys(err, ENOMEM, "cannot create %s", path);
	f->fd = -1;
	f->replaces = replaces;
	if (!replaces && lstat(path, &st) == 0) {
		rc = err_set(err, ERR_EXISTS, "%s exists already", path);
		goto out;
	}
	if ((rc = name_it(f, path, err)) < 0)
		goto out;
	if ((f->fd = mkostemp(f->temporary, O_CLOEXEC)) < 0) {
		rc = err_sys(err, errno, "cannot create a file in %s",
		    f->directory);
		free(f->temporary);
		f->temporary = NULL;
		goto out;
	}
	if ((rc = give_to_owner(f, err)) < 0)
		goto out;
	*out = f;
	f = NULL;
out:
	new_file_free(f);
	return rc;
}

int
new_file_open(struct new_file **out, const char *path, struct err *err)
{
	return open_it(out, path, false, err);
}

int
new_file_open_over(struct new_file **out, const char *path, struct err *err)
{
	return open_it(out, path, true, err);
}

int
new_file_write(struct new_file *f, const void *data, size_t size,
    uint64_t offset, struct err *err)
{
	const uint8_t *bytes = data;

	while (size > 0) {
		ssize_t n = pwrite(f->fd, bytes, size, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, errno, "cannot write %s", f->path);
		bytes += n;
		offset += (uint64_t)n;
		size -= (size_t)n;
	}
	return 0;
}

int
new_file_fd(const struct new_file *f)
{
	return f->fd;
}

static int
sync_directory(const struct new_file *f, struct err *err)
{
	int fd = open(f->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = 0;

	if (fd < 0 || fsync(fd) < 0)
		rc = err_sys(err, errno, "cannot sync the directory %s",
		    f->directory);
	if (fd >= 0)
		close(fd);
	return rc;
}

static int
give_name(const struct new_file *f, struct err *err)
{
	if (f->replaces)
		return rename(f->temporary, f->path) == 0 ? 0 :
		    err_sys(err, errno, "cannot replace %s", f->path);
	/* link, unlike rename, never replaces. */
	if (link(f->temporary, f->path) < 0)
		return errno == EEXIST ?
		    err_set(err, ERR_EXISTS, "%s exists already", f->path) :
		    err_sys(err, errno, "cannot link %s", f->path);
	(void)unlink(f->temporary);
	return 0;
}

int
new_file_finish(struct new_file *f, struct err *err)
{
	int rc;

	if (fsync(f->fd) < 0)
		return err_sys(err, errno, "cannot sync %s", f->path);
	if ((rc = give_name(f, err)) < 0)
		return rc;
	free(f->temporary);
	f->temporary = NULL;
	if ((rc = sync_directory(f, err)) < 0)
		(void)unlink(f->path);
	return rc;
}

void
new_file_unname(struct new_file *f)
{
	(void)unlink(f->path);
	(void)sync_directory(f, NULL);
}

void
new_file_leave(struct new_file *f)
{
	free(f->temporary);
	f->temporary = NULL;
	new_file_free(f);
}

void
new_file_free(struct new_file *f)
{
	if (f == NULL)
		return;
	if (f->temporary != NULL)
		(void)unlink(f->temporary);
	if (f->fd >= 0)
		close(f->fd);
	free(f->temporary);
	free(f->directory);
	free(f->path);
	free(f);
}
