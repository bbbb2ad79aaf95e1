/* SPDX-License-Identifier: BSD-3-Clause */
/* Whom a root-started vtpmd becomes. */
#ifndef VTPM_USER_H
#define VTPM_USER_H

#include <sys/types.h>

#include "base/err.h"

struct user {
	const char *name;	/* the caller's; NULL: nobody, stay as it is */
	uid_t uid;
	gid_t gid;
};

/* By the name that somebody gave: also from where else than in passwd(5) the
 * host may keep its users. ERR_USAGE where there is none. */
int user_find(struct user *u, const char *name, struct err *err);
/* The same from passwd(5) alone; ERR_NOTFOUND. For names that are only a
 * guess: asking all sources, as getpwnam(3) does, may load libraries into each
 * vtpmd and take a millisecond. */
int user_find_local(struct user *u, const char *name, struct err *err);

#endif
