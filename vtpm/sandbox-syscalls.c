/* SPDX-License-Identifier: BSD-3-Clause */
#include <config.h>

#include "vtpm/sandbox.h"

#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "vtpm/syscall-filter.h"
#include "vtpm/worker.h"

#ifndef SANITIZERS

#define COUNT(a) (sizeof(a) / sizeof(*(a)))

/* Both processes: memory, locks, time, an end. */
static const int common[] = {
	SYS_read, SYS_write,
	SYS_recvmsg, SYS_sendmsg,	/* channel, descriptors */
#ifdef SYS_poll
	SYS_poll,				/* old architectures' */
#endif
	SYS_ppoll,
	SYS_close,
	SYS_shutdown,			/* the data connection */
	SYS_lseek,			/* a handed-over state's size */
	SYS_futex,			/* mutexes of glibc */
	SYS_brk, SYS_munmap, SYS_mremap, SYS_madvise,
	SYS_getrandom,			/* OpenSSL */
	SYS_clock_gettime, SYS_gettimeofday,
	SYS_getpid, SYS_gettid,
	SYS_rt_sigreturn, SYS_rt_sigprocmask,
	SYS_restart_syscall,
	SYS_exit, SYS_exit_group,
};

static const int worker_only[] = {
	SYS_recvfrom, SYS_sendmmsg,	/* commands, answers */
};

/* What stdio asks of a descriptor before libtpms's complaints, which the worker
 * throws away, are written: answered as if it were closed. */
static const int worker_refused[] = {
	SYS_fstat, SYS_newfstatat, SYS_ioctl,
};

static const int monitor_only[] = {
	SYS_accept4,
	SYS_getsockopt,	/* who connects to the socket by pid */
	SYS_pread64, SYS_pwrite64, SYS_fdatasync,
	SYS_fstat, SYS_newfstatat,
	SYS_fcntl,	/* OFD locks, flags */
	SYS_mlock2, SYS_munlock,
	SYS_sendto,	/* syslog, sd_notify */
	SYS_wait4,
	SYS_clock_nanosleep, SYS_nanosleep,
	/* What it gives to its successor when it is upgraded. */
	SYS_memfd_create, SYS_ftruncate, SYS_socketpair,
	SYS_rt_sigaction,
};

/* Names: of the new file, of a record. */
static const int porter_only[] = {
	SYS_openat, SYS_linkat, SYS_unlinkat, SYS_renameat, SYS_renameat2,
#ifdef SYS_link
	SYS_link, SYS_unlink, SYS_rename,	/* old architectures' */
#endif
	SYS_fsync, SYS_fchown, SYS_geteuid,
};

static void
allow(struct syscall_filter *f, const int *calls, size_t n)
{
	syscall_filter_add(f, SECCOMP_RET_ALLOW, calls, n);
}

/* A filter with what both processes need. */
static void
start_filter(struct syscall_filter *f, uint32_t otherwise)
{
	syscall_filter_start(f, otherwise);
	allow(f, common, COUNT(common));
	/* New memory, but none that can be executed. */
	syscall_filter_add_if(f, SECCOMP_RET_ALLOW, SYS_mmap,
	    SYSCALL_BITS_CLEAR, 2, PROT_EXEC);
	syscall_filter_add_if(f, SECCOMP_RET_ALLOW, SYS_mprotect,
	    SYSCALL_BITS_CLEAR, 2, PROT_EXEC);
}

void
sandbox_filter_worker(struct syscall_filter *f)
{
	start_filter(f, SECCOMP_RET_KILL_PROCESS);
	allow(f, worker_only, COUNT(worker_only));
	/* Its own data thread, out of a read. */
	syscall_filter_add_if(f, SECCOMP_RET_ALLOW, SYS_tgkill, SYSCALL_EQUAL,
	    2, WORKER_PARK_SIGNAL);
	syscall_filter_add(f, SECCOMP_RET_ERRNO | EBADF, worker_refused,
	    COUNT(worker_refused));
}

void
sandbox_filter_monitor(struct syscall_filter *f)
{
	start_filter(f, SECCOMP_RET_ERRNO | EPERM);
	allow(f, monitor_only, COUNT(monitor_only));
	syscall_filter_add_if(f, SECCOMP_RET_ALLOW, SYS_kill, SYSCALL_EQUAL, 1,
	    WORKER_CANCEL_SIGNAL);
}

void
sandbox_filter_porter(struct syscall_filter *f)
{
	sandbox_filter_monitor(f);
	allow(f, porter_only, COUNT(porter_only));
}

int
sandbox_syscalls_worker(struct err *err)
{
	struct syscall_filter f;

	sandbox_filter_worker(&f);
	return syscall_filter_load(&f, err);
}

int
sandbox_syscalls_monitor(struct err *err)
{
	struct syscall_filter f;

	sandbox_filter_monitor(&f);
	return syscall_filter_load(&f, err);
}

int
sandbox_syscalls_porter(struct err *err)
{
	struct syscall_filter f;

	sandbox_filter_porter(&f);
	return syscall_filter_load(&f, err);
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

int
sandbox_syscalls_porter(struct err *err)
{
	(void)err;
	return 0;
}

#endif
