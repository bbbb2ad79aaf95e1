/* SPDX-License-Identifier: BSD-3-Clause */
#include "vtpm/windows-ask.h"

#include <string.h>

#include "vtpm/exchange.h"
#include "vtpm/tpm-command.h"

/* TPM 2.0 Part 2, 6.5.2 */
#define TPM_CC_SELF_TEST 0x143u
#define TPM_CC_CONTEXT_LOAD 0x161u
#define TPM_CC_CONTEXT_SAVE 0x162u
#define TPM_CC_GET_CAPABILITY 0x17au
#define TPM_CC_PCR_READ 0x17eu
#define TPM_CC_READ_CLOCK 0x181u
#define TPM_CC_TEST_PARMS 0x18au

#define TPM_ALG_RSA 0x0001u
#define TPM_ALG_AES 0x0006u
#define TPM_ALG_NULL 0x0010u
#define TPM_ALG_SYMCIPHER 0x0025u
#define TPM_ALG_CFB 0x0043u
#define TPM_CAP_PCRS 5u
#define TPM_CC_FIRST 0x11fu
#define CC_INDEX 0xffffu		/* of TPMA_CC, Part 2, 8.9 */

bool
ask_list_has(const struct ask_list *l, uint32_t id)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->ids[i] == id)
			return true;
	return false;
}

static int
get_capability(struct exchange *c, uint32_t capability, uint32_t property,
    uint32_t *count, struct err *err)
{
	uint32_t got;
	uint8_t more;
	int rc;

	exchange_begin(c, "TPM2_GetCapability", TPM_ST_NO_SESSIONS,
	    TPM_CC_GET_CAPABILITY);
	buf_put_u32be(&c->out, capability);
	buf_put_u32be(&c->out, property);
	buf_put_u32be(&c->out, ASK_LIST_MAX);
	if ((rc = exchange_send(c, err)) < 0)
		return rc;
	buf_get_u8(&c->in, &more);
	buf_get_u32be(&c->in, &got);
	if (buf_get_u32be(&c->in, count) < 0 || got != capability ||
	    more != 0 || *count > ASK_LIST_MAX)
		return exchange_malformed(c, err);
	return 0;
}

/* TPMS_ALG_PROPERTY, TPMA_CC or TPM_ECC_CURVE (Part 2, 10.9). */
static void
get_id(struct exchange *c, uint32_t capability, uint32_t *id)
{
	uint16_t short_id = 0;
	uint32_t attributes = 0;

	if (capability == TPM_CAP_COMMANDS) {
		buf_get_u32be(&c->in, &attributes);
		*id = attributes & CC_INDEX;
		return;
	}
	buf_get_u16be(&c->in, &short_id);
	if (capability == TPM_CAP_ALGS)
		buf_get_u32be(&c->in, &attributes);
	*id = short_id;
}

int
ask_capability(uint32_t capability, struct ask_list *l, struct err *err)
{
	struct exchange c;
	uint32_t count;
	int rc;

	l->n = 0;
	rc = get_capability(&c, capability, capability == TPM_CAP_COMMANDS ?
	    TPM_CC_FIRST : 0, &count, err);
	if (rc < 0)
		return rc;
	for (uint32_t i = 0; i < count; i++)
		get_id(&c, capability, &l->ids[i]);
	if (!buf_ok(&c.in))
		return exchange_malformed(&c, err);
	l->n = count;
	return 0;
}

int
ask_bank(uint16_t hash, uint32_t *pcrs, struct err *err)
{
	const uint8_t *select;
	struct exchange c;
	uint32_t count;
	uint16_t got;
	uint8_t size;
	int rc;

	*pcrs = 0;
	if ((rc = get_capability(&c, TPM_CAP_PCRS, 0, &count, err)) < 0)
		return rc;
	for (uint32_t i = 0; i < count; i++) {
		buf_get_u16be(&c.in, &got);
		buf_get_u8(&c.in, &size);
		if (buf_get_ref(&c.in, &select, size) < 0)
			return exchange_malformed(&c, err);
		for (unsigned int k = 0; got == hash && k < size && k < 4; k++)
			*pcrs |= (uint32_t)select[k] << 8 * k;
	}
	return 0;
}

