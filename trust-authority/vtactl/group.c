/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <string.h>

#include "trust-authority/vtactl/vtactl.h"

static const char *description, *token_seconds, *enroll;

static const struct option options[] = {
	{ "description", "TEXT", "for people", &description, NULL, NULL },
	{ "token-seconds", "N", "how long an attestation is good for, 60 to "
	    "3600", &token_seconds, NULL, NULL },
	{ "enroll", "yes|no", "hosts with a TPM of an imported CA come in by "
	    "themselves", &enroll, NULL, NULL },
	{ 0 },
};

/* GROUP as it is, without what is not to be sent back. With its version: who
 * was faster is not overwritten. */
static int
get(struct vtactl *v, const char *group, json_t **out, struct err *err)
{
	static const char *const members[] = { "description", "policies",
		"token_seconds", "enroll", "version" };
	json_t *answer, *m;
	int rc;

	if ((rc = vtactl_call(v, SERVICE_ATTESTD, HTTP_GET, NULL, &answer, err,
	    "/v1/groups/%s", group)) < 0)
		return rc;
	*out = json_object();
	for (size_t i = 0; i < 5; i++)
		if ((m = json_object_get(answer, members[i])) != NULL)
			json_object_set(*out, members[i], m);
	json_decref(answer);
	return 0;
}

static int
apply_options(json_t *body, struct err *err)
{
	bool flag = false;
	long seconds = 0;
	int rc;

	if ((rc = option_number("token-seconds", token_seconds, 60, 3600,
	    &seconds, err)) < 0 || (rc = option_flag("enroll", enroll, &flag,
	    err)) < 0)
		return rc;
	body_set_text(body, "description", description);
	if (token_seconds != NULL)
		json_object_set_new(body, "token_seconds",
		    json_integer(seconds));
	if (enroll != NULL)
		json_object_set_new(body, "enroll", json_boolean(flag));
	return 0;
}

static int
put(struct vtactl *v, const char *group, json_t *body, struct err *err)
{
	return vtactl_call(v, SERVICE_ATTESTD, HTTP_PUT, body, NULL, err,
	    "/v1/groups/%s", group);
}

static int
add(struct vtactl *v, struct err *err)
{
	const char *group = v->operands[0];
	json_t *body = NULL;
	int rc;

	if ((rc = name_check("group", group, err)) < 0)
		return rc;
	if ((rc = get(v, group, &body, err)) == 0) {
		json_decref(body);
		return err_set(err, ERR_EXISTS, "group %s is there; vtactl "
		    "group set changes it", group);
	}
	if (rc != ERR_NOTFOUND)
		return rc;
	v->fault[0] = '\0';
	body = json_pack("{s:[], s:i}", "policies",
	    "token_seconds", 900);
	if ((rc = apply_options(body, err)) < 0) {
		json_decref(body);
		return rc;
	}
	if ((rc = put(v, group, body, err)) < 0)
		return rc;
	return print_done(v, json_pack("{s:s}", "name", group), err,
	    "Group %s is there; vtactl policy approve says what its hosts may "
	    "run.", group);
}

static int
set(struct vtactl *v, struct err *err)
{
	const char *group = v->operands[0];
	json_t *body;
	int rc;

	if ((rc = name_check("group", group, err)) < 0 ||
	    (rc = get(v, group, &body, err)) < 0)
		return rc;
	if ((rc = apply_options(body, err)) < 0) {
		json_decref(body);
		return rc;
	}
	if ((rc = put(v, group, body, err)) < 0)
		return rc;
	return print_done(v, json_pack("{s:s}", "name", group), err,
	    "Group %s is changed.", group);
}

static void
print_groups(const json_t *answer)
{
	static const struct column columns[] = {
		{ "NAME", "name", NULL },
		{ "TOKEN SECONDS", "token_seconds", NULL },
		{ "ENROLL", "enroll", NULL }, { "POLICIES", "policies", NULL },
		{ "DESCRIPTION", "description", NULL },
	};

	print_table(rows_of((json_t *)(uintptr_t)answer, "groups"), columns,
	    5);
}

