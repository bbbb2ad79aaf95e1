/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/agent/dek-blob.h"

#include <string.h>

#include "base/err.h"

int
dek_label_read(struct buf *in, struct dek_label *label)
{
	uint8_t magic[DEK_BLOB_MAGIC_SIZE] = { 0 };

	buf_get_bytes(in, magic, sizeof(magic));
	buf_get_bytes(in, label->vm, UUID_SIZE);
	buf_get_u64be(in, &label->epoch);
	return buf_ok(in) && memcmp(magic, DEK_BLOB_MAGIC,
	    sizeof(magic)) == 0 ? 0 : ERR_FORMAT;
}

int
dek_label_write(const struct dek_label *label, struct buf *out)
{
	buf_put_bytes(out, DEK_BLOB_MAGIC, DEK_BLOB_MAGIC_SIZE);
	buf_put_bytes(out, label->vm, UUID_SIZE);
	return buf_put_u64be(out, label->epoch);
}
