/* SPDX-License-Identifier: BSD-3-Clause */
#include "bench/raw-server.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/cpu.h"

struct raw_server {
	pid_t pid;
	int fd;
};

static _Noreturn void
serve(struct raw *r, int fd)
{
	uint8_t kind;
	double us;

	while (read(fd, &kind, 1) == 1) {
		int rc = kind == RAW_ATTESTATION ?
		    raw_attestation(r, 1, &us, NULL) :
		    raw_release(r, 1, &us, NULL);

		if (rc < 0 || write(fd, &us, sizeof(us)) != sizeof(us))
			break;
	}
	_exit(0);
}

int
raw_server_start(struct raw *r, int cpu, struct raw_server **out,
    struct err *err)
{
	struct raw_server *s = calloc(1, sizeof(*s));
	int fds[2];

	if (s == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0 ||
	    (s->pid = fork()) < 0) {
		free(s);
		return err_sys(err, errno, "cannot start a process");
	}
	if (s->pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(fds[0]);
		if (cpu >= 0)
			(void)cpu_pin(cpu, NULL);
		serve(r, fds[1]);
	}
	close(fds[1]);
	s->fd = fds[0];
	*out = s;
	return 0;
}

void
raw_server_stop(struct raw_server *s)
{
	if (s == NULL)
		return;
	close(s->fd);
	(void)waitpid(s->pid, NULL, 0);
	free(s);
}

int
raw_server_ask(struct raw_server *s, enum raw_kind kind, double *us,
    struct err *err)
{
	uint8_t what = (uint8_t)kind;

	if (write(s->fd, &what, 1) != 1 ||
	    read(s->fd, us, sizeof(*us)) != sizeof(*us))
		return err_set(err, ERR_CRYPTO, "OpenSSL's operations fail in "
		    "their process");
	return 0;
}