static int
list(struct vtactl *v, struct err *err)
{
	json_t *answer;
	int rc;

	if ((rc = vtactl_call(v, SERVICE_ATTESTD, HTTP_GET, NULL, &answer, err,
	    "/v1/groups")) < 0)
		return rc;
	return print_result(v, answer, print_groups, err);
}

static int
remove_group(struct vtactl *v, struct err *err)
{
	const char *group = v->operands[0];
	int rc;

	if ((rc = name_check("group", group, err)) < 0 ||
	    (rc = vtactl_call(v, SERVICE_ATTESTD, HTTP_DELETE, NULL, NULL, err,
	    "/v1/groups/%s", group)) < 0)
		return rc;
	return print_done(v, json_pack("{s:s}", "name", group), err,
	    "Group %s is gone.", group);
}

/* The index of a policy in a group's list; its size if it is not there. */
static size_t
index_of(const json_t *list, const char *policy)
{
	size_t i;

	for (i = 0; i < json_array_size(list); i++) {
		const char *name = json_string_value(json_array_get(list, i));

		if (name != NULL && strcmp(name, policy) == 0)
			break;
	}
	return i;
}

static int
change_policies(struct vtactl *v, bool approve, const char *line,
    struct err *err)
{
	const char *group = v->operands[0], *policy = v->operands[1];
	json_t *body, *list;
	size_t i;
	int rc;

	if ((rc = name_check("group", group, err)) < 0 ||
	    (rc = name_check("policy", policy, err)) < 0 ||
	    (rc = get(v, group, &body, err)) < 0)
		return rc;
	if ((list = json_object_get(body, "policies")) == NULL)
		json_object_set_new(body, "policies", list = json_array());
	i = index_of(list, policy);
	if (approve == (i < json_array_size(list))) {
		json_decref(body);
		return err_set(err, approve ? ERR_EXISTS : ERR_NOTFOUND,
		    "group %s has %s policy %s", group, approve ? "approved" :
		    "not approved", policy);
	}
	if (approve)
		json_array_append_new(list, json_string(policy));
	else
		json_array_remove(list, i);
	if ((rc = put(v, group, body, err)) < 0)
		return rc;
	return print_done(v, json_pack("{s:s, s:s}", "group", group, "policy",
	    policy), err, line, group, policy);
}

static int
approve(struct vtactl *v, struct err *err)
{
	return change_policies(v, true, "Hosts of group %s may be as policy "
	    "%s says.", err);
}

static int
withdraw(struct vtactl *v, struct err *err)
{
	return change_policies(v, false, "Hosts of group %s are not trusted "
	    "by policy %s any more, when they attest next.", err);
}

const struct command group_commands[] = {
	{
		.name = "policy approve", .operands = "GROUP POLICY",
		.least = 2, .most = 2,
		.summary = "Trust hosts of a group that are as a policy says",
		.run = approve,
	},
	{
		.name = "policy withdraw", .operands = "GROUP POLICY",
		.least = 2, .most = 2, .summary = "Take an approval back",
		.run = withdraw,
	},
	{
		.name = "group add", .operands = "GROUP", .least = 1,
		.most = 1, .summary = "Make a group of hosts",
		.options = options, .run = add,
	},
	{
		.name = "group set", .operands = "GROUP", .least = 1,
		.most = 1, .summary = "Change a group",
		.options = options, .run = set,
	},
	{
		.name = "group list", .operands = "",
		.summary = "List the groups and what they have approved",
		.run = list,
	},
	{
		.name = "group remove", .operands = "GROUP", .least = 1,
		.most = 1, .summary = "Remove a group that has no host",
		.run = remove_group,
	},
	{ 0 },
};
