/* SPDX-License-Identifier: BSD-3-Clause */
/* What swtpm_ioctl does. */
#ifndef QEMU_GLUE_SWTPM_IOCTL_H
#define QEMU_GLUE_SWTPM_IOCTL_H

#include "base/err.h"

/* Its long options; the others are their letters. */
enum { OPT_UNIX = 256, OPT_TCP, OPT_DEVICE, OPT_STOP, OPT_SAVE, OPT_LOAD,
	OPT_INFO, OPT_LOCK_STORAGE, OPT_VERSION, OPT_HELP };

struct request {
	const char *unix_path, *tcp;
	int command;			/* an option's number; 0: none */
	const char *argument;
	const char *type, *file;	/* of --save and --load */
};

/* Runs r->command on a control connection, and prints what it answers. */
int ioctl_run(int sock, const struct request *r, struct err *err);

#endif
