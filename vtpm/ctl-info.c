/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>

#include "vtpm/vtpmctl.h"

static void
print(const json_t *i)
{
	bool known = json_is_true(json_object_get(i, "authenticated"));
	const json_t *version = json_object_get(i, "state_version");

	printf("%s: nvram file, format %lld\n", ctl_text(i, "file"),
	    (long long)ctl_number(i, "format"));
	if (!known)
		printf("  NOT AUTHENTICATED (%s): anybody who can write the "
		    "file can have changed what follows\n",
		    ctl_text(i, "locked"));
	printf("  VM           %s %s\n", ctl_text(i, "uuid"),
	    ctl_text(i, "name"));
	printf("  created      %s\n", ctl_text(i, "created"));
	printf("  generation   %lld, epoch %lld\n",
	    (long long)ctl_number(i, "generation"),
	    (long long)ctl_number(i, "epoch"));
	printf("  DEK id       %s\n", ctl_text(i, "dek_id"));
	printf("  geometry     2 superblocks of %lld bytes, 2 slots of %lld "
	    "bytes\n", (long long)ctl_number(i, "superblock_size"),
	    (long long)ctl_number(i, "slot_size"));
	printf("  written by   libtpms %s\n", json_string_value(version));
	printf("  last opened  %s\n", ctl_text(i, "owner")[0] != '\0' ?
	    ctl_text(i, "owner") : "never");
	printf("Protectors:\n");
	ctl_print_protectors(json_object_get(i, "protectors"));
}

static json_t *
describe(const struct ctl *ctl, const struct nvram *nv, const char *locked)
{
	const struct nvram_header *h = nvram_header(nv);
	char version[32];
	json_t *json;

	snprintf(version, sizeof(version), "%u.%u.%u",
	    h->state_version >> 16 & 0xff, h->state_version >> 8 & 0xff,
	    h->state_version & 0xff);
	json = json_pack("{s:o, s:b, s:I, s:o, s:o, s:o, s:I, s:I, s:o, s:I, "
	    "s:I, s:s, s:o, s:o}",
	    "file", ctl_json_text(ctl->operands[0]),
	    "authenticated", nvram_unlocked(nv),
	    "format", (json_int_t)h->format,
	    "uuid", ctl_json_uuid(h->uuid),
	    "name", ctl_json_text(h->name),
	    "created", ctl_json_time(h->created),
	    "generation", (json_int_t)h->generation,
	    "epoch", (json_int_t)h->epoch,
	    "dek_id", ctl_json_hex(h->dek_id, sizeof(h->dek_id)),
	    "superblock_size", (json_int_t)h->superblock_size,
	    "slot_size", (json_int_t)h->slot_size,
	    "state_version", version,
	    "owner", ctl_json_text(h->owner),
	    "protectors", ctl_json_protectors(h));
	if (locked != NULL)
		json_object_set_new(json, "locked", ctl_json_text(locked));
	return json;
}

static int
run(struct ctl *ctl, struct err *err)
{
	struct protector_creds creds;
	struct err why = { 0 };
	struct nvram *nv = NULL;
	int rc, locked;

	if ((rc = nvram_open(&nv, ctl->operands[0], false, err)) < 0)
		return rc;
	/* What keeps it locked is told beside the plain header. But a mistake
	 * on the command line is one. */
	locked = ctl_load_host_for(ctl, nv, &why);
	if (locked == ERR_USAGE) {
		*err = why;
		rc = locked;
		goto out;
	}
	creds = ctl_creds(ctl);
	if (locked == 0)
		locked = nvram_unlock(nv, &creds, &why);
	rc = ctl_print(ctl, describe(ctl, nv, locked < 0 ?
	    err_name(locked) : NULL), print, err);
out:
	nvram_close(nv);
	return rc;
}

const struct ctl_command ctl_info = {
	.name = "info",
	.operands = "FILE",
	.n_operands = 1,
	.summary = "Show what an nvram file says of itself",
	.details = "Without a key that opens it, the plain header is shown, "
	    "marked as not\nauthenticated.\n",
	.run = run,
};
