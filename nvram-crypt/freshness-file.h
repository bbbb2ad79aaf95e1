/* SPDX-License-Identifier: BSD-3-Clause */
/* The files that this host's freshness records lie in; freshness-native.c and
 * freshness-arrive.c alone include this. */
#ifndef NVRAM_CRYPT_FRESHNESS_FILE_H
#define NVRAM_CRYPT_FRESHNESS_FILE_H

#include "nvram-crypt/freshness-record.h"

/* ERR_NOTFOUND: this host has none of this VM. */
int freshness_file_open(const struct native *n, const uint8_t uuid[UUID_SIZE],
    int *fd, struct err *err);
/* ERR_BUSY: another process has it. */
int freshness_file_lock(int fd, const uint8_t uuid[UUID_SIZE],
    struct err *err);
/* ERR_FORMAT: it is damaged. */
int freshness_file_read(int fd, const uint8_t uuid[UUID_SIZE],
    struct freshness_record *r, struct err *err);
/* ERR_EXISTS. */
int freshness_file_make(const struct native *n,
    const struct freshness_record *r, struct err *err);

#endif
