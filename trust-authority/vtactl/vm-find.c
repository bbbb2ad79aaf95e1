/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/vtactl/vm-find.h"

#include <stdio.h>
#include <string.h>

int
vm_list(struct vtactl *v, json_t **out, struct err *err)
{
	json_t *all = json_array(), *answer;
	char after[UUID_TEXT_SIZE] = "";
	bool more = true;
	int rc = 0;

	while (more) {
		json_t *page, *last;
		size_t n;

		if ((rc = vtactl_call(v, SERVICE_KMXD, HTTP_GET, NULL, &answer,
		    err, "/v1/vms%s%s", after[0] != '\0' ? "?after=" : "",
		    after)) < 0)
			goto out;
		page = rows_of(answer, "vms");
		n = json_array_size(page);
		last = json_array_get(page, n - 1);
		/* A page without an end would be asked for again for ever. */
		more = n > 0 && json_is_true(json_object_get(answer, "more")) &&
		    strcmp(text_of(last, "vm"), after) > 0;
		snprintf(after, sizeof(after), "%s", text_of(last, "vm"));
		json_array_extend(all, page);
		json_decref(answer);
	}
	*out = json_pack("{s:O}", "vms", all);
out:
	json_decref(all);
	return rc;
}

int
vm_find(struct vtactl *v, const char *who, char uuid[UUID_TEXT_SIZE],
    struct err *err)
{
	uint8_t bytes[UUID_SIZE];
	json_t *all, *row;
	size_t i, found = 0;
	int rc;

	if (uuid_parse(who, bytes) == 0) {
		uuid_format(bytes, uuid);
		return 0;
	}
	if ((rc = vm_list(v, &all, err)) < 0)
		return rc;
	json_array_foreach(json_object_get(all, "vms"), i, row) {
		if (strcmp(text_of(row, "name"), who) != 0 ||
		    uuid_parse(text_of(row, "vm"), bytes) < 0)
			continue;
		uuid_format(bytes, uuid);
		found++;
	}
	json_decref(all);
	if (found == 0)
		return err_set(err, ERR_NOTFOUND, "no VM is called '%s'; "
		    "vtactl vm list shows them", who);
	if (found > 1)
		return err_set(err, ERR_USAGE, "%zu VMs are called '%s': name "
		    "one by its UUID, as vtactl vm list shows it", found, who);
	return 0;
}
