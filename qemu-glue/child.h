/* SPDX-License-Identifier: BSD-3-Clause */
/* Child processes that do not outlive us, and the signals around them. */
#ifndef QEMU_GLUE_CHILD_H
#define QEMU_GLUE_CHILD_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct err;

struct child {
	const char *name;	/* for messages */
	pid_t pid;		/* 0 when it does not run */
	int status;		/* as from waitpid, once it has ended */
};

/* How to start one. */
struct child_spec {
	const char *name;
	char *const *argv;	/* argv[0] is looked for in PATH */
	const char *notify;	/* NOTIFY_SOCKET to set; NULL takes it away */
	bool own_group;		/* out of reach of the terminal's Ctrl-C */
	bool only_fds;		/* closes all above 2 but keep_fd */
	int keep_fd;		/* one close-on-exec descriptor that goes
				 * along, or -1 */
};

/*
 * Blocks the signals that we forward or wait for and returns a descriptor
 * that they can be read from, or a negative code. Children get the mask back
 * that the caller came with.
 */
int child_signals(struct err *err);
/*
 * Waits at most timeout_ms (-1: for ever) for a signal on that descriptor,
 * or for input on other (-1: none). Returns 1 with a signal in *number and
 * whether a process sent it in *sent (the terminal's own reach QEMU without
 * us), 2 for input on other, 0 when the time is over.
 */
int child_wait_signal(int signals, int other, int timeout_ms, int *number,
    bool *sent);

/*
 * Forks and executes. The child is sent SIGTERM when we die, however we die
 * (PR_SET_PDEATHSIG), and does not start if we are dead already. A program
 * that cannot be executed ends as in a shell: status 127 when there is none,
 * else 126, with a message.
 */
int child_start(struct child *child, const struct child_spec *spec,
    struct err *err);
/* Collects what ended; true when this child has. Never waits. */
bool child_reap(struct child *child);
/* The exit status a shell would give: 128 + n for signal n. */
int child_exit_status(const struct child *child);
/* "ended with status 1", "was killed by signal 9 (Killed)". */
void child_describe(const struct child *child, char *text, size_t size);

#endif
