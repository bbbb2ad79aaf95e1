/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "migration/note.h"
#include "vtpm/vtpmctl.h"

static bool without_authority, saved_state;

static void
print(const json_t *r)
{
	if (saved_state)
		printf("%s: takes up the next state that is brought in for "
		    "VM %s\n", ctl_text(r, "file"), ctl_text(r, "uuid"));
	else
		printf("%s: accepted as the newest copy of VM %s, epoch %lld\n",
		    ctl_text(r, "file"), ctl_text(r, "uuid"),
		    (long long)ctl_number(r, "epoch"));
}

static const struct ctl_option options[] = {
	{ "without-authority", NULL, "take the VM away from the trust "
	    "authority, without asking it", NULL, &without_authority },
	{ "saved-state", NULL, "the next state that a saved VM or a snapshot "
	    "brings, once", NULL, &saved_state },
	{ 0 },
};

/* The state as it is, with this note or none. */
static int
commit_with(struct nvram *nv, const struct note *note, struct err *err)
{
	uint8_t bytes[NOTE_SIZE_MAX];
	struct nvram_record records[3] = { { .kind = NVRAM_PERMANENT },
		{ .kind = NVRAM_VOLATILE } };
	size_t n = 1;
	int rc;

	if ((rc = nvram_get(nv, NVRAM_PERMANENT, &records[0].data,
	    &records[0].size, err)) < 0)
		return rc;
	if (nvram_get(nv, NVRAM_VOLATILE, &records[1].data, &records[1].size,
	    NULL) == 0)
		n++;
	if (note != NULL)
		records[n++] = (struct nvram_record){ NVRAM_MIGRATION, bytes,
			note_encode(note, bytes) };
	return nvram_commit(nv, records, n, err);
}

/* The file stays what it is until a vtpmd has taken up the state. */
static int
accept_saved_state(struct nvram *nv, struct err *err)
{
	const struct note note = { .what = NOTE_ACCEPTED,
		.made = (uint64_t)time(NULL) };

	return commit_with(nv, &note, err);
}

/* A VM that has moved: from now on it is this copy that counts. */
static int
take_back(struct nvram *nv, struct err *err)
{
	const uint8_t *data;
	struct note note;
	size_t size;
	int rc;

	if (nvram_get(nv, NVRAM_MIGRATION, &data, &size, NULL) < 0)
		return 0;
	if ((rc = note_decode(data, size, &note, err)) < 0 ||
	    note.what != NOTE_SENT)
		return rc;
	return commit_with(nv, NULL, err);
}

static int
remove_authority(struct nvram *nv, struct err *err)
{
	const struct nvram_header *h = nvram_header(nv);
	uint8_t id[PROTECTOR_ID_SIZE];
	int rc;

	for (size_t i = 0; i < h->n_protectors;) {
		if (h->protectors[i].kind != PROTECTOR_AUTHORITY) {
			i++;
			continue;
		}
		memcpy(id, h->protectors[i].id, sizeof(id));
		if ((rc = nvram_protector_remove(nv, id, err)) < 0)
			return rc;
	}
	return 0;
}

/* With the authority gone for good, whoever has another key to the file may say
 * so: from now on this host keeps the record, and the authority is not asked
 * for this copy any more. */
static int
take_away(struct ctl *ctl, struct nvram **nv, struct err *err)
{
	int rc;

	if ((rc = ctl_open_unlocked(ctl, true, nv, err)) < 0)
		return rc;
	if (!nvram_wants_authority(*nv))
		rc = err_set(err, ERR_USAGE, "%s has no authority protector: "
		    "leave --without-authority out", ctl->operands[0]);
	if (rc == 0 && (rc = ctl_use_native_record(ctl, err)) == 0)
		rc = nvram_acquire(*nv, ctl->freshness, true, err);
	if (rc < 0) {
		nvram_close(*nv);
		*nv = NULL;
		return rc;
	}
	if ((rc = remove_authority(*nv, err)) < 0) {
		rc = ctl_close_changed(*nv, rc, err);
		*nv = NULL;
	}
	return rc;
}

static int
run(struct ctl *ctl, struct err *err)
{
	const struct nvram_header *h;
	struct nvram *nv = NULL;
	int rc;

	if (saved_state && without_authority)
		return err_set(err, ERR_USAGE, "--saved-state and "
		    "--without-authority are two things: one after the other");
	rc = without_authority ? take_away(ctl, &nv, err) :
	    ctl_open_to_change(ctl, !saved_state, &nv, err);
	if (rc < 0)
		return rc;
	rc = saved_state ? accept_saved_state(nv, err) : take_back(nv, err);
	if (rc < 0)
		return ctl_close_changed(nv, rc, err);
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
	    "authorisations. From now on every other copy is refused.\n"
	    "Where the trust authority keeps the record, it is asked, and has "
	    "to be told first:\nvtactl vm accept-restore. If it is gone for "
	    "good, --without-authority removes its\nprotectors from a file "
	    "that a passphrase or this host's key opens; then this host\n"
	    "keeps the record, and nothing keeps other hosts from using "
	    "other copies.\n"
	    "A VM that has moved to a host without this file is taken back "
	    "so: only if it does not\nrun there, and never will with the state "
	    "it took.\n"
	    "With --saved-state the file is left as it is, and vtpmd takes up "
	    "the next state\nthat QEMU brings in for this VM, however old: "
	    "of a VM that was saved to a file, or\na snapshot.\n",
	.options = options,
	.run = run,
};
