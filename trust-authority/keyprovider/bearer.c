/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/keyprovider/bearer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "trust-authority/common/directory.h"

#define AGAIN_MS 500	/* what was decided so long ago is decided again */

int
blame(struct http_answer *answer, const char *fault, int code)
{
	answer->fault = fault;
	return code;
}

/* A token says that its host met a policy when it was issued. What is known of
 * the host's last attestation is newer wherever it says otherwise: the records
 * are written one after the other, so no times are compared. */
static int
look_at_trust(struct kmxd *k, struct bearer *b, struct http_answer *answer,
    struct err *err)
{
	struct directory_attested *t;
	int rc;

	b->trusted = strcmp(b->claims.policy, POLICY_NONE) != 0;
	b->refusal[0] = '\0';
	if (!b->trusted)
		return 0;
	if ((t = calloc(1, sizeof(*t))) == NULL)
		return blame(answer, "authority", err_set(err, ERR_SYSTEM,
		    "no memory for a record"));
	rc = directory_attested_get(k->service.store, b->claims.host, t, err);
	if (rc == 0 && strcmp(t->state, ATTESTED_REFUSED) == 0) {
		b->trusted = false;
		memcpy(b->refusal, t->reason, sizeof(b->refusal));
	}
	free(t);
	/* Signed by vta-attestd's key all the same. */
	if (rc == ERR_NOTFOUND)
		rc = 0;
	return rc < 0 ? blame(answer, "authority", rc) : 0;
}

int
bearer_again(struct kmxd *k, struct bearer *b, struct http_answer *answer,
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
	if (b->claims.issued < host.tokens_from)
		return blame(answer, "token", err_set(err, ERR_REFUSED,
		    "the token of the host %s is from before it was entered, "
		    "moved or taken back last: it has to be attested again "
		    "(where it has been: compare the clocks of the "
		    "authority's machines)", name));
	return look_at_trust(k, b, answer, err);
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
	return bearer_again(k, b, answer, err);
}

void
bearer_reset(struct bearer *b)
{
	token_claims_reset(&b->claims);
}

int
bearer_untrusted(const struct bearer *b, const char *what,
    struct http_answer *answer, struct err *err)
{
	if (b->refusal[0] != '\0')
		return blame(answer, "policy", err_set(err, ERR_REFUSED,
		    "%s needs a trusted host, and the host %s was refused "
		    "when it attested last, though its token has not ended: "
		    "%s", what, b->claims.host, b->refusal));
	return blame(answer, "policy", err_set(err, ERR_REFUSED, "%s needs a "
	    "trusted host, and the host %s meets no policy of its group %s: "
	    "vtactl status says which rule failed", what, b->claims.host,
	    b->claims.group));
}

int
bearer_may(const struct bearer *b, const struct vm *vm,
    struct http_answer *answer, struct err *err)
{
	char what[UUID_TEXT_SIZE + 8];

	if (vm->shredded != 0)
		return blame(answer, "grant", err_set(err, ERR_REFUSED,
		    "the VM %s has been shredded: its keys are destroyed, and "
		    "no copy of its vTPM can be opened again", vm->uuid));
	if (!vm_has_group(vm, b->claims.group))
		return blame(answer, "grant", err_set(err, ERR_REFUSED,
		    "hosts of group %s may not have the VM %s: an operator "
		    "can allow it with vtactl grant", b->claims.group,
		    vm->uuid));
	if (vm->needs_trust && !b->trusted) {
		snprintf(what, sizeof(what), "the VM %s", vm->uuid);
		return bearer_untrusted(b, what, answer, err);
	}
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
asked_read_owner(struct kmxd *k, const struct http_request *request,
    const char *uuid, struct asked *a, struct http_answer *answer,
    struct err *err)
{
	int rc;

	*a = (struct asked){ .at = monotonic_ms() };
	if ((rc = bearer_read(k, request, &a->bearer, answer, err)) < 0 ||
	    (rc = uuid_canonical(uuid, a->uuid, a->text, err)) < 0)
		return rc;
	rc = vm_load(k->service.store, a->text, &a->vm, err);
	return rc == ERR_NOTFOUND ? blame(answer, "grant", rc) : rc;
}

int
asked_read(struct kmxd *k, const struct http_request *request,
    const char *uuid, struct asked *a, struct http_answer *answer,
    struct err *err)
{
	int rc = asked_read_owner(k, request, uuid, a, answer, err);

	if (rc == 0 && (rc = bearer_may(&a->bearer, &a->vm, answer,
	    err)) < 0)
		log_event(LOG_LEVEL_WARNING, "key.refused", "vm=%s host=%s "
		    "fault=%s", a->text, a->bearer.claims.host,
		    answer->fault);
	return rc;
}

int64_t
monotonic_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

bool
long_ago(int64_t at)
{
	return monotonic_ms() - at >= AGAIN_MS;
}

int
asked_again(struct kmxd *k, struct asked *a, struct http_answer *answer,
    struct err *err)
{
	struct vm now = { 0 };
	int rc;

	if (!long_ago(a->at))
		return 0;
	if ((rc = bearer_again(k, &a->bearer, answer, err)) == 0 &&
	    (rc = vm_load(k->service.store, a->text, &now, err)) == 0)
		rc = bearer_may(&a->bearer, &now, answer, err);
	vm_reset(&now);
	if (rc < 0)
		log_event(LOG_LEVEL_WARNING, "key.refused", "vm=%s host=%s "
		    "after=waiting", a->text, a->bearer.claims.host);
	return rc;
}

int
bearer_keep(struct kmxd *k, struct bearer *b, json_t *list,
    struct http_answer *answer, struct err *err)
{
	int rc = bearer_again(k, b, answer, err);

	for (size_t i = json_array_size(list); rc == 0 && i-- > 0;) {
		const char *text = json_string_value(json_object_get(
		    json_array_get(list, i), "vm"));
		struct vm vm = { 0 };

		rc = vm_load(k->service.store, text, &vm, err);
		if (rc == 0 && bearer_may(b, &vm, answer, err) < 0) {
			(void)json_array_remove(list, i);
			answer->fault = NULL;
		}
		vm_reset(&vm);
	}
	return rc;
}

void
asked_reset(struct asked *a)
{
	bearer_reset(&a->bearer);
	vm_reset(&a->vm);
}
