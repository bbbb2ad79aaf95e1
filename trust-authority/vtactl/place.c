/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/vtactl/place.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdio.h"

static const mode_t file_modes[] = { 0644, 0640, 0600 };
static const mode_t directory_modes[] = { 0755, 0750, 0700 };

/* Two levels are all that place_directory makes. */
static void
clear(int dirfd, bool below)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *e;

	if (d == NULL) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((e = readdir(d)) != NULL) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (unlinkat(fd, e->d_name, 0) == 0 || below)
			continue;
		int sub = openat(fd, e->d_name, O_RDONLY | O_DIRECTORY |
		    O_NOFOLLOW | O_CLOEXEC);
		if (sub >= 0) {
			clear(sub, true);
			close(sub);
		}
		(void)unlinkat(fd, e->d_name, AT_REMOVEDIR);
	}
	closedir(d);
}

static bool
is_taken(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;
	bool taken = false;

	if (d == NULL)
		return errno != ENOENT;
	while (!taken && (e = readdir(d)) != NULL)
		taken = strcmp(e->d_name, ".") != 0 &&
		    strcmp(e->d_name, "..") != 0;
	closedir(d);
	return taken;
}

static int
check_free(const struct place *p, struct err *err)
{
	if (is_taken(p->path))
		return err_set(err, ERR_EXISTS, "%s is there and has something "
		    "in it: an authority's keys are never overwritten. Name "
		    "another --dir, or move it away if that authority is "
		    "given up", p->path);
	return 0;
}

/* The name's own directory, which is another process's for as long as that
 * holds the lock. */
static int
hold(struct place *p, struct err *err)
{
	struct stat ours, named;

	if (mkdir(p->temporary, 0700) < 0 && errno != EEXIST)
		return err_sys(err, errno, "cannot make %s", p->temporary);
	p->fd = open(p->temporary, O_RDONLY | O_DIRECTORY | O_NOFOLLOW |
	    O_CLOEXEC);
	if (p->fd < 0)
		return err_sys(err, errno, "cannot open %s", p->temporary);
	if (flock(p->fd, LOCK_EX | LOCK_NB) == 0 && fstat(p->fd, &ours) == 0 &&
	    lstat(p->temporary, &named) == 0 && ours.st_ino == named.st_ino &&
	    ours.st_dev == named.st_dev && ours.st_uid == geteuid())
		return 0;
	close(p->fd);
	p->fd = -1;
	return err_set(err, ERR_BUSY, "another process makes %s just now, or "
	    "%s is not yours", p->path, p->temporary);
}

int
place_begin(struct place *p, const char *path,
    const struct place_owner *owner, struct err *err)
{
	size_t n = strlen(path);
	int rc;

	p->fd = -1;
	p->owner = *owner;
	while (n > 1 && path[n - 1] == '/')
		n--;
	if (path[0] != '/' || n < 2 || n + 8 > sizeof(p->path))
		return err_set(err, ERR_USAGE, "--dir is an absolute path");
	snprintf(p->path, sizeof(p->path), "%.*s", (int)n, path);
	snprintf(p->temporary, sizeof(p->temporary), "%.*s.new", (int)n, path);
	if ((rc = check_free(p, err)) < 0 || (rc = hold(p, err)) < 0)
		return rc;
	/* Who held it until now may have finished. */
	if ((rc = check_free(p, err)) < 0) {
		place_abandon(p);
		return rc;
	}
	clear(p->fd, false);
	if (fchmod(p->fd, 0755) < 0)
		return err_sys(err, errno, "cannot use %s", p->temporary);
	return 0;
}

static int
give(const struct place *p, int fd, const char *name, enum place_mode mode,
    const mode_t *modes, struct err *err)
{
	if (mode == PLACE_SERVICE && p->owner.given &&
	    fchown(fd, (uid_t)-1, p->owner.gid) < 0)
		return err_sys(err, errno, "cannot give %s to the services' "
		    "group", name);
	/* The umask may have taken bits away, and must not. */
	if (fchmod(fd, modes[mode]) < 0)
		return err_sys(err, errno, "cannot set the mode of %s", name);
	return 0;
}

