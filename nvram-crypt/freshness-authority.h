/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The trust authority's record of a VM, asked through this host's agent. It is
 * that of every file with an `authority` protector (nvram_wants_authority),
 * whatever has opened it.
 */
#ifndef NVRAM_CRYPT_FRESHNESS_AUTHORITY_H
#define NVRAM_CRYPT_FRESHNESS_AUTHORITY_H

#include "nvram-crypt/agent.h"
#include "nvram-crypt/freshness.h"

/* a and what config points to must live as long. From freshness_acquire on the
 * agent is watched (agent_watch). */
int freshness_authority(struct freshness **out, struct agent *a,
    const struct native_config *config, struct err *err);
/* Another process's, as its owner at epoch; fd is what freshness_hand_over lent
 * there, and taken also on failure. The connection is made when agent_tick
 * comes to it; whether the VM is still this owner's is known after that. */
int freshness_authority_adopt(struct freshness **out, struct agent *a, int fd,
    const uint8_t uuid[UUID_SIZE], uint64_t epoch, struct err *err);

#endif
