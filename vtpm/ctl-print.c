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
	json_t *json = json_pack("{s:{s:s, s:i, s:o}}", "error",
	    "code", err_name(err->code),
	    "exit_status", err_exit_status(err->code),
	    "text", ctl_json_text(err->text));

	if (ctl->json) {
		json_dumpf(json, stderr, JSON_INDENT(2));
		fputc('\n', stderr);
	} else {
		fprintf(stderr, "vtpmctl: %s\n",
		    ctl_text(json_object_get(json, "error"), "text"));
	}
	json_decref(json);
}

/* A header that nobody has authenticated yet, or a path, may hold what a
 * terminal would act on. */
json_t *
ctl_json_text(const char *text)
{
	char clean[ERR_TEXT_MAX];
	json_t *json;

	snprintf(clean, sizeof(clean), "%s", text);
	for (unsigned char *p = (unsigned char *)clean; *p != '\0'; p++)
		if (*p < 0x20 || *p == 0x7f ||
		    (*p == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0))
			*p = '?';
	if ((json = json_string(clean)) != NULL)
		return json;
	for (unsigned char *p = (unsigned char *)clean; *p != '\0'; p++)
		if (*p >= 0x80)
			*p = '?';
	return json_string(clean);
}

json_t *
ctl_json_uuid(const uint8_t uuid[UUID_SIZE])
{
	char text[UUID_TEXT_SIZE];

	uuid_format(uuid, text);
	return json_string(text);
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
		json_array_append_new(list, json_pack("{s:o, s:s, s:o, s:o}",
		    "id", ctl_json_hex(p->id, sizeof(p->id)),
		    "kind", ops != NULL ? ops->name : "unknown",
		    "created", ctl_json_time(p->created),
		    "label", ctl_json_text(p->label)));
	}
	return list;
}

const char *
ctl_text(const json_t *json, const char *key)
{
	const char *text = json_string_value(json_object_get(json, key));

	return text != NULL ? text : "";
}

json_int_t
ctl_number(const json_t *json, const char *key)
{
	return json_integer_value(json_object_get(json, key));
}

void
ctl_print_protectors(const json_t *protectors)
{
	const json_t *p;

	for (size_t i = 0; i < json_array_size(protectors); i++) {
		p = json_array_get(protectors, i);
		printf("  %s  %-10s  %s  %s\n", ctl_text(p, "id"),
		    ctl_text(p, "kind"), ctl_text(p, "created"),
		    ctl_text(p, "label"));
	}
}
