/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef AGENT_TPM_LOG_FILE_H
#define AGENT_TPM_LOG_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* The whole of a log; securityfs does not say how long it is. *data is to be
 * freed. ERR_NOTFOUND, or ERR_UNSUPPORTED where it has more than max bytes. */
int log_file_read(const char *path, size_t max, uint8_t **data, size_t *size,
    struct err *err);

#endif
