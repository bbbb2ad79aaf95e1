/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "vtpm/vtpmctl.h"

int
ctl_print(const struct ctl *ctl, json_t *json,
    void (*print)(const json_t *json), struct err *err)
{
	int rc = 0;

	if (json == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	if (!ctl->json)
		print(json);
	else if (json_dumpf(json, stdout, JSON_INDENT(2)) == 0)
		putchar('\n');
	if (fflush(stdout) != 0 || ferror(stdout))
		rc = err_set(err, ERR_SYSTEM, "cannot write the output");
	json_decref(json);
	return rc;
}

void
ctl_print_error(const struct ctl *ctl, const struct err *err)
{
	json_t *json;

	if (!ctl->json) {
		fprintf(stderr, "vtpmctl: %s\n", err->text);
		return;
	}
	/* A text that is not UTF-8 (a path) must not make the error vanish. */
	json = json_pack("{s:{s:s, s:i}}", "error", "code",
	    err_name(err->code), "exit_status", err_exit_status(err->code));
	if (json_object_set_new(json_object_get(json, "error"), "text",
		json_string(err->text)) < 0)
		json_object_set_new(json_object_get(json, "error"), "text",
		    json_string("(not valid UTF-8)"));
	json_dumpf(json, stderr, JSON_INDENT(2));
	fputc('\n', stderr);
	json_decref(json);
}

json_t *
ctl_json_hex(const uint8_t *data, size_t size)
{
	char text[129] = "";

	for (size_t i = 0; i < size && 2 * i + 2 < sizeof(text); i++)
		snprintf(text + 2 * i, 3, "%02x", data[i]);
	return json_string(text);
}

json_t *
ctl_json_time(uint64_t seconds)
{
	time_t t = (time_t)seconds;
	struct tm tm;
	char text[40];

	if (gmtime_r(&t, &tm) == NULL ||
	    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		return json_null();
	return json_string(text);
}

json_t *
ctl_json_protectors(const struct nvram_header *header)
{
	json_t *list = json_array();

	for (size_t i = 0; i < header->n_protectors; i++) {
		const struct protector *p = &header->protectors[i];
		const struct protector_ops *ops;

		if (p->kind == PROTECTOR_NONE)
			continue;
		ops = protector_ops_by_kind(p->kind);
		/* "?" fills in for what a stranger wrote into the header. */
		json_array_append_new(list, json_pack("{s:o, s:s, s:o, s:o}",
		    "id", ctl_json_hex(p->id, sizeof(p->id)),
		    "kind", ops != NULL ? ops->name : "unknown",
		    "created", ctl_json_time(p->created),
		    "label", json_string(p->label) != NULL ?
			json_string(p->label) : json_string("?")));
	}
	return list;
}

const char *
ctl_text(const json_t *json, const char *key)
{
	const char *text = json_string_value(json_object_get(json, key));

	return text != NULL ? text : "";
}

void
ctl_print_protectors(const json_t *protectors)
{
	const json_t *p;
	size_t i;

	json_array_foreach(protectors, i, p)
		printf("  %s  %-10s  %s  %s\n", ctl_text(p, "id"),
		    ctl_text(p, "kind"), ctl_text(p, "created"),
		    ctl_text(p, "label"));
}
