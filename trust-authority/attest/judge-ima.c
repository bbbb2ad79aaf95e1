/* SPDX-License-Identifier: BSD-3-Clause */
/* Rules on the files that the kernel has measured. */
#include <stdio.h>
#include <string.h>

#include "trust-authority/attest/judge-parts.h"

static void
path_text(const struct ima_entry *entry, struct text *text)
{
	text_init(text);
	text_add_bytes(text, entry->path, entry->path_size);
}

static const char *
printable(const struct text *text)
{
	return text->data != NULL ? text->data : "";
}

static json_t *
entry_json(const struct ima_entry *entry, size_t i, const struct text *path)
{
	char hex[HASH_HEX_SIZE], digest[HASH_HEX_SIZE + 16];

	hash_hex(entry->digest, entry->alg->size, hex);
	snprintf(digest, sizeof(digest), "%s:%s", entry->alg->name, hex);
	return json_pack("{s:I, s:i, s:s, s:s, s:s}", "entry", (json_int_t)i,
	    "pcr", (int)entry->pcr, "template", entry->template_name,
	    "digest", digest, "path", printable(path));
}

/* The first entry ties the log to this boot's PCRs. */
static void
judge_boot_aggregate(struct judgement *j, size_t count)
{
	const struct ima_entry *entry;
	uint8_t want[HASH_MAX];
	struct err err = { 0 };
	struct text path;

	verdict_rule(j->v, "ima.boot_aggregate");
	if (count == 0) {
		verdict_fail(j->v, NULL, "the kernel has measured nothing");
		return;
	}
	entry = ima_log_at(attestation_ima_log(j->a), 0);
	path_text(entry, &path);
	if (!ima_is_boot_aggregate(entry))
		verdict_fail(j->v, entry_json(entry, 0, &path),
		    "the IMA log does not begin with boot_aggregate");
	else if (ima_boot_aggregate(&attestation_quote(j->a)->pcrs,
	    entry->alg, want, &err) < 0)
		verdict_fail(j->v, entry_json(entry, 0, &path), "%s",
		    err.text);
	else if (memcmp(want, entry->digest, entry->alg->size) != 0)
		verdict_fail(j->v, entry_json(entry, 0, &path),
		    "the IMA log was begun with other PCR values than are "
		    "quoted");
	text_free(&path);
}

static void
judge_file(struct judgement *j, const struct ima_entry *entry, size_t i)
{
	struct text path;

	if (entry->violation && j->policy->ima_violations)
		return;
	if (!entry->violation && digest_set_has(j->policy->ima_digests,
	    entry->alg, entry->digest))
		return;
	path_text(entry, &path);
	if (entry->violation)
		verdict_fail(j->v, entry_json(entry, i, &path), "entry %zu: "
		    "\"%.300s\" was written while it was measured", i,
		    printable(&path));
	else
		verdict_fail(j->v, entry_json(entry, i, &path), "entry %zu: "
		    "the %s \"%.300s\" is not approved", i,
		    entry->buffer ? "kernel data" : "file", printable(&path));
	text_free(&path);
}

void
judge_ima(struct judgement *j)
{
	const struct policy *p = j->policy;
	struct err err = { 0 };
	size_t count;

	if (!p->ima)
		return;
	verdict_rule(j->v, "ima.replay");
	if (attestation_ima_replay(j->a, p->bank, p->ima_extend, &count,
	    &err) < 0) {
		verdict_fail(j->v, NULL, "%s", err.text);
		return;
	}
	if (p->ima_boot_aggregate)
		judge_boot_aggregate(j, count);
	verdict_rule(j->v, "ima.digests");
	for (size_t i = 0; i < count; i++) {
		const struct ima_entry *entry = ima_log_at(
		    attestation_ima_log(j->a), i);

		if (i > 0 || !ima_is_boot_aggregate(entry))
			judge_file(j, entry, i);
	}
}
