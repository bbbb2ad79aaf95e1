/* SPDX-License-Identifier: BSD-3-Clause */
#include "nvram-crypt/freshness-authority.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "nvram-crypt/freshness-instance.h"
#include "nvram-crypt/freshness-provider.h"

struct freshness_authority {
	struct freshness base;	/* first: the two are cast into each other */
	struct agent *agent;
	struct native_config config;	/* of the instances' directory */
	struct freshness_instance instance;
	uint8_t uuid[UUID_SIZE];
	uint64_t epoch;		/* this owner's */
	bool prepared;		/* the instance's file stays open */
};

static struct agent_message
about(enum agent_type type, const uint8_t uuid[UUID_SIZE], uint64_t epoch)
{
	struct agent_message q = { .type = (uint16_t)type, .epoch = epoch };

	memcpy(q.uuid, uuid, sizeof(q.uuid));
	return q;
}

static struct agent_message
claimed(enum agent_type type, const struct freshness_claim *c)
{
	struct agent_message q = about(type, c->uuid, c->epoch);

	memcpy(q.digest, c->digest, sizeof(q.digest));
	q.synced = c->synced;
	return q;
}

static struct agent_message
owned(const struct freshness_authority *fa, enum agent_type type)
{
	struct agent_message q = about(type, fa->uuid, fa->epoch);

	memcpy(q.instance, fa->instance.bytes, sizeof(q.instance));
	return q;
}

static void
let_go(struct freshness_authority *fa, bool clean)
{
	if (fa->prepared)
		freshness_instance_leave(&fa->instance, clean);
	else
		freshness_instance_drop(&fa->instance, clean);
}

static int
ask(struct freshness_authority *fa, struct agent_message *q, int timeout_ms,
    struct agent_message *answer, struct err *err)
{
	int rc = agent_ask(fa->agent, q, timeout_ms, answer, err);

	agent_forget(fa->agent);
	return rc;
}

static int
authority_register(struct freshness *f, const struct freshness_claim *c,
    struct err *err)
{
	struct agent_message q = claimed(AGENT_REGISTER, c), answer;

	return ask((struct freshness_authority *)f, &q, AGENT_TIME_KEY,
	    &answer, err);
}

static void
report_stale(const struct freshness_claim *c, const struct err *err)
{
	char uuid[UUID_TEXT_SIZE];

	uuid_format(c->uuid, uuid);
	log_event(LOG_LEVEL_ERROR, "freshness.stale", "uuid=%s "
	    "reason=authority file_epoch=%" PRIu64 " error=\"%s\"", uuid,
	    c->epoch, err->text);
}

/* The grant is the authority's, but never one that goes back. */
static int
check_grant(const struct freshness_claim *c,
    const struct agent_message *answer, struct err *err)
{
	if (answer->epoch >= c->epoch && answer->epoch != 0 &&
	    answer->epoch != UINT64_MAX)
		return 0;
	return err_set(err, ERR_STALE, "the trust authority grants epoch %"
	    PRIu64 " to a file of epoch %" PRIu64, answer->epoch, c->epoch);
}

static int
ask_for_epoch(struct freshness_authority *fa, const struct freshness_claim *c,
    struct agent_message *answer, struct err *err)
{
	struct agent_message q = claimed(AGENT_ACQUIRE, c);
	int rc;

	memcpy(q.instance, fa->instance.bytes, sizeof(q.instance));
	if ((rc = ask(fa, &q, AGENT_TIME_KEY, answer, err)) < 0)
		return rc;
	return check_grant(c, answer, err);
}

/* Of an owner on this host that was killed: what it left is the latest, and
 * from here on nothing that it wrote before. */
static int
close_for_it(struct freshness_authority *fa, const struct freshness_claim *c,
    struct err *err)
{
	struct agent_message q = claimed(AGENT_RELEASE, c), answer;

	memcpy(q.instance, fa->instance.bytes, sizeof(q.instance));
	q.synced = false;
	return ask(fa, &q, AGENT_TIME_KEY, &answer, err);
}

static int
take_epoch(struct freshness_authority *fa, const struct freshness_claim *c,
    struct agent_message *answer, struct err *err)
{
	int rc = ask_for_epoch(fa, c, answer, err);

	if (rc < 0 || answer->epoch > c->epoch)
		return rc;
	if ((rc = close_for_it(fa, c, err)) < 0 ||
	    (rc = ask_for_epoch(fa, c, answer, err)) < 0)
		return rc;
	if (answer->epoch > c->epoch)
		return 0;
	return err_set(err, ERR_STALE, "the trust authority grants epoch %"
	    PRIu64 " a second time", answer->epoch);
}

