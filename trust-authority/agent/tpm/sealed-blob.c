/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/agent/tpm/sealed-blob.h"

#include <string.h>
#include <tss2/tss2_mu.h>

#include "trust-authority/agent/tpm/object.h"

int
sealed_blob_read(struct buf *in, struct sealed_blob *s, struct err *err)
{
	const uint8_t *name, *selection;
	size_t name_size = 0, size = 0;
	struct buf sub;

	memset(s, 0, sizeof(*s));
	if (dek_label_read(in, &s->label) < 0 ||
	    buf_get_tpm2b(in, &name, &name_size) < 0 ||
	    (s->template = ek_template_find((const char *)name,
	    name_size)) == NULL ||
	    object_name_read(in, &s->parent) < 0 ||
	    buf_get_tpm2b(in, &selection, &size) < 0)
		goto bad;
	sub = buf_reader(selection, size);
	if (pcr_selection_read(&sub, &s->pcrs, NULL) < 0 ||
	    buf_left(&sub) > 0 ||
	    object_read(in, &s->public, &s->private) < 0 || buf_left(in) > 0)
		goto bad;
	return 0;
bad:
	return err_set(err, ERR_FORMAT, "this is no sealed key, or it is "
	    "damaged: the key has to come from the authority again");
}

int
sealed_blob_write(const struct sealed_blob *s, struct buf *out, struct err *err)
{
	TPML_PCR_SELECTION selection = object_selection(&s->pcrs);
	uint8_t bytes[sizeof(selection)];
	size_t size = 0;

	dek_label_write(&s->label, out);
	buf_put_tpm2b(out, s->template->name, strlen(s->template->name));
	buf_put_tpm2b(out, s->parent.name, s->parent.size);
	if (Tss2_MU_TPML_PCR_SELECTION_Marshal(&selection, bytes,
	    sizeof(bytes), &size) != TSS2_RC_SUCCESS ||
	    buf_put_tpm2b(out, bytes, size) < 0 ||
	    object_write(&s->public, &s->private, out) < 0)
		return err_set(err, ERR_INTERNAL, "the host's TPM made a "
		    "sealed key of more than %zu bytes", out->size);
	return 0;
}
