/* SPDX-License-Identifier: BSD-3-Clause */
/* The host's identity over restarts: its AK is made once and kept in "ak". */
#ifndef AGENT_HOST_IDENTITY_H
#define AGENT_HOST_IDENTITY_H

#include <stdbool.h>

#include "trust-authority/agent/host-tpm.h"
#include "trust-authority/agent/state-dir.h"

/* Of the file; where there is none, a new AK is made and kept (*made). A file
 * that is damaged or another TPM's is an error, and stays as it is. */
int host_identity_open(const struct host_tpm *h, const struct state_dir *d,
    struct host_identity *out, bool *made, struct err *err);
/* A new AK whatever there was: the way back when a board was replaced. The
 * authority must then activate it anew, and import the EK if that is new. */
int host_identity_renew(const struct host_tpm *h, const struct state_dir *d,
    struct host_identity *out, struct err *err);

#endif
