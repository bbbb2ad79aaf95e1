/* SPDX-License-Identifier: BSD-3-Clause */
/* What a message on the agent's socket asks for. */
#ifndef AGENT_DAEMON_REQUESTS_H
#define AGENT_DAEMON_REQUESTS_H

#include "trust-authority/agent/daemon/sock.h"

struct requests;

int requests_new(struct kmxa *k, struct requests **out, struct err *err);
/* Waits for what is under way. NULL is allowed. */
void requests_free(struct requests *r);

/* Takes a message (a copy); its answer goes to sock_answer, soon or later.
 * ERR_FORMAT: it is none, and gets no answer. */
int requests_take(struct requests *r, const struct sock_peer *peer,
    const uint8_t *data, size_t size, struct err *err);

#endif
