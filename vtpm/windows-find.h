/* SPDX-License-Identifier: BSD-3-Clause */
/* The nvram file of a vtpmd that runs on this host. */
#ifndef VTPM_WINDOWS_FIND_H
#define VTPM_WINDOWS_FIND_H

#include <limits.h>
#include <sys/types.h>

#include "base/err.h"

struct windows_target {
	char file[PATH_MAX];
	pid_t pid;		/* 0: `what` is a file; it may run or not */
};

/* what: a file, the control socket of a vtpmd, or its process id. The vtpmd is
 * not spoken to: /proc tells. ERR_NOTFOUND where there is none such. */
int windows_find(const char *what, struct windows_target *t, struct err *err);

#endif
