/* SPDX-License-Identifier: BSD-3-Clause */
/* vtpmctl upgrade: asks running vtpmds to go on as the installed program. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <libtpms/tpm_error.h>

#include "base/buf.h"
#include "base/fdio.h"
#include "vtpm/control.h"
#include "vtpm/vtpmctl.h"

#define ANSWER_TIMEOUT_MS 90000
#define COMMAND_LINE_MAX 65536
#define SOCKET_PATH_SIZE (sizeof(((struct sockaddr_un *)0)->sun_path) + 16)

static bool all;

struct answer {
	uint32_t result, pause_us;
	char text[ERR_TEXT_MAX];
};

static int
connect_to(const char *path, int *fd, struct err *err)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof(to.sun_path))
		return err_set(err, ERR_USAGE, "%s: the path of a socket is "
		    "shorter than that", path);
	memcpy(to.sun_path, path, strlen(path));
	*fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (*fd >= 0 && connect(*fd, (struct sockaddr *)&to, sizeof(to)) == 0)
		return 0;
	if (errno == ECONNREFUSED || errno == ENOENT)
		return err_set(err, ERR_NOTFOUND, "no vtpmd listens on %s",
		    path);
	return err_sys(err, errno, "cannot connect to %s", path);
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
ask(const char *socket, struct answer *a, struct err *err)
{
	static const uint8_t request[] = { CMD_UPGRADE >> 24,
		CMD_UPGRADE >> 16 & 0xff, CMD_UPGRADE >> 8 & 0xff,
		CMD_UPGRADE & 0xff };
	int fd = -1, rc;

	memset(a, 0, sizeof(*a));
	if ((rc = connect_to(socket, &fd, err)) == 0 &&
	    (rc = fdio_write(fd, request, sizeof(request))) == 0)
		rc = read_answer(fd, a, err);
	if (fd >= 0)
		close(fd);
	if (rc == 0 && a->result != 0)
		rc = err_set(err, ERR_REFUSED, "%s", a->text);
	return rc;
}

/* -- which ones -- */

/* The words of a process's command line, one NUL behind each. */
static ssize_t
read_command_line(const char *pid, char *line)
{
	char path[64];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%.20s/cmdline", pid);
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) < 0)
		return -1;
	n = read(fd, line, COMMAND_LINE_MAX - 1);
	close(fd);
	line[n > 0 ? n : 0] = '\0';
	return n;
}

/* The kernel's name of a process; its children have names of their own. */
static bool
is_vtpmd(const char *pid)
{
	char path[64], name[32] = "";
	int fd;

	snprintf(path, sizeof(path), "/proc/%.20s/comm", pid);
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) < 0)
		return false;
	(void)!read(fd, name, sizeof(name) - 1);
	close(fd);
	return strcmp(name, "vtpmd\n") == 0;
}

/* The control socket in a vtpmd's command line, relative ones from where it
 * was started being unknown now. */
static int
socket_of(const char *pid, char *path, size_t size, struct err *err)
{
	static char line[COMMAND_LINE_MAX];
	ssize_t n = is_vtpmd(pid) ? read_command_line(pid, line) : -1;
	const char *address = NULL;

	for (const char *w = line; n > 0 && w < line + n; w += strlen(w) + 1) {
		if (strncmp(w, "--ctrl=", 7) == 0)
			address = w + 7;
		else if (strcmp(w, "--ctrl") == 0)
			address = w + 7;
	}
	if (address == NULL)
		return err_set(err, ERR_NOTFOUND, "process %s is not a vtpmd",
		    pid);
	if (strncmp(address, "unix:", 5) == 0)
		address += 5;
	if (address[0] != '/')
		return err_set(err, ERR_USAGE, "process %s was started with "
		    "the relative path %s: give the socket's path instead",
		    pid, address);
	snprintf(path, size, "%.*s", (int)strcspn(address, ","), address);
	return 0;
}

static bool
is_number(const char *text)
{
	for (const char *c = text; *c != '\0'; c++)
		if (!isdigit((unsigned char)*c))
			return false;
	return *text != '\0';
}

/* -- what is said -- */

static json_t *
describe(const char *socket, const struct answer *a, const struct err *why)
{
	if (why->code != 0)
		return json_pack("{s:s, s:b, s:s}", "socket", socket,
		    "upgraded", 0, "error", why->text);
	return json_pack("{s:s, s:b, s:s, s:f}", "socket", socket,
	    "upgraded", 1, "program", a->text, "paused_ms",
	    a->pause_us / 1000.0);
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
upgrade(const struct ctl *ctl, const char *socket, json_t *list,
    struct err *err)
{
	struct err why = { 0 };
	struct answer a;
	json_t *one;

	(void)ask(socket, &a, &why);
	one = describe(socket, &a, &why);
	if (!ctl->json && (why.code == 0 || all))
		print(one);
	json_array_append_new(list, one);
	if (why.code != 0 && err->code == 0)
		*err = why;
}

static int
upgrade_all(const struct ctl *ctl, json_t *list, struct err *err)
{
	char path[SOCKET_PATH_SIZE];
	struct dirent *entry;
	DIR *proc = opendir("/proc");
	size_t failed = 0;

	if (proc == NULL)
		return err_sys(err, errno, "cannot list the processes");
	while ((entry = readdir(proc)) != NULL) {
		struct err why = { 0 };

		if (!is_number(entry->d_name) || !is_vtpmd(entry->d_name))
			continue;
		if (socket_of(entry->d_name, path, sizeof(path), &why) == 0)
			upgrade(ctl, path, list, &why);
		else if (!ctl->json)
			printf("NOT upgraded: %s\n", why.text);
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
	char path[SOCKET_PATH_SIZE];
	const char *what = ctl->operands[0];
	int rc;

	if (is_number(what)) {
		if ((rc = socket_of(what, path, sizeof(path), err)) < 0)
			return rc;
		what = path;
	}
	upgrade(ctl, what, list, err);
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
