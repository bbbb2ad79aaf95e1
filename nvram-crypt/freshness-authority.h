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

/* For a VM that comes without its file: fd is of its instance's file, which is
 * taken, and used by freshness_take_up. */
void freshness_authority_expect(struct freshness *f, int fd);
/* What was taken up at the end of its way, from who offered it at this epoch,
 * and not used goes back: f owns it no more. Not where f has told of an epoch
 * of its own (freshness_confirm). */
int freshness_authority_give_back(struct freshness *f, uint64_t epoch,
    const uint8_t session[FRESHNESS_SESSION_SIZE], struct err *err);

#endif
