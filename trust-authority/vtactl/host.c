/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "trust-authority/vtactl/vtactl.h"

#define EXPORT_MAX (1u << 20)
#define WAIT_SECONDS 120

static const char *group, *name, *reason, *wait_text;
static bool trust_ek, no_wait;

static const struct option import_options[] = {
	{ "group", "GROUP", "its group; needed", &group, NULL, NULL },
	{ "name", "NAME", "instead of what it calls itself", &name, NULL,
	    NULL },
	{ "trust-ek", NULL, "believe its TPM though no imported CA vouches "
	    "for it", NULL, &trust_ek, NULL },
	{ 0 },
};
static const struct option reason_options[] = {
	{ "reason", "TEXT", "for the record", &reason, NULL, NULL },
	{ 0 },
};
static const struct option attest_options[] = {
	{ "no-wait", NULL, "tell it, and do not wait for what comes of it",
	    NULL, &no_wait, NULL },
	{ "wait", "SECONDS", "wait so long at most; default: 120", &wait_text,
	    NULL, NULL },
	{ 0 },
};

/* What vtactl host export wrote, or an EK's public key as PEM. */
static int
parse_export(const char *path, const char *data, size_t size, json_t **out,
    struct err *err)
{
	json_error_t why;

	if (strstr(data, "-----BEGIN PUBLIC KEY-----") != NULL) {
		*out = json_pack("{s:s}", "ek_pem", data);
		return 0;
	}
	*out = json_loadb(data, size, JSON_REJECT_DUPLICATES, &why);
	if (*out == NULL || !json_is_object(*out))
		return err_set(err, ERR_FORMAT, "%s is neither what vtactl "
		    "host export wrote nor an EK's public key in PEM", path);
	return 0;
}

static int
import_body(const json_t *export, const char *who, json_t **out,
    struct err *err)
{
	static const char *const members[] = { "ek", "ek_pem",
		"ek_certificate" };
	json_t *body = json_pack("{s:s, s:b}", "group", group, "trust_ek",
	    trust_ek);
	bool has_ek = false;

	for (size_t i = 0; i < 3; i++) {
		json_t *m = json_object_get(export, members[i]);

		if (m == NULL || json_is_null(m) ||
		    (json_is_string(m) && json_string_length(m) == 0))
			continue;
		has_ek |= i < 2;
		json_object_set(body, members[i], m);
	}
	if (!has_ek) {
		json_decref(body);
		return err_set(err, ERR_FORMAT, "%s has no endorsement key",
		    who);
	}
	*out = body;
	return 0;
}

static int
import(struct vtactl *v, struct err *err)
{
	json_t *export = NULL, *body = NULL, *answer = NULL;
	const char *path = v->operands[0], *warning;
	char host[NAME_LENGTH_MAX + 2], *data = NULL;
	size_t size;
	int rc;

	if (group == NULL)
		return err_set(err, ERR_USAGE, "vtactl host import needs "
		    "--group; vtactl group list shows which there are");
	if ((rc = name_check("group", group, err)) < 0 ||
	    (rc = file_read(path, EXPORT_MAX, &data, &size, err)) < 0 ||
	    (rc = parse_export(path, data, size, &export, err)) < 0)
		goto out;
	snprintf(host, sizeof(host), "%s", name != NULL ? name :
	    text_of(export, "name"));
	if (host[0] == '\0') {
		rc = err_set(err, ERR_USAGE, "%s does not say what the host is "
		    "called: give --name", path);
		goto out;
	}
	if ((rc = name_check("host", host, err)) < 0 ||
	    (rc = import_body(export, path, &body, err)) < 0 ||
	    (rc = vtactl_call(v, SERVICE_ATTESTD, HTTP_PUT, body, &answer, err,
	    "/v1/hosts/%s", host)) < 0)
		goto out;
	warning = text_of(answer, "warning");
	rc = print_done(v, json_pack("{s:s, s:s, s:s}", "name", host, "group",
	    group, "warning", warning), err, "Host %s is known, in group "
	    "%s.%s%s", host, group, warning[0] != '\0' ? " But: " : "",
	    warning);
out:
	json_decref(answer);
	json_decref(export);
	free(data);
	return rc;
}

