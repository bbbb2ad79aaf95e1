/* SPDX-License-Identifier: BSD-3-Clause */
/* What the agent tells of itself, on its socket and over HTTPS. */
#ifndef AGENT_DAEMON_STATUS_H
#define AGENT_DAEMON_STATUS_H

#include "trust-authority/agent/daemon/kmxa.h"

/* VMs are those that uid may have; without them where it would be longer than
 * max bytes. */
json_t *status_json(struct kmxa *k, uid_t uid, size_t max);
/* {accepted, reason}, as trust stands. */
json_t *status_verdict(struct kmxa *k);

#endif
