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
 * *allowed: it is about a VM, and its sender may. ERR_FORMAT: it is none, and
 * gets no answer. From the loop alone, as the next. */
int requests_take(struct requests *r, const struct sock_peer *peer,
    const uint8_t *data, size_t size, bool *allowed, struct err *err);
/* Whether a line about what anybody could send may be logged: so many in a
 * second. */
bool requests_may_log(struct requests *r);

#endif
