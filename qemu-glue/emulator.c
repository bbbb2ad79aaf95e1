/* SPDX-License-Identifier: BSD-3-Clause */
#include "qemu-glue/emulator.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "qemu-glue/argv.h"
#include "qemu-glue/child.h"

#define READY_MS 60000	/* a key may have to be fetched or stretched */
#define CONNECT_MS 10	/* between two tries to connect */
#define FOLLOW_MS 1000
#define MAKE_TRIES 100
#define CLOSE_MS 10000	/* two round trips and a few writes, generously */

#define SUN_MAX (sizeof(((struct sockaddr_un *)0)->sun_path))
#define DIR_MAX (SUN_MAX - sizeof("/ctrl"))
#define NOTIFY_MAX (SUN_MAX + 2)

static long
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Nobody else can take away or replace what is made in it; root may have come
 * with another user's (su, sudo -E). */
static bool
is_own_directory(const char *dir)
{
	struct stat st;

	return dir != NULL && *dir == '/' && stat(dir, &st) == 0 &&
	    S_ISDIR(st.st_mode) && st.st_uid == geteuid() &&
	    (st.st_mode & (S_IWGRP | S_IWOTH)) == 0 && access(dir, W_OK) == 0;
}

#define ROOTS_DIR "/run/vtpm-qemu"

/* XDG_RUNTIME_DIR is private and on tmpfs; root has the like in /run. */
static void
parent_directory(char *out, size_t size)
{
	const char *dir = getenv("XDG_RUNTIME_DIR");
	struct stat st;

	if (!is_own_directory(dir)) {
		dir = getenv("TMPDIR");
		if (dir == NULL || *dir != '/')
			dir = "/tmp";
		if (geteuid() == 0 && (mkdir(ROOTS_DIR, 0700) == 0 ||
		    errno == EEXIST) && lstat(ROOTS_DIR, &st) == 0 &&
		    S_ISDIR(st.st_mode) && st.st_uid == 0 &&
		    (st.st_mode & 0077) == 0)
			dir = ROOTS_DIR;
	}
	snprintf(out, size, "%s", dir);
}

static int
directory_make(char dir[PATH_MAX], struct err *err)
{
	char parent[PATH_MAX - 32];

	/* Another vtpm-qemu that ends may take root's away in between. */
	for (int i = 0; i < MAKE_TRIES; i++) {
		parent_directory(parent, sizeof(parent));
		snprintf(dir, PATH_MAX, "%s/vm.XXXXXX", parent);
		if (strlen(dir) > DIR_MAX)
			return err_set(err, ERR_USAGE, "%s is too long a name "
			    "for a socket's directory; set XDG_RUNTIME_DIR or "
			    "TMPDIR to a shorter one", dir);
		if (mkdtemp(dir) != NULL)
			return 0;
		if (errno != ENOENT || strcmp(parent, ROOTS_DIR) != 0)
			break;
	}
	return err_sys(err, errno, "cannot make a directory in %s", parent);
}

static void
directory_remove(const char *dir)
{
	char path[PATH_MAX + 16];

	snprintf(path, sizeof(path), "%s/ctrl", dir);
	unlink(path);
	if (rmdir(dir) < 0)
		fprintf(stderr, "vtpm-qemu: cannot remove %s: %s\n", dir,
		    strerror(errno));
	/* The last one out; it fails while there are others. */
	if (strncmp(dir, ROOTS_DIR "/", sizeof(ROOTS_DIR)) == 0)
		(void)rmdir(ROOTS_DIR);
}

/*
 * The socket that vtpmd says READY=1 to. An abstract one of a name that the
 * kernel picks (unix(7), autobind): by then vtpmd has given up the privileges
 * that the private directory asks for. name is for NOTIFY_SOCKET.
 */
static int
notify_listen(char name[NOTIFY_MAX], struct err *err)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	socklen_t size = sizeof(sun);
	int fd, on = 1;

	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_sys(err, errno, "cannot make a socket");
	if (setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0 ||
	    bind(fd, (struct sockaddr *)&sun, sizeof(sun.sun_family)) < 0 ||
	    getsockname(fd, (struct sockaddr *)&sun, &size) < 0) {
		int error = errno;

		close(fd);
		return err_sys(err, error, "cannot bind a socket");
	}
	snprintf(name, NOTIFY_MAX, "@%.*s",
	    (int)(size - offsetof(struct sockaddr_un, sun_path) - 1),
	    sun.sun_path + 1);
	return fd;
}

