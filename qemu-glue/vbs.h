/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The options of QEMU that give a guest what Windows asks for
 * virtualization-based security: one switch, and what this host lacks is
 * said on standard error, one line each.
 */
#ifndef QEMU_GLUE_VBS_H
#define QEMU_GLUE_VBS_H

#include <stdbool.h>

struct argv;
struct err;
struct firmware;

struct vbs_options {
	const char *vars;		/* this VM's variable store */
	const char *firmware_dir;	/* NULL: where QEMU's packages are */
	char *const *user;		/* the user's arguments, to a NULL */
};

/* Adds the options to qemu; they have to come before the user's. The variable
 * store is not made yet: firmware_vars_make() of *fw, once QEMU is to start.
 * ERR_USAGE when the user's choose something that this has to choose. */
int vbs_add(struct argv *qemu, const struct vbs_options *opt,
    struct firmware *fw, struct err *err);

#endif
