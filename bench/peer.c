/* SPDX-License-Identifier: BSD-3-Clause */
#include "bench/peer.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench/wire.h"

#define RUNNING_MAX 512
#define LISTEN_TIMEOUT_US 20e6
/* Between looks whether the socket is there: little beside a start, and not so
 * little that the looking itself takes the processor. */
#define LOOK_EVERY_NS 50000
#define PATH 64

static pid_t running[RUNNING_MAX];

static void
note_running(pid_t was, pid_t is)
{
	for (size_t i = 0; i < RUNNING_MAX; i++)
		if (running[i] == was) {
			running[i] = is;
			return;
		}
}

void
peer_kill_all(void)
{
	for (size_t i = 0; i < RUNNING_MAX; i++)
		if (running[i] != 0)
			kill(running[i], SIGKILL);
}

static pid_t
spawn(const char *const *argv)
{
	pid_t pid = fork();
	int log;

	if (pid != 0)
		return pid;
	log = open("log", O_WRONLY | O_CREAT | O_APPEND, 0600);
	if (log < 0 || dup2(log, 1) < 0 || dup2(log, 2) < 0)
		_exit(127);
	execvp(argv[0], (char *const *)(uintptr_t)argv);
	_exit(127);
}

int
run(const char *const *argv, struct err *err)
{
	pid_t pid = spawn(argv);
	int status;

	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return err_sys(err, errno, "cannot run %s", argv[0]);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return err_set(err, ERR_NOTFOUND, "%s is not there", argv[0]);
	if (status != 0)
		return err_set(err, ERR_SYSTEM, "%s failed, see its log",
		    argv[0]);
	return 0;
}

struct peer
peer_named(const struct bench *b, enum peer_kind kind, const char *name)
{
	struct peer p = { .bench = b, .kind = kind, .ctrl = -1, .data = -1 };

	snprintf(p.name, sizeof(p.name), "%s", name);
	snprintf(p.socket, sizeof(p.socket), "%s", name);
	return p;
}

/* Behind the arguments that argv, which has room, begins with. */
static void
add_options(const char **argv, const char *const *options)
{
	size_t at = 0;

	while (argv[at] != NULL)
		at++;
	for (size_t i = 0; options != NULL && options[i] != NULL &&
	    i < PEER_OPTIONS; i++)
		argv[at++] = options[i];
}

int
peer_create(const struct peer *p, const char *option, const char *value,
    struct err *err)
{
	const char *options[] = { option, value, NULL };

	return peer_create_with(p, options, err);
}

int
peer_create_with(const struct peer *p, const char *const *options,
    struct err *err)
{
	const char *swtpm[12 + PEER_OPTIONS] = { "swtpm_setup", "--tpm2",
		"--tpm-state", p->name, "--config", "swtpm_setup.conf",
		"--createek", "--create-ek-cert", "--create-platform-cert",
		"--lock-nvram", "--not-overwrite" };
	const char *vtpmctl[4 + PEER_OPTIONS] = { p->bench->vtpmctl,
		"create", p->name };
	const char *mkdir[] = { "mkdir", "-p", p->name, NULL };
	int rc;

	add_options(vtpmctl, options);
	add_options(swtpm, options);
	if (p->kind == PEER_VTPMD)
		return run(vtpmctl, err);
	if ((rc = run(mkdir, err)) < 0)
		return rc;
	return run(swtpm, err);
}

int
peer_copy(const struct peer *from, const struct peer *to, struct err *err)
{
	const char *cp[] = { "cp", "-r", from->name, to->name, NULL };

	return run(cp, err);
}

static int
try_connect(const char *path, int *fd)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	if (s >= 0 && connect(s, (struct sockaddr *)&sa, sizeof(sa)) == 0) {
		*fd = s;
		return 0;
	}
	if (s >= 0)
		close(s);
	return ERR_NOTFOUND;
}

static int
wait_listening(struct peer *p, const char *path, struct err *err)
{
	struct timespec pause = { .tv_nsec = LOOK_EVERY_NS };
	double end = now_us() + LISTEN_TIMEOUT_US;

	while (try_connect(path, &p->ctrl) < 0) {
		int status;

		if (waitpid(p->pid, &status, WNOHANG) == p->pid) {
			note_running(p->pid, 0);
			p->pid = 0;
			return err_set(err, ERR_SYSTEM,
			    "%s does not start, see its log", p->name);
		}
		if (now_us() > end)
			return err_set(err, ERR_SYSTEM,
			    "%s does not listen", p->name);
		nanosleep(&pause, NULL);
	}
	return 0;
}

int
peer_start(struct peer *p, struct err *err)
{
	char path[PATH], address[2 * PATH], dir[PATH];
	size_t at = 6;
	const char *vtpmd[11 + PEER_OPTIONS] = { p->bench->vtpmd, "--nvram",
		p->name, "--ctrl", address, "--terminate" };
	const char *swtpm[9 + PEER_OPTIONS] = { "swtpm", "socket", "--tpm2",
		"--tpmstate", dir, "--ctrl", address, "--terminate" };

	/* The user is one that every system has in /etc/passwd, as an installed
	 * vtpmd has its own; looking for one that is not there takes longer. */
	if (geteuid() == 0) {
		vtpmd[at++] = "--user";
		vtpmd[at++] = "nobody";
	}
	if (p->config != NULL) {
		vtpmd[at++] = "--config";
		vtpmd[at] = p->config;
	}
	add_options(vtpmd, p->options);
	add_options(swtpm, p->options);
	snprintf(path, sizeof(path), "%s.sock", p->socket);
	snprintf(dir, sizeof(dir), "dir=%s", p->name);
	snprintf(address, sizeof(address), p->kind == PEER_VTPMD ?
	    "unix:%s" : "type=unixio,path=%s", path);
	unlink(path);
	if ((p->pid = spawn(p->kind == PEER_VTPMD ? vtpmd : swtpm)) < 0) {
		p->pid = 0;
		return err_sys(err, errno, "cannot start %s", p->name);
	}
	note_running(0, p->pid);
	return wait_listening(p, path, err);
}

int
peer_power_on(struct peer *p, struct err *err)
{
	struct command startup;
	int rc;

	command_startup(&startup);
	if ((rc = peer_start(p, err)) < 0 ||
	    (rc = ctrl_data_fd(p->ctrl, &p->data, err)) < 0 ||
	    (rc = ctrl_init(p->ctrl, err)) < 0 ||
	    (rc = command_run(p->data, &startup, NULL, err)) < 0)
		return err_prefix(err, "powering on %s", p->name);
	return 0;
}

int
peer_use(const struct peer *p, struct err *err)
{
	struct command c[3];

	command_get_random(&c[0], 32);
	command_pcr_extend(&c[1]);
	command_pcr_read(&c[2]);
	for (size_t i = 0; i < 3; i++)
		if (command_run(p->data, &c[i], NULL, err) < 0)
			return err_prefix(err, "%s", p->name);
	return 0;
}

void
peer_stop(struct peer *p)
{
	char path[PATH];

	if (p->data >= 0)
		close(p->data);
	if (p->pid != 0) {
		kill(p->pid, SIGTERM);
		waitpid(p->pid, NULL, 0);
		note_running(p->pid, 0);
	}
	if (p->ctrl >= 0)
		close(p->ctrl);
	snprintf(path, sizeof(path), "%s.sock", p->socket);
	unlink(path);
	p->pid = 0;
	p->data = p->ctrl = -1;
}
