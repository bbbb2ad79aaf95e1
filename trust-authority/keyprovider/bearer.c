/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/keyprovider/bearer.h"

#include <string.h>
#include <time.h>

#include "base/log.h"
#include "trust-authority/common/directory.h"

int
blame(struct http_answer *answer, const char *fault, int code)
{
	answer->fault = fault;
	return code;
}

/* Revoked or moved since the token was signed. */
static int
check_host(struct kmxd *k, struct bearer *b, struct http_answer *answer,
    struct err *err)
{
	const char *name = b->claims.host;
	struct directory_host host = { 0 };
	int rc;

	if (!name_is_good(name))
		return blame(answer, "token", err_set(err, ERR_REFUSED,
		    "the token's host has no name of a host's"));
	rc = directory_host_get(k->service.store, name, &host, err);
	if (rc == ERR_NOTFOUND)
		return blame(answer, "host", err_set(err, ERR_REFUSED,
		    "the host %s has been removed from this authority: an "
		    "administrator can import it again with vtactl host "
		    "import", name));
	if (rc < 0)
		return blame(answer, "authority", rc);
	if (host.revoked != 0)
		return blame(answer, "host", err_set(err, ERR_REFUSED,
		    "the host %s has been revoked%s%s: an administrator can "
		    "take it back with vtactl host restore", name,
		    host.reason[0] != '\0' ? ", because " : "", host.reason));
	if (strcmp(host.group, b->claims.group) != 0)
		return blame(answer, "token", err_set(err, ERR_REFUSED,
		    "the host %s is of group %s, and its token is of group "
		    "%s: it has to be attested again", name, host.group,
		    b->claims.group));
	return 0;
}

int
bearer_read(struct kmxd *k, const struct http_request *request,
    struct bearer *b, struct http_answer *answer, struct err *err)
{
	int rc;

	*b = (struct bearer){ 0 };
	if (request->bearer == NULL)
		return blame(answer, "token", err_set(err, ERR_AUTH,
		    "this needs the token of an attested host"));
	rc = token_source_verify(k->tokens, request->bearer, KMXD_AUDIENCE,
	    time(NULL), &b->claims, err);
	if (rc == ERR_CLOSED || rc == ERR_CRYPTO || rc == ERR_SYSTEM)
		return blame(answer, "authority", rc);
	if (rc < 0)
		/* A text that is no token is the host's mistake too. */
		return blame(answer, "token", rc == ERR_FORMAT ?
		    err_set(err, ERR_AUTH, "this is not a token") : rc);
	b->trusted = strcmp(b->claims.policy, POLICY_NONE) != 0;
	return check_host(k, b, answer, err);
}

void
bearer_reset(struct bearer *b)
{
	token_claims_reset(&b->claims);
}

int
bearer_may(const struct bearer *b, const struct vm *vm,
    struct http_answer *answer, struct err *err)
{
	if (vm->shredded != 0)
		return blame(answer, "grant", err_set(err, ERR_REFUSED,
		    "the VM %s has been shredded: its keys are destroyed, and "
		    "no copy of its vTPM can be opened again", vm->uuid));
	if (!vm_has_group(vm, b->claims.group))
		return blame(answer, "grant", err_set(err, ERR_REFUSED,
		    "hosts of group %s may not have the VM %s: an operator "
		    "can allow it with vtactl grant", b->claims.group,
		    vm->uuid));
	if (vm->needs_trust && !b->trusted)
		return blame(answer, "policy", err_set(err, ERR_REFUSED,
		    "the VM %s needs a trusted host, and the host %s meets no "
		    "policy of its group %s: vtactl status says which rule "
		    "failed", vm->uuid, b->claims.host, b->claims.group));
	return 0;
}

int
uuid_canonical(const char *text, uint8_t uuid[UUID_SIZE],
    char out[UUID_TEXT_SIZE], struct err *err)
{
	if (text == NULL || uuid_parse(text, uuid) < 0)
		return err_set(err, ERR_USAGE, "\"%.64s\" is not a VM's UUID",
		    text != NULL ? text : "");
	uuid_format(uuid, out);
	return 0;
}

int
asked_read(struct kmxd *k, const struct http_request *request,
    const char *uuid, struct asked *a, struct http_answer *answer,
    struct err *err)
{
	int rc;

	*a = (struct asked){ 0 };
	if ((rc = bearer_read(k, request, &a->bearer, answer, err)) < 0 ||
	    (rc = uuid_canonical(uuid, a->uuid, a->text, err)) < 0)
		return rc;
	rc = vm_load(k->service.store, a->text, &a->vm, err);
	if (rc == 0 && (rc = bearer_may(&a->bearer, &a->vm, answer,
	    err)) < 0)
		log_event(LOG_LEVEL_WARNING, "key.refused", "vm=%s host=%s "
		    "fault=%s", a->text, a->bearer.claims.host,
		    answer->fault);
	return rc == ERR_NOTFOUND ? blame(answer, "grant", rc) : rc;
}

void
asked_reset(struct asked *a)
{
	bearer_reset(&a->bearer);
	vm_reset(&a->vm);
}
