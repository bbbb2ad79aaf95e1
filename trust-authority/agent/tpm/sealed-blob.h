/* SPDX-License-Identifier: BSD-3-Clause */
/* A sealed DEK as it is kept; doc/protocols.md, "The agent's files". */
#ifndef AGENT_TPM_SEALED_BLOB_H
#define AGENT_TPM_SEALED_BLOB_H

#include <tss2/tss2_tpm2_types.h>

#include "base/err.h"
#include "trust-authority/agent/dek-blob.h"
#include "trust-authority/agent/tpm/ek-template.h"
#include "trust-authority/attest/pcr.h"

struct sealed_blob {
	struct dek_label label;
	const struct ek_template *template;	/* of the parent */
	TPM2B_NAME parent;
	struct pcr_set pcrs;
	TPM2B_PUBLIC public;
	TPM2B_PRIVATE private;
};

int sealed_blob_read(struct buf *in, struct sealed_blob *s, struct err *err);
int sealed_blob_write(const struct sealed_blob *s, struct buf *out,
    struct err *err);

#endif
