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

/* What is begun has nothing left that says whose it was. */
static void
ask(const char *file, const char *uuid, const char *name, bool begun)
{
	if (begun)
		fprintf(stderr, "Finish destroying %s? Type yes: ", file);
	else
		fprintf(stderr, "Destroy %s, the TPM of VM %s %s, for ever? "
		    "Type yes: ", file, uuid, name);
}

static int
confirm(const struct ctl *ctl, const struct nvram *nv, bool begun,
    struct err *err)
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
		ask(json_string_value(file), uuid, json_string_value(name),
		    begun);
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

	if (ctl_load_host_for(ctl, nv, &why) < 0)
		return false;
	creds = ctl_creds(ctl);
	if (nvram_unlock(nv, &creds, NULL) < 0 ||
	    ctl_choose_record(ctl, nv, NULL) < 0 || ctl->freshness == NULL)
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
	    ", and the record of the VM removed" :
	    "; the record of the VM, if there is one, stays");
	if (json_is_true(json_object_get(d, "authority")))
		printf(json_is_true(json_object_get(d, "record_removed")) ?
		    "its KEK at the trust authority is destroyed: no copy can "
		    "be opened any more\n" : "its KEK at the trust authority "
		    "stays: destroy it with vtactl vm shred\n");
}

/* The record first: only a file that is still whole can say that it is its
 * own. Cut short after that, this leaves a file that is not accepted any more,
 * or from which nothing can be read, and that can be destroyed again. */
static int
destroy(struct ctl *ctl, struct nvram *nv, bool begun, bool *forgotten,
    struct err *err)
{
	const char *path = ctl->operands[0];
	uint8_t uuid[UUID_SIZE];
	int rc;

	/* Whoever was asked has had time to move things about. */
	if ((rc = nvram_check_name(nv, path, err)) < 0)
		return rc;
	*forgotten = !begun && record_is_ours(ctl, nv, uuid);
	if (*forgotten &&
	    (rc = freshness_forget(ctl->freshness, uuid, err)) < 0)
		return err_prefix(err, "%s is not destroyed", path);
	return nvram_destroy(nv, path, err);
}

static int
run(struct ctl *ctl, struct err *err)
{
	bool begun, authority, forgotten = false;
	struct nvram *nv = NULL;
	int rc;

	/* Open and locked from here to the end, so that what is destroyed is
	 * what somebody was asked about. */
	if ((rc = nvram_open_to_destroy(&nv, ctl->operands[0], &begun,
	    err)) < 0)
		return rc;
	authority = !begun && nvram_wants_authority(nv);
	if (yes || (rc = confirm(ctl, nv, begun, err)) == 0)
		rc = destroy(ctl, nv, begun, &forgotten, err);
	nvram_close(nv);
	if (rc < 0)
		return rc;
	return ctl_print(ctl, json_pack("{s:o, s:b, s:b}", "file",
	    ctl_json_text(ctl->operands[0]), "record_removed", forgotten,
	    "authority", authority),
	    print, err);
}

const struct ctl_command ctl_destroy = {
	.name = "destroy",
	.operands = "FILE",
	.n_operands = 1,
	.summary = "Make an nvram file unreadable for ever and remove it",
	.details = "The data key's wrapped copies are overwritten first. "
	    "Copies of the file elsewhere\n(backups, snapshots, what a "
	    "flash disk keeps of old blocks) are not reached. Needs no\nkey; "
	    "with one, the record of the VM goes too, before all else: "
	    "this host's, or the trust\nauthority's, which then also destroys "
	    "the VM's KEK, and so every copy. Where it was cut\nshort, say it "
	    "again.\n",
	.options = options,
	.run = run,
};
