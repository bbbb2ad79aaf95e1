/* SPDX-License-Identifier: BSD-3-Clause */
/* What swtpm's --print- options print. */
#ifndef QEMU_GLUE_SWTPM_REPORT_H
#define QEMU_GLUE_SWTPM_REPORT_H

#include <stdint.h>

#include "base/err.h"
#include "base/secret.h"
#include "qemu-glue/swtpm-store.h"
#include "qemu-glue/swtpm-version.h"

int swtpm_print_capabilities(struct err *err);
/* flags: TPMLIB_InfoFlags. */
int swtpm_print_info(uint64_t flags, struct err *err);
/* Without a key that opens the file its size is told. */
int swtpm_print_states(const struct swtpm_store *s,
    const struct secret *passphrase, struct err *err);

#endif
