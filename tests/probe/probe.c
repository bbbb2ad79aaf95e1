/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/probe/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const names[PROBE_LAST + 1] = {
	[PROBE_OPEN] = "open /etc/passwd",
	[PROBE_OPEN_FILE] = "open the nvram file",
	[PROBE_TCP] = "make a TCP socket",
	[PROBE_UNIX] = "make a Unix socket",
	[PROBE_EXEC] = "execute /bin/true",
	[PROBE_FORK] = "fork",
	[PROBE_PTRACE] = "trace another process",
	[PROBE_READ_OTHER] = "read another process's memory",
	[PROBE_KILL] = "kill another process",
	[PROBE_MMAP] = "map executable memory",
	[PROBE_MPROTECT] = "make memory executable",
	[PROBE_UNLINK] = "remove the nvram file",
	[PROBE_DUMPABLE] = "become dumpable",
	[PROBE_SETUID] = "become root",
	[PROBE_OTHER_MEM] = "open another process's memory",
	[PROBE_MEMFD] = "make an anonymous file",
	[PROBE_DIE] = "die",
};

const char *
probe_name(unsigned int what)
{
	return what >= 1 && what <= PROBE_LAST ? names[what] : NULL;
}

static int
try_open(const char *path, int flags)
{
	return path == NULL ? -1 : open(path, flags | O_CLOEXEC);
}

static int
try_read(pid_t other)
{
	char here[16];
	struct iovec to = { here, sizeof(here) };
	struct iovec from = { (void *)&names, sizeof(here) };

	return process_vm_readv(other, &to, 1, &from, 1, 0) < 0 ? -1 : 0;
}

static int
try_fork(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	if (pid > 0)
		waitpid(pid, NULL, 0);
	return pid < 0 ? -1 : 0;
}

static int
try_exec(void)
{
	char *const argv[] = { (char *)(uintptr_t)"true", NULL };

	return execv("/bin/true", argv);
}

static int
try_memory(int protection, int then)
{
	void *p = mmap(NULL, 4096, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1,
	    0);

	if (p == MAP_FAILED)
		return -1;
	return then == 0 ? 0 : mprotect(p, 4096, then);
}

static int
attempt(unsigned int what, pid_t other)
{
	const char *file = getenv("PROBE_FILE");
	char mem[64];

	/* Without its file a probe must not look as if it was refused. */
	if (file == NULL)
		return 0;
	switch (what) {
	case PROBE_OPEN:
		return try_open("/etc/passwd", O_RDONLY);
	case PROBE_OPEN_FILE:
		return try_open(file, O_RDWR);
	case PROBE_TCP:
		return socket(AF_INET, SOCK_STREAM, 0);
	case PROBE_UNIX:
		return socket(AF_UNIX, SOCK_STREAM, 0);
	case PROBE_EXEC:
		return try_exec();
	case PROBE_FORK:
		return try_fork();
	case PROBE_PTRACE:
		return (int)ptrace(PTRACE_ATTACH, other, NULL, NULL);
	case PROBE_READ_OTHER:
		return try_read(other);
	case PROBE_KILL:
		return kill(other, SIGTERM);
	case PROBE_MMAP:
		return try_memory(PROT_READ | PROT_EXEC, 0);
	case PROBE_MPROTECT:
		return try_memory(PROT_READ | PROT_WRITE,
		    PROT_READ | PROT_EXEC);
	case PROBE_UNLINK:
		return unlink(file);
	case PROBE_DUMPABLE:
		return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	case PROBE_SETUID:
		return setuid(0);
	case PROBE_OTHER_MEM:
		snprintf(mem, sizeof(mem), "/proc/%d/mem", (int)other);
		return try_open(mem, O_RDONLY);
	case PROBE_DIE:
		_exit(3);
	case PROBE_MEMFD:
		return memfd_create("probe", 0);
	default:
		errno = EINVAL;
		return -1;
	}
}

int
probe(unsigned int what)
{
	const char *other = getenv("PROBE_OTHER");

	errno = 0;
	return attempt(what, other != NULL ? atoi(other) : 1) < 0 ? errno : 0;
}
