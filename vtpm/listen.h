/* SPDX-License-Identifier: BSD-3-Clause */
/* The control socket: "unix:PATH[,mode=0600]". */
#ifndef VTPM_LISTEN_H
#define VTPM_LISTEN_H

#include <limits.h>
#include <sys/types.h>

#include "base/err.h"

struct listen_address {
	char path[PATH_MAX];
	mode_t mode;
};

/* ERR_USAGE for anything else. */
int listen_parse(struct listen_address *a, const char *text, struct err *err);
/* Makes the socket, non-blocking. One that a dead process left behind is
 * replaced; a live one is ERR_BUSY. *dir is a descriptor of the directory it lies in, for
 * listen_remove. */
int listen_open(const struct listen_address *a, int *fd, int *dir,
    struct err *err);
/* Removes the socket's name where permissions allow. */
void listen_remove(const struct listen_address *a, int dir);

#endif
