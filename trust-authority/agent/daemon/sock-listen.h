/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef AGENT_DAEMON_SOCK_LISTEN_H
#define AGENT_DAEMON_SOCK_LISTEN_H

#include "base/err.h"

/* A listening SOCK_SEQPACKET at path, mode 0666. One that nobody listens on any
 * more is replaced; ERR_BUSY where another agent does. */
int sock_listen(const char *path, int *out, struct err *err);

#endif
