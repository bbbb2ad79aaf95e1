/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One vtpmd for one QEMU: started in the foreground, waited for, connected
 * to, ended. Its socket lies in a private directory, and only until we are
 * connected; QEMU gets the connected descriptor. So nothing is left in the
 * file system while the VM runs, whatever happens to any of the three.
 */
#ifndef QEMU_GLUE_EMULATOR_H
#define QEMU_GLUE_EMULATOR_H

#include <stdbool.h>

struct child;
struct err;

struct emulator_options {
	const char *program;	/* vtpmd */
	const char *nvram;
	const char *state_dir;	/* these NULL where not given */
	const char *log;
	const char *log_level;
	const char *user;
	const char *config;
	const char *agent;
	int passphrase_fd;	/* -1: none */
};

/*
 * Starts vtpmd and returns a descriptor connected to its control channel
 * (close-on-exec), once it says READY=1 (sd_notify(3)). signals is of
 * child_signals(). On failure a negative code; when vtpmd itself gave up,
 * *status is the exit status to end with and otherwise 0.
 */
int emulator_start(struct child *vtpmd, const struct emulator_options *opt,
    int signals, int *status, struct err *err);

/*
 * After QEMU is gone: vtpmd closes the file and ends by itself, since the
 * connection is closed (--terminate). One that does not gets SIGTERM after
 * a second, and SIGKILL after some more. False, having said so, when it did
 * not end well.
 */
bool emulator_stop(struct child *vtpmd, int signals);

#endif
