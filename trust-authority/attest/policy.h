/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A policy ("base image"): what an administrator approves for a group of hosts,
 * as a JSON document that doc/protocols.md describes ("Policies").
 */
#ifndef ATTEST_POLICY_H
#define ATTEST_POLICY_H

#include "trust-authority/attest/attestation.h"

#define POLICY_NAME_MAX 64
#define POLICY_SIZE_MAX (64u << 20)

struct policy;

/* Strict: a member that is unknown, twice there or of another type is refused,
 * with its path, and so is a policy that would approve every host. */
int policy_read(const char *json, size_t size, struct policy **out,
    struct err *err);
void policy_free(struct policy *p);
const char *policy_name(const struct policy *p);

/* A policy that approves what this host has, of the logs as far as they are
 * explained by its quote: a text in JSON to be freed. ima: also the files of
 * the IMA log. */
int policy_capture(struct attestation *a, const char *name,
    const struct hash_alg *bank, bool ima, char **json, struct err *err);

#endif
