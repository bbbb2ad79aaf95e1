/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/agent/tpm/object.h"

#include <string.h>
#include <tss2/tss2_mu.h>

#include "base/err.h"

int
object_name_read(struct buf *in, TPM2B_NAME *name)
{
	const uint8_t *bytes;
	size_t n;

	if (buf_get_tpm2b(in, &bytes, &n) < 0 || n > sizeof(name->name))
		return ERR_FORMAT;
	name->size = (UINT16)n;
	memcpy(name->name, bytes, n);
	return 0;
}

int
object_read(struct buf *in, TPM2B_PUBLIC *public, TPM2B_PRIVATE *private)
{
	const uint8_t *area, *bytes;
	size_t area_size, size, at = 0;

	if (buf_get_tpm2b(in, &area, &area_size) < 0 ||
	    buf_get_tpm2b(in, &bytes, &size) < 0 ||
	    size > sizeof(private->buffer) ||
	    Tss2_MU_TPMT_PUBLIC_Unmarshal(area, area_size, &at,
	    &public->publicArea) != TSS2_RC_SUCCESS || at != area_size)
		return ERR_FORMAT;
	public->size = (UINT16)area_size;
	private->size = (UINT16)size;
	memcpy(private->buffer, bytes, size);
	return 0;
}

int
object_public_write(const TPM2B_PUBLIC *public, struct buf *out)
{
	uint8_t area[sizeof(TPMT_PUBLIC)];
	size_t size = 0;

	if (Tss2_MU_TPMT_PUBLIC_Marshal(&public->publicArea, area, sizeof(area),
	    &size) != TSS2_RC_SUCCESS)
		return ERR_FORMAT;
	return buf_put_tpm2b(out, area, size);
}

int
object_write(const TPM2B_PUBLIC *public, const TPM2B_PRIVATE *private,
    struct buf *out)
{
	if (object_public_write(public, out) < 0)
		return ERR_FORMAT;
	return buf_put_tpm2b(out, private->buffer, private->size);
}

TPML_PCR_SELECTION
object_selection(const struct pcr_set *pcrs)
{
	TPML_PCR_SELECTION out = { .count = (UINT32)pcrs->count };

	for (size_t b = 0; b < pcrs->count; b++) {
		out.pcrSelections[b].hash = pcrs->bank[b].alg->id;
		out.pcrSelections[b].sizeofSelect = PCR_COUNT / 8;
		for (unsigned int i = 0; i < PCR_COUNT / 8; i++)
			out.pcrSelections[b].pcrSelect[i] =
			    (BYTE)(pcrs->bank[b].mask >> (8 * i));
	}
	return out;
}