int
place_directory(struct place *p, const char *name, enum place_mode mode,
    struct err *err)
{
	int fd, rc;

	if (mkdirat(p->fd, name, 0700) < 0)
		return err_sys(err, errno, "cannot make %s/%s", p->temporary,
		    name);
	fd = openat(p->fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, errno, "cannot open %s/%s", p->temporary,
		    name);
	rc = give(p, fd, name, mode, directory_modes, err);
	close(fd);
	return rc;
}

int
place_write(struct place *p, const char *name, enum place_mode mode,
    const void *data, size_t size, struct err *err)
{
	int fd, rc;

	fd = openat(p->fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC |
	    O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_sys(err, errno, "cannot make %s/%s", p->temporary,
		    name);
	if (fdio_write(fd, data, size) < 0 || fsync(fd) < 0)
		rc = err_sys(err, errno, "cannot write %s/%s", p->temporary,
		    name);
	else
		rc = give(p, fd, name, mode, file_modes, err);
	close(fd);
	return rc;
}

int
place_write_certificate(struct place *p, const char *name,
    const struct identity *id, struct err *err)
{
	char file[256], *text = NULL;
	int rc;

	snprintf(file, sizeof(file), "%s.pem", name);
	if ((rc = identity_cert_text(id->cert, &text, err)) == 0)
		rc = place_write(p, file, PLACE_PUBLIC, text, strlen(text),
		    err);
	identity_text_free(text);
	return rc;
}

int
place_write_identity(struct place *p, const char *name,
    const struct identity *id, enum place_mode key, struct err *err)
{
	char file[256], *text = NULL;
	int rc;

	if ((rc = place_write_certificate(p, name, id, err)) < 0)
		return rc;
	snprintf(file, sizeof(file), "%s.key", name);
	if ((rc = identity_key_text(id, &text, err)) == 0)
		rc = place_write(p, file, key, text, strlen(text), err);
	identity_text_free(text);
	return rc;
}

static int
sync_parent(const char *path, struct err *err)
{
	char copy[4096];
	int fd, rc = 0;

	snprintf(copy, sizeof(copy), "%s", path);
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) < 0)
		rc = err_sys(err, errno, "cannot sync the directory of %s",
		    path);
	if (fd >= 0)
		close(fd);
	return rc;
}

int
place_finish(struct place *p, struct err *err)
{
	if (fsync(p->fd) < 0)
		return err_sys(err, errno, "cannot sync %s", p->temporary);
	/* Onto nothing, or a directory that is empty: rename(2). */
	if (rename(p->temporary, p->path) < 0) {
		if (errno == ENOTEMPTY || errno == EEXIST)
			return check_free(p, err);
		return err_sys(err, errno, "cannot rename %s to %s",
		    p->temporary, p->path);
	}
	close(p->fd);
	p->fd = -1;
	return sync_parent(p->path, err);
}

void
place_abandon(struct place *p)
{
	if (p->fd < 0)
		return;
	clear(p->fd, false);
	(void)rmdir(p->temporary);
	close(p->fd);
	p->fd = -1;
}

int
place_replace(const char *path, const void *data, size_t size,
    struct err *err)
{
	char temporary[4096];
	struct stat st;
	int fd, rc = 0;

	if (stat(path, &st) < 0)
		return err_sys(err, errno, "cannot look at %s", path);
	if (snprintf(temporary, sizeof(temporary), "%s.new", path) >=
	    (int)sizeof(temporary))
		return err_set(err, ERR_USAGE, "%s is too long", path);
	(void)unlink(temporary);
	fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(err, errno, "cannot make %s", temporary);
	if (fdio_write(fd, data, size) < 0 ||
	    (geteuid() == 0 && fchown(fd, st.st_uid, st.st_gid) < 0) ||
	    fchmod(fd, st.st_mode & 07777) < 0 || fsync(fd) < 0 ||
	    rename(temporary, path) < 0) {
		rc = err_sys(err, errno, "cannot replace %s", path);
		(void)unlink(temporary);
	}
	close(fd);
	return rc < 0 ? rc : sync_parent(path, err);
}
