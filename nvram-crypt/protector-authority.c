/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The authority protector: the trust authority makes a VM key K, wraps it under
 * the VM's KEK in its KMS, and gives K to a host that it trusts. Body: size of
 * the wrapped K (u16), the wrapped K, nonce, wrapped DEK, tag. The DEK never
 * leaves the host, and without the KEK nobody gets K again.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "nvram-crypt/crypto.h"
#include "nvram-crypt/protector-wrap.h"

#define PURPOSE "vtpmd authority protector"
#define MOVE_PURPOSE "vtpmd envelope authority key"
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

void
authority_move_reset(struct authority_move *m)
{
	secret_free(m->key);
	*m = (struct authority_move){ .key = NULL };
}

/* So that nobody has to ask for K again while a VM stands still. m NULL: not
 * wanted. */
static int
move_follow(struct authority_move *m, const uint8_t uuid[UUID_SIZE],
    const struct agent_bytes *key, const struct agent_bytes *wrapped,
    struct err *err)
{
	int rc;

	if (m == NULL)
		return 0;
	authority_move_reset(m);
	if ((m->key = secret_new(AUTHORITY_MOVE_SIZE)) == NULL)
		return err_sys(err, errno, "cannot lock memory for a key");
	if ((rc = crypto_kbkdf(key->data, key->size, MOVE_PURPOSE, uuid,
	    UUID_SIZE, secret_data(m->key), AUTHORITY_MOVE_SIZE, err)) < 0) {
		authority_move_reset(m);
		return rc;
	}
	memcpy(m->wrapped, wrapped->data, wrapped->size);
	m->wrapped_size = wrapped->size;
	return 0;
}

int
authority_wrapped(const struct protector *p, struct agent_bytes *wrapped,
    struct err *err)
{
	struct buf b = buf_reader(p->body, p->body_size);

	if (buf_get_tpm2b(&b, &wrapped->data, &wrapped->size) < 0 ||
	    wrapped->size == 0 || wrapped->size > AGENT_WRAPPED_MAX)
		return err_set(err, ERR_FORMAT,
		    "the authority's protector holds no wrapped key");
	return 0;
}

int
authority_move_get(struct authority_move *m, struct agent *a,
    const uint8_t uuid[UUID_SIZE], const struct agent_bytes *wrapped,
    int timeout_ms, struct err *err)
{
	struct agent_message q = { .type = AGENT_KEY_OPEN,
		.wrapped = *wrapped }, answer;
	int rc;

	if (m->key != NULL && m->wrapped_size == wrapped->size &&
	    memcmp(m->wrapped, wrapped->data, wrapped->size) == 0)
		return 0;
	if (a == NULL)
		return no_agent(err);
	memcpy(q.uuid, uuid, UUID_SIZE);
	if ((rc = agent_ask(a, &q, timeout_ms, &answer, err)) < 0)
		return not_of_the_file(rc);
	rc = move_follow(m, uuid, &answer.key, wrapped, err);
	agent_forget(a);
	return rc;
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
	if ((rc = protector_wrap(answer.key.data, answer.key.size, PURPOSE,
	    binding, dek, p, b.pos, err)) == 0)
		rc = move_follow(creds->move, binding->uuid, &answer.key,
		    &answer.wrapped, err);
	agent_forget(creds->agent);
	return rc;
}

static int
authority_unwrap(const struct protector_creds *creds,
    const struct protector_binding *binding, const struct protector *p,
    struct secret **dek, struct err *err)
{
	struct agent_message q = { .type = AGENT_KEY_OPEN }, answer;
	int rc;

	*dek = NULL;
	if (creds->agent == NULL)
		return no_agent(err);
	if ((rc = authority_wrapped(p, &q.wrapped, err)) < 0)
		return rc;
	memcpy(q.uuid, binding->uuid, UUID_SIZE);
	if ((rc = agent_ask(creds->agent, &q, AGENT_TIME_KEY, &answer,
	    err)) < 0)
		return not_of_the_file(rc);
	/* The authority authenticates W, so K is the right one, and a tag that
	 * does not fit is damage. */
	rc = protector_unwrap(answer.key.data, answer.key.size, PURPOSE,
	    binding, p, 2 + q.wrapped.size, dek, err);
	if (rc == 0 && (rc = move_follow(creds->move, binding->uuid,
	    &answer.key, &q.wrapped, err)) < 0) {
		secret_free(*dek);
		*dek = NULL;
	}
	agent_forget(creds->agent);
	return rc;
}

const struct protector_ops protector_authority_ops = {
	.kind = PROTECTOR_AUTHORITY,
	.name = "authority",
	.wrap = authority_wrap,
	.unwrap = authority_unwrap,
};
