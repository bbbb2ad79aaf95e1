/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A token and the key to which answers for it are encrypted. Shared by threads
 * and counted: an answer may come while the next token is there already.
 */
#ifndef AGENT_DAEMON_HOST_TOKEN_H
#define AGENT_DAEMON_HOST_TOKEN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/secret.h"
#include "trust-authority/agent/transport-key.h"

struct host_token;

/* Takes key over, also on failure. expires: seconds since 1970. */
int host_token_new(const char *text, int64_t expires,
    struct transport_key *key, struct host_token **out, struct err *err);
struct host_token *host_token_take(struct host_token *t);
/* NULL is allowed. */
void host_token_drop(struct host_token *t);

const char *host_token_text(const struct host_token *t);
/* Whether it has not ended, however this host's clock was set since it came. */
bool host_token_lives(const struct host_token *t);
int64_t host_token_expires(const struct host_token *t);
/* A JWE of type vtpm-key: 32 bytes. */
int host_token_open(const struct host_token *t, const char *jwe,
    struct secret **key, struct err *err);

#endif
