/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/agent/daemon/owner-calls.h"

enum { HAS_DIGEST = 1, HAS_INSTANCE = 2, HAS_SYNCED = 4, HAS_SESSION = 8 };

static json_t *
body_of(const struct owner_claim *c, unsigned int members)
{
	char digest[HASH_HEX_SIZE], instance[HASH_HEX_SIZE];
	char session[HASH_HEX_SIZE];
	json_t *json = json_pack("{sI}", "epoch", (json_int_t)c->epoch);

	hash_hex(c->digest, sizeof(c->digest), digest);
	hash_hex(c->instance, sizeof(c->instance), instance);
	hash_hex(c->session, sizeof(c->session), session);
	if (((members & HAS_DIGEST) && json_object_set_new(json, "digest",
	    json_string(digest)) < 0) ||
	    ((members & HAS_INSTANCE) && json_object_set_new(json, "instance",
	    json_string(instance)) < 0) ||
	    ((members & HAS_SESSION) && json_object_set_new(json, "session",
	    json_string(session)) < 0) ||
	    ((members & HAS_SYNCED) && json_object_set_new(json, "synced",
	    json_boolean(c->synced)) < 0)) {
		json_decref(json);
		return NULL;
	}
	return json;
}

/* *answer is to be reset. */
static int
post(struct kmxa *k, const char *path, const struct owner_claim *c,
    unsigned int members, struct kmxd_answer *answer, struct owner_why *why,
    struct err *err)
{
	struct kmxd_call call = { .method = HTTP_POST, .vm = c->vm,
		.path = path, .json = body_of(c, members), .has_json = true };
	int rc = kmxd_call(k, &call, answer, err);

	*why = (struct owner_why){ .fault = answer->fault,
		.open = answer->open };
	return rc;
}

static int
post_only(struct kmxa *k, const char *path, const struct owner_claim *c,
    unsigned int members, struct owner_why *why, struct err *err)
{
	struct kmxd_answer answer;
	int rc = post(k, path, c, members, &answer, why, err);

	kmxd_answer_reset(&answer);
	return rc;
}

static int
granted(struct kmxa *k, const char *path, const struct owner_claim *c,
    unsigned int members, struct owner_grant *grant, struct owner_why *why,
    struct err *err)
{
	struct kmxd_answer answer;
	json_int_t epoch, seconds;
	int rc;

	if ((rc = post(k, path, c, members, &answer, why, err)) < 0)
		goto out;
	epoch = json_integer_value(json_object_get(answer.http.json,
	    "epoch"));
	seconds = json_integer_value(json_object_get(answer.http.json,
	    "lease_seconds"));
	if (epoch <= 0)
		rc = kmxd_broken(&answer, "epoch", err);
	else if (seconds <= 0 || seconds > 86400)
		rc = kmxd_broken(&answer, "lease_seconds", err);
	if (rc < 0)
		why->fault = AGENT_FAULT_AUTHORITY;
	*grant = (struct owner_grant){ .epoch = (uint64_t)epoch,
		.seconds = (uint32_t)seconds, .synced = json_is_true(
		json_object_get(answer.http.json, "synced")) };
out:
	kmxd_answer_reset(&answer);
	return rc;
}

int
owner_call_acquire(struct kmxa *k, const struct owner_claim *c,
    struct owner_grant *grant, struct owner_why *why, struct err *err)
{
	return granted(k, "/acquire", c, HAS_DIGEST | HAS_INSTANCE, grant,
	    why, err);
}

int
owner_call_take_up(struct kmxa *k, const char *path,
    const struct owner_claim *c, struct owner_grant *grant,
    struct owner_why *why, struct err *err)
{
	return granted(k, path, c, HAS_INSTANCE | HAS_SESSION, grant, why,
	    err);
}

int
owner_call_offer(struct kmxa *k, const struct owner_claim *c,
    struct owner_why *why, struct err *err)
{
	return post_only(k, "/offer", c, HAS_DIGEST | HAS_INSTANCE |
	    HAS_SYNCED | HAS_SESSION, why, err);
}

int
owner_call_confirm(struct kmxa *k, const struct owner_claim *c,
    struct owner_why *why, struct err *err)
{
	return post_only(k, "/confirm", c, HAS_INSTANCE, why, err);
}

int
owner_call_release(struct kmxa *k, const struct owner_claim *c,
    struct owner_why *why, struct err *err)
{
	return post_only(k, "/release", c, HAS_DIGEST | HAS_INSTANCE |
	    HAS_SYNCED, why, err);
}

int
owner_call_check(struct kmxa *k, const struct owner_claim *c,
    struct owner_why *why, struct err *err)
{
	return post_only(k, "/check", c, HAS_DIGEST, why, err);
}

/* Of one whose answer was lost the next try finds the record there. */
int
owner_call_register(struct kmxa *k, const struct owner_claim *c,
    struct owner_why *why, struct err *err)
{
	struct kmxd_answer answer;
	int rc = post(k, "/register", c, HAS_DIGEST | HAS_SYNCED, &answer,
	    why, err);
	bool maybe_done = answer.http.maybe_done;

	kmxd_answer_reset(&answer);
	if (rc == ERR_EXISTS && maybe_done)
		return owner_call_check(k, c, why, err);
	return rc;
}
