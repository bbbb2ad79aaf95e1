/* SPDX-License-Identifier: BSD-3-Clause */
/* vtpmctl upgrade: asks running vtpmds to go on as the installed program. */
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <libtpms/tpm_error.h>

#include "base/buf.h"
#include "base/fdio.h"
#include "vtpm/control.h"
#include "vtpm/ctl-process.h"
#include "vtpm/listen.h"
#include "vtpm/vtpmctl.h"

#define ANSWER_TIMEOUT_MS 90000
/* For another upgrade, or the replacement of a worker, that is under way: on a
 * busy host either may take seconds. */
#define ASK_AGAIN_MS 10000
#define ASK_AGAIN_PAUSE_MS 50
#define COMMAND_LINE_MAX 65536
#define SOCKET_PATH_SIZE (sizeof(((struct sockaddr_un *)0)->sun_path) + 16)

static bool all;

/* One vtpmd: its socket's path, as far as known, and its process id, or 0. */
struct target {
	char path[SOCKET_PATH_SIZE];
	pid_t pid;
};

struct answer {
	uint32_t result, pause_us;
	char text[ERR_TEXT_MAX];
};

static bool
is_listener(int fd, pid_t pid)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
	    peer.pid == pid;
}

/* "pid N" stands for the socket that is found by the process id; its listener
 * has to be that process, or somebody else has taken the name. */
static int
connect_by_pid(pid_t pid, int fd, struct err *err)
{
	struct sockaddr_un to;
	socklen_t size = listen_pid_address(pid, &to);

	if (connect(fd, (struct sockaddr *)&to, size) < 0)
		return err_set(err, ERR_NOTFOUND, "process %d does not listen: "
		    "give its control socket instead", (int)pid);
	if (!is_listener(fd, pid))
		return err_set(err, ERR_REFUSED, "process %d is not who listens "
		    "in its name: give its control socket instead", (int)pid);
	return 0;
}

static int
connect_by_path(const char *path, int fd, struct err *err)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof(to.sun_path))
		return err_set(err, ERR_USAGE, "%s: the path of a socket is "
		    "shorter than that", path);
	memcpy(to.sun_path, path, strlen(path));
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0)
		return 0;
	if (errno == ECONNREFUSED || errno == ENOENT)
		return err_set(err, ERR_NOTFOUND, "no vtpmd listens on %s",
		    path);
	return err_sys(err, errno, "cannot connect to %s", path);
}

static int
new_socket(int *fd, struct err *err)
{
	*fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return *fd >= 0 ? 0 : err_sys(err, errno, "cannot make a socket");
}

static int
connect_to(const struct target *t, int *fd, struct err *err)
{
	struct err ignored = { 0 };
	int rc;

	if ((rc = new_socket(fd, err)) < 0)
		return rc;
	if (t->pid == 0)
		return connect_by_path(t->path, *fd, err);
	/* Its path first: it may be in a network namespace of its own. But its
	 * path may be gone, or be another one's by now or from here. */
	if (t->path[0] == '/' && connect_by_path(t->path, *fd,
	    &ignored) == 0) {
		if (is_listener(*fd, t->pid))
			return 0;
		close(*fd);
		if ((rc = new_socket(fd, err)) < 0)
			return rc;
	}
	return connect_by_pid(t->pid, *fd, err);
}

static int
read_all(int fd, void *data, size_t size, struct err *err)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	if (poll(&p, 1, ANSWER_TIMEOUT_MS) == 0)
		return err_set(err, ERR_BUSY, "vtpmd did not answer within %d "
		    "seconds", ANSWER_TIMEOUT_MS / 1000);
	if (fdio_read(fd, data, size) < 0)
		return err_set(err, ERR_CLOSED, "vtpmd closed the connection; "
		    "see its log");
	return 0;
}

