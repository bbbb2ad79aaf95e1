/* SPDX-License-Identifier: BSD-3-Clause */
#include "nvram-crypt/native-dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DIR_MODE 0700
#define DIR_FLAGS (O_RDONLY | O_DIRECTORY | O_CLOEXEC)

bool
native_owner_trusted(const struct native_owner *owner, uid_t uid)
{
	return uid == 0 || uid == geteuid() ||
	    (owner->uid != (uid_t)-1 && uid == owner->uid);
}

int
native_owner_give(const struct native_owner *owner, int fd, const char *path,
    struct err *err)
{
	if (geteuid() != 0 || owner->uid == (uid_t)-1)
		return 0;
	if (fchown(fd, owner->uid, owner->gid) < 0)
		return err_sys(err, errno, "cannot give %s to user %u", path,
		    (unsigned)owner->uid);
	return 0;
}

/* A directory in which others may write lets them put another key there. */
static int
dir_judge(int fd, const char *path, const struct native_owner *owner,
    struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys(err, errno, "cannot examine %s", path);
	if (!native_owner_trusted(owner, st.st_uid))
		return err_set(err, ERR_REFUSED, "%s belongs to user %u, who "
		    "could replace the key in it: use a directory of your own "
		    "(--state-dir), or chown it", path, (unsigned)st.st_uid);
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return err_set(err, ERR_REFUSED, "%s can be written by others "
		    "(mode %04o), who could replace the key in it: run "
		    "chmod 0700 %s", path, (unsigned)st.st_mode & 07777, path);
	return 0;
}

/* Makes name below dirfd and its entry durable. 1 if it is new, 0 if it was
 * there. */
static int
dir_make(int dirfd, const char *name, const char *path,
    const struct native_owner *owner, struct err *err)
{
	int fd = -1, rc;

	if (mkdirat(dirfd, name, DIR_MODE) < 0) {
		if (errno == EEXIST)
			return 0;
		return err_sys(err, errno, "cannot make the directory %s",
		    path);
	}
	if ((fd = openat(dirfd, name, DIR_FLAGS | O_NOFOLLOW)) < 0) {
		rc = err_sys(err, errno, "cannot open the new directory %s",
		    path);
		goto out;
	}
	/* The caller's umask may have taken even the owner's bits. */
	if (fchmod(fd, DIR_MODE) < 0) {
		rc = err_sys(err, errno, "cannot set the mode of %s", path);
		goto out;
	}
	if ((rc = native_owner_give(owner, fd, path, err)) < 0)
		goto out;
	if (fsync(dirfd) < 0) {
		rc = err_sys(err, errno, "cannot sync the directory above %s",
		    path);
		goto out;
	}
	rc = 1;
out:
	if (fd >= 0)
		close(fd);
	return rc;
}

/* mkdir -p of an absolute path. */
static int
dir_make_all(const char *path, const struct native_owner *owner,
    struct err *err)
{
	char part[PATH_MAX];
	int up = -1, rc = 0;

	if (strlen(path) >= sizeof(part))
		return err_set(err, ERR_USAGE, "the path %.64s... is too long",
		    path);
	if ((up = open("/", DIR_FLAGS)) < 0)
		return err_sys(err, errno, "cannot open /");
	while (*path != '\0' && rc >= 0) {
		size_t n;
		int next;

		path += strspn(path, "/");
		n = strcspn(path, "/");
		if (n == 0)
			break;
		memcpy(part, path, n);
		part[n] = '\0';
		path += n;
		next = openat(up, part, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (next < 0 && errno == ENOENT) {
			/* O_PATH descriptors cannot be synced. */
			int dir = openat(up, ".", DIR_FLAGS);

			rc = dir < 0 ? err_sys(err, errno,
			    "cannot open the directory above %s", part) :
			    dir_make(dir, part, part, owner, err);
			if (dir >= 0)
				close(dir);
			if (rc < 0)
				break;
			next = openat(up, part,
			    O_PATH | O_DIRECTORY | O_CLOEXEC);
		}
		if (next < 0) {
			rc = err_sys(err, errno, "cannot enter %s", part);
			break;
		}
		close(up);
		up = next;
	}
	close(up);
	return rc < 0 ? rc : 0;
}

static bool
dir_empty(int fd)
{
	int again = openat(fd, ".", DIR_FLAGS);
	DIR *d = again < 0 ? NULL : fdopendir(again);
	const struct dirent *e = NULL;
	bool empty = d != NULL;

	while (empty && (e = readdir(d)) != NULL)
		empty = strcmp(e->d_name, ".") == 0 ||
		    strcmp(e->d_name, "..") == 0;
	if (d != NULL)
		closedir(d);
	else if (again >= 0)
		close(again);
	return empty;
}

int
native_dir_open_state(const char *path, bool create,
    struct native_owner *owner, struct err *err)
{
	struct stat st;
	int fd = -1, rc;

	if (path == NULL || path[0] != '/')
		return err_set(err, ERR_USAGE, "the state directory %s is not "
		    "an absolute path", path == NULL ? "(none)" : path);
	if (create && (rc = dir_make_all(path, owner, err)) < 0) {
		err_prefix(err, "state directory %s", path);
		return rc;
	}
	if ((fd = open(path, DIR_FLAGS)) < 0) {
		if (errno == ENOENT)
			return err_set(err, ERR_NOTFOUND, "there is no state "
			    "directory %s: this host has no native key yet; "
			    "vtpmctl create makes it", path);
		return err_sys(err, errno, "cannot open the state directory "
		    "%s", path);
	}
	if (fstat(fd, &st) < 0) {
		rc = err_sys(err, errno, "cannot examine %s", path);
		goto fail;
	}
	if (geteuid() == 0 && owner->uid == (uid_t)-1) {
		owner->uid = st.st_uid;
		owner->gid = st.st_gid;
	}
	if ((rc = dir_judge(fd, path, owner, err)) < 0)
		goto fail;
	/* Root's mkdir for the owner. Only an empty one: any other may be the
	 * system's, named by mistake. */
	if (create && st.st_uid == 0 && owner->uid != 0 && dir_empty(fd) &&
	    (rc = native_owner_give(owner, fd, path, err)) < 0)
		goto fail;
	return fd;
fail:
	close(fd);
	return rc;
}

int
native_dir_open_below(int dirfd, const char *name, const char *path,
    bool create, const struct native_owner *owner, struct err *err)
{
	int fd, rc;

	if (create && (rc = dir_make(dirfd, name, path, owner, err)) < 0)
		return rc;
	/* Nothing below STATE_DIR is ever a link: as root we must not be led
	 * elsewhere by the user who owns it. */
	if ((fd = openat(dirfd, name, DIR_FLAGS | O_NOFOLLOW)) < 0) {
		if (errno == ENOENT)
			return err_set(err, ERR_NOTFOUND, "there is no %s: "
			    "this host has no native key yet; vtpmctl create "
			    "makes it", path);
		return err_sys(err, errno, "cannot open %s", path);
	}
	if ((rc = dir_judge(fd, path, owner, err)) < 0) {
		close(fd);
		return rc;
	}
	return fd;
}
