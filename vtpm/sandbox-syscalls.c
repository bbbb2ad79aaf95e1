/* SPDX-License-Identifier: BSD-3-Clause */
#include <config.h>

#include "vtpm/sandbox.h"

#include <errno.h>
#include <seccomp.h>
#include <stddef.h>
#include <sys/mman.h>

#include "vtpm/worker.h"

#ifndef SANITIZERS

#define COUNT(a) (sizeof(a) / sizeof(*(a)))

/* Both processes: memory, locks, time, an end. */
static const int common[] = {
	SCMP_SYS(read), SCMP_SYS(write),
	SCMP_SYS(recvmsg), SCMP_SYS(sendmsg),	/* channel, descriptors */
	SCMP_SYS(poll), SCMP_SYS(ppoll),
	SCMP_SYS(close),
	SCMP_SYS(shutdown),			/* the data connection */
	SCMP_SYS(lseek),			/* the answers' memory file */
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
	SCMP_SYS(sendfile),	/* answers */
};

/* What stdio asks of a descriptor before libtpms's complaints, which the worker
 * throws away, are written: answered as if it were closed. */
static const int worker_refused[] = {
	SCMP_SYS(fstat), SCMP_SYS(newfstatat), SCMP_SYS(ioctl),
};

static const int monitor_only[] = {
	SCMP_SYS(accept4),
	SCMP_SYS(pread64), SCMP_SYS(pwrite64), SCMP_SYS(fdatasync),
	SCMP_SYS(fstat), SCMP_SYS(newfstatat),
	SCMP_SYS(fcntl),	/* OFD locks, flags */
	SCMP_SYS(mlock2), SCMP_SYS(munlock),
	SCMP_SYS(sendto),	/* syslog, sd_notify */
	SCMP_SYS(wait4),
	SCMP_SYS(clock_nanosleep), SCMP_SYS(nanosleep),
	/* What it gives to its successor when it is upgraded. */
	SCMP_SYS(memfd_create), SCMP_SYS(ftruncate), SCMP_SYS(socketpair),
	SCMP_SYS(rt_sigaction),
};

static int
add(scmp_filter_ctx ctx, uint32_t action, const int *calls, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int rc = seccomp_rule_add(ctx, action, calls[i], 0);

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

/* A filter with what both processes need; finish_filter loads it. */
static int
start_filter(scmp_filter_ctx *ctx, uint32_t otherwise)
{
	int rc;

	if ((*ctx = seccomp_init(otherwise)) == NULL)
		return -ENOMEM;
	/* All threads, or the data thread would stay outside. */
	if ((rc = seccomp_attr_set(*ctx, SCMP_FLTATR_CTL_TSYNC, 1)) < 0 ||
	    (rc = add(*ctx, SCMP_ACT_ALLOW, common, COUNT(common))) < 0)
		return rc;
	return allow_memory(*ctx);
}

static int
finish_filter(scmp_filter_ctx ctx, int rc, struct err *err)
{
	if (rc == 0)
		rc = seccomp_load(ctx);
	if (rc < 0)
		rc = err_sys(err, -rc, "cannot load the seccomp filter");
	seccomp_release(ctx);
	return rc;
}

int
sandbox_syscalls_worker(struct err *err)
{
	scmp_filter_ctx ctx;
	int rc;

	rc = start_filter(&ctx, SCMP_ACT_KILL_PROCESS);
	if (rc == 0)
		rc = add(ctx, SCMP_ACT_ALLOW, worker_only, COUNT(worker_only));
	/* Its own data thread, out of a read. */
	if (rc == 0)
		rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
		    SCMP_A2(SCMP_CMP_EQ, WORKER_PARK_SIGNAL));
	if (rc == 0)
		rc = add(ctx, SCMP_ACT_ERRNO(EBADF), worker_refused,
		    COUNT(worker_refused));
	return finish_filter(ctx, rc, err);
}

int
sandbox_syscalls_monitor(struct err *err)
{
	scmp_filter_ctx ctx;
	int rc;

	rc = start_filter(&ctx, SCMP_ACT_ERRNO(EPERM));
	if (rc == 0)
		rc = add(ctx, SCMP_ACT_ALLOW, monitor_only,
		    COUNT(monitor_only));
	if (rc == 0)
		rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(kill), 1,
		    SCMP_A1(SCMP_CMP_EQ, WORKER_CANCEL_SIGNAL));
	return finish_filter(ctx, rc, err);
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
