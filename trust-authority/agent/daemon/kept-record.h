/* SPDX-License-Identifier: BSD-3-Clause */
/* The bytes of a kept record (doc/protocols.md, "The agent's files"). */
#ifndef AGENT_DAEMON_KEPT_RECORD_H
#define AGENT_DAEMON_KEPT_RECORD_H

#include "trust-authority/agent/daemon/kept.h"

#define KEPT_RECORD_SIZE 206

/* mac: the key of the HMAC, DEK_SIZE bytes. */
int kept_record_write(const struct kept_record *r, const struct secret *mac,
    uint8_t out[KEPT_RECORD_SIZE], struct err *err);
/* Checks the HMAC, then reads. ERR_AUTH, ERR_FORMAT. */
int kept_record_read(const uint8_t *data, size_t size,
    const struct secret *mac, struct kept_record *r, struct err *err);

#endif