/* An answer of a vtpmd that knows no such command is a bare TPM_RESULT. */
static int
read_answer(int fd, struct answer *a, struct err *err)
{
	uint8_t head[12];
	struct buf b;
	uint32_t size;
	int rc;

	if ((rc = read_all(fd, head, 4, err)) < 0)
		return rc;
	b = buf_reader(head, 4);
	buf_get_u32be(&b, &a->result);
	if (a->result == TPM_BAD_ORDINAL)
		return err_set(err, ERR_UNSUPPORTED, "this vtpmd is too old to "
		    "be upgraded while it runs: restart the VM");
	if ((rc = read_all(fd, head, 8, err)) < 0)
		return rc;
	b = buf_reader(head, 8);
	buf_get_u32be(&b, &a->pause_us);
	buf_get_u32be(&b, &size);
	if (size >= sizeof(a->text))
		return err_set(err, ERR_FORMAT, "vtpmd's answer cannot be "
		    "understood");
	if (size > 0 && (rc = read_all(fd, a->text, size, err)) < 0)
		return rc;
	a->text[size] = '\0';
	return 0;
}

static int
ask_once(const struct target *t, struct answer *a, struct err *err)
{
	static const uint8_t request[] = { CMD_UPGRADE >> 24,
		CMD_UPGRADE >> 16 & 0xff, CMD_UPGRADE >> 8 & 0xff,
		CMD_UPGRADE & 0xff };
	int fd = -1, rc;

	memset(a, 0, sizeof(*a));
	if ((rc = connect_to(t, &fd, err)) == 0) {
		/* One that does not listen any more may have said why. */
		(void)fdio_send(fd, request, sizeof(request), -1);
		rc = read_answer(fd, a, err);
	}
	if (fd >= 0)
		close(fd);
	if (rc == 0 && a->result != 0)
		rc = err_set(err, ERR_REFUSED, "%s", a->text);
	return rc;
}

/* What hinders in this moment only is waited for: who upgrades a host must not
 * have to know what else goes on there. */
static int
ask(const struct target *t, struct answer *a, struct err *err)
{
	static const struct timespec pause = {
		.tv_nsec = ASK_AGAIN_PAUSE_MS * 1000000 };
	unsigned int waited = 0;
	struct err why;
	int rc;

	for (;;) {
		why = (struct err){ 0 };
		rc = ask_once(t, a, &why);
		if (rc != ERR_REFUSED || a->result != TPM_RETRY ||
		    waited >= ASK_AGAIN_MS)
			break;
		nanosleep(&pause, NULL);
		waited += ASK_AGAIN_PAUSE_MS;
	}
	if (rc < 0)
		*err = why;
	return rc;
}

/* -- which ones -- */

/* The socket's path in vtpmd's --ctrl or swtpm's; "pid N" where there is
 * none. */
static void
take_path(struct target *t, const char *address)
{
	const char *path = address != NULL ? address : "";

	if (strncmp(path, "type=", 5) == 0)
		path = (path = strstr(path, ",path=")) != NULL ? path + 6 : "";
	else if (strncmp(path, "unix:", 5) == 0)
		path += 5;
	if (*path != '\0')
		snprintf(t->path, sizeof(t->path), "%.*s",
		    (int)strcspn(path, ","), path);
	else
		snprintf(t->path, sizeof(t->path), "pid %d", (int)t->pid);
}

/* A vtpmd by its process id, with the control socket in its command line. */
static int
find_process(const char *pid, struct target *t, struct err *err)
{
	static char line[COMMAND_LINE_MAX];
	ssize_t n = process_is_vtpmd(pid) ?
	    process_read(pid, "cmdline", line, sizeof(line)) : -1;
	const char *address = NULL;

	for (const char *w = line; n > 0 && w < line + n; w += strlen(w) + 1)
		if (strncmp(w, "--ctrl", 6) == 0 && (w[6] == '=' ||
		    w[6] == '\0'))
			address = w + 7;
	if (n <= 0 || (address == NULL && !process_has_listener(pid)))
		return err_set(err, ERR_NOTFOUND, "process %s is not a vtpmd",
		    pid);
	t->pid = (pid_t)strtol(pid, NULL, 10);
	take_path(t, address);
	return 0;
}

/* -- what is said -- */

