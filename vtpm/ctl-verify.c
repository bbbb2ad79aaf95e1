/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>

#include "vtpm/vtpmctl.h"

static const char *
state_name(enum nvram_area_state state)
{
	switch (state) {
	case NVRAM_AREA_CURRENT:
		return "current";
	case NVRAM_AREA_OLDER:
		return "older";
	case NVRAM_AREA_EMPTY:
		return "empty";
	case NVRAM_AREA_TORN:
		return "torn";
	case NVRAM_AREA_LEFTOVER:
		return "leftover";
	}
	return "unknown";
}

static void
print_areas(const json_t *areas, const char *what, const char *sequence)
{
	const json_t *a;

	for (size_t i = 0; i < json_array_size(areas); i++) {
		a = json_array_get(areas, i);
		printf("  %s %zu  %-8s  %s %lld, epoch %lld\n", what, i,
		    ctl_text(a, "state"), sequence,
		    (long long)ctl_number(a, "sequence"),
		    (long long)ctl_number(a, "epoch"));
	}
}

static void
print(const json_t *v)
{
	printf("%s: authentic, VM %s\n", ctl_text(v, "file"),
	    ctl_text(v, "uuid"));
	print_areas(json_object_get(v, "superblocks"), "superblock",
	    "generation");
	print_areas(json_object_get(v, "slots"), "slot      ", "sequence  ");
	printf("  freshness     %s\n", ctl_text(v, "freshness"));
}

static json_t *
describe_areas(const struct nvram_area area[2], bool slots)
{
	json_t *list = json_array();

	for (int i = 0; i < 2; i++) {
		/* Both superblocks are the same but after a crash. */
		bool copy = area[i].state == NVRAM_AREA_OLDER &&
		    area[i].sequence == area[1 - i].sequence;
		json_t *a = json_pack("{s:s, s:I, s:I}",
		    "state", copy ? "copy" : state_name(area[i].state),
		    "sequence", (json_int_t)area[i].sequence,
		    "epoch", (json_int_t)area[i].epoch);

		if (slots)
			json_object_set_new(a, "state_size",
			    json_integer((json_int_t)area[i].state_size));
		json_array_append_new(list, a);
	}
	return list;
}

/* A stale copy is worth its report; the error says the rest. */
static int
judge_freshness(const struct ctl *ctl, const struct nvram *nv,
    const char **verdict, struct err *err)
{
	struct freshness_claim claim;
	int rc;

	*verdict = "not known: this host keeps no records";
	if (ctl->freshness == NULL)
		return 0;
	nvram_claim(nv, &claim);
	rc = freshness_check(ctl->freshness, &claim, err);
	if (rc == ERR_NOTFOUND) {
		*verdict = "not known: this host has no record of this VM";
		return 0;
	}
	if (rc == 0)
		*verdict = freshness_is_authority(ctl->freshness) ?
		    "newest copy, says the trust authority" :
		    "newest copy that this host knows of";
	else if (rc == ERR_STALE)
		*verdict = "STALE: not the newest copy";
	else
		*verdict = "not known: its record could not be read";
	return rc;
}

static json_t *
size_of(const struct nvram *nv, enum nvram_kind kind)
{
	const uint8_t *state;
	size_t size;

	if (nvram_get(nv, kind, &state, &size, NULL) < 0)
		size = 0;
	return json_integer((json_int_t)size);
}

static int
run(struct ctl *ctl, struct err *err)
{
	const struct nvram_report *report;
	const char *verdict;
	struct nvram *nv;
	int rc, printed;

	if ((rc = ctl_open_unlocked(ctl, false, &nv, err)) < 0)
		return rc;
	report = nvram_report(nv);
	rc = judge_freshness(ctl, nv, &verdict, err);
	printed = ctl_print(ctl, json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:s, s:s}",
	    "file", ctl_json_text(ctl->operands[0]),
	    "uuid", ctl_json_uuid(nvram_header(nv)->uuid),
	    "superblocks", describe_areas(report->superblock, false),
	    "slots", describe_areas(report->slot, true),
	    "permanent_size", size_of(nv, NVRAM_PERMANENT),
	    "volatile_size", size_of(nv, NVRAM_VOLATILE),
	    "freshness", verdict,
	    "freshness_code", err_name(rc)), print, rc == 0 ? err : NULL);
	nvram_close(nv);
	return rc < 0 ? rc : printed;
}

const struct ctl_command ctl_verify = {
	.name = "verify",
	.operands = "FILE",
	.n_operands = 1,
	.summary = "Authenticate every record of an nvram file",
	.details = "Shows both superblocks and both state slots:\n"
	    "  current   in use\n"
	    "  copy      of the current one\n"
	    "  older     superseded\n"
	    "  empty     never written\n"
	    "  torn      does not authenticate: a write cut short, or damage\n"
	    "  leftover  of another data key: a rekey was interrupted\n"
	    "and compares the file with its record of freshness, which is this "
	    "host's or the trust\nauthority's.\n",
	.run = run,
};
