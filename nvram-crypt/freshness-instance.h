/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who this host is towards the trust authority as the owner of a VM: 16 random
 * bytes per VM, in a file of the host's that is locked while the VM is owned.
 *
 *   STATE_DIR/authority/UUID	instance (16), 1 while open, else 0
 *
 * A vtpmd that was killed comes back as the same owner, without waiting for its
 * lease to run out; the lock keeps a second copy of the nvram file on the same
 * host from being that owner too.
 */
#ifndef NVRAM_CRYPT_FRESHNESS_INSTANCE_H
#define NVRAM_CRYPT_FRESHNESS_INSTANCE_H

#include <stdbool.h>

#include "nvram-crypt/agent-wire.h"
#include "nvram-crypt/native.h"

struct freshness_instance {
	int fd;			/* -1: not open */
	bool held;		/* locked */
	uint8_t bytes[AGENT_INSTANCE_SIZE];
	bool was_open;		/* the last owner on this host did not say that
				 * it closed */
};

/* Opens the file, which is made where missing, and no more: for one who has no
 * paths later. */
int freshness_instance_prepare(struct freshness_instance *i,
    const struct native_config *config, const uint8_t uuid[UUID_SIZE],
    struct err *err);
/* The two halves of that, for a VM that is not known yet. The directory is made
 * where missing; *dir, *fd are the caller's. */
int freshness_instance_directory(const struct native_config *config, int *dir,
    struct err *err);
int freshness_instance_open(int dir, const uint8_t uuid[UUID_SIZE], int *fd,
    struct err *err);
/* prepare, unless it is open, and the lock. ERR_BUSY: the VM is in use on this
 * host. */
int freshness_instance_take(struct freshness_instance *i,
    const struct native_config *config, const uint8_t uuid[UUID_SIZE],
    struct err *err);
/* Of another process's, with its lock; takes fd also on failure. */
int freshness_instance_adopt(struct freshness_instance *i, int fd,
    struct err *err);
/* Gives up the lock, not the file; clean: the authority knows, or all is on the
 * disk. */
void freshness_instance_leave(struct freshness_instance *i, bool clean);
/* Gives it up; clean: the authority knows. */
void freshness_instance_drop(struct freshness_instance *i, bool clean);
/* Of a VM that is no more. */
int freshness_instance_remove(const struct native_config *config,
    const uint8_t uuid[UUID_SIZE], struct err *err);

#endif
