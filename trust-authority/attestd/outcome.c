/* SPDX-License-Identifier: BSD-3-Clause */
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "trust-authority/attestd/finish.h"
#include "trust-authority/attestd/policies.h"
#include "trust-authority/attestd/refusals.h"
#include "trust-authority/attestd/signing.h"
#include "trust-authority/common/audit.h"

#define AUDIENCE "vta-kmxd"
#define COMMIT_TRIES 5

/* What is known of the host from now on, in either case. */
static void
set_state(struct finish *f, const char *state, const char *reason)
{
	struct directory_attested *t = &f->after;
	const struct session *s = &f->session;
	uint8_t digest[HASH_MAX];
	char hex[HASH_HEX_SIZE] = "";

	*t = f->before;
	memcpy(t->host, f->id.host.name, sizeof(t->host));
	text_cut(t->state, sizeof(t->state), state);
	text_cut(t->reason, sizeof(t->reason), reason);
	t->policy[0] = '\0';
	t->token_expires = 0;
	t->last = attestd_now();
	if (strcmp(f->before.state, state) != 0)
		t->since = t->last;
	t->session = s->began;
	base64url_encode(s->ak, s->ak_size, t->ak);
	if (evidence_digest(f->evidence.data, f->evidence.size, digest,
	    NULL) == 0)
		hash_hex(digest, 32, hex);
	text_cut(t->evidence, sizeof(t->evidence), hex);
	text_cut(t->address, sizeof(t->address), f->address);
	t->agent_port = s->agent_port;
	memcpy(t->agent_certificate, s->agent_certificate,
	    sizeof(t->agent_certificate));
}

void
outcome_refuse(struct finish *f, const char *reason)
{
	set_state(f, ATTESTED_REFUSED, reason);
}

/* Only of what was accepted: else a reset that a policy forbids would show
 * once, and be accepted when the host comes again. */
static void
accept_host(struct finish *f, const char *policy)
{
	const struct tpm_clock *clock =
	    &attestation_quote(f->attestation)->clock;
	struct directory_attested *t = &f->after;

	set_state(f, ATTESTED_ATTESTED, "");
	text_cut(t->policy, sizeof(t->policy), policy);
	t->token_expires = t->last + f->group.token_seconds;
	t->has_clock = true;
	t->clock = (int64_t)clock->clock;
	t->resets = clock->resets;
	t->restarts = clock->restarts;
	t->safe = clock->safe;
}

struct chosen {
	struct policy_used *used[DIRECTORY_GROUP_POLICIES];
	const struct policy *policy[DIRECTORY_GROUP_POLICIES];
	size_t count;
	struct err missing;	/* why one of them cannot be read */
};

static void
choose(struct attestd *d, const struct directory_group *group,
    struct chosen *c)
{
	memset(c, 0, sizeof(*c));
	for (size_t i = 0; i < group->policy_count; i++) {
		struct err err = { 0 };
		int rc = policies_take(d->policies, group->policies[i],
		    &c->used[c->count], &err);

		if (rc == 0) {
			c->policy[c->count] = policy_used(c->used[c->count]);
			c->count++;
			continue;
		}
		err_prefix(&err, "the policy %s", group->policies[i]);
		log_error("group %s: %s", group->name, err.text);
		c->missing = err;
	}
}

static const char *
reason_of(const struct finish *f, const struct chosen *c, char *room,
    size_t size)
{
	struct err err = { 0 };

	if (c->count > 0)
		return verdict_reason(f->verdict);
	if (c->missing.code != 0)
		return c->missing.text;
	err_set(&err, ERR_REFUSED, "the group %s has no approved policy; "
	    "vtactl policy approve", f->group.name);
	text_cut(room, size, err.text);
	return room;
}

