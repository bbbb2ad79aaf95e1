/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ATTESTD_TELL_AGENT_H
#define ATTESTD_TELL_AGENT_H

#include "trust-authority/attestd/attestd.h"

/* Tells the agent of this host to attest now: at the address from which it
 * attested last, and only if its server has the certificate that it named then.
 * ERR_NOTFOUND: it has never attested, or has no server. */
int tell_agent(struct attestd *d, const char *host, struct err *err);

#endif
