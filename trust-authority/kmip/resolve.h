/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Host names to addresses, with a deadline: getaddrinfo(3) alone may take
 * half a minute where the name server is silent.
 */
#ifndef TRUST_AUTHORITY_KMIP_RESOLVE_H
#define TRUST_AUTHORITY_KMIP_RESOLVE_H

#include <netdb.h>
#include <stdint.h>

#include "base/err.h"

struct resolver;

struct resolver *resolver_new(void);
/* Lookups that nobody waits for any more may still run, and end by themselves.
 */
void resolver_free(struct resolver *r);

/* TCP addresses of host, which may be numeric; the caller frees *out by
 * freeaddrinfo(3). deadline as of clock_ms. ERR_CLOSED where there is none in
 * time. */
int resolver_lookup(struct resolver *r, const char *host, const char *port,
    int64_t deadline, struct addrinfo **out, struct err *err);

#endif
