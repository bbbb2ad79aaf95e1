/* SPDX-License-Identifier: BSD-3-Clause */
/* What the programs have in common that base/helper.h runs to use the TPM. */
#ifndef HOSTKEY_TPM_HELPER_H
#define HOSTKEY_TPM_HELPER_H

#include "base/err.h"
#include "base/secret.h"

#define TPM_HELPER_TCTI "device:/dev/tpmrm0"

/* No core dump, no debugger of the same user, nothing in swap, no words of
 * tpm2-tss. */
int tpm_helper_harden(struct err *err);
/* All of standard input: at most max bytes. A secret, as some commands' input
 * is; not secret_read_fd, which is for text and drops a newline. */
int tpm_helper_read(size_t max, struct secret **out, struct err *err);
int tpm_helper_write(const void *data, size_t size, struct err *err);

#endif
