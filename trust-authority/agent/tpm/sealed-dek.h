/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A VM's DEK as a sealed data object under the EK. Only this TPM gives it back,
 * only while the named PCRs are as they were, and it says itself of which VM
 * and epoch it is. doc/protocols.md, "The agent's files".
 */
#ifndef AGENT_TPM_SEALED_DEK_H
#define AGENT_TPM_SEALED_DEK_H

#include "base/buf.h"
#include "base/secret.h"
#include "base/uuid.h"
#include "trust-authority/agent/dek-blob.h"
#include "trust-authority/agent/tpm/host-ak.h"
#include "trust-authority/attest/pcr.h"

/* Under ak's EK, to the PCRs as they are now. */
int sealed_dek_make(struct hosttpm *t, const struct ak_blob *ak,
    const struct dek_label *label, const struct pcr_set *pcrs,
    const struct secret *key, struct buf *out, struct err *err);
/* ERR_STALE: another state of the PCRs, another VM's or epoch's; ERR_KEY:
 * another TPM; ERR_FORMAT: damaged. */
int sealed_dek_open(struct hosttpm *t, struct buf *in,
    const struct dek_label *label, struct secret **key, struct err *err);

#endif