int
ask_pcr(uint16_t hash, unsigned int pcr, uint8_t digest[ASK_DIGEST_MAX],
    size_t *size, struct err *err)
{
	const uint8_t *bytes;
	struct exchange c;
	uint32_t counter, count;
	int rc;

	exchange_begin(&c, "TPM2_PCR_Read", TPM_ST_NO_SESSIONS,
	    TPM_CC_PCR_READ);
	buf_put_u32be(&c.out, 1);	/* TPML_PCR_SELECTION */
	buf_put_u16be(&c.out, hash);
	buf_put_u8(&c.out, 3);
	for (unsigned int k = 0; k < 3; k++)
		buf_put_u8(&c.out, (uint8_t)(pcr / 8 == k ?
		    1u << pcr % 8 : 0u));
	if ((rc = exchange_send(&c, err)) < 0)
		return rc;
	buf_get_u32be(&c.in, &counter);
	/* What was read is the selection again, if there is such a PCR. */
	buf_get_bytes(&c.in, NULL, 4 + 2 + 1 + 3);
	if (buf_get_u32be(&c.in, &count) < 0 || count != 1 ||
	    buf_get_tpm2b(&c.in, &bytes, size) < 0 ||
	    *size > ASK_DIGEST_MAX)
		return exchange_malformed(&c, err);
	memcpy(digest, bytes, *size);
	return 0;
}

int
ask_clock(struct ask_clock *out, struct err *err)
{
	struct exchange c;
	uint64_t time;
	uint8_t safe;
	int rc;

	exchange_begin(&c, "TPM2_ReadClock", TPM_ST_NO_SESSIONS,
	    TPM_CC_READ_CLOCK);
	if ((rc = exchange_send(&c, err)) < 0)
		return rc;
	buf_get_u64be(&c.in, &time);
	buf_get_u64be(&c.in, &out->clock);
	buf_get_u32be(&c.in, &out->resets);
	buf_get_u32be(&c.in, &out->restarts);
	if (buf_get_u8(&c.in, &safe) < 0)
		return exchange_malformed(&c, err);
	out->safe = safe == 1;
	return 0;
}

int
ask_self_test(struct err *err)
{
	struct exchange c;

	exchange_begin(&c, "TPM2_SelfTest", TPM_ST_NO_SESSIONS,
	    TPM_CC_SELF_TEST);
	buf_put_u8(&c.out, 1);		/* fullTest */
	return exchange_send(&c, err);
}

/* TPMT_PUBLIC_PARMS, Part 2, 12.2.3.8 */
int
ask_rsa(uint16_t bits, struct err *err)
{
	struct exchange c;

	exchange_begin(&c, "TPM2_TestParms", TPM_ST_NO_SESSIONS,
	    TPM_CC_TEST_PARMS);
	buf_put_u16be(&c.out, TPM_ALG_RSA);
	buf_put_u16be(&c.out, TPM_ALG_NULL);	/* symmetric */
	buf_put_u16be(&c.out, TPM_ALG_NULL);	/* scheme */
	buf_put_u16be(&c.out, bits);
	buf_put_u32be(&c.out, 0);		/* exponent: the default */
	return exchange_send(&c, err);
}

int
ask_aes_cfb(uint16_t bits, struct err *err)
{
	struct exchange c;

	exchange_begin(&c, "TPM2_TestParms", TPM_ST_NO_SESSIONS,
	    TPM_CC_TEST_PARMS);
	buf_put_u16be(&c.out, TPM_ALG_SYMCIPHER);
	buf_put_u16be(&c.out, TPM_ALG_AES);
	buf_put_u16be(&c.out, bits);
	buf_put_u16be(&c.out, TPM_ALG_CFB);
	return exchange_send(&c, err);
}

static int
load_context(const uint8_t *context, size_t size, size_t padded,
    struct err *err)
{
	struct exchange c;
	uint32_t handle;
	int rc;

	exchange_begin(&c, "TPM2_ContextLoad", TPM_ST_NO_SESSIONS,
	    TPM_CC_CONTEXT_LOAD);
	buf_put_bytes(&c.out, context, size);
	if (padded > size)
		buf_put_zero(&c.out, padded - size);
	if ((rc = exchange_send(&c, err)) < 0)
		return rc;
	if (buf_get_u32be(&c.in, &handle) < 0)
		return exchange_malformed(&c, err);
	return tpm2_flush_context(handle, err);
}

int
ask_context(uint32_t object, size_t size, struct err *err)
{
	struct exchange c;
	const uint8_t *context;
	size_t n;
	int rc;

	exchange_begin(&c, "TPM2_ContextSave", TPM_ST_NO_SESSIONS,
	    TPM_CC_CONTEXT_SAVE);
	buf_put_u32be(&c.out, object);
	if ((rc = exchange_send(&c, err)) < 0)
		return rc;
	n = buf_left(&c.in);
	if (n > EXCHANGE_MAX || buf_get_ref(&c.in, &context, n) < 0)
		return exchange_malformed(&c, err);
	/* The response's buffer is the next one's. */
	memcpy(c.bytes, context, n);
	return load_context(c.bytes, n, size, err);
}
