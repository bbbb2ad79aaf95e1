/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libtpms believes much of what a state says that it could read, and crashes on
 * some of it (README.md). In vtpmd that is the worker's end, and here that of a
 * child process; only what goes wrong in our own code is a finding.
 */
#ifndef TESTS_FUZZ_CONTAINED_H
#define TESTS_FUZZ_CONTAINED_H

#include <stddef.h>
#include <stdint.h>

/* Runs it in a child process and waits. The child's coverage counts. */
void contained_run(void (*run)(void *arg), void *arg);

/* Makes the checksum of a volatile state right (libtpms src/tpm2/Volatile.c: a
 * SHA-1 at its end), or no change of it is ever taken. */
void volatile_checksum(uint8_t *state, size_t size);

#endif
