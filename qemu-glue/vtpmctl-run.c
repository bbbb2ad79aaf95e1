/* SPDX-License-Identifier: BSD-3-Clause */
#include <config.h>

#include "qemu-glue/vtpmctl-run.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "qemu-glue/swtpm-key.h"

#define PROGRAM "vtpmctl"
#define PLACE "fd=PASSPHRASE"

/* All of argv, with the descriptor's number in its place. */
static void
complete(struct argv *full, const struct argv *argv, int fd)
{
	argv_add(full, PROGRAM);
	for (size_t i = 0; i < argv->count; i++) {
		const char *word = argv->words[i], *at = strstr(word, PLACE);

		if (at != NULL && at[sizeof(PLACE) - 1] == '\0')
			argv_addf(full, "%.*sfd=%d", (int)(at - word), word,
			    fd);
		else
			argv_add(full, word);
	}
	full->failed |= argv->failed;
}

static _Noreturn void
execute(const struct argv *full, int out, int errors)
{
	sigset_t none;

	if (out < 0)
		out = open("/dev/null", O_WRONLY);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	dup2(out, STDOUT_FILENO);
	dup2(errors, STDERR_FILENO);
	execvp(PROGRAM, full->words);
	execv(BINDIR "/" PROGRAM, full->words);
	dprintf(STDERR_FILENO, "cannot execute " PROGRAM ": %s\n",
	    strerror(errno));
	_exit(127);
}

/* vtpmctl's last words, without its name before them. */
static int
judge(int status, char *text, struct err *err)
{
	static const char name[] = PROGRAM ": ";
	char *start = text;

	text[strcspn(text, "\n")] = '\0';
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		if (*text != '\0')
			fprintf(stderr, "%s\n", text);
		return 0;
	}
	if (strncmp(start, name, sizeof(name) - 1) == 0)
		start += sizeof(name) - 1;
	return err_set(err, ERR_SYSTEM, "%s", *start != '\0' ? start :
	    PROGRAM " has failed");
}

static int
wait_for(pid_t pid, int errors, struct err *err)
{
	char text[ERR_TEXT_MAX] = "", rest[256] = "";
	size_t have = 0;
	int status = 0;
	ssize_t n;

	while ((n = read(errors, have < sizeof(text) - 1 ? text + have : rest,
	    have < sizeof(text) - 1 ? sizeof(text) - 1 - have :
	    sizeof(rest))) > 0 || (n < 0 && errno == EINTR))
		if (n > 0 && have < sizeof(text) - 1)
			have += (size_t)n;
	text[have] = '\0';
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_sys(err, errno, "cannot wait for " PROGRAM);
	return judge(status, text, err);
}

int
vtpmctl_run(const struct argv *argv, const struct secret *passphrase, int out,
    struct err *err)
{
	struct argv full = { 0 };
	int errors[2] = { -1, -1 }, fd = -1, rc = 0;
	pid_t pid;

	if (passphrase != NULL &&
	    (rc = swtpm_key_descriptor(passphrase, &fd, err)) < 0)
		goto out;
	complete(&full, argv, fd);
	if (full.failed) {
		rc = err_set(err, ERR_INTERNAL, "out of memory");
		goto out;
	}
	if (pipe2(errors, O_CLOEXEC) < 0 || (pid = fork()) < 0) {
		rc = err_sys(err, errno, "cannot run " PROGRAM);
		goto out;
	}
	if (pid == 0)
		execute(&full, out, errors[1]);
	close(errors[1]);
	errors[1] = -1;
	rc = wait_for(pid, errors[0], err);
out:
	for (size_t i = 0; i < 2; i++)
		if (errors[i] >= 0)
			close(errors[i]);
	if (fd >= 0)
		close(fd);
	argv_free(&full);
	return rc;
}
