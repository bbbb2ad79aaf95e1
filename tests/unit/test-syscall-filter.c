/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the kernel makes of the filters, call by call, in a child that runs
 * under them. What a list allows is answered with an errno of its own there, so
 * that no call really happens.
 */
#include <config.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vtpm/sandbox.h"
#include "vtpm/syscall-filter.h"
#include "vtpm/worker.h"

#define NUMBERS 512
#define ALLOWED 901	/* errno values that no call gives */
#define KILLED 902

/* x86-64 with the kernel's own numbers, so that no table is compared with
 * itself: arch/x86/entry/syscalls/syscall_64.tbl. Those below it are let
 * through by their arguments. */
#if defined(__x86_64__) && !defined(SANITIZERS)

static const short worker_calls[] = { 0, 1, 47, 46, 7, 271, 3, 48, 8, 202, 12,
	11, 25, 28, 318, 228, 96, 39, 186, 15, 14, 219, 60, 231, 45, 307 };
static const short worker_refuses[] = { 5, 262, 16 };
static const short monitor_calls[] = { 0, 1, 47, 46, 7, 271, 3, 48, 8, 202, 12,
	11, 25, 28, 318, 228, 96, 39, 186, 15, 14, 219, 60, 231, 288, 17, 18,
	75, 5, 262, 72, 325, 150, 44, 61, 230, 35, 13, 55, 319, 77, 53 };
/* uretprobe and uprobe: the kernel lets them past every filter
 * (__secure_computing in kernel/seccomp.c) and answers with SIGILL. */
#define UNFILTERED(n) ((n) == 335 || (n) == 336)
#define MMAP 9
#define MPROTECT 10
#define KILL 62
#define TGKILL 234

/* Shared with the child. */
struct results {
	short of[NUMBERS];
	bool done;
};

static struct results *results;

/* Actions that end the process become an errno too. */
static void
soften(struct syscall_filter *f)
{
	for (size_t i = 0; i < f->n; i++)
		if (f->rules[i].action == SECCOMP_RET_ALLOW)
			f->rules[i].action = SECCOMP_RET_ERRNO | ALLOWED;
	if (f->otherwise == SECCOMP_RET_KILL_PROCESS)
		f->otherwise = SECCOMP_RET_ERRNO | KILLED;
}

static long
raw(long number, unsigned long a, unsigned long b, unsigned long c)
{
	long rc;

	/* Not syscall(3): its errno and cancellation are of no use here. */
	__asm__ volatile("syscall" : "=a"(rc) : "a"(number), "D"(a), "S"(b),
	    "d"(c) : "rcx", "r11", "memory");
	return rc;
}

/* All calls with these arguments. The child ends without a call. */
static void
ask_kernel(const struct syscall_filter *list, unsigned long a, unsigned long b,
    unsigned long c)
{
	struct syscall_filter f = *list;
	int status;
	pid_t pid;

	results = mmap(NULL, sizeof(*results), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	cr_assert_neq(results, MAP_FAILED);
	soften(&f);
	cr_assert_geq(pid = fork(), 0);
	if (pid == 0) {
		signal(SIGILL, SIG_DFL);
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
		    syscall_filter_load(&f, NULL) < 0)
			_exit(1);
		for (long n = 0; n < NUMBERS; n++)
			if (!UNFILTERED(n))
				results->of[n] = (short)-raw(n, a, b, c);
		results->done = true;
		__builtin_trap();
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGILL);
	cr_assert(results->done);
}

static bool
is_in(long number, const short *calls, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (calls[i] == number)
			return true;
	return false;
}

#define COUNT(a) (sizeof(a) / sizeof(*(a)))

static void
check_worker(bool executable, bool may_park)
{
	for (long n = 0; n < NUMBERS; n++) {
		short expected = KILLED;

		if (UNFILTERED(n))
			continue;
		if (is_in(n, worker_calls, COUNT(worker_calls)) ||
		    ((n == MMAP || n == MPROTECT) && !executable) ||
		    (n == TGKILL && may_park))
			expected = ALLOWED;
		if (is_in(n, worker_refuses, COUNT(worker_refuses)))
			expected = EBADF;
		cr_expect_eq(results->of[n], expected, "call %ld: %d, not %d",
		    n, results->of[n], expected);
	}
}

static void
check_monitor(bool executable, bool may_kill)
{
	for (long n = 0; n < NUMBERS; n++) {
		short expected = EPERM;

		if (UNFILTERED(n))
			continue;
		if (is_in(n, monitor_calls, COUNT(monitor_calls)) ||
		    ((n == MMAP || n == MPROTECT) && !executable) ||
		    (n == KILL && may_kill))
			expected = ALLOWED;
		cr_expect_eq(results->of[n], expected, "call %ld: %d, not %d",
		    n, results->of[n], expected);
	}
}

Test(syscall_filter, worker)
{
	struct syscall_filter f;

	sandbox_filter_worker(&f);
	ask_kernel(&f, 0, 0, PROT_READ | PROT_WRITE);
	check_worker(false, false);
	ask_kernel(&f, PROT_EXEC, PROT_EXEC, PROT_READ | PROT_EXEC);
	check_worker(true, false);
	ask_kernel(&f, 1, 1, WORKER_PARK_SIGNAL | PROT_EXEC);
	check_worker(true, true);
	ask_kernel(&f, WORKER_PARK_SIGNAL, WORKER_PARK_SIGNAL, SIGABRT);
	check_worker(true, false);
	ask_kernel(&f, ~0ul, ~0ul, ~0ul & ~(unsigned long)PROT_EXEC);
	check_worker(false, false);
}

