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
	const json_t *alarm;
	char text[512];
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)alarms, i, alarm) {
		if (json_is_string(alarm))
			clean_text(json_string_value(alarm), text,
			    sizeof(text));
		else if (text_of(alarm, "text")[0] != '\0')
			member_text(alarm, "text", text, sizeof(text));
		else
			member_text(alarm, "name", text, sizeof(text));
		printf("ALARM: %s\n", text);
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

static void
print_kms(const json_t *kms)
{
	static const struct column columns[] = {
		{ "KMS", "kms", NULL }, { "NODE", "node", NULL },
		{ "STATE", "state", NULL }, { "ERROR", "error", NULL },
	};

	putchar('\n');
	if (json_array_size(kms) == 0)
		printf("No KMS yet: vtactl kms add.\n");
	else
		print_table(kms, columns, 4);
}

static void
print_status(const json_t *status)
{
	json_t *hosts = json_object_get(json_object_get(status, "attestd"),
	    "hosts");
	const json_t *kmxd = json_object_get(status, "kmxd");

	print_alarms(json_object_get(status, "alarms"));
	print_service(status, "attestd");
	print_service(status, "kmxd");
	if (json_is_array(hosts)) {
		putchar('\n');
		print_hosts(hosts);
	}
	if (json_is_array(json_object_get(kmxd, "nodes")))
		print_kms(json_object_get(kmxd, "nodes"));
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
	json_array_append_new(alarms, json_pack("{s:s, s:s}", "name",
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
