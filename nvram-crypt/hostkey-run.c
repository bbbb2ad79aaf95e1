/* SPDX-License-Identifier: BSD-3-Clause */
#include "nvram-crypt/hostkey-run.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/fdio.h"

#define HELPER LIBEXECDIR "/vtpm-hostkey"
/* A discrete TPM takes about a second for two primaries and a load; a busy
 * resource manager a few more. */
#define HELPER_TIMEOUT_MS 30000
#define HELPER_SAYS_MAX 512
#define KEY_MAX 32

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
child_exec(const char *helper, const char *tcti, const char *command, int in,
    int out, int said, pid_t parent)
{
	/* Nothing of our environment: it may hold what a library obeys. */
	static char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
	char *env[] = { path, NULL };
	const char *argv[] = { helper, command, NULL, NULL, NULL };
	sigset_t none;

	if (tcti != NULL) {
		argv[1] = "--tcti";
		argv[2] = tcti;
		argv[3] = command;
	}
	sigemptyset(&none);
	for (int s = 1; s < NSIG; s++)
		(void)signal(s, SIG_DFL);
	sigprocmask(SIG_SETMASK, &none, NULL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent || dup2(in, 0) < 0 || dup2(out, 1) < 0 ||
	    dup2(said, 2) < 0 || close_range(3, UINT_MAX, 0) < 0)
		_exit(126);
	execve(helper, (char *const *)(uintptr_t)argv, env);
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
run_start(struct run *r, const struct native_config *config,
    const char *command, struct err *err)
{
	const char *helper = config->helper != NULL ? config->helper : HELPER;
	int in[2] = { -1, -1 }, out[2] = { -1, -1 }, said[2] = { -1, -1 };
	pid_t self = getpid();
	int rc = 0;

	/* A socket as its standard input: a helper that died must give us an
	 * error and not SIGPIPE. */
	if (pair_open(in, 1) < 0 || pair_open(out, 0) < 0 ||
	    pair_open(said, 0) < 0) {
		rc = err_sys(err, errno, "cannot make pipes to %s", helper);
		goto out;
	}
	if ((r->pid = fork()) < 0) {
		rc = err_sys(err, errno, "cannot fork for %s", helper);
		goto out;
	}
	if (r->pid == 0)
		child_exec(helper, config->tcti, command, in[0], out[1],
		    said[1], self);
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
run_words(struct run *r)
{
	static const char name[] = "vtpm-hostkey: ";
	char *words = r->says;

	r->says[r->says_size] = '\0';
	r->says[strcspn(r->says, "\n")] = '\0';
	for (char *p = words; *p != '\0'; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = ' ';
	if (strncmp(words, name, sizeof(name) - 1) == 0)
		words += sizeof(name) - 1;
	return words;
}

static int
run_judge(struct run *r, const char *helper, int status, struct err *err)
{
	static const struct {
		int exit_status, code;
	} codes[] = { { 4, ERR_KEY }, { 6, ERR_FORMAT }, { 2, ERR_INTERNAL } };
	const char *words = run_words(r);

	if (!WIFEXITED(status))
		return err_set(err, ERR_TPM, "%s was ended by signal %d", helper,
		    WTERMSIG(status));
	if (WEXITSTATUS(status) == 0)
		return 0;
	if (WEXITSTATUS(status) == 127 || WEXITSTATUS(status) == 126)
		return err_set(err, ERR_TPM, "cannot run %s, which talks to "
		    "the host's TPM: install it, or set key=file", helper);
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (WEXITSTATUS(status) == codes[i].exit_status)
			return err_set(err, codes[i].code, "%s", words);
	return err_set(err, ERR_TPM, "%s", words[0] != '\0' ? words :
	    "vtpm-hostkey failed and did not say why");
}

/* Runs the helper with data on its standard input. */
static int
run(struct run *r, const struct native_config *config, const char *command,
    const void *data, size_t size, struct err *err)
{
	const char *helper = config->helper != NULL ? config->helper : HELPER;
	int status = 0, heard, rc;

	r->in = r->out = r->said = -1;
	r->deadline = now_ms() + HELPER_TIMEOUT_MS;
	if ((rc = run_start(r, config, command, err)) < 0)
		return rc;
	/* A helper that ends early says why; so go on and hear it. The data is
	 * far smaller than a socket's buffer, so this does not block. */
	(void)fdio_send(r->in, data, size, -1);
	fd_close(&r->in);
	if ((heard = run_listen(r)) < 0)
		r->deadline = 0;
	if (run_reap(r, &status) < 0 || heard < 0)
		rc = err_set(err, ERR_TPM, "%s did not finish in %d s or said "
		    "too much: is the host's TPM in use by another program?",
		    helper, HELPER_TIMEOUT_MS / 1000);
	else
		rc = run_judge(r, helper, status, err);
	fd_close(&r->out);
	fd_close(&r->said);
	return rc;
}

int
hostkey_seal(const struct native_config *config, const struct secret *key,
    uint8_t blob[HOSTKEY_BLOB_MAX], size_t *size, struct err *err)
{
	struct run r = { .answer = blob, .answer_room = HOSTKEY_BLOB_MAX };
	int rc;

	rc = run(&r, config, "seal", secret_bytes(key), secret_size(key), err);
	if (rc < 0)
		return rc;
	if (r.answer_size == 0)
		return err_set(err, ERR_TPM, "vtpm-hostkey gave nothing");
	*size = r.answer_size;
	return 0;
}

int
hostkey_unseal(const struct native_config *config, const uint8_t *blob,
    size_t size, struct secret **key, struct err *err)
{
	struct secret *s = secret_new(KEY_MAX);
	struct run r = { .answer_room = KEY_MAX };
	int rc;

	if (s == NULL)
		return err_sys(err, errno, "cannot lock memory for a key "
		    "(raise the memlock limit)");
	r.answer = secret_data(s);
	if ((rc = run(&r, config, "unseal", blob, size, err)) < 0) {
		secret_free(s);
		return rc;
	}
	secret_truncate(s, r.answer_size);
	*key = s;
	return 0;
}
