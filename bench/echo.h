/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The least that an emulator can be: another process that takes as many bytes
 * over the same kind of socket and sends as many back. What it does between
 * the two, if anything, is the caller's.
 */
#ifndef BENCH_ECHO_H
#define BENCH_ECHO_H

#include <sys/types.h>

#include "base/err.h"
#include "bench/wire.h"

struct echo {
	pid_t pid;
	int fd;			/* -1: not running */
};

/* work(arg) is done in the other process, for each command, before it answers;
 * negative ends it. NULL: nothing. */
int echo_start(struct echo *e, int (*work)(void *arg), void *arg,
    struct err *err);
void echo_stop(struct echo *e);
/* Sends the command and takes answer bytes for it. */
int echo_run(int fd, const struct command *c, size_t answer,
    struct err *err);

#endif