/* Who sent it: anybody on the host can send to an abstract socket. */
static pid_t
sender(struct msghdr *msg)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(msg);
	struct ucred cred;

	if (c == NULL || c->cmsg_level != SOL_SOCKET ||
	    c->cmsg_type != SCM_CREDENTIALS ||
	    c->cmsg_len != CMSG_LEN(sizeof(cred)))
		return -1;
	memcpy(&cred, CMSG_DATA(c), sizeof(cred));
	return cred.pid;
}

/* Has a datagram with the line READY=1 come (sd_notify(3)) from vtpmd's
 * process group, which it leads? */
static bool
notify_ready(int fd, const struct child *vtpmd)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(struct ucred))];
	} control;
	char text[1024], *save = NULL;
	struct iovec iov = { .iov_base = text, .iov_len = sizeof(text) - 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control.room,
		.msg_controllen = sizeof(control.room) };
	ssize_t n = recvmsg(fd, &msg, 0);
	pid_t pid;

	if (n <= 0 || (pid = sender(&msg)) <= 0 ||
	    getpgid(pid) != vtpmd->pid)
		return false;
	text[n] = '\0';
	for (char *line = strtok_r(text, "\n", &save); line != NULL;
	    line = strtok_r(NULL, "\n", &save))
		if (strcmp(line, "READY=1") == 0)
			return true;
	return false;
}

/* A descriptor, or -1 with errno: vtpmd may not listen yet. */
static int
ctrl_connect(const char *dir)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	/* DIR_MAX has left the room. */
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%.*s/ctrl",
	    (int)DIR_MAX, dir);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&sun,
	    sizeof(sun)) < 0) {
		int error = errno;

		close(fd);
		errno = error;
		return -1;
	}
	return fd;
}

/* What a signal means while vtpmd starts: 0, or the end. */
static int
start_signal(struct child *vtpmd, int number, int *status, struct err *err)
{
	char how[80];

	if (number == SIGCHLD && child_reap(vtpmd)) {
		child_describe(vtpmd, how, sizeof(how));
		*status = child_exit_status(vtpmd);
		if (*status == 0)
			*status = 1;
		return err_set(err, ERR_CLOSED, "vtpmd %s before it was "
		    "ready; QEMU was not started", how);
	}
	if (number == SIGTERM || number == SIGINT || number == SIGHUP ||
	    number == SIGQUIT) {
		*status = 128 + number;
		return err_set(err, ERR_CLOSED, "signal %d (%s) while vtpmd "
		    "was starting; QEMU was not started", number,
		    strsignal(number));
	}
	return 0;
}

/*
 * Connects as soon as vtpmd listens, which is before it fetches a key, and
 * then waits until it is ready. From the connection on our death ends vtpmd
 * also by --terminate, and does not hang on the parent-death signal alone,
 * which the kernel drops at a change of user unless it is set again (prctl(2)).
 */
static int
wait_ready(struct child *vtpmd, const char *dir, int notify, int signals,
    int *status, struct err *err)
{
	long end = now_ms() + READY_MS;
	int ctrl = -1, rc = 0;
	bool ready = false;

	while (rc == 0 && !(ready && ctrl >= 0)) {
		long left = end - now_ms();
		int number = 0, what;
		bool sent = false;

		if (left <= 0) {
			rc = err_set(err, ERR_CLOSED, "vtpmd was not ready "
			    "after %d seconds; its log says what it waits for",
			    READY_MS / 1000);
			break;
		}
		what = child_wait_signal(signals, ready ? -1 : notify,
		    ctrl < 0 ? CONNECT_MS : (int)left, &number, &sent);
		if (what == 2)
			ready = notify_ready(notify, vtpmd);
		if (what == 1)
			rc = start_signal(vtpmd, number, status, err);
		if (ctrl < 0)
			ctrl = ctrl_connect(dir);
		if (ctrl < 0 && ready && rc == 0)
			rc = err_sys(err, errno, "cannot connect to vtpmd at "
			    "%s/ctrl", dir);
	}
	if (rc == 0)
		return ctrl;
	if (ctrl >= 0)
		close(ctrl);
	return rc;
}

