/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The agent's files: each written whole under another name, synced and put in
 * place, readable by nobody else. Who could put another file there could only
 * make the host fail, but that, too, is the administrator's to do alone.
 */
#ifndef AGENT_STATE_DIR_H
#define AGENT_STATE_DIR_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct state_dir {
	int fd;			/* -1: not open */
	char path[4096];	/* for messages */
};

/* An absolute path; made (0700) where missing, its parent must be there.
 * ERR_REFUSED where it is another user's, or others may write in it. */
int state_dir_open(struct state_dir *d, const char *path, struct err *err);
/* The same for name below up. */
int state_dir_below(struct state_dir *d, const struct state_dir *up,
    const char *name, struct err *err);
void state_dir_close(struct state_dir *d);

/* *data is to be freed. ERR_NOTFOUND; ERR_REFUSED where others can read it;
 * ERR_FORMAT where it has more than max bytes. */
int state_file_read(const struct state_dir *d, const char *name, size_t max,
    uint8_t **data, size_t *size, struct err *err);
/* Replaces what is there. */
int state_file_write(const struct state_dir *d, const char *name,
    const void *data, size_t size, struct err *err);
/* 0 too where it is not there. */
int state_file_remove(const struct state_dir *d, const char *name,
    struct err *err);

#endif
