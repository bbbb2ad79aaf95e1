/* SPDX-License-Identifier: BSD-3-Clause */
/* An object's halves and names as length-prefixed structures. Our own reader
 * finds them, so that tpm2-tss gets exactly one and must use it up. All return
 * 0 or ERR_FORMAT. */
#ifndef AGENT_TPM_OBJECT_H
#define AGENT_TPM_OBJECT_H

#include <tss2/tss2_tpm2_types.h>

#include "base/buf.h"
#include "trust-authority/attest/pcr.h"

int object_name_read(struct buf *in, TPM2B_NAME *name);
int object_read(struct buf *in, TPM2B_PUBLIC *public, TPM2B_PRIVATE *private);
int object_write(const TPM2B_PUBLIC *public, const TPM2B_PRIVATE *private,
    struct buf *out);
/* The TPMT_PUBLIC alone, length-prefixed. */
int object_public_write(const TPM2B_PUBLIC *public, struct buf *out);
/* As TPM commands take it. */
TPML_PCR_SELECTION object_selection(const struct pcr_set *pcrs);

#endif