static json_t *
describe(const struct target *t, const struct answer *a,
    const struct err *why)
{
	json_t *one = json_pack("{s:o, s:b}", "socket",
	    ctl_json_text(t->path), "upgraded", why->code == 0);

	if (t->pid != 0)
		json_object_set_new(one, "pid", json_integer(t->pid));
	if (why->code != 0) {
		json_object_set_new(one, "error", ctl_json_text(why->text));
		return one;
	}
	json_object_set_new(one, "program", ctl_json_text(a->text));
	json_object_set_new(one, "paused_ms",
	    json_real(a->pause_us / 1000.0));
	return one;
}

static void
print(const json_t *one)
{
	if (json_is_true(json_object_get(one, "upgraded")))
		printf("%s: %s, the guest waited %.1f ms\n",
		    ctl_text(one, "socket"), ctl_text(one, "program"),
		    json_number_value(json_object_get(one, "paused_ms")));
	else
		printf("%s: NOT upgraded: %s\n", ctl_text(one, "socket"),
		    ctl_text(one, "error"));
}

/* Adds what became of it to list; the first error stays in *err. */
static void
upgrade(const struct ctl *ctl, const struct target *t, json_t *list,
    struct err *err)
{
	struct err why = { 0 };
	struct answer a;
	json_t *one;

	(void)ask(t, &a, &why);
	one = describe(t, &a, &why);
	if (!ctl->json && (why.code == 0 || all))
		print(one);
	json_array_append_new(list, one);
	if (why.code != 0 && err->code == 0)
		*err = why;
}

static int
upgrade_all(const struct ctl *ctl, json_t *list, struct err *err)
{
	struct dirent *entry;
	DIR *proc = opendir("/proc");
	size_t failed = 0;

	if (proc == NULL)
		return err_sys(err, errno, "cannot list the processes");
	while ((entry = readdir(proc)) != NULL) {
		struct target t = { .pid = 0 };
		struct err why = { 0 };

		if (!process_is_number(entry->d_name) ||
		    !process_is_vtpmd(entry->d_name))
			continue;
		/* One that has ended meanwhile is none to upgrade. */
		if (find_process(entry->d_name, &t, &why) < 0)
			continue;
		upgrade(ctl, &t, list, &why);
		failed += why.code != 0;
	}
	closedir(proc);
	if (failed > 0)
		return err_set(err, ERR_REFUSED, "%zu could not be upgraded "
		    "and go on as they were", failed);
	if (json_array_size(list) == 0 && !ctl->json)
		printf("No vtpmd runs.\n");
	return 0;
}

static int
upgrade_one(const struct ctl *ctl, json_t *list, struct err *err)
{
	const char *what = ctl->operands[0];
	struct target t = { .pid = 0 };
	int rc;

	if (process_is_number(what)) {
		if ((rc = find_process(what, &t, err)) < 0)
			return rc;
	} else {
		snprintf(t.path, sizeof(t.path), "%s", what);
	}
	upgrade(ctl, &t, list, err);
	return err->code;
}

static int
run(struct ctl *ctl, struct err *err)
{
	json_t *list;
	int rc, printed;

	if (all == (ctl->operands[0] != NULL))
		return err_set(err, ERR_USAGE, "give one SOCKET or PID, or "
		    "--all");
	list = json_array();
	rc = all ? upgrade_all(ctl, list, err) : upgrade_one(ctl, list, err);
	if (ctl->json) {
		printed = ctl_print(ctl, list, NULL, rc == 0 ? err : NULL);
		return rc == 0 ? printed : rc;
	}
	json_decref(list);
	return rc;
}

static const struct ctl_option options[] = {
	{ "all", NULL, "every vtpmd that runs on this host", NULL, &all },
	{ NULL, NULL, NULL, NULL, NULL },
};

const struct ctl_command ctl_upgrade = {
	.name = "upgrade",
	.operands = "SOCKET|PID",
	.n_operands = 1,
	.operands_optional = true,
	.summary = "Move a running vTPM onto the installed program",
	.details = "vtpmd goes on as the program that is installed now where "
	    "it was started\nfrom, with the libraries of now. The guest waits "
	    "some milliseconds. If that\nprogram does not take the TPM's "
	    "state, the running one goes on.\n",
	.options = options,
	.run = run,
};
