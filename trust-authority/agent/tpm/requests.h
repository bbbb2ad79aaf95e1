/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Requests to vta-kmxa-tpm and their answers: length-prefixed fields (u16 and
 * bytes) one after the other, in the order given here; doc/protocols.md, "The
 * agent and its TPM program".
 */
#ifndef AGENT_TPM_REQUESTS_H
#define AGENT_TPM_REQUESTS_H

#include "base/buf.h"
#include "nvram-crypt/hostkey/hosttpm.h"

#define REQUEST_MAX 16384

/* Which EK, which AK, the AK's blob or nothing. Answer: name of the EK's
 * template, TPMT_PUBLIC of the EK, its certificate or nothing, AK's blob,
 * TPMT_PUBLIC of the AK. */
int request_identity(struct hosttpm *t, struct buf *in, struct err *err);
/* AK's blob, TPM2B_ID_OBJECT, TPM2B_ENCRYPTED_SECRET. Answer: the secret. */
int request_activate(struct hosttpm *t, struct buf *in, struct err *err);
/* AK's blob, qualifying data, TPML_PCR_SELECTION, paths of the event log and of
 * the IMA log, or nothing. Answer: evidence. */
int request_evidence(struct hosttpm *t, struct buf *in, struct err *err);
/* AK's blob, UUID, epoch, TPML_PCR_SELECTION, key. Answer: the sealed key. */
int request_seal(struct hosttpm *t, struct buf *in, struct err *err);
/* The sealed key, UUID, epoch. Answer: the key. */
int request_unseal(struct hosttpm *t, struct buf *in, struct err *err);

#endif
