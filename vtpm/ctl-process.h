/* SPDX-License-Identifier: BSD-3-Clause */
/* Processes of this host, as /proc has them: which are vtpmds. */
#ifndef VTPM_CTL_PROCESS_H
#define VTPM_CTL_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* All in decimal digits, not empty: the name of a process in /proc. */
bool process_is_number(const char *text);
/* The kernel's name of a process; its children have names of their own. */
bool process_is_named(const char *pid, const char *name);
/* A vtpmd, also one that was started as swtpm; swtpm itself is none. */
bool process_is_vtpmd(const char *pid);
/* Whether somebody listens in its name (listen_by_pid). */
bool process_has_listener(const char *pid);
/* /proc/PID/NAME with a NUL behind; its size, or -1. */
ssize_t process_read(const char *pid, const char *name, char *out,
    size_t room);

#endif
