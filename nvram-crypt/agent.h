/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The client of this host's agent (vta-kmxa), which alone talks to the trust
 * authority: keys of VMs, their epochs, EK certificates. One connection, made
 * when it is first needed and again where it broke; one request at a time.
 * Nothing here opens a path: who may is asked for a connected socket.
 */
#ifndef NVRAM_CRYPT_AGENT_H
#define NVRAM_CRYPT_AGENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "nvram-crypt/agent-wire.h"

/* Milliseconds that the agent has. A key may come from a KMS at the other end
 * of a network; while a VM runs, its TPM waits. */
#define AGENT_TIME_KEY 15000
#define AGENT_TIME_RUNNING 3000
#define AGENT_TIME_CLOSE 5000

struct agent;

/* A connected, non-blocking SOCK_SEQPACKET socket to the agent. wait: somebody
 * waits for an answer, so an agent that has too much to do to accept now may be
 * tried for a second or two; otherwise once. */
typedef int agent_connect(void *arg, bool wait, int *fd, struct err *err);

/* One to the socket at path, or a negative errno; it never waits. EAGAIN: the
 * agent has too much to do to accept now. */
int agent_socket(const char *path);
/* ERR_CLOSED, with what the system said and what to do. */
int agent_unreachable(const char *path, int sys, struct err *err);
/* An agent_connect of both; arg is the path. It tries for two seconds. */
int agent_connect_path(void *arg, bool wait, int *fd, struct err *err);

int agent_new(struct agent **out, agent_connect *connect, void *arg,
    struct err *err);
void agent_free(struct agent *a);

/* Sends q (its id is set here) and waits for the answer, whose bytes stay until
 * agent_forget or the next call. A failure has the code that the agent gave,
 * and a text that says who is to blame and what to do; ERR_CLOSED where the
 * agent is not there or does not answer in time. It sets err->sys to 0: it does
 * not pass within a moment. */
int agent_ask(struct agent *a, struct agent_message *q, int timeout_ms,
    struct agent_message *answer, struct err *err);
/* Wipes the last answer, which may be a key. */
void agent_forget(struct agent *a);

/* For an owner: from now on the agent tells over the connection, and whenever
 * that is made anew is asked, whether this epoch is another's. Sends only. */
void agent_watch(struct agent *a, const uint8_t uuid[UUID_SIZE],
    uint64_t epoch, const uint8_t instance[AGENT_INSTANCE_SIZE]);
void agent_unwatch(struct agent *a);
/* NULL, or why the VM is another's now. For good. */
const char *agent_lost(const struct agent *a);

/* NULL is allowed from agent_lost on: nobody to hear of.
 * What a poll loop needs: the descriptor to read from (-1: none), what to do
 * when it can be read, and when (ms, CLOCK_MONOTONIC; UINT64_MAX: never) to
 * call agent_tick. None of these waits for the agent. */
int agent_fd(const struct agent *a);
void agent_readable(struct agent *a);
uint64_t agent_due(const struct agent *a);
void agent_tick(struct agent *a);

#endif
