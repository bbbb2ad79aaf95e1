/* SPDX-License-Identifier: BSD-3-Clause */
#include "vtpm/windows-find.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"

#define COMMAND_LINE_MAX 65536

static bool
is_number(const char *text)
{
	for (const char *c = text; *c != '\0'; c++)
		if (!isdigit((unsigned char)*c))
			return false;
	return *text != '\0';
}

/* The kernel's name of a process, or its command line with a NUL behind each
 * word. */
static ssize_t
read_proc(const char *pid, const char *name, char *out, size_t room)
{
	char path[64];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%.20s/%s", pid, name);
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) < 0)
		return -1;
	n = read(fd, out, room - 1);
	close(fd);
	out[n > 0 ? n : 0] = '\0';
	return n;
}

/* The argument of an option, "--NAME VALUE" or "--NAME=VALUE", the last one;
 * NULL where it is not given. */
static const char *
find_option(const char *line, ssize_t n, const char *name)
{
	const char *value = NULL;
	size_t length = strlen(name);

	for (const char *w = line; w < line + n; w += strlen(w) + 1)
		if (strncmp(w, name, length) == 0 && (w[length] == '=' ||
		    w[length] == '\0'))
			value = w + length + 1;
	return value != NULL && value < line + n ? value : NULL;
}

/* A path of that process's, seen from here, where it may be in another mount
 * namespace; but not all may look at its root. A relative one means nothing any
 * more: vtpmd works from "/". */
static bool
resolve(const char *pid, const char *path, int length, char out[PATH_MAX])
{
	int n;

	if (path[0] != '/')
		return false;
	n = snprintf(out, PATH_MAX, "/proc/%.20s/root%.*s", pid, length, path);
	if (n < PATH_MAX && access(out, F_OK) < 0)
		n = snprintf(out, PATH_MAX, "%.*s", length, path);
	return n < PATH_MAX;
}

static bool
is_same(const char *path, const struct stat *socket)
{
	struct stat st;

	return stat(path, &st) == 0 && st.st_dev == socket->st_dev &&
	    st.st_ino == socket->st_ino;
}

/* Fills t if that process is a vtpmd, and, with a socket, the one behind it. */
static bool
try_process(const char *pid, const struct stat *socket,
    struct windows_target *t)
{
	static char line[COMMAND_LINE_MAX];
	char name[32], path[PATH_MAX];
	const char *nvram, *ctrl;
	ssize_t n;

	if (read_proc(pid, "comm", name, sizeof(name)) < 0 ||
	    strcmp(name, "vtpmd\n") != 0 ||
	    (n = read_proc(pid, "cmdline", line, sizeof(line))) <= 0 ||
	    (nvram = find_option(line, n, "--nvram")) == NULL)
		return false;
	if (socket != NULL) {
		if ((ctrl = find_option(line, n, "--ctrl")) == NULL ||
		    strncmp(ctrl, "unix:", 5) != 0)
			return false;
		ctrl += 5;
		if (!resolve(pid, ctrl, (int)strcspn(ctrl, ","), path) ||
		    !is_same(path, socket))
			return false;
	}
	t->pid = (pid_t)strtol(pid, NULL, 10);
	return resolve(pid, nvram, (int)strlen(nvram), t->file);
}

static bool
find_by_socket(const struct stat *socket, struct windows_target *t)
{
	struct dirent *entry;
	DIR *proc = opendir("/proc");
	bool found = false;

	while (proc != NULL && !found && (entry = readdir(proc)) != NULL)
		found = is_number(entry->d_name) &&
		    try_process(entry->d_name, socket, t);
	if (proc != NULL)
		closedir(proc);
	return found;
}

int
windows_find(const char *what, struct windows_target *t, struct err *err)
{
	struct stat st;

	t->pid = 0;
	if (stat(what, &st) == 0 && S_ISSOCK(st.st_mode)) {
		if (find_by_socket(&st, t))
			return 0;
		return err_set(err, ERR_NOTFOUND, "no vtpmd whose "
		    "command line has whole paths listens on %s: give its "
		    "nvram file instead", what);
	}
	if (is_number(what) && access(what, F_OK) < 0) {
		if (try_process(what, NULL, t))
			return 0;
		return err_set(err, ERR_NOTFOUND, "process %s is not a vtpmd "
		    "whose command line has whole paths: give its nvram file "
		    "instead", what);
	}
	if (snprintf(t->file, sizeof(t->file), "%s", what) >= PATH_MAX)
		return err_set(err, ERR_USAGE, "the path is too long");
	return 0;
}