static void
begin(struct freshness_authority *fa, const struct freshness_claim *c,
    const struct agent_message *answer, struct freshness_grant *grant)
{
	fa->epoch = answer->epoch;
	memcpy(fa->uuid, c->uuid, sizeof(fa->uuid));
	*grant = (struct freshness_grant){ .epoch = answer->epoch,
		.synced = answer->synced && !fa->instance.was_open };
	grant->pending = grant->synced;
	agent_watch(fa->agent, fa->uuid, fa->epoch, fa->instance.bytes);
}

/* Whether a restore is accepted is said at the authority, not here. */
static int
authority_acquire(struct freshness *f, const struct freshness_claim *c,
    bool accept, struct freshness_grant *grant, struct err *err)
{
	struct freshness_authority *fa = (struct freshness_authority *)f;
	struct agent_message answer;
	struct err why = { 0 };
	int rc;

	(void)accept;
	let_go(fa, false);	/* of a try before */
	if ((rc = freshness_instance_take(&fa->instance, &fa->config, c->uuid,
	    err)) < 0)
		return rc;
	if ((rc = take_epoch(fa, c, &answer, &why)) < 0) {
		if (rc == ERR_STALE)
			report_stale(c, &why);
		let_go(fa, false);
		return err_set(err, rc, "%s", why.text);
	}
	begin(fa, c, &answer, grant);
	return 0;
}

static int
authority_take_up(struct freshness *f, const struct freshness_claim *c,
    const uint8_t session[FRESHNESS_SESSION_SIZE], bool back,
    struct freshness_grant *grant, struct err *err)
{
	struct freshness_authority *fa = (struct freshness_authority *)f;
	struct agent_message q = about(back ? AGENT_RECLAIM : AGENT_CLAIM,
		c->uuid, c->epoch), answer;
	int rc;

	let_go(fa, false);
	if ((rc = freshness_instance_take(&fa->instance, &fa->config, c->uuid,
	    err)) < 0)
		return rc;
	memcpy(q.instance, fa->instance.bytes, sizeof(q.instance));
	memcpy(q.session, session, sizeof(q.session));
	/* The same epoch again: its answer was lost, and the file has it. */
	if ((rc = ask(fa, &q, AGENT_TIME_CLOSE, &answer, err)) < 0 ||
	    (rc = check_grant(c, &answer, err)) < 0) {
		let_go(fa, !fa->instance.was_open);
		return rc;
	}
	begin(fa, c, &answer, grant);
	return 0;
}

/* What a notice has told counts before anything is asked. */
static int
check_owned(const struct freshness_authority *fa, struct err *err)
{
	const char *why = agent_lost(fa->agent);

	if (why != NULL)
		return err_set(err, ERR_STALE, "this VM is another's now, says "
		    "the trust authority: %s", why);
	if (!fa->instance.held)
		return err_set(err, ERR_INTERNAL, "the VM is not owned by this "
		    "process");
	return 0;
}

static int
authority_confirm(struct freshness *f, struct err *err)
{
	struct freshness_authority *fa = (struct freshness_authority *)f;
	struct agent_message q = owned(fa, AGENT_CONFIRM), answer;
	int rc;

	if ((rc = check_owned(fa, err)) < 0)
		return rc;
	return ask(fa, &q, AGENT_TIME_RUNNING, &answer, err);
}

static int
authority_release(struct freshness *f,
    const uint8_t digest[FRESHNESS_DIGEST_SIZE], bool synced, struct err *err)
{
	struct freshness_authority *fa = (struct freshness_authority *)f;
	struct agent_message q = owned(fa, AGENT_RELEASE), answer;
	int rc;

	if ((rc = check_owned(fa, err)) < 0)
		return rc;
	memcpy(q.digest, digest, sizeof(q.digest));
	q.synced = synced;
	if ((rc = ask(fa, &q, AGENT_TIME_CLOSE, &answer, err)) < 0)
		return rc;
	agent_unwatch(fa->agent);
	let_go(fa, true);
	return 0;
}

/* -- handing over -- */

static int
authority_prepare(struct freshness *f, const struct freshness_claim *c,
    struct err *err)
{
	struct freshness_authority *fa = (struct freshness_authority *)f;
	int rc = freshness_instance_prepare(&fa->instance, &fa->config,
	    c->uuid, err);

	fa->prepared = rc == 0;
	return rc;
}

static int
authority_offer(struct freshness *f, const struct freshness_handover *h,
    struct err *err)
{
	struct freshness_authority *fa = (struct freshness_authority *)f;
	struct agent_message q = owned(fa, AGENT_OFFER), answer;
	int rc;

	if ((rc = check_owned(fa, err)) < 0)
		return rc;
	memcpy(q.digest, h->digest, sizeof(q.digest));
	memcpy(q.session, h->session, sizeof(q.session));
	q.synced = h->synced;
	return ask(fa, &q, AGENT_TIME_RUNNING, &answer, err);
}

