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

/* Adds what a capture that waits for this host needs. */
int capture_needs(struct attestd *d, const char *host, struct needs *needs,
    struct err *err);
/* Makes the document, if one is waited for, of an attestation that began then
 * (ms since 1970). That it cannot be made is not an error of the attestation:
 * it is in the record. */
void capture_take(struct attestd *d, const char *host, int64_t began,
    struct attestation *a);

#endif
