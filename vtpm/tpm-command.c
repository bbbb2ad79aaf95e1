/* SPDX-License-Identifier: BSD-3-Clause */
#include "vtpm/tpm-command.h"

#include <string.h>

#include "base/buf.h"
#include "vtpm/exchange.h"
#include "vtpm/tpm.h"

#define PCR_SELECT_SIZE 3u	/* 24 PCRs, PC Client PTP 4.7 */

/* TPM 2.0 Part 2, 6.5.2 */
#define TPM_CC_EVICT_CONTROL 0x120u
#define TPM_CC_NV_DEFINE_SPACE 0x12au
#define TPM_CC_PCR_ALLOCATE 0x12bu
#define TPM_CC_CREATE_PRIMARY 0x131u
#define TPM_CC_NV_WRITE 0x137u
#define TPM_CC_NV_WRITE_LOCK 0x138u
#define TPM_CC_STARTUP 0x144u
#define TPM_CC_SHUTDOWN 0x145u
#define TPM_CC_NV_READ 0x14eu
#define TPM_CC_FLUSH_CONTEXT 0x165u
#define TPM_CC_NV_READ_PUBLIC 0x169u
#define TPM_CC_READ_PUBLIC 0x173u
#define TPM_CC_GET_CAPABILITY 0x17au

#define TPM_SU_CLEAR 0x0000u
#define TPM_ALG_SHA256 0x000bu
#define TPM_CAP_HANDLES 1u
#define TPM_CAP_PCRS 5u
#define TPM_CAP_TPM_PROPERTIES 6u

static int
startup_or_shutdown(const char *name, uint32_t cc, struct err *err)
{
	struct exchange c;

	exchange_begin(&c, name, TPM_ST_NO_SESSIONS, cc);
	buf_put_u16be(&c.out, TPM_SU_CLEAR);
	return exchange_send(&c, err);
}

int
tpm2_startup_clear(struct err *err)
{
	return startup_or_shutdown("TPM2_Startup", TPM_CC_STARTUP, err);
}

int
tpm2_shutdown_clear(struct err *err)
{
	return startup_or_shutdown("TPM2_Shutdown", TPM_CC_SHUTDOWN, err);
}

/* A TPM2B_PUBLIC's inner bytes to a caller's room. */
static int
get_public(struct exchange *c, uint8_t *out, size_t *size, struct err *err)
{
	const uint8_t *bytes;

	if (buf_get_tpm2b(&c->in, &bytes, size) < 0 || *size > TPM_PUBLIC_MAX)
		return exchange_malformed(c, err);
	memcpy(out, bytes, *size);
	return 0;
}

int
tpm2_create_primary(uint32_t hierarchy, const uint8_t *template,
    size_t template_size, struct tpm_primary *out, struct err *err)
{
	uint32_t parameter_size;
	struct exchange c;
	int rc;

	exchange_begin(&c, "TPM2_CreatePrimary", TPM_ST_SESSIONS,
	    TPM_CC_CREATE_PRIMARY);
	buf_put_u32be(&c.out, hierarchy);
	exchange_passwords(&c, 1);
	buf_put_u16be(&c.out, 4);	/* TPM2B_SENSITIVE_CREATE: */
	buf_put_u16be(&c.out, 0);	/* no authorisation value */
	buf_put_u16be(&c.out, 0);	/* no data */
	buf_put_tpm2b(&c.out, template, template_size);
	buf_put_u16be(&c.out, 0);	/* outsideInfo */
	buf_put_u32be(&c.out, 0);	/* creationPCR */
	if ((rc = exchange_send(&c, err)) < 0)
		return rc;
	buf_get_u32be(&c.in, &out->handle);
	if (buf_get_u32be(&c.in, &parameter_size) < 0)
		return exchange_malformed(&c, err);
	return get_public(&c, out->public_area, &out->public_size, err);
}

int
tpm2_evict_control(uint32_t object, uint32_t persistent, struct err *err)
{
	struct exchange c;

	exchange_begin(&c, "TPM2_EvictControl", TPM_ST_SESSIONS,
	    TPM_CC_EVICT_CONTROL);
	buf_put_u32be(&c.out, TPM_RH_OWNER);
	buf_put_u32be(&c.out, object);
	exchange_passwords(&c, 1);
	buf_put_u32be(&c.out, persistent);
	return exchange_send(&c, err);
}

int
tpm2_flush_context(uint32_t handle, struct err *err)
{
	struct exchange c;

	exchange_begin(&c, "TPM2_FlushContext", TPM_ST_NO_SESSIONS,
	    TPM_CC_FLUSH_CONTEXT);
	buf_put_u32be(&c.out, handle);
	return exchange_send(&c, err);
}

