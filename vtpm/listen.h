/* SPDX-License-Identifier: BSD-3-Clause */
/* Where vtpmd listens: "unix:PATH[,mode=0600][,uid=N][,gid=N]", "tcp:HOST:PORT"
 * with HOST an address, "fd:N" a socket that listens already. */
#ifndef VTPM_LISTEN_H
#define VTPM_LISTEN_H

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

#include "base/err.h"

struct listen_address {
	enum { LISTEN_NOWHERE, LISTEN_UNIX, LISTEN_TCP, LISTEN_FD } kind;
	/* Of a TCP socket the address, of a descriptor its number. */
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	mode_t mode;
	uid_t uid;		/* (uid_t)-1, (gid_t)-1: as they come */
	gid_t gid;
};

/* ERR_USAGE for anything else. NULL is nowhere. */
int listen_parse(struct listen_address *a, const char *text, struct err *err);
/* Makes the socket, non-blocking. One that a dead process left behind is
 * replaced, also where what was killed with it takes a moment to go; a live one
 * is ERR_BUSY. *dir is a descriptor of the directory it lies in, for
 * listen_remove; -1 where there is nothing to remove. */
int listen_open(const struct listen_address *a, int *fd, int *dir,
    struct err *err);
/* A second one that is found by the process id alone, where the other's name is
 * gone or elsewhere: abstract (unix(7)), "vtpmd/PID", open to root and to the
 * user it runs as (listen_peer_is_ours). -1 where the name cannot be had: then
 * there is just the other one. */
int listen_by_pid(void);
/* Whom a connection to it comes from; user is whom this vtpmd belongs to. */
bool listen_peer_is_ours(int fd, uid_t user);
/* Its address, for who connects. */
socklen_t listen_pid_address(pid_t pid, struct sockaddr_un *a);
/* The name within its directory. */
const char *listen_name(const struct listen_address *a);
/* Removes the socket's name where permissions allow. */
void listen_remove(const struct listen_address *a, int dir);

#endif
