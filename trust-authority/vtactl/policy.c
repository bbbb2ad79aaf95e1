/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "trust-authority/vtactl/vtactl.h"

#define POLICY_MAX (64u << 20)
#define WAIT_SECONDS 120

static const char *bank, *out_file, *wait_text;
static bool no_ima, replace;

static const struct option capture_options[] = {
	{ "out", "FILE", "where the document goes; default: standard output",
	    &out_file, NULL, NULL },
	{ "bank", "BANK", "sha256, sha384 or sha512; default: sha256", &bank,
	    NULL, NULL },
	{ "no-ima", NULL, "leave the files out that the kernel measured", NULL,
	    &no_ima, NULL },
	{ "wait", "SECONDS", "wait so long at most; default: 120", &wait_text,
	    NULL, NULL },
	{ 0 },
};
static const struct option import_options[] = {
	{ "replace", NULL, "also a policy that some group has approved", NULL,
	    &replace, NULL },
	{ 0 },
};

static int
wait_for_capture(struct vtactl *v, const char *host, long seconds,
    json_t **out, struct err *err)
{
	json_t *answer;
	int rc;

	for (long tries = seconds * 2; tries > 0; tries--) {
		if ((rc = vtactl_call(v, SERVICE_ATTESTD, HTTP_GET, NULL,
		    &answer, err, "/v1/hosts/%s/capture", host)) < 0)
			return rc;
		if (strcmp(text_of(answer, "state"), "waiting") != 0) {
			*out = answer;
			return 0;
		}
		json_decref(answer);
		(void)usleep(500000);
	}
	return err_set(err, ERR_BUSY, "%s has not attested within %ld s; look "
	    "at vta-kmxa's log there", host, seconds);
}

static int
write_document(const json_t *answer, struct err *err)
{
	json_t *document = json_object_get(answer, "document");
	char *text;
	int rc;

	if (strcmp(text_of(answer, "state"), "ready") != 0 || document == NULL)
		return err_set(err, ERR_REFUSED, "no policy could be made of "
		    "what the host sent: %s", text_of(answer, "reason"));
	text = json_is_string(document) ?
	    strdup(json_string_value(document)) :
	    json_dumps(document, JSON_INDENT(2));
	if (text == NULL)
		return err_set(err, ERR_SYSTEM, "no memory");
	rc = file_write_new(out_file, 0644, text, strlen(text), err);
	if (rc == 0 && (out_file == NULL || strcmp(out_file, "-") == 0))
		(void)putchar('\n');
	free(text);
	return rc;
}

static int
capture(struct vtactl *v, struct err *err)
{
	const char *host = v->operands[0], *name = v->operands[1];
	long seconds = WAIT_SECONDS;
	json_t *answer = NULL;
	int rc;

	if ((rc = name_check("host", host, err)) < 0 ||
	    (rc = name_check("policy", name, err)) < 0 ||
	    (rc = option_number("wait", wait_text, 1, 3600, &seconds,
	    err)) < 0 || (rc = vtactl_call(v, SERVICE_ATTESTD, HTTP_POST,
	    json_pack("{s:s, s:s, s:b}", "policy", name, "bank",
	    bank != NULL ? bank : "sha256", "ima", !no_ima), &answer, err,
	    "/v1/hosts/%s/capture", host)) < 0)
		return rc;
	/* It comes by itself at the latest when its token ends. */
	if (json_is_false(json_object_get(answer, "told")))
		fprintf(stderr, "The host could not be told; waiting until it "
		    "attests by itself.\n");
	json_decref(answer);
	answer = NULL;
	if ((rc = wait_for_capture(v, host, seconds, &answer, err)) < 0)
		return rc;
	rc = write_document(answer, err);
	json_decref(answer);
	if (rc == 0 && !v->json)
		fprintf(stderr, "Read it, then: vtactl policy import %s; "
		    "vtactl policy approve GROUP %s\n", out_file != NULL ?
		    out_file : "FILE", name);
	return rc;
}

static int
import(struct vtactl *v, struct err *err)
{
	const char *path = v->operands[0];
	json_t *document = NULL;
	json_error_t why;
	char *data = NULL;
	size_t size;
	int rc;

	if ((rc = file_read(path, POLICY_MAX, &data, &size, err)) < 0)
		return rc;
	document = json_loadb(data, size, JSON_REJECT_DUPLICATES, &why);
	free(data);
	if (!json_is_object(document)) {
		rc = err_set(err, ERR_FORMAT, "%s is not a policy: line %d: "
		    "%s", path, why.line, why.text);
		goto out;
	}
	if ((rc = name_check("policy", text_of(document, "name"), err)) < 0) {
		(void)err_prefix(err, "%s: member name", path);
		goto out;
	}
	if ((rc = vtactl_call(v, SERVICE_ATTESTD, HTTP_PUT,
	    json_incref(document), NULL, err, "/v1/policies/%s%s",
	    text_of(document, "name"), replace ? "?replace=1" : "")) < 0)
		goto out;
	rc = print_done(v, json_pack("{s:s}", "name", text_of(document,
	    "name")), err, "Policy %s is there; no group has it until vtactl "
	    "policy approve.", text_of(document, "name"));
out:
	json_decref(document);
	return rc;
}