int
outcome_judge(struct attestd *d, struct finish *f, struct err *err)
{
	const struct directory_attested *t = &f->before;
	const struct tpm_clock before = { (uint64_t)t->clock,
		(uint32_t)t->resets, (uint32_t)t->restarts, t->safe };
	char room[DIRECTORY_REASON_MAX];
	struct chosen c;
	int rc;

	if ((rc = directory_group_get(d->service.store, f->id.host.group,
	    &f->group, err)) < 0)
		return err_prefix(err, "the group of the host %s",
		    f->id.host.name);
	choose(d, &f->group, &c);
	rc = judge(f->attestation, c.policy, c.count,
	    t->has_clock ? &before : NULL, &f->verdict, err);
	if (rc == 0 && verdict_accepted(f->verdict))
		accept_host(f, verdict_policy_passed(f->verdict));
	else if (rc == 0)
		set_state(f, ATTESTED_REFUSED, reason_of(f, &c, room,
		    sizeof(room)));
	for (size_t i = 0; i < c.count; i++)
		policies_give(d->policies, c.used[i]);
	return rc;
}

/* A host that enters by itself is a change of the list: it is audited. */
static int
commit_enroll(struct attestd *d, struct finish *f, struct store_op *op,
    struct err *err)
{
	char object[NAME_MAX_SIZE + 8] = "host/";
	struct store_op ops[] = { *op, { .value = NULL }, { .value = NULL },
		{ STORE_CHECK, KIND_GROUP, f->group.name, NULL, 0,
		    f->group.version },
		{ STORE_PUT, KIND_GROUP_ENTERED, f->group.name, "{}", 2,
		    STORE_ANY } };
	const struct audit_entry entry = { "vta-attestd", "host.enroll",
		object, f->address, "ok", NULL };
	int rc;

	memcpy(object + 5, f->id.host.name, NAME_MAX_SIZE);
	if (!f->group.enroll)
		return err_set(err, ERR_REFUSED, "hosts do not enter the "
		    "group %s by themselves any more; vtactl host import",
		    f->group.name);
	if ((rc = directory_host_op(&f->id.host, &ops[1], err)) == 0 &&
	    (rc = directory_host_ek_op(&f->id.host, 0, &ops[2], err)) == 0)
		rc = audit_commit(d->service.store, &entry, ops, 5, NULL, err);
	free((void *)(uintptr_t)ops[1].value);
	free((void *)(uintptr_t)ops[2].value);
	return rc;
}

static int
commit_once(struct attestd *d, struct finish *f, struct err *err)
{
	const struct directory_host *h = &f->id.host;
	struct store_op ops[2] = { { .value = NULL }, { STORE_CHECK, KIND_HOST,
		h->name, NULL, 0, h->version } };
	int rc;

	f->after.version = f->before.version;
	if ((rc = directory_attested_op(&f->after, &ops[0], err)) < 0)
		return rc;
	if (f->id.enroll)
		rc = commit_enroll(d, f, &ops[0], err);
	else
		rc = store_commit(d->service.store, ops, 2, NULL, NULL, err);
	free((void *)(uintptr_t)ops[0].value);
	return rc;
}

int
outcome_check_replay(const struct finish *f, struct err *err)
{
	int64_t began = f->session.began, last = f->before.session;
	int64_t future = attestd_now_ms() + INT64_C(1000) * TOKEN_SKEW;

	if (began > last || (last > future && began != last))
		return 0;
	return err_set(err, ERR_STALE, "this session, or a later one, has "
	    "been finished before: a session serves once; attest again");
}

/* Somebody else has written one of the records. May this go on? */
static int
look_again(struct attestd *d, struct finish *f, struct err *err)
{
	struct directory_host host;
	int rc;

	if (f->id.enroll)
		return err_set(err, ERR_STALE, "another host has just entered "
		    "under the name %s, or its group was changed; attest "
		    "again", f->id.host.name);
	if ((rc = directory_host_get(d->service.store, f->id.host.name, &host,
	    err)) < 0 || (rc = identity_check_revoked(&host, err)) < 0)
		return rc;
	if (strcmp(host.ek, f->id.host.ek) != 0 ||
	    strcmp(host.group, f->id.host.group) != 0)
		return err_set(err, ERR_STALE, "the host %s has just been "
		    "changed by an administrator; attest again", host.name);
	f->id.host = host;
	rc = directory_attested_get(d->service.store, host.name, &f->before,
	    err);
	if (rc == ERR_NOTFOUND) {
		memset(&f->before, 0, sizeof(f->before));
		rc = 0;
	}
	return rc < 0 ? rc : outcome_check_replay(f, err);
}

