/* SPDX-License-Identifier: BSD-3-Clause */
/* The self-signed certificate of the agent's HTTPS server, and its key, in the
 * state directory. */
#ifndef AGENT_DAEMON_OWN_CERT_H
#define AGENT_DAEMON_OWN_CERT_H

#include "trust-authority/agent/state-dir.h"

/* Made where there is none. *pem is to be freed. */
int own_cert_get(const struct state_dir *d, const char *name, char **pem,
    struct err *err);
void own_cert_paths(const struct state_dir *d, char *certificate, char *key,
    size_t room);
/* A file of certificates. *pem is to be freed. */
int own_cert_read_pem(const char *path, char **pem, struct err *err);

#endif
