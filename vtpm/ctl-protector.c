/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <string.h>

#include "vtpm/vtpmctl.h"

static void
print_list(const json_t *list)
{
	ctl_print_protectors(json_object_get(list, "protectors"));
}

static int
print_protectors(const struct ctl *ctl, const struct nvram *nv,
    struct err *err)
{
	return ctl_print(ctl, json_pack("{s:o, s:b, s:o}",
	    "file", ctl_json_text(ctl->operands[0]),
	    "authenticated", nvram_unlocked(nv),
	    "protectors", ctl_json_protectors(nvram_header(nv))),
	    print_list, err);
}

/* Needs no key: who can open a file is there for those who cannot. */
static int
run_list(struct ctl *ctl, struct err *err)
{
	struct protector_creds creds;
	struct err why = { 0 };
	struct nvram *nv = NULL;
	int rc;

	if ((rc = nvram_open(&nv, ctl->operands[0], false, err)) < 0)
		return rc;
	if ((rc = ctl_load_host_for(ctl, nv, &why)) == ERR_USAGE) {
		*err = why;
		goto out;
	}
	creds = ctl_creds(ctl);
	if ((rc < 0 || nvram_unlock(nv, &creds, NULL) < 0) && !ctl->json)
		fprintf(stderr, "vtpmctl: this file was not authenticated, "
		    "for want of a key: the list may be anybody's\n");
	rc = print_protectors(ctl, nv, err);
out:
	nvram_close(nv);
	return rc;
}

static const char *add_label;

static const struct ctl_option add_options[] = {
	{ "label", "TEXT", "who can open it, in words", &add_label, NULL },
	{ 0 },
};

static int
give(struct ctl *ctl, const struct ctl_protector *p, struct err *err)
{
	struct nvram *nv = NULL;
	int rc = ctl_give(ctl, p, add_label, &nv, err);

	if (rc == 0)
		rc = print_protectors(ctl, nv, err);
	nvram_close(nv);
	return rc;
}

static int
run_add(struct ctl *ctl, struct err *err)
{
	struct protector_creds creds;
	struct ctl_protector p;
	struct nvram *nv = NULL;
	int rc;

	if ((rc = ctl_parse_protector(ctl->operands[1], &p, err)) < 0)
		goto out;
	if (p.ops->kind == PROTECTOR_AUTHORITY)
		return give(ctl, &p, err);
	if ((rc = ctl_open_to_change(ctl, false, &nv, err)) < 0)
		goto out;
	/* One that somebody else opened needs none of this host's so far. */
	if (p.ops->kind == PROTECTOR_NATIVE && ctl->native == NULL) {
		struct native_config native = config_native(&ctl->config);

		if ((rc = native_open(&ctl->native, &native, true, err)) < 0)
			goto out;
	}
	/* The new passphrase, not the one that opened the file. */
	creds = (struct protector_creds){ .native = ctl->native,
		.passphrase = p.secret };
	rc = nvram_protector_add(nv, p.ops, &creds, add_label, err);
	if (rc == 0)
		rc = print_protectors(ctl, nv, err);
out:
	rc = ctl_close_changed(nv, rc, err);
	secret_free(p.secret);
	return rc;
}

static int
parse_id(const char *text, uint8_t id[PROTECTOR_ID_SIZE], struct err *err)
{
	unsigned int byte;

	if (strlen(text) != 2 * PROTECTOR_ID_SIZE ||
	    strspn(text, "0123456789abcdefABCDEF") != 2 * PROTECTOR_ID_SIZE)
		return err_set(err, ERR_USAGE, "'%s' is not a protector's id: "
		    "%d hexadecimal digits, see vtpmctl protector list", text,
		    2 * PROTECTOR_ID_SIZE);
	for (size_t i = 0; i < PROTECTOR_ID_SIZE; i++) {
		sscanf(text + 2 * i, "%2x", &byte);
		id[i] = (uint8_t)byte;
	}
	return 0;
}

/* The authority is not asked any more; it hears of the end of this use, so that
 * copies from before stay refused there. */
static int
keep_record_here(struct ctl *ctl, const struct nvram *nv, struct err *err)
{
	struct native_config native = config_native(&ctl->config);
	struct freshness *here = NULL;
	struct freshness_claim claim;
	int rc = 0;

	if (ctl->native == NULL &&
	    (rc = native_open(&ctl->native, &native, true, err)) < 0)
		return rc;
	if ((rc = freshness_native(&here, ctl->native, err)) < 0)
		return rc;
	nvram_claim(nv, &claim);
	rc = freshness_register(here, &claim, err);
	/* One from before the authority's time is of an older epoch. */
	if (rc == ERR_EXISTS)
		rc = 0;
	freshness_free(here);
	return rc;
}

static int
run_remove(struct ctl *ctl, struct err *err)
{
	uint8_t id[PROTECTOR_ID_SIZE];
	struct nvram *nv = NULL;
	bool authority;
	int rc;

	if ((rc = parse_id(ctl->operands[1], id, err)) < 0 ||
	    (rc = ctl_open_to_change(ctl, false, &nv, err)) < 0)
		return rc;
	authority = nvram_wants_authority(nv);
	rc = nvram_protector_remove(nv, id, err);
	if (rc == 0 && authority && !nvram_wants_authority(nv))
		rc = keep_record_here(ctl, nv, err);
	if (rc == 0)
		rc = print_protectors(ctl, nv, err);
	return ctl_close_changed(nv, rc, err);
}

const struct ctl_command ctl_protector_list = {
	.name = "protector list",
	.operands = "FILE",
	.n_operands = 1,
	.summary = "Show who can open an nvram file",
	.run = run_list,
};

const struct ctl_command ctl_protector_add = {
	.name = "protector add",
	.operands = "FILE PROTECTOR",
	.n_operands = 2,
	.summary = "Let somebody more open an nvram file",
	.details = "PROTECTOR is native (this host's key), "
	    "passphrase:fd=N (read from descriptor N), or\n"
	    "authority[:GROUP], which gives the VM to the trust authority: it "
	    "also keeps the record of\nwhich copy is the latest from then on, "
	    "whatever opens the file. Where that was cut short, say it "
	    "again.\n"
	    "To change a passphrase, add the new one and remove the old.\n",
	.options = add_options,
	.run = run_add,
};

const struct ctl_command ctl_protector_remove = {
	.name = "protector remove",
	.operands = "FILE ID",
	.n_operands = 2,
	.summary = "Take a way of opening an nvram file away",
	.details = "ID as protector list shows it. Whoever has a copy of the "
	    "file from before can still\nopen that: run vtpmctl rekey --deep "
	    "afterwards. The last protector cannot be removed.\n",
	.run = run_remove,
};
