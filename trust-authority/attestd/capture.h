/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A policy from a reference host: an administrator asks for it, the host's next
 * evidence becomes a document, and the administrator fetches, reads and
 * approves it. Record `capture` under the host's name; the document in parts.
 */
#ifndef ATTESTD_CAPTURE_H
#define ATTESTD_CAPTURE_H

#include "trust-authority/attest/needs.h"
#include "trust-authority/attestd/attestd.h"

#define KIND_CAPTURE "capture"

struct policy_litter;

/* What is kept of a host's capture, before a commit that removes it. */
int capture_litter(struct attestd *d, const char *host,
    struct policy_litter *l, struct err *err);
/* Adds what a capture that waits for this host needs; *order says which, 0
 * where none does. */
int capture_needs(struct attestd *d, const char *host, struct needs *needs,
    uint64_t *order, struct err *err);
/* Makes the document, if this order still waits: one that came since waits for
 * an attestation that began knowing its needs. That it cannot be made is not an
 * error of the attestation: it is in the record. */
void capture_take(struct attestd *d, const char *host, uint64_t order,
    struct attestation *a);

#endif
