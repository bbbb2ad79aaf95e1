/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The host's TPM as the agent uses it: each function runs vta-kmxa-tpm once and
 * blocks until that has ended (seconds on a discrete TPM, at most timeout_ms),
 * so a daemon calls them from a thread. A TPM does one thing at a time anyway.
 *
 * Errors: ERR_TPM the TPM or the way to it; ERR_KEY another TPM than before,
 * or it was cleared; ERR_FORMAT a damaged blob; others where they are told.
 */
#ifndef AGENT_HOST_TPM_H
#define AGENT_HOST_TPM_H

#include "base/secret.h"
#include "trust-authority/agent/dek-blob.h"
#include "trust-authority/attest/credential.h"
#include "trust-authority/attest/evidence.h"

#define HOST_AK_BLOB_MAX 2048

struct host_tpm {
	const char *helper;	/* NULL: the installed vta-kmxa-tpm */
	const char *tcti;	/* NULL: device:/dev/tpmrm0 */
	const char *ek;		/* NULL: "auto"; names of ek-template.c */
	const char *ak;		/* NULL: "auto"; "ecdsa", "rsassa" */
	const char *eventlog, *ima_log;	/* paths; NULL: without */
	int timeout_ms;		/* 0: a minute and a half */
};

/* Where the kernel has them. */
#define HOST_EVENTLOG "/sys/kernel/security/tpm0/binary_bios_measurements"
#define HOST_IMA_LOG "/sys/kernel/security/ima/binary_runtime_measurements"

struct host_bytes {
	const uint8_t *data;
	size_t size;
};

/* What a host is registered by. All point into one piece. */
struct host_identity {
	char ek_name[16];		/* which EK: "p256" */
	struct host_bytes ek;		/* TPMT_PUBLIC */
	struct host_bytes certificate;	/* DER, maybe padded; size 0: none */
	struct host_bytes ak;		/* TPMT_PUBLIC */
	struct host_bytes ak_blob;	/* for the functions below */
	uint8_t *piece;
};

/* ak_blob of before: loads it. Size 0: makes a new AK. */
int host_tpm_identity(const struct host_tpm *h, struct host_bytes ak_blob,
    struct host_identity *out, struct err *err);
void host_identity_free(struct host_identity *id);

/* What the credential hides. ERR_TPM with "not made for" where it is another
 * host's. */
int host_tpm_activate(const struct host_tpm *h, struct host_bytes ak_blob,
    const struct credential *c, struct secret **out, struct err *err);

/* A message of evidence over the PCRs that pcrs selects; binding is
 * quote_binding's. *message is to be freed. ERR_NOTFOUND: a log is missing;
 * ERR_BUSY: PCRs changed all the time. */
int host_tpm_evidence(const struct host_tpm *h, struct host_bytes ak_blob,
    const uint8_t binding[QUOTE_BINDING_SIZE], const struct pcr_set *pcrs,
    uint8_t **message, size_t *size, struct err *err);

/* Seals a VM's DEK to the PCRs that pcrs selects, as they are now, at least
 * one. */
int host_tpm_seal(const struct host_tpm *h, struct host_bytes ak_blob,
    const struct dek_label *label, const struct pcr_set *pcrs,
    const struct secret *key, uint8_t blob[DEK_BLOB_MAX], size_t *size,
    struct err *err);
/* ERR_STALE: the PCRs are others now, or it is another VM's or epoch's. */
int host_tpm_unseal(const struct host_tpm *h, struct host_bytes blob,
    const struct dek_label *label, struct secret **key, struct err *err);

#endif
