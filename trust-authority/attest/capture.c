/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A policy from a reference host. It is only as good as that host: a person
 * reads it before it is approved.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trust-authority/attest/policy-parts.h"

/* Firmware, its configuration and Secure Boot must be explained; else there is
 * nothing that could be believed. */
#define FIRMWARE_PCRS 0xffu

struct capture {
	struct attestation *a;
	const struct eventlog *log;
	const struct event_view *view;
	const struct hash_alg *bank;
};

static json_t *
hex_json(const uint8_t *digest, size_t size)
{
	char hex[HASH_HEX_SIZE];

	hash_hex(digest, size, hex);
	return json_string(hex);
}

static json_t *
event_hex(const struct capture *c, size_t i)
{
	return hex_json(eventlog_digest(c->log, eventlog_at(c->log, i),
	    c->bank), c->bank->size);
}

static bool
event_of(const struct capture *c, size_t i, uint32_t pcr)
{
	const struct event *event = eventlog_at(c->log, i);

	return event->pcr == pcr && event->type != EV_NO_ACTION;
}

static bool
is_mark(const struct event_claim *claim)
{
	return claim->checked && (claim->kind == CLAIM_SEPARATOR ||
	    claim->kind == CLAIM_ACTION);
}

/* {"name": ..., "digest": ...} unless the digest is there already. */
static void
measured_add(const struct capture *c, size_t i, json_t *list)
{
	const struct event_claim *claim = &c->view->claims[i];
	const char *text = claim->text.data;
	json_t *digest = event_hex(c, i), *item;
	char name[MEASURED_NAME_MAX + 1];
	size_t k;

	json_array_foreach(list, k, item)
		if (json_equal(json_object_get(item, "digest"), digest)) {
			json_decref(digest);
			return;
		}
	snprintf(name, sizeof(name), "%s", text != NULL && text[0] != '\0' ?
	    text : event_type_name(eventlog_at(c->log, i)->type));
	(void)json_array_append_new(list, json_pack("{s:s, s:o}", "name",
	    name, "digest", digest));
}

static json_t *
measured_capture(const struct capture *c, uint32_t pcr)
{
	json_t *list = json_array();

	for (size_t i = 0; i < eventlog_count(c->log); i++)
		if (event_of(c, i, pcr) && !is_mark(&c->view->claims[i]))
			measured_add(c, i, list);
	return list;
}

static void
string_add(json_t *list, json_t *string)
{
	json_t *item;
	size_t k;

	json_array_foreach(list, k, item)
		if (json_equal(item, string)) {
			json_decref(string);
			return;
		}
	(void)json_array_append_new(list, string);
}

static json_t *
texts_capture(const struct capture *c, enum claim_kind kind, uint32_t pcrs)
{
	json_t *list = json_array();

	for (size_t i = 0; i < eventlog_count(c->log); i++) {
		const struct event_claim *claim = &c->view->claims[i];

		if (claim->checked && claim->kind == kind &&
		    claim->text.data != NULL && claim->text.plain &&
		    pcrs & 1u << eventlog_at(c->log, i)->pcr)
			string_add(list, json_string(claim->text.data));
	}
	return list;
}

/* NULL where Secure Boot is not on. */
static json_t *
secure_boot_capture(const struct capture *c)
{
	json_t *object = json_object(), *authorities = json_array();
	bool on = false, separated = false;

	for (size_t i = 0; i < eventlog_count(c->log); i++) {
		const struct event_claim *claim = &c->view->claims[i];

		if (!event_of(c, i, 7) || !claim->checked)
			continue;
		if (claim->kind == CLAIM_SEPARATOR)
			separated = true;
		if (claim->kind != CLAIM_VARIABLE)
			continue;
		if (separated)
			string_add(authorities, event_hex(c, i));
		else if (event_claim_is_variable(claim, "SecureBoot"))
			on = claim->value_size == 1 && claim->value[0] == 1;
		for (size_t n = 0; !separated && n < VARIABLE_COUNT; n++)
			if (event_claim_is_variable(claim, variable_names[n]))
				(void)json_object_set_new(object,
				    variable_names[n], json_pack("[o]",
				    event_hex(c, i)));
	}
	(void)json_object_set_new(object, "authorities", authorities);
	if (!on) {
		json_decref(object);
		return NULL;
	}
	return object;
}

