/* SPDX-License-Identifier: BSD-3-Clause */
/* The security page: who is attested or why not, and what is wrong. */
#include <stdio.h>
#include <string.h>

#include "trust-authority/vtactl/vtactl.h"

static void
column_since(const json_t *row, char *out, size_t room)
{
	member_time(row, "since", out, room);
}

static void
column_at(const json_t *row, char *out, size_t room)
{
	member_time(row, "at", out, room);
}

static void
column_token(const json_t *row, char *out, size_t room)
{
	member_time(row, "token_expires", out, room);
}

static void
print_hosts(json_t *hosts)
{
	static const struct column columns[] = {
		{ "HOST", "name", NULL }, { "GROUP", "group", NULL },
		{ "STATE", "state", NULL }, { "SINCE", NULL, column_since },
		{ "UNTIL", NULL, column_token }, { "POLICY", "policy", NULL },
		{ "WHY NOT", "reason", NULL },
	};

	if (json_array_size(hosts) == 0)
		printf("No hosts yet: vtactl host import.\n");
	else
		print_table(hosts, columns, 7);
}

static void
print_alarms(const json_t *alarms)
{
	char since[64], object[256], text[512];
	const json_t *alarm;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)alarms, i, alarm) {
		member_text(alarm, "object", object, sizeof(object));
		member_text(alarm, "text", text, sizeof(text));
		member_time(alarm, "since", since, sizeof(since));
		printf("ALARM: %s", text_of(alarm, "alarm"));
		if (strcmp(object, "-") != 0)
			printf(" %s", object);
		if (strcmp(since, "-") != 0)
			printf(" since %s", since);
		printf(": %s\n", text);
	}
}

static void
print_service(const json_t *status, const char *service)
{
	const json_t *s = json_object_get(status, service);

	if (text_of(s, "error")[0] != '\0') {
		printf("%s: NOT TO BE REACHED: ", service);
		print_text(text_of(s, "error"));
		putchar('\n');
	} else {
		printf("%s: answers\n", service);
	}
}

/* {"main": {"nodes": [...]}} as rows. */
static json_t *
kms_rows(const json_t *kms)
{
	json_t *rows = json_array(), *one, *node;
	const char *name;
	size_t i;

	json_object_foreach((json_t *)(uintptr_t)kms, name, one) {
		json_array_foreach(json_object_get(one, "nodes"), i, node) {
			json_t *row = json_copy(node);

			json_object_set_new(row, "kms", json_string(name));
			json_array_append_new(rows, row);
		}
	}
	return rows;
}

static void
print_kms(const json_t *kms)
{
	static const struct column columns[] = {
		{ "KMS", "kms", NULL }, { "NODE", "name", NULL },
		{ "STATE", "health", NULL }, { "SINCE", NULL, column_since },
		{ "ERROR", "error", NULL },
	};
	json_t *rows = kms_rows(kms);

	putchar('\n');
	if (json_array_size(rows) == 0)
		printf("No KMS yet: vtactl kms add.\n");
	else
		print_table(rows, columns, 5);
	json_decref(rows);
}

/* A host that was imported since is no news. */
static bool
is_known(const json_t *hosts, const json_t *stranger)
{
	const json_t *host;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)hosts, i, host)
		if (strcmp(text_of(host, "name"), text_of(stranger,
		    "name")) == 0 && number_of(host, "last") >=
		    number_of(stranger, "at"))
			return true;
	return false;
}

static void
print_strangers(const json_t *hosts, const json_t *unknown)
{
	json_t *rows = json_array(), *stranger;
	static const struct column columns[] = {
		{ "NOT KNOWN", "name", NULL }, { "FROM", "address", NULL },
		{ "TRIED", NULL, column_at }, { "WHY NOT", "reason", NULL },
	};
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)unknown, i, stranger)
		if (!is_known(hosts, stranger))
			json_array_append(rows, stranger);
	if (json_array_size(rows) > 0) {
		putchar('\n');
		print_table(rows, columns, 4);
	}
	json_decref(rows);
}

static void
print_status(const json_t *status)
{
	const json_t *attestd = json_object_get(status, "attestd");
	const json_t *kms = json_object_get(json_object_get(status, "kmxd"),
	    "kms");
	json_t *hosts = json_object_get(attestd, "hosts");

	print_alarms(json_object_get(status, "alarms"));
	print_service(status, "attestd");
	print_service(status, "kmxd");
	if (json_is_array(hosts)) {
		putchar('\n');
		print_hosts(hosts);
		print_strangers(hosts, json_object_get(attestd, "unknown"));
	}
	if (json_is_object(kms))
		print_kms(kms);
}

/* One that does not answer is shown, and hides nothing of the other. */
static json_t *
ask(struct vtactl *v, enum service service, const char *name, json_t *alarms)
{
	struct err err = { 0 };
	json_t *answer = NULL;
	char line[ERR_TEXT_MAX], clean[ERR_TEXT_MAX];

	if (vtactl_call(v, service, HTTP_GET, NULL, &answer, &err,
	    "/v1/status") == 0) {
		json_array_extend(alarms, json_object_get(answer, "alarms"));
		return answer;
	}
	v->fault[0] = '\0';
	clean_text(err.text, clean, sizeof(clean));
	snprintf(line, sizeof(line), "%s cannot be reached", name);
	json_array_append_new(alarms, json_pack("{s:s, s:s}", "alarm",
	    "service.down", "text", line));
	return json_pack("{s:s, s:s}", "error", clean, "code", err_name(
	    err.code));
}

static int
run(struct vtactl *v, struct err *err)
{
	json_t *alarms, *attestd, *kmxd;
	bool alarm;
	int rc;

	if ((rc = vtactl_configure(v, err)) < 0)
		return rc;
	alarms = json_array();
	attestd = ask(v, SERVICE_ATTESTD, "vta-attestd", alarms);
	kmxd = ask(v, SERVICE_KMXD, "vta-kmxd", alarms);
	alarm = json_array_size(alarms) > 0;
	rc = print_result(v, json_pack("{s:o, s:o, s:o}", "attestd", attestd,
	    "kmxd", kmxd, "alarms", alarms), print_status, err);
	/* What is wrong has been printed: only the status is left to say. */
	return rc < 0 || !alarm ? rc : ERR_REFUSED;
}

const struct command status_commands[] = {
	{
		.name = "status", .operands = "",
		.summary = "Show each host, attested or why not, and alarms",
		.details = "Ends with status 1 while an alarm is up.\n",
		.run = run,
	},
	{ 0 },
};
