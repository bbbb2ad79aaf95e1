/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The authority protector: the trust authority makes a VM key K, wraps it under
 * the VM's KEK in its KMS, and gives K to a host that it trusts. Body: size of
 * the wrapped K (u16), the wrapped K, nonce, wrapped DEK, tag. The DEK never
 * leaves the host, and without the KEK nobody gets K again.
 */
#include <stdio.h>
#include <string.h>

#include "nvram-crypt/protector-wrap.h"

#define PURPOSE "vtpmd authority protector"
#define LABEL_START "authority"

static int
no_agent(struct err *err)
{
	return err_set(err, ERR_KEY, "nobody here asks the trust authority for "
	    "its key");
}

/* Codes that mean damage of the file, or that another protector may fit, come
 * from the file alone. */
static int
not_of_the_file(int rc)
{
	return rc == ERR_AUTH || rc == ERR_FORMAT || rc == ERR_KEY ?
	    ERR_REFUSED : rc;
}

/* Made by the authority; one that somebody gave stays. */
static void
set_label(struct protector *p, const struct agent_bytes *label)
{
	size_t n = label->size < sizeof(p->label) - 1 ? label->size :
	    sizeof(p->label) - 1;

	if (p->label[0] != '\0' &&
	    strncmp(p->label, LABEL_START, strlen(LABEL_START)) != 0)
		return;
	memset(p->label, 0, sizeof(p->label));
	memcpy(p->label, label->data, n);
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)p->label[i] < 0x20 || p->label[i] == 0x7f)
			p->label[i] = '?';
	if (n == 0)
		memcpy(p->label, LABEL_START, sizeof(LABEL_START));
}

static int
authority_wrap(const struct protector_creds *creds,
    const struct protector_binding *binding, const struct secret *dek,
    struct protector *p, struct err *err)
{
	struct agent_message q = { .type = AGENT_KEY_MAKE,
		.new_kek = creds->new_kek != NULL && *creds->new_kek };
	struct agent_message answer;
	struct buf b = buf_writer(p->body, sizeof(p->body));
	int rc;

	if (creds->agent == NULL)
		return no_agent(err);
	memcpy(q.uuid, binding->uuid, UUID_SIZE);
	if ((rc = agent_ask(creds->agent, &q, AGENT_TIME_KEY, &answer,
	    err)) < 0)
		return not_of_the_file(rc);
	if (creds->new_kek != NULL)
		*creds->new_kek = false;
	set_label(p, &answer.label);
	/* agent_wire_get has bounded it by AGENT_WRAPPED_MAX. */
	buf_put_tpm2b(&b, answer.wrapped.data, answer.wrapped.size);
	rc = protector_wrap(answer.key.data, answer.key.size, PURPOSE, binding,
	    dek, p, b.pos, err);
	agent_forget(creds->agent);
	return rc;
}

static int
authority_unwrap(const struct protector_creds *creds,
    const struct protector_binding *binding, const struct protector *p,
    struct secret **dek, struct err *err)
{
	struct buf b = buf_reader(p->body, p->body_size);
	struct agent_message q = { .type = AGENT_KEY_OPEN }, answer;
	int rc;

	*dek = NULL;
	if (creds->agent == NULL)
		return no_agent(err);
	if (buf_get_tpm2b(&b, &q.wrapped.data, &q.wrapped.size) < 0 ||
	    q.wrapped.size == 0 || q.wrapped.size > AGENT_WRAPPED_MAX)
		return err_set(err, ERR_FORMAT,
		    "the authority's protector holds no wrapped key");
	memcpy(q.uuid, binding->uuid, UUID_SIZE);
	if ((rc = agent_ask(creds->agent, &q, AGENT_TIME_KEY, &answer,
	    err)) < 0)
		return not_of_the_file(rc);
	/* The authority authenticates W, so K is the right one, and a tag that
	 * does not fit is damage. */
	rc = protector_unwrap(answer.key.data, answer.key.size, PURPOSE,
	    binding, p, b.pos, dek, err);
	agent_forget(creds->agent);
	return rc;
}

const struct protector_ops protector_authority_ops = {
	.kind = PROTECTOR_AUTHORITY,
	.name = "authority",
	.wrap = authority_wrap,
	.unwrap = authority_unwrap,
};
