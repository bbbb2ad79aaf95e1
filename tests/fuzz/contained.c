/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/fuzz/contained.h"

#include <dlfcn.h>
#include <errno.h>
#include <openssl/evp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "tests/fuzz/fail.h"

#define CHILD_SECONDS 20
#define SHA1_SIZE 20u

/* libFuzzer's counters (clang's SanitizerCoverage, "Inline 8bit-counters"), by
 * the names that the linker gives a section's ends; NULL where there are none.
 * AFL++ shares its own with its children. */
extern uint8_t counters[] __asm__("__start___sancov_cntrs")
    __attribute__((weak, visibility("hidden")));
extern uint8_t counters_end[] __asm__("__stop___sancov_cntrs")
    __attribute__((weak, visibility("hidden")));

static uint8_t *shared;		/* where a child leaves its counters */

static size_t
counters_size(void)
{
	return (size_t)((uintptr_t)counters_end - (uintptr_t)counters);
}

static _Noreturn void
end_child(void)
{
	if (counters_size() > 0)
		memcpy(shared, counters, counters_size());
	_exit(0);
}

static void
on_crash(int sig, siginfo_t *info, void *context)
{
	const ucontext_t *u = context;
	Dl_info where;

	(void)info;
	if (dladdr((void *)u->uc_mcontext.gregs[REG_RIP], &where) != 0 &&
	    (strstr(where.dli_fname, "libtpms") != NULL ||
	    strstr(where.dli_fname, "libcrypto") != NULL))
		end_child();
	signal(sig, SIG_DFL);
}

static void
expect_crashes(void)
{
	struct sigaction crash = { .sa_sigaction = on_crash,
		.sa_flags = SA_SIGINFO };

	sigaction(SIGSEGV, &crash, NULL);
	sigaction(SIGBUS, &crash, NULL);
	sigaction(SIGFPE, &crash, NULL);
	alarm(CHILD_SECONDS);
}

void
contained_run(void (*run)(void *), void *arg)
{
	int status = -1;
	pid_t child, gone;

	if (counters_size() > 0 && shared == NULL) {
		shared = mmap(NULL, counters_size(), PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		FUZZ_ASSERT(shared != MAP_FAILED);
	}
	if ((child = fork()) == 0) {
		expect_crashes();
		run(arg);
		end_child();
	}
	/* libFuzzer's timer interrupts. */
	do
		gone = waitpid(child, &status, 0);
	while (gone < 0 && errno == EINTR);
	FUZZ_ASSERT(child > 0 && gone == child);
	FUZZ_ASSERT(status == 0);
	if (counters_size() > 0)
		memcpy(counters, shared, counters_size());
}

void
volatile_checksum(uint8_t *state, size_t size)
{
	if (size < SHA1_SIZE)
		return;
	FUZZ_ASSERT(EVP_Q_digest(NULL, "SHA1", NULL, state, size - SHA1_SIZE,
	    state + size - SHA1_SIZE, NULL) == 1);
}
