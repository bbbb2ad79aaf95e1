/* SPDX-License-Identifier: BSD-3-Clause */
/* A VM at the trust authority, through this host's agent. */
#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>

#include "nvram-crypt/agent.h"
#include "nvram-crypt/crypto.h"
#include "vtpm/ek-cert.h"
#include "vtpm/vtpmctl.h"

static struct agent_bytes
text(const char *s)
{
	return (struct agent_bytes){ (const uint8_t *)s, strlen(s) };
}

static int
forget(struct ctl *ctl, const uint8_t uuid[UUID_SIZE], struct err *err)
{
	struct agent_message q = { .type = AGENT_VM_FORGET }, answer;

	memcpy(q.uuid, uuid, UUID_SIZE);
	return agent_ask(ctl->agent, &q, AGENT_TIME_KEY, &answer, err);
}

void
ctl_authority_undo(struct ctl *ctl, const uint8_t uuid[UUID_SIZE])
{
	char name[UUID_TEXT_SIZE];
	struct err err = { 0 };

	if (forget(ctl, uuid, &err) == 0)
		return;
	uuid_format(uuid, name);
	fprintf(stderr, "vtpmctl: the VM %s may be left at the trust authority "
	    "(%s): remove it with: vtactl vm shred %s\n", name, err.text,
	    name);
}

int
ctl_authority_create(struct ctl *ctl, const uint8_t uuid[UUID_SIZE],
    const char *name, const char *group, struct err *err)
{
	struct agent_message q = { .type = AGENT_VM_CREATE }, answer;
	char uuid_text[UUID_TEXT_SIZE];
	int rc;

	uuid_format(uuid, uuid_text);
	memcpy(q.uuid, uuid, UUID_SIZE);
	/* There it has to have a name, for people. */
	q.name = text(name != NULL && name[0] != '\0' ? name : uuid_text);
	q.group = text(group);
	rc = agent_ask(ctl->agent, &q, AGENT_TIME_KEY, &answer, err);
	/* It may have been made, and only the answer be lost. */
	if (rc == ERR_CLOSED)
		(void)forget(ctl, uuid, NULL);
	return rc;
}

struct certifier {
	struct ctl *ctl;
	const uint8_t *uuid;
};

static int
take_cert(const struct agent_message *answer, const struct tpm_public *key,
    struct ek_cert *out, struct err *err)
{
	const struct agent_bytes *cert = &answer->certs[0];
	int rc;

	if (answer->n_certs != 1)
		return err_set(err, ERR_REFUSED, "the trust authority sent %zu "
		    "certificates for one EK", answer->n_certs);
	if ((rc = ek_cert_check(crypto_context(), key, cert->data, cert->size,
	    err)) < 0)
		return rc;
	memcpy(out->der, cert->data, cert->size);
	out->size = cert->size;
	return 0;
}

static int
certify(void *arg, const struct ek_cert_tpm *tpm,
    const struct tpm_public *key, struct ek_cert *out, struct err *err)
{
	const struct certifier *c = arg;
	struct agent_message q = { .type = AGENT_EK_CERTIFY, .n_certs = 1 };
	struct agent_message answer;
	uint8_t *der = NULL;
	int rc;

	(void)tpm;
	memcpy(q.uuid, c->uuid, UUID_SIZE);
	if ((rc = crypto_init(err)) < 0 ||
	    (rc = ek_cert_public_key(crypto_context(), key, &der,
	    &q.certs[0].size, err)) < 0)
		return rc;
	q.certs[0].data = der;
	if ((rc = agent_ask(c->ctl->agent, &q, AGENT_TIME_KEY, &answer,
	    err)) == 0)
		rc = take_cert(&answer, key, out, err);
	agent_forget(c->ctl->agent);
	OPENSSL_free(der);
	return rc;
}

void
ctl_authority_certify(struct ctl *ctl, struct manufacture_plan *plan)
{
	static struct certifier c;

	c = (struct certifier){ .ctl = ctl, .uuid = plan->uuid };
	plan->certify = certify;
	plan->certify_arg = &c;
}