static void
column_revoked(const json_t *row, char *out, size_t room)
{
	member_time(row, "revoked", out, room);
}

static void
column_added(const json_t *row, char *out, size_t room)
{
	member_time(row, "added", out, room);
}

static void
column_by(const json_t *row, char *out, size_t room)
{
	snprintf(out, room, "%s", json_is_true(json_object_get(row,
	    "trust_ek")) ? "its EK" : json_is_true(json_object_get(row,
	    "enrolled")) ? "a CA, enrolled" : "a CA");
}

static void
print_hosts(const json_t *answer)
{
	static const struct column columns[] = {
		{ "NAME", "name", NULL }, { "GROUP", "group", NULL },
		{ "BELIEVED BY", NULL, column_by },
		{ "IMPORTED", NULL, column_added },
		{ "REVOKED", NULL, column_revoked },
		{ "REASON", "reason", NULL },
	};

	print_table(rows_of((json_t *)(uintptr_t)answer, "hosts"), columns, 6);
}

static int
list(struct vtactl *v, struct err *err)
{
	json_t *answer;
	int rc;

	if ((rc = vtactl_call(v, SERVICE_ATTESTD, HTTP_GET, NULL, &answer, err,
	    "/v1/hosts")) < 0)
		return rc;
	return print_result(v, answer, print_hosts, err);
}

static void
print_host(const json_t *host)
{
	static const char *const times[] = { "added", "revoked", "since",
		"last", "token_expires" };
	char text[512];
	const char *key;
	json_t *m;

	json_object_foreach((json_t *)(uintptr_t)host, key, m) {
		bool is_time = false;

		for (size_t i = 0; i < 5; i++)
			is_time |= strcmp(key, times[i]) == 0;
		if (json_is_object(m) || strcmp(key, "ek_certificate") == 0)
			continue;
		if (is_time)
			member_time(host, key, text, sizeof(text));
		else
			member_text(host, key, text, sizeof(text));
		if (strcmp(key, "ek_pem") != 0)
			printf("%-16s %s\n", key, text);
	}
}

static int
show(struct vtactl *v, struct err *err)
{
	const char *host = v->operands[0];
	json_t *answer;
	int rc;

	if ((rc = name_check("host", host, err)) < 0 ||
	    (rc = vtactl_call(v, SERVICE_ATTESTD, HTTP_GET, NULL, &answer, err,
	    "/v1/hosts/%s", host)) < 0)
		return rc;
	return print_result(v, answer, print_host, err);
}

static int
post_reason(struct vtactl *v, const char *what, const char *line,
    struct err *err)
{
	const char *host = v->operands[0];
	int rc;

	if ((rc = name_check("host", host, err)) < 0 ||
	    (rc = vtactl_call(v, SERVICE_ATTESTD, HTTP_POST, json_pack(
	    "{s:s}", "reason", reason != NULL ? reason : ""), NULL, err,
	    "/v1/hosts/%s/%s", host, what)) < 0)
		return rc;
	return print_done(v, json_pack("{s:s}", "name", host), err,
	    "Host %s %s", host, line);
}

static int
revoke_host(struct vtactl *v, struct err *err)
{
	return post_reason(v, "revoke", "gets no key any more, from now on. "
	    "VMs that run on it go on; vtactl vm fence takes them away.", err);
}

static int
restore(struct vtactl *v, struct err *err)
{
	return post_reason(v, "restore", "may attest again.", err);
}

static int
host_state(struct vtactl *v, const char *host, json_t **out, struct err *err)
{
	json_t *status, *row;
	size_t i;
	int rc;

	*out = NULL;
	if ((rc = vtactl_call(v, SERVICE_ATTESTD, HTTP_GET, NULL, &status, err,
	    "/v1/status")) < 0)
		return rc;
	json_array_foreach(rows_of(status, "hosts"), i, row)
		if (strcmp(text_of(row, "name"), host) == 0)
			*out = json_incref(row);
	json_decref(status);
	if (*out == NULL)
		return err_set(err, ERR_NOTFOUND, "there is no host %s", host);
	return 0;
}

