/* SPDX-License-Identifier: BSD-3-Clause */
#include "nvram-crypt/freshness-instance.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "nvram-crypt/crypto.h"
#include "nvram-crypt/native-dir.h"

#define FILE_SIZE (AGENT_INSTANCE_SIZE + 1)

int
freshness_instance_directory(const struct native_config *config, int *dir,
    struct err *err)
{
	struct native_owner owner = { .uid = config->owner,
		.gid = config->group };
	char path[PATH_MAX + 16];
	int state, rc;

	if ((state = native_dir_open_state(config->state_dir, true, &owner,
	    err)) < 0)
		return state;
	snprintf(path, sizeof(path), "%s/authority", config->state_dir);
	rc = *dir = native_dir_open_below(state, "authority", path, true,
	    &owner, err);
	close(state);
	return rc < 0 ? rc : 0;
}

/* Root's is the directory's owner's, or the service could not open it. */
static int
open_file(int dir, const char *name, int *fd, struct err *err)
{
	struct stat st, up;

	*fd = openat(dir, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW |
	    O_NOCTTY, 0600);
	if (*fd < 0)
		return err_sys(err, errno, "cannot open STATE_DIR/authority/%s",
		    name);
	if (fstat(*fd, &st) < 0 || fstat(dir, &up) < 0 ||
	    (st.st_uid != up.st_uid && geteuid() == 0 &&
	    fchown(*fd, up.st_uid, up.st_gid) < 0))
		return err_sys(err, errno, "cannot give STATE_DIR/authority/%s "
		    "to the directory's owner", name);
	return 0;
}

int
freshness_instance_open(int dir, const uint8_t uuid[UUID_SIZE], int *fd,
    struct err *err)
{
	char name[UUID_TEXT_SIZE];
	int rc;

	uuid_format(uuid, name);
	if ((rc = open_file(dir, name, fd, err)) < 0 && *fd >= 0) {
		close(*fd);
		*fd = -1;
	}
	return rc;
}

static int
lock_file(int fd, const char *name, struct err *err)
{
	struct flock fl = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	if (fcntl(fd, F_OFD_SETLK, &fl) == 0)
		return 0;
	if (errno == EAGAIN || errno == EACCES)
		return err_set(err, ERR_BUSY, "the VM %s is in use on this "
		    "host, perhaps through another copy of its file", name);
	return err_sys(err, errno, "cannot lock STATE_DIR/authority/%s", name);
}

static int
read_file(struct freshness_instance *i, struct err *err)
{
	uint8_t bytes[FILE_SIZE] = { 0 };
	struct buf b = buf_reader(bytes, sizeof(bytes));
	uint8_t open = 0;

	if (pread(i->fd, bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
		return err_set(err, ERR_NOTFOUND, "no owner's instance");
	buf_get_bytes(&b, i->bytes, sizeof(i->bytes));
	buf_get_u8(&b, &open);
	i->was_open = open != 0;
	return 0;
}

/* Not synced: after a power cut there is no process left whose writes might be
 * in memory only, which is what the byte is about. */
static int
write_file(const struct freshness_instance *i, bool open, struct err *err)
{
	uint8_t bytes[FILE_SIZE];
	struct buf b = buf_writer(bytes, sizeof(bytes));

	buf_put_bytes(&b, i->bytes, sizeof(i->bytes));
	buf_put_u8(&b, open);
	if (pwrite(i->fd, bytes, b.pos, 0) != (ssize_t)b.pos)
		return err_sys(err, errno, "cannot write to "
		    "STATE_DIR/authority");
	return 0;
}

int
freshness_instance_prepare(struct freshness_instance *i,
    const struct native_config *config, const uint8_t uuid[UUID_SIZE],
    struct err *err)
{
	int dir = -1, rc;

	freshness_instance_drop(i, false);
	if ((rc = freshness_instance_directory(config, &dir, err)) < 0)
		return rc;
	rc = freshness_instance_open(dir, uuid, &i->fd, err);
	close(dir);
	return rc;
}

int
freshness_instance_take(struct freshness_instance *i,
    const struct native_config *config, const uint8_t uuid[UUID_SIZE],
    struct err *err)
{
	char name[UUID_TEXT_SIZE];
	int rc;

	uuid_format(uuid, name);
	if (i->fd < 0 && (rc = freshness_instance_prepare(i, config, uuid,
	    err)) < 0)
		return rc;
	if ((rc = lock_file(i->fd, name, err)) < 0)
		return rc;
	i->held = true;
	if (read_file(i, NULL) < 0) {
		i->was_open = false;
		rc = crypto_random(i->bytes, sizeof(i->bytes), err);
	}
	if (rc == 0)
		rc = write_file(i, true, err);
	if (rc < 0)
		freshness_instance_leave(i, false);
	return rc;
}

int
freshness_instance_adopt(struct freshness_instance *i, int fd,
    struct err *err)
{
	int rc;

	i->fd = fd;
	i->held = true;
	if ((rc = read_file(i, err)) < 0)
		freshness_instance_drop(i, false);
	return rc;
}

void
freshness_instance_leave(struct freshness_instance *i, bool clean)
{
	struct flock fl = { .l_type = F_UNLCK, .l_whence = SEEK_SET };

	if (!i->held)
		return;
	/* One that stays marked makes the next opening write more, no worse. */
	if (clean)
		(void)write_file(i, false, NULL);
	(void)fcntl(i->fd, F_OFD_SETLK, &fl);
	i->held = false;
}

void
freshness_instance_drop(struct freshness_instance *i, bool clean)
{
	if (i->fd < 0)
		return;
	freshness_instance_leave(i, clean);
	close(i->fd);
	i->fd = -1;
}

int
freshness_instance_remove(const struct native_config *config,
    const uint8_t uuid[UUID_SIZE], struct err *err)
{
	char name[UUID_TEXT_SIZE];
	int dir, rc;

	uuid_format(uuid, name);
	if ((rc = freshness_instance_directory(config, &dir, err)) < 0)
		return rc;
	if (unlinkat(dir, name, 0) < 0 && errno != ENOENT)
		rc = err_sys(err, errno, "cannot remove STATE_DIR/authority/%s",
		    name);
	close(dir);
	return rc;
}
