/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/helper.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/fdio.h"

#define ARGUMENTS_MAX 8
#define INPUT_MAX 65536
#define HELPER_SAYS_MAX 512

/* One run of the helper. */
struct run {
	pid_t pid;
	int in, out, said;	/* our ends of its stdin, stdout, stderr */
	int64_t deadline;	/* ms of CLOCK_MONOTONIC */
	uint8_t *answer;
	size_t answer_room, answer_size;
	char says[HELPER_SAYS_MAX];
	size_t says_size;
};

static int64_t
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* In the child, after fork: only async-signal-safe calls. */
static void
child_exec(const struct helper *h, int in, int out, int said, pid_t parent)
{
	/* Nothing of our environment: it may hold what a library obeys. */
	static char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
	char *env[] = { path, NULL };
	const char *argv[ARGUMENTS_MAX + 2] = { h->program };
	sigset_t none;

	for (size_t i = 0; i < ARGUMENTS_MAX && h->arguments[i] != NULL; i++)
		argv[1 + i] = h->arguments[i];
	sigemptyset(&none);
	for (int s = 1; s < NSIG; s++)
		(void)signal(s, SIG_DFL);
	sigprocmask(SIG_SETMASK, &none, NULL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent || dup2(in, 0) < 0 || dup2(out, 1) < 0 ||
	    dup2(said, 2) < 0 || close_range(3, UINT_MAX, 0) < 0)
		_exit(126);
	execve(h->program, (char *const *)(uintptr_t)argv, env);
	_exit(errno == ENOENT ? 127 : 126);
}

/* Descriptors above 2, so that the child's dup2 cannot overwrite one that it
 * still needs. */
static int
pair_open(int pair[2], int kind)
{
	int raw[2];

	if (kind == 0 ? pipe2(raw, O_CLOEXEC) < 0 : socketpair(AF_UNIX,
	    SOCK_STREAM | SOCK_CLOEXEC, 0, raw) < 0)
		return -1;
	for (int i = 0; i < 2; i++) {
		pair[i] = fcntl(raw[i], F_DUPFD_CLOEXEC, 3);
		close(raw[i]);
	}
	return pair[0] < 0 || pair[1] < 0 ? -1 : 0;
}

static void
fd_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static int
run_start(struct run *r, const struct helper *h, struct err *err)
{
	int in[2] = { -1, -1 }, out[2] = { -1, -1 }, said[2] = { -1, -1 };
	pid_t self = getpid();
	int rc = 0;

	/* A socket as its standard input: a helper that died must give us an
	 * error and not SIGPIPE. */
	if (pair_open(in, 1) < 0 || pair_open(out, 0) < 0 ||
	    pair_open(said, 0) < 0) {
		rc = err_sys(err, errno, "cannot make pipes to %s",
		    h->program);
		goto out;
	}
	if ((r->pid = fork()) < 0) {
		rc = err_sys(err, errno, "cannot fork for %s", h->program);
		goto out;
	}
	if (r->pid == 0)
		child_exec(h, in[0], out[1], said[1], self);
	r->in = in[1];
	r->out = out[0];
	r->said = said[0];
	in[1] = out[0] = said[0] = -1;
out:
	for (int i = 0; i < 2; i++) {
		fd_close(&in[i]);
		fd_close(&out[i]);
		fd_close(&said[i]);
	}
	return rc;
}

/* Reads what there is from *fd; closes it at its end. One byte more than
 * there is room for is an overrun. */
static int
take(int *fd, void *data, size_t room, size_t *used)
{
	uint8_t extra;
	ssize_t n = *used < room ?
	    read(*fd, (uint8_t *)data + *used, room - *used) :
	    read(*fd, &extra, 1);

	if (n < 0)
		return errno == EINTR || errno == EAGAIN ? 0 : -1;
	if (n == 0) {
		fd_close(fd);
		return 0;
	}
	if (*used == room)
		return -1;
	*used += (size_t)n;
	return 0;
}

/* Until the helper has closed both its outputs. 0, or -1 when it broke the
 * rules or its time is over. */