/* Waits until vtpmd has ended, at most timeout_ms. */
static bool
wait_end(struct child *vtpmd, int signals, int timeout_ms)
{
	long end = now_ms() + timeout_ms;

	for (;;) {
		long left = end - now_ms();
		bool sent = false;
		int number = 0;

		if (child_reap(vtpmd))
			return true;
		if (left <= 0)
			return false;
		child_wait_signal(signals, -1, (int)left, &number, &sent);
		/* Signals that ask us to end: we are about to. */
	}
}

/* Its file is whole at any moment, so that even SIGKILL loses nothing that
 * the guest was told. */
static void
insist(struct child *vtpmd, int signals)
{
	kill(vtpmd->pid, SIGTERM);
	if (wait_end(vtpmd, signals, CLOSE_MS))
		return;
	fputs("vtpm-qemu: vtpmd does not end on SIGTERM; sending it SIGKILL\n",
	    stderr);
	kill(vtpmd->pid, SIGKILL);
	while (!wait_end(vtpmd, signals, CLOSE_MS))
		;
}

static void
command_line(struct argv *argv, const struct emulator_options *opt,
    const char *dir)
{
	argv_add(argv, opt->program);
	argv_add(argv, "--nvram");
	argv_add(argv, opt->nvram);
	argv_add(argv, "--ctrl");
	argv_addf(argv, "unix:%s/ctrl,mode=0600", dir);
	argv_add(argv, "--terminate");
	if (opt->state_dir != NULL) {
		argv_add(argv, "--state-dir");
		argv_add(argv, opt->state_dir);
	}
	if (opt->log != NULL) {
		argv_add(argv, "--log");
		argv_add(argv, opt->log);
	}
	if (opt->log_level != NULL) {
		argv_add(argv, "--log-level");
		argv_add(argv, opt->log_level);
	}
	if (opt->user != NULL) {
		argv_add(argv, "--user");
		argv_add(argv, opt->user);
	}
	if (opt->config != NULL) {
		argv_add(argv, "--config");
		argv_add(argv, opt->config);
	}
	if (opt->agent != NULL) {
		argv_add(argv, "--agent");
		argv_add(argv, opt->agent);
	}
	if (opt->passphrase_fd >= 0) {
		argv_add(argv, "--passphrase-fd");
		argv_addf(argv, "%d", opt->passphrase_fd);
	}
}

int
emulator_start(struct child *vtpmd, const struct emulator_options *opt,
    int signals, int *status, struct err *err)
{
	char dir[PATH_MAX], notify_name[NOTIFY_MAX];
	struct argv argv = { 0 };
	struct child_spec spec = { .name = "vtpmd", .notify = notify_name,
		.own_group = true, .only_fds = true,
		.keep_fd = opt->passphrase_fd };
	int notify = -1, ctrl;

	*status = 0;
	ctrl = directory_make(dir, err);
	if (ctrl < 0)
		return ctrl;
	command_line(&argv, opt, dir);
	if (argv.failed) {
		ctrl = err_set(err, ERR_INTERNAL, "out of memory");
		goto out;
	}
	spec.argv = argv.words;
	ctrl = notify = notify_listen(notify_name, err);
	if (ctrl < 0)
		goto out;
	ctrl = child_start(vtpmd, &spec, err);
	if (ctrl < 0)
		goto out;
	ctrl = wait_ready(vtpmd, dir, notify, signals, status, err);
out:
	if (ctrl < 0 && vtpmd->pid != 0)
		insist(vtpmd, signals);
	if (notify >= 0)
		close(notify);
	directory_remove(dir);
	argv_free(&argv);
	return ctrl;
}

bool
emulator_stop(struct child *vtpmd, int signals)
{
	char how[80];

	if (vtpmd->pid == 0)
		return true;
	/* A QEMU that ended before it used the TPM leaves vtpmd waiting for
	 * another one. On SIGTERM it closes as cleanly as by itself. */
	if (!wait_end(vtpmd, signals, FOLLOW_MS))
		insist(vtpmd, signals);
	if (child_exit_status(vtpmd) == 0)
		return true;
	child_describe(vtpmd, how, sizeof(how));
	fprintf(stderr, "vtpm-qemu: vtpmd %s; its log says why\n", how);
	return false;
}
