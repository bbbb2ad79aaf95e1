/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The sealed DEKs of this host's VMs: one file each in "keys", named by the
 * VM's UUID. Kept only where the configuration says so.
 */
#ifndef AGENT_DEK_STORE_H
#define AGENT_DEK_STORE_H

#include "trust-authority/agent/dek-blob.h"
#include "trust-authority/agent/state-dir.h"

int dek_store_open(struct state_dir *store, const struct state_dir *up,
    struct err *err);
/* The VM's is replaced. */
int dek_store_put(const struct state_dir *store, const uint8_t vm[UUID_SIZE],
    const uint8_t *blob, size_t size, struct err *err);
/* *blob is to be freed. ERR_NOTFOUND; ERR_FORMAT where it does not say that it
 * is this VM's. */
int dek_store_get(const struct state_dir *store, const uint8_t vm[UUID_SIZE],
    uint8_t **blob, size_t *size, struct err *err);
int dek_store_remove(const struct state_dir *store,
    const uint8_t vm[UUID_SIZE], struct err *err);
/* All of them, and what a writer that died left; goes on after a failure and
 * returns the first. *count: how many were removed. */
int dek_store_wipe(const struct state_dir *store, size_t *count,
    struct err *err);
/* The VMs that there are files of, to be freed; by their names alone. */
int dek_store_list(const struct state_dir *store, uint8_t (**vms)[UUID_SIZE],
    size_t *count, struct err *err);

#endif
