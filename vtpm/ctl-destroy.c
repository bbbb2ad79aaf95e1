/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "vtpm/vtpmctl.h"

static bool yes;

static const struct ctl_option options[] = {
	{ "yes", NULL, "do not ask", NULL, &yes },
	{ 0 },
};

static int
confirm(const struct ctl *ctl, const struct nvram *nv, struct err *err)
{
	const struct nvram_header *h = nvram_header(nv);
	json_t *file = ctl_json_text(ctl->operands[0]);
	json_t *name = ctl_json_text(h->name);
	char answer[16] = "", uuid[UUID_TEXT_SIZE];
	int rc = 0;

	uuid_format(h->uuid, uuid);
	if (!isatty(STDIN_FILENO)) {
		rc = err_set(err, ERR_USAGE, "destroying a TPM cannot be "
		    "undone: say --yes where nobody can be asked");
	} else {
		fprintf(stderr, "Destroy %s, the TPM of VM %s %s, for ever? "
		    "Type yes: ", json_string_value(file), uuid,
		    json_string_value(name));
		if (fgets(answer, sizeof(answer), stdin) == NULL ||
		    strcmp(answer, "yes\n") != 0)
			rc = err_set(err, ERR_REFUSED, "not destroyed");
	}
	json_decref(name);
	json_decref(file);
	return rc;
}

/* The VM's record on this host goes too, but only if this is certainly its
 * file: a header that nobody authenticated may name any VM, and an old copy
 * is not what the record is about. */
static bool
record_is_ours(struct ctl *ctl, struct nvram *nv, uint8_t uuid[UUID_SIZE])
{
	struct freshness_claim claim;
	struct protector_creds creds;
	struct err why = { 0 };

	if (ctl_load_host(ctl, false, &why) < 0 || ctl->freshness == NULL)
		return false;
	creds = ctl_creds(ctl);
	if (nvram_unlock(nv, &creds, NULL) < 0)
		return false;
	nvram_claim(nv, &claim);
	memcpy(uuid, claim.uuid, UUID_SIZE);
	return freshness_check(ctl->freshness, &claim, NULL) == 0;
}

static void
print(const json_t *d)
{
	printf("%s: destroyed%s\n", ctl_text(d, "file"),
	    json_is_true(json_object_get(d, "record_removed")) ?
	    ", and this host's record of the VM removed" :
	    "; this host's record of the VM, if there is one, stays");
}

static int
run(struct ctl *ctl, struct err *err)
{
	const char *path = ctl->operands[0];
	uint8_t uuid[UUID_SIZE];
	struct nvram *nv = NULL;
	bool forget = false;
	int rc;

	/* To see who uses it before anybody is asked. */
	if ((rc = nvram_open(&nv, path, true, err)) < 0)
		return rc;
	if (yes || (rc = confirm(ctl, nv, err)) == 0)
		forget = record_is_ours(ctl, nv, uuid);
	nvram_close(nv);
	if (rc < 0 || (rc = nvram_destroy(path, err)) < 0)
		return rc;
	if (forget && freshness_forget(ctl->freshness, uuid, err) < 0)
		return err_prefix(err, "%s is destroyed, but", path);
	return ctl_print(ctl, json_pack("{s:o, s:b}", "file",
	    ctl_json_text(path), "record_removed", forget), print, err);
}

const struct ctl_command ctl_destroy = {
	.name = "destroy",
	.operands = "FILE",
	.n_operands = 1,
	.summary = "Make an nvram file unreadable for ever and remove it",
	.details = "The data key's wrapped copies are overwritten first. "
	    "Copies of the file elsewhere\n(backups, snapshots, what a "
	    "flash disk keeps of old blocks) are not reached. Needs no\nkey; "
	    "with one, this host's record of the VM goes too.\n",
	.options = options,
	.run = run,
};
