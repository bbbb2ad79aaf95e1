/* SPDX-License-Identifier: BSD-3-Clause */
/* Small text files of the system's configuration: read, replaced as a whole, and
 * our block in one of the administrator's. */
#ifndef VTPM_CTL_LIBVIRT_FILE_H
#define VTPM_CTL_LIBVIRT_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define LIBVIRT_FILE_MAX 65536
#define LIBVIRT_MARK "# Written by vtpmctl libvirt enable"
#define LIBVIRT_BEGIN "# Begin: vtpmctl libvirt enable\n"
#define LIBVIRT_END "# End: vtpmctl libvirt enable\n"

/* ERR_NOTFOUND where there is none. */
int libvirt_file_read(const char *path, char text[LIBVIRT_FILE_MAX],
    struct err *err);
/* Makes the directories before it; whoever reads sees the old or the new. */
int libvirt_file_write(const char *path, const char *text, struct err *err);
/* Where our block is in text. One without an end goes to the end. */
bool libvirt_file_block(const char *text, size_t *from, size_t *size);

#endif
