/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A process beside the monitor of a vTPM whose file is yet to be made. The
 * monitor can reach no path, and parses what comes; this one reaches three
 * directories, and does three things: it gives the new file its name, takes
 * that away again, and opens or makes a VM's freshness record, of this host's or
 * of what it is to the trust authority. It ends with its monitor, and what has
 * no name by then is removed.
 */
#ifndef VTPM_PORTER_H
#define VTPM_PORTER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/uuid.h"
#include "migration/new-file.h"
#include "nvram-crypt/native.h"

struct porter {
	int sock;	/* -1: there is none */
	pid_t pid;
};

/* Which directories it reaches. */
struct porter_places {
	const char *file;		/* the new file's */
	const struct native *native;	/* of records; NULL: none */
	int instances;			/* freshness-instance.h; -1: none */
};

/* Takes f in any case. */
int porter_start(struct porter *p, struct new_file *f,
    const struct porter_places *places, struct err *err);
/* freshness_record_fd. */
int porter_record(const struct porter *p, const uint8_t uuid[UUID_SIZE],
    bool make, uint64_t epoch, int *fd, struct err *err);
/* freshness_instance_open. */
int porter_instance(const struct porter *p, const uint8_t uuid[UUID_SIZE],
    int *fd, struct err *err);
/* new_file_finish, new_file_unname. */
int porter_name(const struct porter *p, struct err *err);
void porter_unname(const struct porter *p);
/* Waits for its end. Nothing where there is none. */
void porter_end(struct porter *p);

#endif
