/* SPDX-License-Identifier: BSD-3-Clause */
/* Where swtpm's --ctrl and --server say that it listens, as vtpmd has it
 * (vtpm/listen.h). */
#ifndef QEMU_GLUE_SWTPM_ADDRESS_H
#define QEMU_GLUE_SWTPM_ADDRESS_H

#include <limits.h>

#include "base/err.h"
#include "qemu-glue/suboptions.h"

#define SWTPM_ADDRESS_MAX (PATH_MAX + 64)
#define SWTPM_FD_MAX (1 << 20)

/* type: "unixio" or "tcp". */
int swtpm_address(const struct suboptions *s, const char *type,
    char out[SWTPM_ADDRESS_MAX], struct err *err);
/* The TCP port behind that one. */
int swtpm_address_next(const struct suboptions *s,
    char out[SWTPM_ADDRESS_MAX], struct err *err);
/* The descriptor that is the value of name. */
int swtpm_address_fd(const struct suboptions *s, const char *name, int *fd,
    struct err *err);

#endif
