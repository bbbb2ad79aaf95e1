/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is made under a temporary name and then put in place stays behind when
 * its maker dies in between. The next one that makes the like cleans up.
 */
#ifndef NVRAM_CRYPT_NATIVE_LEFTOVER_H
#define NVRAM_CRYPT_NATIVE_LEFTOVER_H

#include <sys/types.h>

#include "nvram-crypt/native-dir.h"

/* To be called by the maker on what it has just made, a file or a directory:
 * it is nobody's leftover while fd is open. */
void native_leftover_hold(int fd);

/* Calls take_away for what lies in dirfd under prefix and 16 hex digits, has
 * the type (S_IFREG, S_IFDIR) and a trusted owner, has not changed for a
 * minute, and is held by no process. fd: of the thing itself. */
void native_leftovers_remove(int dirfd, const char *prefix, mode_t type,
    const struct native_owner *owner,
    void (*take_away)(int dirfd, const char *name, int fd));

#endif