static void
tell(const struct finish *f)
{
	const struct directory_attested *t = &f->after, *b = &f->before;
	bool accepted = strcmp(t->state, ATTESTED_ATTESTED) == 0;
	bool other = strcmp(t->state, b->state) != 0;

	if (f->id.enroll)
		log_event(LOG_LEVEL_INFO, "host.enrolled", "host=%s group=%s "
		    "address=%s", t->host, f->id.host.group, t->address);
	if (accepted && other)
		log_event(LOG_LEVEL_INFO, "host.attested", "host=%s group=%s "
		    "policy=%s address=%s", t->host, f->id.host.group,
		    t->policy, t->address);
	else if (other && strcmp(b->state, ATTESTED_ATTESTED) == 0)
		log_event(LOG_LEVEL_WARNING, "host.trust-lost", "host=%s "
		    "group=%s address=%s reason=\"%s\" consequence=\"no key of "
		    "a VM that needs a trusted host is given to it\"", t->host,
		    f->id.host.group, t->address, t->reason);
	else if (!accepted && (other || strcmp(t->reason, b->reason) != 0))
		log_event(LOG_LEVEL_WARNING, "host.refused", "host=%s "
		    "known=yes address=%s reason=\"%s\"", t->host, t->address,
		    t->reason);
}

int
outcome_commit(struct attestd *d, struct finish *f, struct err *err)
{
	int rc = ERR_STALE;

	for (int i = 0; i < COMMIT_TRIES; i++) {
		rc = commit_once(d, f, err);
		if (rc == 0) {
			refusals_forget(d->refusals, f->id.host.name);
			tell(f);
			return 0;
		}
		if (rc != ERR_STALE && rc != ERR_EXISTS)
			return rc;
		if ((rc = look_again(d, f, err)) < 0)
			return rc;
		if (strcmp(f->before.state, f->after.state) != 0)
			f->after.since = f->after.last;
	}
	return rc;
}

/* A good while before the token ends, and not all hosts at once; sooner where
 * somebody may be mending the host. */
static int64_t
again_after(const struct finish *f)
{
	int64_t after = f->group.token_seconds * 6 / 10;
	uint32_t random = 0;

	if (f->after.token_expires == 0 && after > 300)
		after = 300;
	(void)RAND_bytes((uint8_t *)&random, sizeof(random));
	return after - (int64_t)(random % (uint32_t)(after / 5 + 1));
}

static int
issue(struct attestd *d, struct finish *f, char **token, struct err *err)
{
	struct token_claims *c = &f->claims;
	int rc;

	text_cut(c->issuer, sizeof(c->issuer),
	    d->config->common.authority.url);
	text_cut(c->audience, sizeof(c->audience), AUDIENCE);
	text_cut(c->host, sizeof(c->host), f->id.host.name);
	text_cut(c->group, sizeof(c->group), f->id.host.group);
	text_cut(c->policy, sizeof(c->policy), f->after.policy[0] != '\0' ?
	    f->after.policy : ATTESTD_NO_POLICY);
	if ((rc = hash_unhex(f->after.evidence, c->evidence,
	    sizeof(c->evidence))) < 0)
		return err_set(err, rc, "no digest of the evidence");
	c->transport = f->transport;
	f->transport = NULL;
	return signing_issue(d->signing, c, f->group.token_seconds,
	    attestd_now(), token, err);
}

int
outcome_answer(struct attestd *d, struct finish *f, struct http_answer *a,
    struct err *err)
{
	char *token = NULL;
	int rc;

	if ((rc = issue(d, f, &token, err)) < 0)
		return rc;
	a->json = json_pack("{sb ss sI sI ss ss ss sO* sI}", "accepted",
	    f->after.token_expires != 0, "token", token, "expires",
	    (json_int_t)f->claims.expires, "time",
	    (json_int_t)attestd_now(), "host", f->id.host.name, "group",
	    f->id.host.group, "policy", f->claims.policy, "verdict",
	    verdict_json(f->verdict), "attest_again",
	    (json_int_t)again_after(f));
	free(token);
	return a->json != NULL ? 0 : err_set(err, ERR_INTERNAL,
	    "out of memory");
}
