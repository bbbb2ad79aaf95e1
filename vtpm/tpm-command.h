/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The few TPM 2.0 commands that making and inspecting a TPM take, sent to the
 * TPM of this process (vtpm/tpm.h). Named after TPM 2.0 Part 3. Each returns
 * 0 or ERR_TPM with the command's name and the TPM_RC in the text and the
 * TPM_RC in err.sys. Authorisation is the empty password throughout: a TPM
 * fresh from manufacture has no other.
 */
#ifndef VTPM_TPM_COMMAND_H
#define VTPM_TPM_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* TPM 2.0 Part 2, 7.4 */
#define TPM_RH_OWNER 0x40000001u
#define TPM_RH_ENDORSEMENT 0x4000000bu
#define TPM_RH_PLATFORM 0x4000000cu

/* TPM 2.0 Part 2, 6.13 */
#define TPM_PT_FAMILY_INDICATOR 0x100u
#define TPM_PT_LEVEL 0x101u
#define TPM_PT_REVISION 0x102u
#define TPM_PT_MANUFACTURER 0x105u
#define TPM_PT_FIRMWARE_VERSION_1 0x10bu
#define TPM_PT_NV_INDEX_MAX 0x117u
#define TPM_PT_NV_BUFFER_MAX 0x12cu

/* TPMA_NV, TPM 2.0 Part 2, 13.4 */
#define TPMA_NV_PPWRITE 0x00000001u
#define TPMA_NV_WRITELOCKED 0x00000800u
#define TPMA_NV_WRITEDEFINE 0x00002000u
#define TPMA_NV_PPREAD 0x00010000u
#define TPMA_NV_OWNERREAD 0x00020000u
#define TPMA_NV_AUTHREAD 0x00040000u
#define TPMA_NV_NO_DA 0x02000000u
#define TPMA_NV_WRITTEN 0x20000000u
#define TPMA_NV_PLATFORMCREATE 0x40000000u

#define TPM_PUBLIC_MAX 1024u	/* bytes of a TPMT_PUBLIC that we handle */
#define TPM_BANKS_MAX 16u	/* TPML_PCR_SELECTION that we handle */
#define TPM_HANDLES_MAX 128u

struct tpm_primary {
	uint32_t handle;		/* transient */
	uint8_t public_area[TPM_PUBLIC_MAX];	/* TPMT_PUBLIC */
	size_t public_size;
};

struct tpm_bank {
	uint16_t hash;			/* TPM_ALG_ID */
	bool active;			/* selects any PCR */
};

int tpm2_startup_clear(struct err *err);
int tpm2_shutdown_clear(struct err *err);
/* template is a TPMT_PUBLIC. The object is transient until evicted. */
int tpm2_create_primary(uint32_t hierarchy, const uint8_t *template,
    size_t template_size, struct tpm_primary *out, struct err *err);
int tpm2_evict_control(uint32_t object, uint32_t persistent, struct err *err);
int tpm2_flush_context(uint32_t handle, struct err *err);
int tpm2_read_public(uint32_t handle, uint8_t public_area[TPM_PUBLIC_MAX],
    size_t *size, struct err *err);
int tpm2_get_property(uint32_t property, uint32_t *value, struct err *err);
/* Handles from first upwards that are of first's type (Part 2, 6.12). */
int tpm2_get_handles(uint32_t first, uint32_t handles[TPM_HANDLES_MAX],
    size_t *n, struct err *err);
int tpm2_get_banks(struct tpm_bank banks[TPM_BANKS_MAX], size_t *n,
    struct err *err);
/* All 24 PCRs in the active banks, none in the others; works from the next
 * _TPM_Init on (Part 3, 22.5). */
int tpm2_pcr_allocate(const struct tpm_bank *banks, size_t n,
    struct err *err);
/* By platform authorisation; the name algorithm is SHA-256. */
int tpm2_nv_define_space(uint32_t index, uint32_t attributes, size_t size,
    struct err *err);
/* In pieces of at most chunk bytes (TPM_PT_NV_BUFFER_MAX). */
int tpm2_nv_write(uint32_t index, const uint8_t *data, size_t size,
    size_t chunk, struct err *err);
int tpm2_nv_write_lock(uint32_t index, struct err *err);
int tpm2_nv_read_public(uint32_t index, uint32_t *attributes, size_t *size,
    struct err *err);
/* By the index's own, empty authorisation, which is there whatever the owner
 * has set. */
int tpm2_nv_read(uint32_t index, uint8_t *data, size_t size, size_t chunk,
    struct err *err);

#endif