void
freshness_authority_expect(struct freshness *f, int fd)
{
	struct freshness_authority *fa = (struct freshness_authority *)f;

	freshness_instance_drop(&fa->instance, false);
	fa->instance.fd = fd;
	fa->prepared = true;
}

int
freshness_authority_give_back(struct freshness *f, uint64_t epoch,
    const uint8_t session[FRESHNESS_SESSION_SIZE], struct err *err)
{
	struct freshness_authority *fa = (struct freshness_authority *)f;
	struct agent_message q = owned(fa, AGENT_OFFER), answer;
	int rc;

	if (!fa->instance.held)
		return 0;
	/* The offerer's epoch says that it is his file that counts; its digest
	 * is known there. */
	q.epoch = epoch;
	memcpy(q.session, session, sizeof(q.session));
	rc = ask(fa, &q, AGENT_TIME_CLOSE, &answer, err);
	agent_unwatch(fa->agent);
	let_go(fa, true);
	return rc;
}

/* After an offer. The file stays open: it may have to be taken back. */
static void
authority_let_go(struct freshness *f)
{
	struct freshness_authority *fa = (struct freshness_authority *)f;

	agent_unwatch(fa->agent);
	fa->prepared = true;
	freshness_instance_leave(&fa->instance, true);
}

/* What is offered is closed now; it can be claimed all the same. If that was
 * done, this is refused: the end is somebody else's. */
static int
authority_end_loan(struct freshness *f,
    const uint8_t digest[FRESHNESS_DIGEST_SIZE], bool synced, struct err *err)
{
	struct freshness_authority *fa = (struct freshness_authority *)f;
	struct agent_message q = owned(fa, AGENT_RELEASE), answer;
	int rc;

	memcpy(q.digest, digest, sizeof(q.digest));
	q.synced = synced;
	rc = ask(fa, &q, AGENT_TIME_CLOSE, &answer, err);
	return rc == ERR_STALE ? 0 : rc;
}

static int
authority_forget(struct freshness *f, const uint8_t uuid[UUID_SIZE],
    struct err *err)
{
	struct freshness_authority *fa = (struct freshness_authority *)f;
	struct agent_message q = about(AGENT_VM_FORGET, uuid, 0), answer;
	int rc;

	if ((rc = ask(fa, &q, AGENT_TIME_KEY, &answer, err)) < 0)
		return rc;
	return freshness_instance_remove(&fa->config, uuid, err);
}

static int
authority_check(struct freshness *f, const struct freshness_claim *c,
    struct err *err)
{
	struct agent_message q = claimed(AGENT_CHECK, c), answer;

	return ask((struct freshness_authority *)f, &q, AGENT_TIME_KEY,
	    &answer, err);
}

static int
authority_hand_over(const struct freshness *f)
{
	return ((const struct freshness_authority *)f)->instance.fd;
}

static void
authority_close(struct freshness *f)
{
	struct freshness_authority *fa = (struct freshness_authority *)f;

	/* Another one's watch goes on. */
	if (fa->instance.held)
		agent_unwatch(fa->agent);
	freshness_instance_drop(&fa->instance, false);
	free(fa);
}

static const struct freshness_ops authority_ops = {
	.authority = true,
	.register_vm = authority_register,
	.acquire = authority_acquire,
	.confirm = authority_confirm,
	.release = authority_release,
	.prepare = authority_prepare,
	.offer = authority_offer,
	.take_up = authority_take_up,
	.let_go = authority_let_go,
	.end_loan = authority_end_loan,
	.forget = authority_forget,
	.check = authority_check,
	.hand_over = authority_hand_over,
	.close = authority_close,
};

int
freshness_authority(struct freshness **out, struct agent *a,
    const struct native_config *config, struct err *err)
{
	struct freshness_authority *fa = calloc(1, sizeof(*fa));

	*out = NULL;
	if (fa == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	fa->base.ops = &authority_ops;
	fa->agent = a;
	fa->config = *config;
	fa->instance.fd = -1;
	*out = &fa->base;
	return 0;
}

int
freshness_authority_adopt(struct freshness **out, struct agent *a, int fd,
    const uint8_t uuid[UUID_SIZE], uint64_t epoch, struct err *err)
{
	static const struct native_config none;
	struct freshness_instance instance;
	struct freshness_authority *fa;
	int rc;

	*out = NULL;
	if ((rc = freshness_instance_adopt(&instance, fd, err)) < 0)
		return rc;
	if ((rc = freshness_authority(out, a, &none, err)) < 0) {
		freshness_instance_drop(&instance, false);
		return rc;
	}
	fa = (struct freshness_authority *)*out;
	fa->instance = instance;
	fa->epoch = epoch;
	memcpy(fa->uuid, uuid, sizeof(fa->uuid));
	agent_watch(a, uuid, epoch, instance.bytes);
	return 0;
}
