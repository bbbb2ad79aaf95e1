/* SPDX-License-Identifier: BSD-3-Clause */
#include <config.h>

#include "vtpm/sandbox.h"

#include <errno.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/mman.h>

#include "vtpm/worker.h"

#ifndef SANITIZERS

/* Both processes: memory, locks, time, an end. */
static const int common[] = {
	SCMP_SYS(read), SCMP_SYS(write),
	SCMP_SYS(recvmsg), SCMP_SYS(sendmsg),	/* channel, descriptors */
	SCMP_SYS(poll), SCMP_SYS(ppoll),
	SCMP_SYS(close),
	SCMP_SYS(futex),			/* mutexes of glibc */
	SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise),
	SCMP_SYS(getrandom),			/* OpenSSL */
	SCMP_SYS(clock_gettime), SCMP_SYS(gettimeofday),
	SCMP_SYS(getpid), SCMP_SYS(gettid),
	SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(exit), SCMP_SYS(exit_group),
};

static const int worker_only[] = {
	SCMP_SYS(shutdown),	/* takes the data thread out of a read */
};

static const int monitor_only[] = {
	SCMP_SYS(accept4),
	SCMP_SYS(pread64), SCMP_SYS(pwrite64), SCMP_SYS(fdatasync),
	SCMP_SYS(fstat), SCMP_SYS(newfstatat), SCMP_SYS(lseek),
	SCMP_SYS(fcntl),	/* OFD locks, flags */
	SCMP_SYS(mlock), SCMP_SYS(munlock),
	SCMP_SYS(sendto),	/* syslog, sd_notify */
	SCMP_SYS(wait4),
	SCMP_SYS(clock_nanosleep), SCMP_SYS(nanosleep),
	SCMP_SYS(unlinkat),	/* its own socket and pid file (Landlock) */
	SCMP_SYS(rt_sigaction),
};

static int
allow(scmp_filter_ctx ctx, const int *calls, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, calls[i], 0);

		if (rc < 0)
			return rc;
	}
	return 0;
}

/* New memory, but none that can be executed. */
static int
allow_memory(scmp_filter_ctx ctx)
{
	int rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
	    SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));

	if (rc < 0)
		return rc;
	return seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
	    SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
}

static int
load_filter(uint32_t otherwise, const int *more, size_t n, bool may_cancel,
    struct err *err)
{
	scmp_filter_ctx ctx;
	int rc;

	if ((ctx = seccomp_init(otherwise)) == NULL)
		return err_set(err, ERR_INTERNAL,
		    "cannot start a seccomp filter");
	/* All threads, or the data thread would stay outside. */
	if ((rc = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1)) < 0 ||
	    (rc = allow(ctx, common, sizeof(common) / sizeof(*common))) < 0 ||
	    (rc = allow(ctx, more, n)) < 0 ||
	    (rc = allow_memory(ctx)) < 0 ||
	    (may_cancel && (rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW,
	    SCMP_SYS(kill), 1, SCMP_A1(SCMP_CMP_EQ,
	    WORKER_CANCEL_SIGNAL))) < 0) ||
	    (rc = seccomp_load(ctx)) < 0)
		rc = err_sys(err, -rc, "cannot load the seccomp filter");
	seccomp_release(ctx);
	return rc;
}

int
sandbox_syscalls_worker(struct err *err)
{
	return load_filter(SCMP_ACT_KILL_PROCESS, worker_only,
	    sizeof(worker_only) / sizeof(*worker_only), false, err);
}

int
sandbox_syscalls_monitor(struct err *err)
{
	/* kill(2) is for WORKER_CANCEL_SIGNAL alone. */
	return load_filter(SCMP_ACT_ERRNO(EPERM), monitor_only,
	    sizeof(monitor_only) / sizeof(*monitor_only), true, err);
}

#else	/* SANITIZERS: their runtime makes system calls of its own */

int
sandbox_syscalls_worker(struct err *err)
{
	(void)err;
	return 0;
}

int
sandbox_syscalls_monitor(struct err *err)
{
	(void)err;
	return 0;
}

#endif
