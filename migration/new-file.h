/* SPDX-License-Identifier: BSD-3-Clause */
/* A file that gets its name only when all of it is on the disk, and replaces one
 * that has the name only where that was asked for. */
#ifndef MIGRATION_NEW_FILE_H
#define MIGRATION_NEW_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct new_file;
/* Mode 0600, in the directory of path; belongs to that directory's owner where
 * root makes it. ERR_EXISTS. */
int new_file_open(struct new_file **out, const char *path, struct err *err);
/* The same where there may be one, which is replaced. */
int new_file_open_over(struct new_file **out, const char *path,
    struct err *err);
int new_file_write(struct new_file *f, const void *data, size_t size,
    uint64_t offset, struct err *err);
/* Lent. */
int new_file_fd(const struct new_file *f);
/* Synced and named, or not there at all. */
int new_file_finish(struct new_file *f, struct err *err);
/* Takes the name away again; what had it before does not come back. */
void new_file_unname(struct new_file *f);
/* The same, but what was not finished stays: another process sees to it. */
void new_file_leave(struct new_file *f);
/* What was not finished is removed. NULL is allowed. */
void new_file_free(struct new_file *f);

#endif
