/* SPDX-License-Identifier: BSD-3-Clause */
/* The native provider's directories: made where missing, judged before use. */
#ifndef NVRAM_CRYPT_NATIVE_DIR_H
#define NVRAM_CRYPT_NATIVE_DIR_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

/* Whose the files are to be. */
struct native_owner {
	uid_t uid;	/* (uid_t)-1: leave them to the caller */
	gid_t gid;
};

/* Opens STATE_DIR (absolute), with create after making it and its missing
 * parents. As root without a named owner, *owner becomes the owner of the
 * STATE_DIR that is there, so that one run as root never locks the service
 * out; for the same reason an empty one of root's goes to a named owner. Returns
 * a descriptor or a negative code; ERR_NOTFOUND if missing, ERR_REFUSED if
 * others may write in it. */
int native_dir_open_state(const char *path, bool create,
    struct native_owner *owner, struct err *err);

/* The same for directory name below dirfd; path is for messages. */
int native_dir_open_below(int dirfd, const char *name, const char *path,
    bool create, const struct native_owner *owner, struct err *err);

/* True when uid may own a key that this process trusts: itself, root, or the
 * configured owner. */
bool native_owner_trusted(const struct native_owner *owner, uid_t uid);

/* Gives a descriptor's file to the owner; nothing to do unless root. */
int native_owner_give(const struct native_owner *owner, int fd,
    const char *path, struct err *err);

#endif
