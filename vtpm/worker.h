/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The worker: libtpms, and what it takes to feed it. It parses what a hostile
 * guest sends, so it holds no key, no file and no path: a data socket, its
 * ends of the channel, the shared memory.
 *
 * Two threads. The data thread reads a command from QEMU's data socket, runs
 * it and sends the answer: two system calls a command. Then, while QEMU is
 * busy with the answer, it captures what the command changed (journal.h). The
 * control thread takes the monitor's orders. A mutex keeps them out of libtpms
 * together; it costs no system call while it is free. TPM2 cancellation comes
 * as SIGUSR1, because the control thread may be waiting for that mutex.
 */
#ifndef VTPM_WORKER_H
#define VTPM_WORKER_H

#include <signal.h>

#include "vtpm/channel.h"

#define WORKER_CANCEL_SIGNAL SIGUSR1
/* Within the worker: see ORDER_PARK. */
#define WORKER_PARK_SIGNAL SIGUSR2

/*
 * Gives libtpms a library context with no more than it fetches: 200 kB less in
 * every worker. Those lists were made for libtpms 0.9 and are tested with it
 * (tests/integration/algorithms.test); another one gets all that OpenSSL has,
 * for an algorithm that is missing would put the TPM into failure mode.
 */
void worker_adopt_crypto(void);

/* What a worker process does from its fork on. confine(arg) is run once all is
 * set up and must not return on failure. */
_Noreturn void worker_main(struct channel *channel,
    void (*confine)(void *arg), void *arg);

#endif
