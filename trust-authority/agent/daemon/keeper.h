/* SPDX-License-Identifier: BSD-3-Clause */
/* The thread that seals keys, fetches those of the host's group ahead, and
 * tells the authority what was granted without it. */
#ifndef AGENT_DAEMON_KEEPER_H
#define AGENT_DAEMON_KEEPER_H

#include "trust-authority/agent/daemon/kmxa.h"

int keeper_start(struct kmxa *k, struct keeper **out, struct err *err);
/* There is something to do. Nothing where it has not been started. */
void keeper_wake(struct kmxa *k);

#endif
