/* SPDX-License-Identifier: BSD-3-Clause */
/* A state leaves vtpmd's protection: only when that is said, and not without an
 * event. */
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "migration/swtpm-state.h"
#include "vtpm/ctl-export.h"

static void
write_event(const char *uuid, const char *file, const char *directory,
    bool encrypted)
{
	log_event(LOG_LEVEL_WARNING, "state.decrypted", "uuid=%s file=\"%s\" "
	    "to=\"%s\" encrypted=%s uid=%lu", uuid, file, directory,
	    encrypted ? "swtpm" : "no", (unsigned long)getuid());
}

/* To standard error and, where the host has one, to its log, before the first
 * byte is written. */
static void
tell(const struct nvram_header *h, const char *file, const char *directory,
    bool encrypted)
{
	char uuid[UUID_TEXT_SIZE];

	uuid_format(h->uuid, uuid);
	write_event(uuid, file, directory, encrypted);
	if (log_open("syslog", "vtpmctl", LOG_LEVEL_WARNING, NULL) < 0)
		return;
	write_event(uuid, file, directory, encrypted);
	(void)log_open("-", "vtpmctl", LOG_LEVEL_WARNING, NULL);
}

static void
print(const json_t *e)
{
	printf("%s: swtpm's state of VM %s, from %s%s\n"
	    "The VM has two TPMs now: use only one of them. %s\n",
	    ctl_text(e, "directory"), ctl_text(e, "uuid"),
	    ctl_text(e, "file"), json_is_true(json_object_get(e,
	    "encrypted")) ? "" : ", NOT ENCRYPTED",
	    json_is_true(json_object_get(e, "running")) ?
	    "It goes on where it was." : "It was powered off.");
}

static int
write_state(const struct ctl *ctl, const struct ctl_export *e,
    const char *directory, const struct swtpm_key *key, struct err *err)
{
	const struct nvram_header *h = nvram_header(e->nv);
	int rc;

	tell(h, ctl->operands[0], directory, key != NULL);
	if ((rc = swtpm_state_write(directory, e->records[0].data,
	    e->records[0].size, e->records[1].data,
	    e->n_records > 1 ? e->records[1].size : 0, key, err)) < 0)
		return rc;
	return ctl_print(ctl, json_pack("{s:o, s:o, s:o, s:b, s:b}",
	    "directory", ctl_json_text(directory),
	    "file", ctl_json_text(ctl->operands[0]),
	    "uuid", ctl_json_uuid(h->uuid), "encrypted", key != NULL,
	    "running", e->n_records > 1), print, err);
}

int
ctl_export_swtpm(struct ctl *ctl, const char *directory, const char *key,
    bool decrypt, struct err *err)
{
	struct swtpm_key *k = NULL;
	struct ctl_export e;
	int rc = 0;

	if (!decrypt)
		return err_set(err, ERR_REFUSED, "this takes the TPM's secrets "
		    "out of their protection, for whoever can read %s: say "
		    "--decrypt if that is what you want", directory);
	if (key != NULL && (rc = swtpm_key_parse(&k, key, err)) < 0)
		return rc;
	if ((rc = ctl_export_open(ctl, ctl->operands[0], &e, err)) == 0)
		rc = write_state(ctl, &e, directory, k, err);
	ctl_export_close(&e);
	swtpm_key_free(k);
	return rc;
}
