/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>
#include <tss2/tss2_mu.h>

#include "trust-authority/agent/tpm/host-ak.h"
#include "trust-authority/agent/tpm/object.h"

#define MAGIC "VTAAKEY1"
#define MAGIC_SIZE 8

static int
template_read(struct buf *in, const struct ek_template **out)
{
	const uint8_t *name;
	size_t size;

	if (buf_get_tpm2b(in, &name, &size) < 0)
		return ERR_FORMAT;
	*out = ek_template_find((const char *)name, size);
	return *out != NULL ? 0 : ERR_FORMAT;
}

int
ak_blob_read(struct buf *in, struct ak_blob *ak, struct err *err)
{
	uint8_t magic[MAGIC_SIZE] = { 0 };

	memset(ak, 0, sizeof(*ak));
	buf_get_bytes(in, magic, sizeof(magic));
	if (memcmp(magic, MAGIC, sizeof(magic)) != 0 ||
	    template_read(in, &ak->template) < 0 ||
	    object_name_read(in, &ak->ek) < 0 ||
	    object_name_read(in, &ak->owner) < 0 ||
	    object_read(in, &ak->public, &ak->private) < 0 ||
	    buf_left(in) > 0)
		return err_set(err, ERR_FORMAT, "this is no attestation key's "
		    "file, or it is damaged: restore it from a backup, or "
		    "renew the host's identity");
	return 0;
}

int
ak_blob_write(const struct ak_blob *ak, struct buf *out, struct err *err)
{
	buf_put_bytes(out, MAGIC, MAGIC_SIZE);
	buf_put_tpm2b(out, ak->template->name, strlen(ak->template->name));
	buf_put_tpm2b(out, ak->ek.name, ak->ek.size);
	buf_put_tpm2b(out, ak->owner.name, ak->owner.size);
	if (object_write(&ak->public, &ak->private, out) < 0)
		return err_set(err, ERR_INTERNAL, "the host's TPM made an "
		    "attestation key of more than %zu bytes", out->size);
	return 0;
}
