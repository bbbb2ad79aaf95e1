/* SPDX-License-Identifier: BSD-3-Clause */
#include "vtpm/exchange.h"

#define TPM_RS_PW 0x40000009u	/* TPM 2.0 Part 2, 7.4 */

void
exchange_begin(struct exchange *c, const char *name, uint16_t tag, uint32_t cc)
{
	c->name = name;
	c->out = buf_writer(c->bytes, sizeof(c->bytes));
	buf_put_u16be(&c->out, tag);
	buf_put_u32be(&c->out, 0);
	buf_put_u32be(&c->out, cc);
}

void
exchange_passwords(struct exchange *c, unsigned int count)
{
	buf_put_u32be(&c->out, count * 9);
	for (; count > 0; count--) {
		buf_put_u32be(&c->out, TPM_RS_PW);
		buf_put_u16be(&c->out, 0);	/* nonce */
		buf_put_u8(&c->out, 0);		/* session attributes */
		buf_put_u16be(&c->out, 0);	/* the password */
	}
}

int
exchange_malformed(const struct exchange *c, struct err *err)
{
	return err_set(err, ERR_TPM, "%s: the TPM's response is malformed",
	    c->name);
}

int
exchange_send(struct exchange *c, struct err *err)
{
	const uint8_t *response;
	uint32_t size, rc;
	size_t got;
	uint16_t tag;

	buf_patch_u32be(&c->out, 2, (uint32_t)c->out.pos);
	if (!buf_ok(&c->out))
		return err_set(err, ERR_INTERNAL, "%s does not fit into a "
		    "command of %u bytes", c->name, EXCHANGE_MAX);
	tpm_process(c->bytes, c->out.pos, &response, &got);
	c->in = buf_reader(response, got);
	buf_get_u16be(&c->in, &tag);
	buf_get_u32be(&c->in, &size);
	if (buf_get_u32be(&c->in, &rc) < 0 || size != got)
		return exchange_malformed(c, err);
	if (rc != TPM_RC_SUCCESS) {
		err_set(err, ERR_TPM, "%s failed with TPM_RC 0x%03x", c->name,
		    rc);
		if (err != NULL)
			err->sys = rc;
		return ERR_TPM;
	}
	return 0;
}