/* Until an attestation has come that is later than `before`. */
static int
wait_for_state(struct vtactl *v, const char *host, json_int_t before,
    long seconds, json_t **out, struct err *err)
{
	int rc;

	for (long tries = seconds * 2; tries > 0; tries--) {
		if ((rc = host_state(v, host, out, err)) < 0)
			return rc;
		if (number_of(*out, "last") > before)
			return 0;
		json_decref(*out);
		*out = NULL;
		(void)usleep(500000);
	}
	return err_set(err, ERR_BUSY, "%s was told, but has not attested "
	    "within %ld s; look at vta-kmxa's log there", host, seconds);
}

static void
print_state(const json_t *row)
{
	printf("%s: %s", text_of(row, "name"), text_of(row, "state"));
	if (text_of(row, "policy")[0] != '\0')
		printf(", policy %s", text_of(row, "policy"));
	if (text_of(row, "reason")[0] != '\0') {
		printf(": ");
		print_text(text_of(row, "reason"));
	}
	putchar('\n');
}

static int
attest(struct vtactl *v, struct err *err)
{
	const char *host = v->operands[0];
	long seconds = WAIT_SECONDS;
	json_t *row = NULL;
	json_int_t before;
	int rc;

	if ((rc = name_check("host", host, err)) < 0 ||
	    (rc = option_number("wait", wait_text, 1, 3600, &seconds,
	    err)) < 0 || (rc = host_state(v, host, &row, err)) < 0)
		return rc;
	before = number_of(row, "last");
	json_decref(row);
	/* "last" is in seconds: two in one would look like one. */
	(void)usleep(1100000);
	if ((rc = vtactl_call(v, SERVICE_ATTESTD, HTTP_POST, json_object(),
	    NULL, err, "/v1/hosts/%s/attest", host)) < 0)
		return rc;
	if (no_wait)
		return print_done(v, json_pack("{s:s}", "name", host), err,
		    "Host %s was told.", host);
	if ((rc = wait_for_state(v, host, before, seconds, &row, err)) < 0)
		return rc;
	before = strcmp(text_of(row, "state"), "attested") == 0;
	rc = print_result(v, row, print_state, err);
	/* The state itself is the message. */
	return rc < 0 || before ? rc : ERR_REFUSED;
}

static int
remove_host(struct vtactl *v, struct err *err)
{
	const char *host = v->operands[0];
	int rc;

	if ((rc = name_check("host", host, err)) < 0 ||
	    (rc = vtactl_call(v, SERVICE_ATTESTD, HTTP_DELETE, NULL, NULL, err,
	    "/v1/hosts/%s", host)) < 0)
		return rc;
	return print_done(v, json_pack("{s:s}", "name", host), err,
	    "Host %s is not known any more.", host);
}

const struct command host_commands[] = {
	{
		.name = "host import", .operands = "FILE", .least = 1,
		.most = 1, .summary = "Make a host known",
		.details = "FILE is what vtactl host export wrote on that "
		    "host, or its EK's public key in PEM;\n- is standard "
		    "input. Bring it by a way that you trust if you use "
		    "--trust-ek.\n",
		.options = import_options, .run = import,
	},
	{
		.name = "host list", .operands = "",
		.summary = "List the hosts that are known", .run = list,
	},
	{
		.name = "host show", .operands = "NAME", .least = 1, .most = 1,
		.summary = "Show what is known of a host", .run = show,
	},
	{
		.name = "host attest", .operands = "NAME", .least = 1,
		.most = 1,
		.summary = "Tell a host to attest now, and say what came of "
		    "it", .options = attest_options, .run = attest,
	},
	{
		.name = "host revoke", .operands = "NAME", .least = 1,
		.most = 1, .summary = "Give a host no key any more, at once",
		.options = reason_options, .run = revoke_host,
	},
	{
		.name = "host restore", .operands = "NAME", .least = 1,
		.most = 1, .summary = "Take a host's revocation back",
		.options = reason_options, .run = restore,
	},
	{
		.name = "host remove", .operands = "NAME", .least = 1,
		.most = 1, .summary = "Forget a host", .run = remove_host,
	},
	{ 0 },
};
