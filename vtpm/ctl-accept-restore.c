/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>

#include "vtpm/vtpmctl.h"

static void
print(const json_t *r)
{
	printf("%s: accepted as the newest copy of VM %s, epoch %lld\n",
	    ctl_text(r, "file"), ctl_text(r, "uuid"),
	    (long long)ctl_number(r, "epoch"));
}

static int
run(struct ctl *ctl, struct err *err)
{
	const struct nvram_header *h;
	struct nvram *nv = NULL;
	int rc;

	if ((rc = ctl_open_to_change(ctl, true, &nv, err)) < 0)
		return rc;
	h = nvram_header(nv);
	rc = ctl_print(ctl, json_pack("{s:o, s:o, s:I}",
	    "file", ctl_json_text(ctl->operands[0]),
	    "uuid", ctl_json_uuid(h->uuid),
	    "epoch", (json_int_t)h->epoch), print, err);
	return ctl_close_changed(nv, rc, err);
}

const struct ctl_command ctl_accept_restore = {
	.name = "accept-restore",
	.operands = "FILE",
	.n_operands = 1,
	.summary = "Take an older copy of an nvram file into use on purpose",
	.details = "The TPM goes back to what it was when the copy was made: "
	    "its counters, its secrets\nand its record of failed "
	    "authorisations. From now on every other copy is refused.\n",
	.run = run,
};
