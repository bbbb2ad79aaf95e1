/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The host's attestation key: a child of the EK, so that quotes by it show the
 * TPM's own counters (Part 1, 36) and activation finds both together. Its two
 * halves are kept in a file; the private one is of use to this TPM alone.
 */
#ifndef AGENT_TPM_HOST_AK_H
#define AGENT_TPM_HOST_AK_H

#include "base/buf.h"
#include "base/secret.h"
#include "trust-authority/agent/tpm/host-ek.h"

/* doc/protocols.md, "The agent's files". */
struct ak_blob {
	const struct ek_template *template;	/* of its parent */
	TPM2B_NAME ek;
	TPM2B_NAME owner;	/* the storage root key's; size 0: not known */
	TPM2B_PUBLIC public;
	TPM2B_PRIVATE private;
};

int ak_blob_read(struct buf *in, struct ak_blob *ak, struct err *err);
int ak_blob_write(const struct ak_blob *ak, struct buf *out, struct err *err);

/* kind: "ecdsa" (P-256), "rsassa" (2048), "auto": the first that the TPM has.
 * All with SHA-256. */
int host_ak_make(struct hosttpm *t, struct host_ek *ek, const char *kind,
    struct ak_blob *out, struct err *err);
/* The EK of ak, and ak loaded under it. ERR_KEY: another TPM, or this one was
 * cleared; ERR_FORMAT: the TPM refuses the blob. */
int host_ak_load(struct hosttpm *t, const struct ak_blob *ak,
    struct host_ek *ek, ESYS_TR *handle, struct err *err);

/* TPM2_ActivateCredential: both are TPM2Bs, with their sizes. ERR_REFUSED: it
 * was not made for this EK and this AK. */
int host_ak_activate(struct hosttpm *t, struct host_ek *ek, ESYS_TR ak,
    struct buf *blob, struct buf *encrypted, struct secret **out,
    struct err *err);

#endif
