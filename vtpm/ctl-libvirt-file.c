/* SPDX-License-Identifier: BSD-3-Clause */
#include "vtpm/ctl-libvirt-file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdio.h"

int
libvirt_file_read(const char *path, char text[LIBVIRT_FILE_MAX],
    struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	size_t have = 0;
	ssize_t n = 0;

	text[0] = '\0';
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return err_set(err, ERR_NOTFOUND, "there is no %s", path);
	if (fd < 0)
		return err_sys(err, errno, "cannot open %s", path);
	while (have < LIBVIRT_FILE_MAX - 1 && (n = read(fd, text + have,
	    LIBVIRT_FILE_MAX - 1 - have)) > 0)
		have += (size_t)n;
	close(fd);
	if (n < 0)
		return err_sys(err, errno, "cannot read %s", path);
	text[have] = '\0';
	if (have == LIBVIRT_FILE_MAX - 1 || strlen(text) != have)
		return err_set(err, ERR_FORMAT, "%s is no text, or too long",
		    path);
	return 0;
}

static int
make_directories(const char *path, struct err *err)
{
	char part[PATH_MAX];

	for (const char *c = strchr(path + 1, '/'); c != NULL;
	    c = strchr(c + 1, '/')) {
		snprintf(part, sizeof(part), "%.*s", (int)(c - path), path);
		if (mkdir(part, 0755) < 0 && errno != EEXIST)
			return err_sys(err, errno, "cannot make %s", part);
	}
	return 0;
}

int
libvirt_file_write(const char *path, const char *text, struct err *err)
{
	char fresh[PATH_MAX + 16];
	int fd, rc;

	if ((rc = make_directories(path, err)) < 0)
		return rc;
	/* Neither systemd nor AppArmor reads a name that ends so. */
	snprintf(fresh, sizeof(fresh), "%s.dpkg-new", path);
	(void)unlink(fresh);
	fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
	    0644);
	if (fd < 0)
		return err_sys(err, errno, "cannot write %s", fresh);
	rc = fdio_write(fd, text, strlen(text)) < 0 || fchmod(fd, 0644) < 0 ||
	    fsync(fd) < 0 ? err_sys(err, errno, "cannot write %s", fresh) : 0;
	close(fd);
	if (rc == 0 && rename(fresh, path) < 0)
		rc = err_sys(err, errno, "cannot replace %s", path);
	if (rc < 0)
		(void)unlink(fresh);
	return rc;
}

bool
libvirt_file_block(const char *text, size_t *from, size_t *size)
{
	const char *begin = strstr(text, LIBVIRT_BEGIN), *end;

	if (begin == NULL)
		return false;
	*from = (size_t)(begin - text);
	end = strstr(begin, LIBVIRT_END);
	*size = end != NULL ? (size_t)(end - begin) + strlen(LIBVIRT_END) :
	    strlen(begin);
	return true;
}
