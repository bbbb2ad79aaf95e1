/* SPDX-License-Identifier: BSD-3-Clause */
/* sd_notify(3)'s protocol without libsystemd: a datagram to the socket that
 * NOTIFY_SOCKET names. */
#ifndef BASE_NOTIFY_H
#define BASE_NOTIFY_H

#include "base/err.h"

/* Sends state ("READY=1"); 0 also where nobody asked to be told. */
int notify_send(const char *state, struct err *err);

#endif
