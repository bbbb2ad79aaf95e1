/* SPDX-License-Identifier: BSD-3-Clause */
/* The thread that has the host attested again and again. */
#ifndef AGENT_DAEMON_ATTESTER_H
#define AGENT_DAEMON_ATTESTER_H

#include "trust-authority/agent/daemon/kmxa.h"

struct attester;

int attester_start(struct kmxa *k, struct attester **out, struct err *err);
/* Waits for the round that is under way. NULL is allowed. */
void attester_stop(struct attester *a);
/* Attest now; does not wait. */
void attester_wake(struct attester *a);
/* Attest now; waits for the end. *verdict may be NULL after 0. */
int attester_attest(struct attester *a, json_t **verdict, struct err *err);

#endif
