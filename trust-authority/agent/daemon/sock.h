/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The agent's Unix socket, and the program's loop: it reads messages, has them
 * worked on by others (requests.h), and writes what comes back. It never waits
 * for anything but its descriptors.
 */
#ifndef AGENT_DAEMON_SOCK_H
#define AGENT_DAEMON_SOCK_H

#include "trust-authority/agent/daemon/kmxa.h"

/* Who asks, by the kernel's word. */
struct sock_peer {
	uint64_t connection;
	uid_t uid;
	pid_t pid;
};

/* Listens. The socket's directory must be there. */
int sock_open(struct kmxa *k, struct sock **out, struct err *err);
/* Until SIGTERM or SIGINT; hup is called for SIGHUP. */
int sock_run(struct sock *s, void (*hup)(struct kmxa *k), struct err *err);
/* Removes the socket. NULL is allowed. */
void sock_close(struct sock *s);

/* From any thread. An answer, which is overwritten after it was sent; to a
 * connection that has ended it is nothing. NULL and 0: there will be none. */
void sock_answer(struct sock *s, uint64_t connection, uint8_t *data,
    size_t size);
/* The notice LOST. */
void sock_tell_lost(struct sock *s, uint64_t connection,
    const uint8_t vm[UUID_SIZE], uint64_t epoch, enum agent_fault fault,
    const char *why);

#endif