static int
show(struct vtactl *v, struct err *err)
{
	const char *name = v->operands[0];
	json_t *answer;
	int rc;

	if ((rc = name_check("policy", name, err)) < 0 ||
	    (rc = vtactl_call(v, SERVICE_ATTESTD, HTTP_GET, NULL, &answer, err,
	    "/v1/policies/%s", name)) < 0)
		return rc;
	if (json_dumpf(answer, stdout, JSON_INDENT(2)) < 0 ||
	    putchar('\n') == EOF || fflush(stdout) != 0)
		rc = err_set(err, ERR_SYSTEM, "cannot write the output");
	json_decref(answer);
	return rc;
}

static void
column_added(const json_t *row, char *out, size_t room)
{
	member_time(row, "added", out, room);
}

static bool
list_has(const json_t *list, const char *name)
{
	const json_t *one;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)list, i, one)
		if (json_is_string(one) &&
		    strcmp(json_string_value(one), name) == 0)
			return true;
	return false;
}

static void
column_digest(const json_t *row, char *out, size_t room)
{
	snprintf(out, room, "%.16s", text_of(row, "sha256"));
}

static void
print_policies(const json_t *answer)
{
	static const struct column columns[] = {
		{ "NAME", "name", NULL }, { "BYTES", "size", NULL },
		{ "SHA-256", NULL, column_digest },
		{ "IMPORTED", NULL, column_added },
		{ "APPROVED BY", "groups", NULL },
		{ "DESCRIPTION", "description", NULL },
	};

	print_table(rows_of((json_t *)(uintptr_t)answer, "policies"), columns,
	    6);
}

/* Which groups have approved it is with the groups. */
static int
add_groups(struct vtactl *v, json_t *policies, struct err *err)
{
	json_t *answer, *group, *policy;
	size_t i, k;
	int rc;

	if ((rc = vtactl_call(v, SERVICE_ATTESTD, HTTP_GET, NULL, &answer, err,
	    "/v1/groups")) < 0)
		return rc;
	json_array_foreach(policies, i, policy) {
		json_t *names = json_array();

		json_array_foreach(rows_of(answer, "groups"), k, group)
			if (list_has(json_object_get(group, "policies"),
			    text_of(policy, "name")))
				json_array_append(names, json_object_get(group,
				    "name"));
		json_object_set_new(policy, "groups", names);
	}
	json_decref(answer);
	return 0;
}

static int
list(struct vtactl *v, struct err *err)
{
	json_t *answer;
	int rc;

	if ((rc = vtactl_call(v, SERVICE_ATTESTD, HTTP_GET, NULL, &answer, err,
	    "/v1/policies")) < 0)
		return rc;
	if ((rc = add_groups(v, rows_of(answer, "policies"), err)) < 0) {
		json_decref(answer);
		return rc;
	}
	return print_result(v, answer, print_policies, err);
}

static int
remove_policy(struct vtactl *v, struct err *err)
{
	const char *name = v->operands[0];
	int rc;

	if ((rc = name_check("policy", name, err)) < 0 ||
	    (rc = vtactl_call(v, SERVICE_ATTESTD, HTTP_DELETE, NULL, NULL, err,
	    "/v1/policies/%s", name)) < 0)
		return rc;
	return print_done(v, json_pack("{s:s}", "name", name), err,
	    "Policy %s is gone.", name);
}

const struct command policy_commands[] = {
	{
		.name = "policy capture", .operands = "HOST POLICY",
		.least = 2, .most = 2,
		.summary = "Make a policy of what a reference host runs",
		.details = "The host attests at once; what it shows becomes a "
		    "document named POLICY, which is\nwritten out and not yet "
		    "of use: read it, then vtactl policy import.\n",
		.options = capture_options, .run = capture,
	},
	{
		.name = "policy import", .operands = "FILE", .least = 1,
		.most = 1, .summary = "Add a policy, or change one",
		.details = "It is named as its document says.\n",
		.options = import_options, .run = import,
	},
	{
		.name = "policy list", .operands = "",
		.summary = "List the policies", .run = list,
	},
	{
		.name = "policy show", .operands = "POLICY", .least = 1,
		.most = 1, .summary = "Print a policy's document", .run = show,
	},
	{
		.name = "policy remove", .operands = "POLICY", .least = 1,
		.most = 1, .summary = "Remove a policy that no group has",
		.run = remove_policy,
	},
	{ 0 },
};
