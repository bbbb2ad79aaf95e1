/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The agent's HTTPS server for the authority: status, and "attest again now".
 * Its certificate is its own, made at the first start; attestd learns it with
 * each attestation and takes no other for this host.
 */
#ifndef AGENT_DAEMON_HTTPS_H
#define AGENT_DAEMON_HTTPS_H

#include "trust-authority/agent/daemon/kmxa.h"

int https_open(struct kmxa *k, struct https **out, struct err *err);
/* Serves, in a thread of its own. */
int https_start(struct https *h, struct err *err);
unsigned int https_port(const struct https *h);
/* {port, certificate}, for attestd. */
json_t *https_json(const struct https *h);
/* PEM of the EK's intermediate CAs, NULL: none. */
const char *https_intermediates(const struct https *h);

#endif
