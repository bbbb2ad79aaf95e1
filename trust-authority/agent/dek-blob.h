/* SPDX-License-Identifier: BSD-3-Clause */
/* What is known of a sealed DEK without a TPM. */
#ifndef AGENT_DEK_BLOB_H
#define AGENT_DEK_BLOB_H

#include "base/buf.h"
#include "base/uuid.h"

#define DEK_SIZE 32
#define DEK_BLOB_MAX 2048
#define DEK_BLOB_MAGIC "VTASEAL1"
#define DEK_BLOB_MAGIC_SIZE 8

/* What a DEK is bound to. */
struct dek_label {
	uint8_t vm[UUID_SIZE];
	uint64_t epoch;
};

/* The beginning of a blob. What it says counts for lists alone: the sealed
 * data say it again. 0 or ERR_FORMAT. */
int dek_label_read(struct buf *in, struct dek_label *label);
int dek_label_write(const struct dek_label *label, struct buf *out);

#endif
