/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/agent/tpm/nv-read.h"

#include <stdbool.h>
#include <string.h>

#include "trust-authority/agent/tpm/host-ek.h"

/* Where the TPM does not say: every PC Client TPM has at least this. */
#define CHUNK_DEFAULT 512

/* TPM_PT_NV_BUFFER_MAX, TPM 2.0 Part 2, 6.13. */
static UINT16
chunk_max(struct hosttpm *t)
{
	TPMS_CAPABILITY_DATA *data = NULL;
	UINT16 max = CHUNK_DEFAULT;
	TPMI_YES_NO more;

	if (Esys_GetCapability(hosttpm_esys(t), ESYS_TR_NONE, ESYS_TR_NONE,
	    ESYS_TR_NONE, TPM2_CAP_TPM_PROPERTIES, TPM2_PT_NV_BUFFER_MAX, 1,
	    &more, &data) == TSS2_RC_SUCCESS &&
	    data->data.tpmProperties.count == 1 &&
	    data->data.tpmProperties.tpmProperty[0].property ==
	    TPM2_PT_NV_BUFFER_MAX &&
	    data->data.tpmProperties.tpmProperty[0].value >= 64 &&
	    data->data.tpmProperties.tpmProperty[0].value <=
	    TPM2_MAX_NV_BUFFER_SIZE)
		max = (UINT16)data->data.tpmProperties.tpmProperty[0].value;
	Esys_Free(data);
	return max;
}

static int
chunks_read(struct hosttpm *t, ESYS_TR nv, ESYS_TR auth, uint8_t *data,
    size_t size, struct err *err)
{
	const UINT16 max = chunk_max(t);
	TPM2B_MAX_NV_BUFFER *part = NULL;
	size_t at = 0;

	while (at < size) {
		UINT16 n = size - at < max ? (UINT16)(size - at) : max;
		TSS2_RC tss = Esys_NV_Read(hosttpm_esys(t), auth, nv,
		    ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, n,
		    (UINT16)at, &part);

		if (tss != TSS2_RC_SUCCESS)
			return host_ek_error(err, tss, "read the endorsement "
			    "key's certificate");
		if (part->size != n) {
			Esys_Free(part);
			return err_set(err, ERR_TPM, "the host's TPM gave %u "
			    "bytes of an NV index instead of %u", part->size,
			    n);
		}
		memcpy(data + at, part->buffer, n);
		at += n;
		Esys_Free(part);
	}
	return 0;
}

int
nv_read(struct hosttpm *t, TPMI_RH_NV_INDEX index, uint8_t *data, size_t room,
    size_t *size, struct err *err)
{
	TPM2B_NV_PUBLIC *public = NULL;
	ESYS_TR nv = ESYS_TR_NONE;
	TSS2_RC tss;
	int rc = 0;

	*size = 0;
	tss = Esys_TR_FromTPMPublic(hosttpm_esys(t), index, ESYS_TR_NONE,
	    ESYS_TR_NONE, ESYS_TR_NONE, &nv);
	if (hosttpm_rc_base(tss) == TPM2_RC_HANDLE)
		return 0;
	if (tss == TSS2_RC_SUCCESS)
		tss = Esys_NV_ReadPublic(hosttpm_esys(t), nv, ESYS_TR_NONE,
		    ESYS_TR_NONE, ESYS_TR_NONE, &public, NULL);
	if (tss != TSS2_RC_SUCCESS) {
		rc = host_ek_error(err, tss, "describe an NV index");
		goto out;
	}
	if (!(public->nvPublic.attributes & TPMA_NV_WRITTEN))
		goto out;
	if (public->nvPublic.dataSize > room) {
		rc = err_set(err, ERR_UNSUPPORTED, "the TPM's NV index 0x%08x "
		    "has %u bytes, more than %zu", index,
		    public->nvPublic.dataSize, room);
		goto out;
	}
	rc = chunks_read(t, nv, public->nvPublic.attributes &
	    TPMA_NV_AUTHREAD ? nv : ESYS_TR_RH_OWNER, data,
	    public->nvPublic.dataSize, err);
	if (rc == 0)
		*size = public->nvPublic.dataSize;
out:
	if (nv != ESYS_TR_NONE)
		(void)Esys_TR_Close(hosttpm_esys(t), &nv);
	Esys_Free(public);
	return rc;
}
