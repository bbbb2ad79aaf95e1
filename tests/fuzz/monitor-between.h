/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The monitor, run by an input that plays everybody else: clients of the
 * control socket, the worker, signals. Each time the monitor polls, the next
 * step of the input is done; at its end the worker goes away.
 *
 * A step is its kind (1) and what the kind takes:
 *   CONNECT        a client connects
 *   BYTES          client (1), size (2), bytes
 *   FD             client (1): a descriptor, with the byte after it
 *   READ           client (1): its answers are read
 *   CLOSE          client (1)
 *   ANSWER         result (4), arg (4), size (4): the worker answers the order
 *   NEED           type (1), arg (4), size (4): the worker asks
 *   SHARED         area (1), offset (2), size (1), bytes: it writes to memory
 *   RAW            channel (1), size (1), bytes, with a descriptor if the
 *                  channel's bit 7 is set: it breaks the rules
 *   SIGNAL         number (1)
 */
#ifndef TESTS_FUZZ_MONITOR_BETWEEN_H
#define TESTS_FUZZ_MONITOR_BETWEEN_H

#include "base/buf.h"

enum step { STEP_CONNECT, STEP_BYTES, STEP_FD, STEP_READ, STEP_CLOSE,
	STEP_ANSWER, STEP_NEED, STEP_SHARED, STEP_RAW, STEP_SIGNAL, STEPS };

/* Runs the input's steps, after fail_begin's bytes and one byte of flags
 * (1: --terminate). before gives steps that come first. The worker's answers
 * are as the protocol wants them unless hostile. */
void monitor_between(struct buf *in, struct buf *before, bool hostile);

#endif
