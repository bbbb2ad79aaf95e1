/* SPDX-License-Identifier: BSD-3-Clause */
/* What swtpm_setup does to a TPM that is there. */
#ifndef QEMU_GLUE_SWTPM_SETUP_H
#define QEMU_GLUE_SWTPM_SETUP_H

#include "base/err.h"
#include "base/secret.h"
#include "qemu-glue/swtpm-store.h"

/* Runs vtpmd on the file and has the TPM allocate these banks, "sha1,sha256",
 * or all it has where banks is "-". */
int setup_reconfigure(const struct swtpm_store *s, const char *banks,
    const struct secret *passphrase, struct err *err);

#endif