static int
run_listen(struct run *r)
{
	while (r->out >= 0 || r->said >= 0) {
		struct pollfd p[] = { { .fd = r->out, .events = POLLIN },
			{ .fd = r->said, .events = POLLIN } };
		int64_t left = r->deadline - now_ms();
		int n = left > 0 ? poll(p, 2, (int)left) : 0;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		if (p[0].revents != 0 && take(&r->out, r->answer,
		    r->answer_room, &r->answer_size) < 0)
			return -1;
		if (p[1].revents == 0)
			continue;
		/* More words than there is room for are dropped. */
		if (take(&r->said, r->says, sizeof(r->says) - 1,
		    &r->says_size) < 0 && r->says_size < sizeof(r->says) - 1)
			return -1;
	}
	return 0;
}

/* Reaps the helper; kills it first if it outstays its time. */
static int
run_reap(struct run *r, int *status)
{
	static const struct timespec nap = { .tv_nsec = 2000000 };
	bool late = false;
	pid_t got;

	while ((got = waitpid(r->pid, status, late ? 0 : WNOHANG)) <= 0) {
		if (got < 0 && errno != EINTR)
			return -1;
		if (got == 0 && now_ms() >= r->deadline) {
			kill(r->pid, SIGKILL);
			late = true;
		} else if (got == 0)
			nanosleep(&nap, NULL);
	}
	return late ? -1 : 0;
}

/* The helper's own words, one line, without its name. */
static const char *
run_words(struct run *r, const char *name)
{
	char *words = r->says;
	size_t n = strlen(name);

	r->says[r->says_size] = '\0';
	r->says[strcspn(r->says, "\n")] = '\0';
	for (char *p = words; *p != '\0'; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = ' ';
	if (strncmp(words, name, n) == 0 && words[n] == ':')
		words += n + 1 + (words[n + 1] == ' ');
	return words;
}

static int
run_judge(struct run *r, const struct helper *h, int status, struct err *err)
{
	/* By err_exit_status; wrong usage of it is our fault. */
	static const struct {
		int exit_status, code;
	} codes[] = { { 2, ERR_INTERNAL }, { 3, ERR_NOTFOUND }, { 4, ERR_KEY },
		{ 5, ERR_STALE }, { 6, ERR_FORMAT }, { 7, ERR_BUSY },
		{ 8, ERR_EXISTS } };
	const char *words = run_words(r, h->name);

	if (!WIFEXITED(status))
		return err_set(err, ERR_TPM, "%s was ended by signal %d",
		    h->program, WTERMSIG(status));
	if (WEXITSTATUS(status) == 0)
		return 0;
	if (WEXITSTATUS(status) == 127 || WEXITSTATUS(status) == 126)
		return err_set(err, ERR_TPM, "cannot run %s, %s", h->program,
		    h->missing);
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (WEXITSTATUS(status) == codes[i].exit_status)
			return err_set(err, codes[i].code, "%s", words);
	if (words[0] == '\0')
		return err_set(err, ERR_TPM, "%s failed and did not say why",
		    h->name);
	return err_set(err, ERR_TPM, "%s", words);
}

int
helper_run(const struct helper *h, const void *input, size_t input_size,
    uint8_t *answer, size_t room, size_t *size, struct err *err)
{
	struct run r = { .in = -1, .out = -1, .said = -1, .answer = answer,
		.answer_room = room };
	int status = 0, heard, rc;

	if (input_size > INPUT_MAX)
		return err_set(err, ERR_USAGE, "%zu bytes for %s, which takes "
		    "%d", input_size, h->program, INPUT_MAX);
	r.deadline = now_ms() + h->timeout_ms;
	if ((rc = run_start(&r, h, err)) < 0)
		return rc;
	/* A helper that ends early says why; so go on and hear it. The input is
	 * smaller than a socket's buffer, so this does not block. */
	(void)fdio_send(r.in, input, input_size, -1);
	fd_close(&r.in);
	if ((heard = run_listen(&r)) < 0)
		r.deadline = 0;
	if (run_reap(&r, &status) < 0 || heard < 0)
		rc = err_set(err, ERR_TPM, "%s did not finish in %d s or said "
		    "too much: is the host's TPM in use by another program?",
		    h->program, h->timeout_ms / 1000);
	else
		rc = run_judge(&r, h, status, err);
	fd_close(&r.out);
	fd_close(&r.said);
	*size = rc == 0 ? r.answer_size : 0;
	return rc;
}
