/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the two processes may still do once they are set up. Each function
 * tightens for good. doc/threat-model.md names the test of each.
 */
#ifndef VTPM_SANDBOX_H
#define VTPM_SANDBOX_H

#include <stddef.h>

#include "base/err.h"
#include "vtpm/user.h"

/* No core dumps, not traceable, no new privileges, few descriptors. */
int sandbox_process(struct err *err);

/* From root to this user for good, without supplementary groups; checks that
 * there is no way back. */
int sandbox_drop_user(const struct user *user, struct err *err);

/* No descriptors but these; 0 to 2 lead nowhere. */
int sandbox_descriptors(const int *keep, size_t n, struct err *err);

/* Landlock, where the kernel has it: no path may be opened. */
int sandbox_paths(struct err *err);
/* The same, but files may be read and run, and in the directories behind these
 * descriptors (-1s are passed over) names may be removed. */
int sandbox_paths_supervisor(const int *remove_in, size_t n, struct err *err);

/* The same, but in directory a file may get a name and lose it, and in the n
 * behind records (-1s are passed over) files may be opened and made. */
int sandbox_paths_porter(const char *directory, const int *records, size_t n,
    struct err *err);

/* seccomp allow lists. The worker dies of anything else (SIGSYS); the monitor,
 * which must survive a library that tries something new, gets EPERM. */
int sandbox_syscalls_worker(struct err *err);
int sandbox_syscalls_monitor(struct err *err);
/* A porter's (porter.h), as the monitor's. */
int sandbox_syscalls_porter(struct err *err);

/* The lists alone, for the tests. */
struct syscall_filter;
void sandbox_filter_worker(struct syscall_filter *f);
void sandbox_filter_monitor(struct syscall_filter *f);
void sandbox_filter_porter(struct syscall_filter *f);

#endif