static json_t *
event_log_capture(const struct capture *c)
{
	const uint32_t commands = 1u << 8 | 1u << 12;
	json_t *object = json_object(), *secure, *lines;

	if ((secure = secure_boot_capture(c)) != NULL)
		(void)json_object_set_new(object, "secure_boot", secure);
	for (size_t i = 0; i < MEASURED_COUNT; i++)
		/* Partition tables differ from host to host. */
		if (i != MEASURED_PARTITIONS &&
		    c->view->explained & 1u << measured_kinds[i].pcr)
			(void)json_object_set_new(object,
			    measured_kinds[i].member,
			    measured_capture(c, measured_kinds[i].pcr));
	lines = texts_capture(c, CLAIM_KERNEL_COMMAND, commands);
	if (json_array_size(lines) > 0 &&
	    (c->view->explained & commands) == commands) {
		(void)json_object_set(object, "kernel_command_lines", lines);
		(void)json_object_set_new(object, "boot_commands",
		    texts_capture(c, CLAIM_BOOT_COMMAND, commands));
	}
	json_decref(lines);
	(void)json_object_set_new(object, "actions",
	    texts_capture(c, CLAIM_ACTION, c->view->explained));
	return object;
}

static int
ima_capture(const struct capture *c, json_t *root, struct err *err)
{
	char hex[HASH_HEX_SIZE], digest[HASH_HEX_SIZE + 16];
	enum ima_extend how = IMA_EXTEND_BANK;
	struct digest_set *seen;
	json_t *list, *object;
	size_t count;
	int rc;

	if (attestation_ima_replay(c->a, c->bank, how, &count, NULL) < 0) {
		how = IMA_EXTEND_SHA1_PADDED;
		if ((rc = attestation_ima_replay(c->a, c->bank, how, &count,
		    err)) < 0)
			return rc;
	}
	if ((seen = digest_set_new()) == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	list = json_array();
	for (size_t i = 0; i < count; i++) {
		const struct ima_entry *entry = ima_log_at(
		    attestation_ima_log(c->a), i);

		if (entry->violation || (i == 0 &&
		    ima_is_boot_aggregate(entry)) || digest_set_has(seen,
		    entry->alg, entry->digest) || digest_set_add(seen,
		    entry->alg, entry->digest, NULL) < 0)
			continue;
		hash_hex(entry->digest, entry->alg->size, hex);
		snprintf(digest, sizeof(digest), "%s:%s", entry->alg->name,
		    hex);
		(void)json_array_append_new(list, json_string(digest));
	}
	digest_set_free(seen);
	object = json_pack("{s:s, s:o}", "extend", how == IMA_EXTEND_BANK ?
	    "bank" : "sha1-padded", "digests", list);
	(void)json_object_set_new(root, "ima", object);
	return 0;
}

static int
capture_write(json_t *root, char **json, struct err *err)
{
	struct policy *check = NULL;
	int rc;

	*json = json_dumps(root, JSON_INDENT(2));
	if (*json == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	/* What was lost for want of memory, or a boot of which a policy can
	 * say nothing, shows here. */
	rc = policy_read(*json, strlen(*json), &check, err);
	policy_free(check);
	if (rc < 0) {
		free(*json);
		*json = NULL;
	}
	return rc;
}

int
policy_capture(struct attestation *a, const char *name,
    const struct hash_alg *bank, bool ima, char **json, struct err *err)
{
	struct capture c = { .a = a, .bank = bank,
		.log = attestation_eventlog(a) };
	json_t *root;
	int rc = 0;

	*json = NULL;
	if ((c.view = attestation_events(a, bank, err)) == NULL)
		return ERR_NOTFOUND;
	if ((c.view->explained & FIRMWARE_PCRS) != FIRMWARE_PCRS)
		return err_set(err, ERR_REFUSED, "the event log does not "
		    "explain PCRs 0 to 7 of this host (explained: 0x%06x)",
		    c.view->explained);
	root = json_pack("{s:i, s:s, s:s, s:{s:[o]}, s:o}", "format",
	    POLICY_FORMAT, "name", name, "bank", bank->name, "pcrs", "0",
	    hex_json(c.view->replay.value[0], bank->size), "event_log",
	    event_log_capture(&c));
	if (root == NULL)
		return err_set(err, ERR_USAGE, "no policy can be captured "
		    "under this name");
	if (ima)
		rc = ima_capture(&c, root, err);
	if (rc == 0)
		rc = capture_write(root, json, err);
	json_decref(root);
	return rc;
}
