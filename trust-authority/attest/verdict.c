/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/attest/verdict.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FAILURES_KEPT 16
#define REASON_MAX 768

struct verdict {
	json_t *root, *policies, *policy, *rules, *rule, *failures;
	char open[80];		/* name of the open policy; "": none */
	char passed[80];	/* name of the first one passed; "": none */
	char rule_name[64];
	size_t rule_count, rule_failures, policy_failures;
	bool ended;
	char reason[REASON_MAX];
};

struct verdict *
verdict_new(void)
{
	struct verdict *v = calloc(1, sizeof(*v));

	if (v == NULL)
		return NULL;
	v->root = json_object();
	v->policies = json_array();
	if (v->root == NULL || json_object_set(v->root, "policies",
	    v->policies) < 0) {
		verdict_free(v);
		return NULL;
	}
	snprintf(v->reason, sizeof(v->reason),
	    "no policy is approved for this host");
	return v;
}

static void
rule_close(struct verdict *v)
{
	if (v->rule == NULL)
		return;
	(void)json_object_set_new(v->rule, "passed",
	    json_boolean(v->rule_failures == 0));
	if (v->rule_failures > FAILURES_KEPT)
		(void)json_object_set_new(v->rule, "failures_in_all",
		    json_integer((json_int_t)v->rule_failures));
	json_decref(v->failures);
	json_decref(v->rule);
	v->rule = v->failures = NULL;
}

static void
policy_close(struct verdict *v)
{
	bool passed;

	rule_close(v);
	if (v->open[0] == '\0')
		return;
	passed = v->rule_count > 0 && v->policy_failures == 0;
	if (passed && v->passed[0] == '\0') {
		memcpy(v->passed, v->open, sizeof(v->passed));
		snprintf(v->reason, sizeof(v->reason),
		    "all rules of policy %s are met", v->open);
	}
	(void)json_object_set_new(v->policy, "passed", json_boolean(passed));
	json_decref(v->rules);
	json_decref(v->policy);
	v->policy = v->rules = NULL;
	v->open[0] = '\0';
}

void
verdict_free(struct verdict *v)
{
	if (v == NULL)
		return;
	policy_close(v);
	json_decref(v->policies);
	json_decref(v->root);
	free(v);
}

void
verdict_policy(struct verdict *v, const char *name)
{
	policy_close(v);
	snprintf(v->open, sizeof(v->open), "%s", name);
	v->rule_count = v->policy_failures = 0;
	v->policy = json_object();
	v->rules = json_array();
	(void)json_object_set_new(v->policy, "policy", json_string(name));
	(void)json_object_set(v->policy, "rules", v->rules);
	(void)json_array_append(v->policies, v->policy);
}

void
verdict_rule(struct verdict *v, const char *rule)
{
	rule_close(v);
	v->rule_count++;
	v->rule_failures = 0;
	snprintf(v->rule_name, sizeof(v->rule_name), "%s", rule);
	v->rule = json_object();
	v->failures = json_array();
	(void)json_object_set_new(v->rule, "rule", json_string(rule));
	(void)json_array_append(v->rules, v->rule);
}

void
verdict_fail(struct verdict *v, json_t *event, const char *fmt, ...)
{
	char why[REASON_MAX - 160];
	json_t *failure = NULL;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	if (v->policy_failures++ == 0 && v->passed[0] == '\0')
		snprintf(v->reason, sizeof(v->reason), "policy %s: %s: %s",
		    v->open, v->rule_name, why);
	if (v->rule_failures++ >= FAILURES_KEPT)
		goto out;
	if (v->rule_failures == 1)
		(void)json_object_set(v->rule, "failures", v->failures);
	failure = json_object();
	(void)json_object_set_new(failure, "why", json_string(why));
	if (event != NULL)
		(void)json_object_set(failure, "event", event);
	(void)json_array_append(v->failures, failure);
out:
	json_decref(failure);
	json_decref(event);
}

void
verdict_because(struct verdict *v, json_t *event)
{
	json_t *list = json_object_get(v->rule, "because");

	if (list == NULL) {
		list = json_array();
		(void)json_object_set_new(v->rule, "because", list);
	}
	if (event != NULL && json_array_size(list) < FAILURES_KEPT)
		(void)json_array_append(list, event);
	json_decref(event);
}

void
verdict_end(struct verdict *v)
{
	policy_close(v);
	v->ended = true;
	(void)json_object_set_new(v->root, "accepted",
	    json_boolean(verdict_accepted(v)));
	if (v->passed[0] != '\0')
		(void)json_object_set_new(v->root, "policy",
		    json_string(v->passed));
	(void)json_object_set_new(v->root, "reason", json_string(v->reason));
}

bool
verdict_accepted(const struct verdict *v)
{
	return v->ended && v->passed[0] != '\0';
}

const char *
verdict_policy_passed(const struct verdict *v)
{
	return verdict_accepted(v) ? v->passed : NULL;
}

const char *
verdict_reason(const struct verdict *v)
{
	return v->reason;
}

json_t *
verdict_json(struct verdict *v)
{
	return v->root;
}
