/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Finds UEFI firmware through the descriptors that its packages install
 * (qemu docs/interop/firmware.json), as libvirt does, so that no
 * distribution's file names are ours to know.
 */
#ifndef QEMU_GLUE_FIRMWARE_H
#define QEMU_GLUE_FIRMWARE_H

#include <limits.h>

struct err;

struct firmware {
	char code[PATH_MAX];	/* the executable, read-only pflash 0 */
	char vars[PATH_MAX];	/* the template of a VM's variable store */
};

/*
 * The first x86_64 q35 firmware, in the order that the descriptors' names
 * ask for, with the features secure-boot, enrolled-keys and requires-smm.
 * dir is the one directory to look in, or NULL for the usual three.
 * ERR_NOTFOUND when there is none.
 */
int firmware_find(struct firmware *fw, const char *dir, struct err *err);

/* Copies the template to path (mode 0600) unless there is a file already,
 * which is never touched. Returns 1 when it made one, 0 when there was. */
int firmware_vars_make(const struct firmware *fw, const char *path,
    struct err *err);

#endif