int
tpm2_read_public(uint32_t handle, uint8_t public_area[TPM_PUBLIC_MAX],
    size_t *size, struct err *err)
{
	struct exchange c;
	int rc;

	exchange_begin(&c, "TPM2_ReadPublic", TPM_ST_NO_SESSIONS,
	    TPM_CC_READ_PUBLIC);
	buf_put_u32be(&c.out, handle);
	if ((rc = exchange_send(&c, err)) < 0)
		return rc;
	return get_public(&c, public_area, size, err);
}

/* Sends TPM2_GetCapability and reads up to the list's count. */
static int
get_capability(struct exchange *c, uint32_t capability, uint32_t property,
    uint32_t max, uint32_t *count, struct err *err)
{
	uint32_t got;
	uint8_t more;
	int rc;

	exchange_begin(c, "TPM2_GetCapability", TPM_ST_NO_SESSIONS,
	    TPM_CC_GET_CAPABILITY);
	buf_put_u32be(&c->out, capability);
	buf_put_u32be(&c->out, property);
	buf_put_u32be(&c->out, max);
	if ((rc = exchange_send(c, err)) < 0)
		return rc;
	buf_get_u8(&c->in, &more);
	buf_get_u32be(&c->in, &got);
	if (buf_get_u32be(&c->in, count) < 0 || got != capability ||
	    *count > max)
		return exchange_malformed(c, err);
	return 0;
}

int
tpm2_get_property(uint32_t property, uint32_t *value, struct err *err)
{
	uint32_t count, got;
	struct exchange c;
	int rc;

	rc = get_capability(&c, TPM_CAP_TPM_PROPERTIES, property, 1, &count,
	    err);
	if (rc < 0)
		return rc;
	if (count != 1 || buf_get_u32be(&c.in, &got) < 0 || got != property ||
	    buf_get_u32be(&c.in, value) < 0)
		return err_set(err, ERR_TPM,
		    "the TPM does not know its property 0x%x", property);
	return 0;
}

int
tpm2_get_handles(uint32_t first, uint32_t handles[TPM_HANDLES_MAX], size_t *n,
    struct err *err)
{
	struct exchange c;
	uint32_t count;
	int rc;

	rc = get_capability(&c, TPM_CAP_HANDLES, first, TPM_HANDLES_MAX,
	    &count, err);
	if (rc < 0)
		return rc;
	for (*n = 0; *n < count; (*n)++)
		buf_get_u32be(&c.in, &handles[*n]);
	return buf_ok(&c.in) ? 0 : exchange_malformed(&c, err);
}

int
tpm2_get_banks(struct tpm_bank banks[TPM_BANKS_MAX], size_t *n,
    struct err *err)
{
	struct exchange c;
	uint32_t count;
	int rc;

	rc = get_capability(&c, TPM_CAP_PCRS, 0, TPM_BANKS_MAX, &count, err);
	if (rc < 0)
		return rc;
	for (*n = 0; *n < count; (*n)++) {
		struct tpm_bank *bank = &banks[*n];
		const uint8_t *select;
		uint8_t size;

		buf_get_u16be(&c.in, &bank->hash);
		buf_get_u8(&c.in, &size);
		if (buf_get_ref(&c.in, &select, size) < 0)
			return exchange_malformed(&c, err);
		bank->active = false;
		for (uint8_t i = 0; i < size; i++)
			bank->active |= select[i] != 0;
	}
	return 0;
}

int
tpm2_pcr_allocate(const struct tpm_bank *banks, size_t n, struct err *err)
{
	uint32_t parameter_size;
	struct exchange c;
	uint8_t success;
	int rc;

	exchange_begin(&c, "TPM2_PCR_Allocate", TPM_ST_SESSIONS,
	    TPM_CC_PCR_ALLOCATE);
	buf_put_u32be(&c.out, TPM_RH_PLATFORM);
	exchange_passwords(&c, 1);
	buf_put_u32be(&c.out, (uint32_t)n);
	for (size_t i = 0; i < n; i++) {
		buf_put_u16be(&c.out, banks[i].hash);
		buf_put_u8(&c.out, PCR_SELECT_SIZE);
		for (unsigned int k = 0; k < PCR_SELECT_SIZE; k++)
			buf_put_u8(&c.out, banks[i].active ? 0xff : 0);
	}
	if ((rc = exchange_send(&c, err)) < 0)
		return rc;
	buf_get_u32be(&c.in, &parameter_size);
	if (buf_get_u8(&c.in, &success) < 0)
		return exchange_malformed(&c, err);
	/* The command succeeds even where the allocation does not. */
	if (success != 1)
		return err_set(err, ERR_TPM, "%s: the TPM has no room for "
		    "these PCR banks", c.name);
	return 0;
}

