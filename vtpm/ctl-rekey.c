/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <string.h>

#include "vtpm/vtpmctl.h"

static bool deep;

static const struct ctl_option options[] = {
	{ "deep", NULL, "make a new data key too, and write the state under "
	    "it", NULL, &deep },
	{ 0 },
};

static void
print(const json_t *r)
{
	printf("%s: %s rekey done, DEK id %s\n", ctl_text(r, "file"),
	    json_is_true(json_object_get(r, "deep")) ? "deep" : "shallow",
	    ctl_text(r, "dek_id"));
}

/* Asks for the authority's new key as the next start will: so it has been
 * tried, and an agent that keeps keys has the new one for when the authority
 * is away. It is in the file already; a refusal now is no failure. */
static void
open_again(const struct ctl *ctl, const struct nvram *nv)
{
	const struct protector_creds creds = ctl_creds(ctl);
	const struct nvram_header *h = nvram_header(nv);
	struct protector_binding binding;

	memcpy(binding.uuid, h->uuid, sizeof(binding.uuid));
	memcpy(binding.dek_id, h->dek_id, sizeof(binding.dek_id));
	for (size_t i = 0; i < h->n_protectors; i++) {
		const struct protector *p = &h->protectors[i];
		struct secret *dek = NULL;
		struct err why = { 0 };

		if (p->kind == PROTECTOR_AUTHORITY &&
		    protector_ops_by_kind(p->kind)->unwrap(&creds, &binding, p,
		    &dek, &why) < 0)
			fprintf(stderr, "vtpmctl: the rekey is done, but the "
			    "new key cannot be had just now: %s\n", why.text);
		secret_free(dek);
	}
}

static int
run(struct ctl *ctl, struct err *err)
{
	struct protector_creds creds;
	struct nvram *nv = NULL;
	int rc;

	if ((rc = ctl_open_to_change(ctl, false, &nv, err)) < 0)
		return rc;
	creds = ctl_creds(ctl);
	/* One new KEK, however many protectors there are. */
	ctl->new_kek = true;
	creds.new_kek = &ctl->new_kek;
	if ((rc = nvram_rekey(nv, deep, &creds, err)) == 0) {
		open_again(ctl, nv);
		rc = ctl_print(ctl, json_pack("{s:o, s:b, s:o}",
		    "file", ctl_json_text(ctl->operands[0]), "deep", deep,
		    "dek_id", ctl_json_hex(nvram_header(nv)->dek_id,
			DEK_ID_SIZE)), print, err);
	}
	return ctl_close_changed(nv, rc, err);
}

const struct ctl_command ctl_rekey = {
	.name = "rekey",
	.operands = "FILE",
	.n_operands = 1,
	.summary = "Wrap the data key of a stopped VM's file anew",
	.details = "Without --deep, the protectors that can be opened here "
	    "are made anew. With --deep, a\nnew data key replaces the old one "
	    "everywhere, and all protectors must be openable\nhere: give "
	    "--passphrase-fd where there is a passphrase.\n",
	.options = options,
	.run = run,
};
