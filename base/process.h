/* SPDX-License-Identifier: BSD-3-Clause */
/* Other processes of this host. */
#ifndef BASE_PROCESS_H
#define BASE_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * How long what a killed process has left is waited for, in milliseconds: its
 * children die with it, but not at the same moment, and where the host is busy
 * it takes its time until they have let go of files, locks and sockets.
 */
#define PROCESS_LEAVES_MS 2000

/* It has ended, whether or not somebody has asked for its status, or is killed
 * and about to end. A number that is no process's, in the pid namespace of the
 * caller, counts as ended. */
bool process_has_ended(pid_t pid);

/* For who waits for such a thing: pauses a little and tells whether there is
 * time for another try. *waited is 0 at first. */
bool process_wait_for_leaving(unsigned int *waited, unsigned int limit_ms);

#endif
