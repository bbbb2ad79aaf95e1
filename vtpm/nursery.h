/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The nursery: a process whose only work is to fork workers. It is forked
 * before the monitor knows any secret, so that a worker that replaces a dead
 * one inherits none; it never sees a byte of the guest's. It is the workers'
 * parent and tells how they ended.
 */
#ifndef VTPM_NURSERY_H
#define VTPM_NURSERY_H

#include <sys/types.h>

#include "base/err.h"
#include "vtpm/channel.h"

/* Forks it. confine(arg) is run in it, and confine_worker(arg) in each worker
 * once that is set up; neither may return on failure. memory must stay. *sock
 * is this side's socket. */
int nursery_start(const struct channel_memory *memory,
    void (*confine)(void *arg), void (*confine_worker)(void *arg), void *arg,
    int *sock, struct err *err);

/* Has a worker forked: *channel gets this side's ends. ERR_CLOSED when the
 * nursery is gone. */
int nursery_spawn(int sock, struct channel *channel, pid_t *pid,
    struct err *err);

/* Has the worker killed if it still lives, and reaped. *status as of
 * waitpid(2). */
int nursery_wait(int sock, int *status, struct err *err);

#endif