int
tpm2_nv_define_space(uint32_t index, uint32_t attributes, size_t size,
    struct err *err)
{
	struct exchange c;

	if (size > UINT16_MAX)
		return err_set(err, ERR_INTERNAL,
		    "%zu bytes for NV index 0x%08x", size, index);
	exchange_begin(&c, "TPM2_NV_DefineSpace", TPM_ST_SESSIONS,
	    TPM_CC_NV_DEFINE_SPACE);
	buf_put_u32be(&c.out, TPM_RH_PLATFORM);
	exchange_passwords(&c, 1);
	buf_put_u16be(&c.out, 0);	/* the index's authorisation value */
	buf_put_u16be(&c.out, 14);	/* TPM2B_NV_PUBLIC (Part 2, 13.6) */
	buf_put_u32be(&c.out, index);
	buf_put_u16be(&c.out, TPM_ALG_SHA256);
	buf_put_u32be(&c.out, attributes);
	buf_put_u16be(&c.out, 0);	/* policy */
	buf_put_u16be(&c.out, (uint16_t)size);
	return exchange_send(&c, err);
}

int
tpm2_nv_write(uint32_t index, const uint8_t *data, size_t size, size_t chunk,
    struct err *err)
{
	struct exchange c;
	size_t n;
	int rc;

	for (size_t done = 0; done < size; done += n) {
		n = size - done < chunk ? size - done : chunk;
		exchange_begin(&c, "TPM2_NV_Write", TPM_ST_SESSIONS,
		    TPM_CC_NV_WRITE);
		buf_put_u32be(&c.out, TPM_RH_PLATFORM);
		buf_put_u32be(&c.out, index);
		exchange_passwords(&c, 1);
		buf_put_tpm2b(&c.out, data + done, n);
		buf_put_u16be(&c.out, (uint16_t)done);
		if ((rc = exchange_send(&c, err)) < 0)
			return rc;
	}
	return 0;
}

int
tpm2_nv_write_lock(uint32_t index, struct err *err)
{
	struct exchange c;

	exchange_begin(&c, "TPM2_NV_WriteLock", TPM_ST_SESSIONS,
	    TPM_CC_NV_WRITE_LOCK);
	buf_put_u32be(&c.out, TPM_RH_PLATFORM);
	buf_put_u32be(&c.out, index);
	exchange_passwords(&c, 1);
	return exchange_send(&c, err);
}

int
tpm2_nv_read_public(uint32_t index, uint32_t *attributes, size_t *size,
    struct err *err)
{
	const uint8_t *policy;
	uint16_t outer, hash, data_size;
	struct exchange c;
	uint32_t got;
	size_t n;
	int rc;

	exchange_begin(&c, "TPM2_NV_ReadPublic", TPM_ST_NO_SESSIONS,
	    TPM_CC_NV_READ_PUBLIC);
	buf_put_u32be(&c.out, index);
	if ((rc = exchange_send(&c, err)) < 0)
		return rc;
	buf_get_u16be(&c.in, &outer);
	buf_get_u32be(&c.in, &got);
	buf_get_u16be(&c.in, &hash);
	buf_get_u32be(&c.in, attributes);
	buf_get_tpm2b(&c.in, &policy, &n);
	if (buf_get_u16be(&c.in, &data_size) < 0 || got != index)
		return exchange_malformed(&c, err);
	*size = data_size;
	return 0;
}

int
tpm2_nv_read(uint32_t index, uint8_t *data, size_t size, size_t chunk,
    struct err *err)
{
	uint32_t parameter_size;
	const uint8_t *bytes;
	struct exchange c;
	size_t n, got;
	int rc;

	for (size_t done = 0; done < size; done += n) {
		n = size - done < chunk ? size - done : chunk;
		exchange_begin(&c, "TPM2_NV_Read", TPM_ST_SESSIONS,
		    TPM_CC_NV_READ);
		buf_put_u32be(&c.out, index);
		buf_put_u32be(&c.out, index);
		exchange_passwords(&c, 1);
		buf_put_u16be(&c.out, (uint16_t)n);
		buf_put_u16be(&c.out, (uint16_t)done);
		if ((rc = exchange_send(&c, err)) < 0)
			return rc;
		buf_get_u32be(&c.in, &parameter_size);
		if (buf_get_tpm2b(&c.in, &bytes, &got) < 0 || got != n)
			return exchange_malformed(&c, err);
		memcpy(data + done, bytes, n);
	}
	return 0;
}
