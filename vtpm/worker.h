/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The worker: libtpms, and what it takes to feed it. It parses what a hostile
 * guest sends, so it holds no key, no file and no path: a data socket, its
 * ends of the channel, the shared memory.
 *
 * Two threads. The data thread reads a command from QEMU's data socket, runs
 * it and writes the answer: two system calls a command. The control thread
 * takes the monitor's orders. A mutex keeps them out of libtpms together; it
 * costs no system call while it is free. TPM2 cancellation comes as SIGUSR1,
 * because the control thread may be waiting for that mutex.
 */
#ifndef VTPM_WORKER_H
#define VTPM_WORKER_H

#include <signal.h>
#include <sys/types.h>

#include "base/err.h"
#include "vtpm/channel.h"

#define WORKER_CANCEL_SIGNAL SIGUSR1

/* Forks the worker; confine(arg) is run in it once all is set up and must not
 * return on failure. The caller keeps its own end of the channel. To be called
 * before this process holds anything secret. */
int worker_start(const struct channel *monitor_end,
    struct channel *worker_end, void (*confine)(void *arg), void *arg,
    pid_t *pid, struct err *err);

#endif
