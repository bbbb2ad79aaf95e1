/* SPDX-License-Identifier: BSD-3-Clause */
/* Whether a process has ended, told by processes that have and have not; and
 * what the owner record of an nvram file says of it. */
#include <criterion/criterion.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/process.h"
#include "nvram-crypt/nvram-internal.h"

/* One that sleeps until it is killed. */
static pid_t
sleeper(void)
{
	pid_t pid = fork();

	if (pid == 0)
		for (;;)
			pause();
	return pid;
}

static bool
record_tells_end(const char *format, long pid)
{
	char owner[NVRAM_OWNER_SIZE] = "", host[HOST_NAME_MAX + 1] = "";

	cr_assert_eq(gethostname(host, sizeof(host) - 1), 0);
	snprintf(owner, sizeof(owner), format, host, pid);
	return nvram_owner_has_ended(owner);
}

Test(process, living)
{
	pid_t pid = sleeper();

	cr_expect_not(process_has_ended(getpid()));
	cr_expect_not(process_has_ended(pid));
	cr_expect_not(process_has_ended(1));
	/* Stopped is not ended. */
	kill(pid, SIGSTOP);
	cr_expect_eq(waitpid(pid, NULL, WUNTRACED), pid);
	cr_expect_not(process_has_ended(pid));
	kill(pid, SIGKILL);
	cr_expect_eq(waitpid(pid, NULL, 0), pid);
}

/* From the moment on that kill(2) has returned. */
Test(process, killed)
{
	for (int i = 0; i < 200; i++) {
		pid_t pid = sleeper();

		kill(pid, SIGKILL);
		cr_assert(process_has_ended(pid), "round %d", i);
		cr_expect_eq(waitpid(pid, NULL, 0), pid);
		cr_assert(process_has_ended(pid), "round %d", i);
	}
}

Test(process, ended)
{
	siginfo_t info;
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	/* A zombie, waitid(2). */
	cr_assert_eq(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	cr_expect(process_has_ended(pid));
	cr_expect_eq(waitpid(pid, NULL, 0), pid);
	cr_expect(process_has_ended(pid));
	cr_expect(process_has_ended(0));
	cr_expect(process_has_ended(-1));
}

Test(process, wait_is_bounded)
{
	unsigned int waited = 0, tries = 0;

	while (process_wait_for_leaving(&waited, 50))
		tries++;
	cr_expect(tries > 0 && tries <= 50);
}

Test(process, owner_record)
{
	pid_t pid = sleeper();
	char owner[NVRAM_OWNER_SIZE];

	cr_expect_not(record_tells_end("host %s, process %ld", pid));
	kill(pid, SIGKILL);
	cr_expect_eq(waitpid(pid, NULL, 0), pid);
	cr_expect(record_tells_end("host %s, process %ld", pid));
	/* Another host's process cannot be looked at. */
	cr_expect_not(record_tells_end("host not-%s, process %ld", pid));
	/* What no owner writes. */
	cr_expect_not(record_tells_end("host %s, process %ldx", pid));
	cr_expect_not(record_tells_end("host %s, process 0%ld", pid));
	cr_expect_not(record_tells_end("host %s, process -%ld", pid));
	cr_expect_not(record_tells_end("host %s, process %ld", LONG_MAX));
	cr_expect_not(record_tells_end("host %s", pid));
	memset(owner, 0, sizeof(owner));
	cr_expect_not(nvram_owner_has_ended(owner));
}
