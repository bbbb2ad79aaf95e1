/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef AGENT_DAEMON_LEASES_ASK_H
#define AGENT_DAEMON_LEASES_ASK_H

#include "trust-authority/agent/daemon/leases.h"

#define LEASES_ASK_MAX 500	/* doc/authority-protocols.md */

/* Renews them. What is lost is removed, and its connection told. */
int leases_ask_some(struct kmxa *k, const struct lease *leases, size_t count,
    struct err *err);
/* Renews one: 0 kept, and lease->seconds as the authority says; ERR_STALE lost;
 * others where nobody said. */
int leases_ask_one(struct kmxa *k, struct lease *lease,
    enum agent_fault *fault, struct err *err);

#endif
