/* SPDX-License-Identifier: BSD-3-Clause */
/* What a process that was taken over would try. */
#ifndef TESTS_PROBE_H
#define TESTS_PROBE_H

enum {
	PROBE_OPEN = 1, PROBE_OPEN_FILE, PROBE_TCP, PROBE_UNIX, PROBE_EXEC,
	PROBE_FORK, PROBE_PTRACE, PROBE_READ_OTHER, PROBE_KILL, PROBE_MMAP,
	PROBE_MPROTECT, PROBE_UNLINK, PROBE_DUMPABLE, PROBE_SETUID,
	PROBE_OTHER_MEM, PROBE_MEMFD,
	PROBE_DIE, PROBE_LAST = PROBE_DIE,
};

/* Tries; 0 if it could, else errno. PROBE_FILE in the environment is the nvram
 * file; the other process is the parent (for the worker) or process 1. */
int probe(unsigned int what);
const char *probe_name(unsigned int what);

#endif