Test(syscall_filter, monitor)
{
	struct syscall_filter f;

	sandbox_filter_monitor(&f);
	ask_kernel(&f, 1, WORKER_CANCEL_SIGNAL, PROT_READ);
	check_monitor(false, true);
	ask_kernel(&f, WORKER_CANCEL_SIGNAL, SIGKILL, PROT_EXEC);
	check_monitor(true, false);
	ask_kernel(&f, 1, 0, WORKER_CANCEL_SIGNAL | PROT_EXEC);
	check_monitor(true, false);
	/* The kernel would take the low half for the signal. */
	ask_kernel(&f, 1, 1ul << 32 | WORKER_CANCEL_SIGNAL, PROT_READ);
	check_monitor(false, false);
}

/* How a child ends that makes one call in another ABI. */
static int
foreign_call(bool i386)
{
	struct syscall_filter f;
	int status;
	pid_t pid;

	syscall_filter_start(&f, SECCOMP_RET_ALLOW);
	cr_assert_geq(pid = fork(), 0);
	if (pid == 0) {
		long rc = 20;	/* i386's getpid */

		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
		    syscall_filter_load(&f, NULL) < 0)
			_exit(1);
		if (i386)
			__asm__ volatile("int $0x80" : "+a"(rc) : :
			    "memory");
		else
			(void)raw(0x40000000 | 39, 0, 0, 0);
		_exit(0);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return status;
}

Test(syscall_filter, other_numbers)
{
	int status = foreign_call(false);

	cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
	status = foreign_call(true);
	/* SIGSEGV: a kernel without i386's calls at all. */
	cr_assert(WIFSIGNALED(status) && (WTERMSIG(status) == SIGSYS ||
	    WTERMSIG(status) == SIGSEGV));
}

/* A list of what is forbidden, with the edges of the numbers in it. */
Test(syscall_filter, deny_list)
{
	static const int denied[] = { 0, 1, 3, NUMBERS - 1, 77 };
	struct syscall_filter f;

	syscall_filter_start(&f, SECCOMP_RET_ERRNO | ALLOWED);
	syscall_filter_add(&f, SECCOMP_RET_ERRNO | EACCES, denied,
	    COUNT(denied));
	ask_kernel(&f, 0, 0, 0);
	for (int n = 0; n < NUMBERS; n++) {
		bool found = false;

		for (size_t i = 0; i < COUNT(denied); i++)
			found = found || denied[i] == n;
		if (UNFILTERED(n))
			continue;
		cr_expect_eq(results->of[n], found ? EACCES : ALLOWED,
		    "call %d: %d", n, results->of[n]);
	}
}

/* Another thread, which does nothing but wait to try. */
static void *
try_getppid(void *go)
{
	while (!*(volatile bool *)go)
		;
	return (void *)(intptr_t)-raw(SYS_getppid, 0, 0, 0);
}

Test(syscall_filter, every_thread)
{
	static const int denied[] = { SYS_getppid };
	volatile bool go = false;
	struct syscall_filter f;
	pthread_t thread;
	void *got;

	cr_assert_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	cr_assert_eq(pthread_create(&thread, NULL, try_getppid,
	    (void *)(uintptr_t)&go), 0);
	syscall_filter_start(&f, SECCOMP_RET_ALLOW);
	syscall_filter_add(&f, SECCOMP_RET_ERRNO | ALLOWED, denied, 1);
	cr_assert_eq(syscall_filter_load(&f, NULL), 0);
	go = true;
	cr_assert_eq(pthread_join(thread, &got), 0);
	cr_assert_eq((intptr_t)got, ALLOWED);
}

#endif	/* __x86_64__ && !SANITIZERS */

Test(syscall_filter, mistakes)
{
	struct sock_filter code[SYSCALL_CODE_MAX];
	static const int twice[] = { 5, 7, 5 };
	struct err err = { 0 };
	struct syscall_filter f;

	syscall_filter_start(&f, SECCOMP_RET_ALLOW);
	syscall_filter_add(&f, SECCOMP_RET_KILL_PROCESS, twice, 3);
	cr_assert_eq(syscall_filter_assemble(&f, code, &err), ERR_INTERNAL);
	cr_assert_not_null(strstr(err.text, "5 is twice"), "%s", err.text);
	syscall_filter_start(&f, SECCOMP_RET_ALLOW);
	for (int n = 0; n <= SYSCALL_RULES_MAX; n++)
		syscall_filter_add_if(&f, SECCOMP_RET_KILL_PROCESS, n,
		    SYSCALL_ALWAYS, 0, 0);
	cr_assert_eq(syscall_filter_assemble(&f, code, &err), ERR_INTERNAL);
	/* As many rules as fit, but each with instructions of its own. */
	syscall_filter_start(&f, SECCOMP_RET_ALLOW);
	for (int n = 0; n < SYSCALL_RULES_MAX; n++)
		syscall_filter_add_if(&f, SECCOMP_RET_KILL_PROCESS, 2 * n,
		    SYSCALL_EQUAL, 0, 1);
	cr_assert_eq(syscall_filter_assemble(&f, code, &err), ERR_INTERNAL);
}
