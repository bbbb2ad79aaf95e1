/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TRUST_AUTHORITY_COMMON_HTTP_LISTEN_H
#define TRUST_AUTHORITY_COMMON_HTTP_LISTEN_H

#include "base/err.h"

/* A listening TCP socket on an IP address (NULL: all) and a port (0: any);
 * *out_port is the one it has. */
int http_listen(const char *address, unsigned int port, int *out,
    unsigned int *out_port, struct err *err);

#endif
