/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rules on the firmware's event log. An event's type is as little vouched for
 * as its data: who can write the log can call an application an action. So a
 * rule on a PCR looks at every event of that PCR, and passes over none because
 * of what it says it is, unless its digest shows that.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trust-authority/attest/judge-parts.h"

const uint8_t *
judge_event_digest(const struct judgement *j, size_t i)
{
	return eventlog_digest(j->log, eventlog_at(j->log, i),
	    j->policy->bank);
}

bool
judge_event_of(const struct judgement *j, size_t i, uint32_t pcr)
{
	const struct event *event = eventlog_at(j->log, i);

	return event->pcr == pcr && event->type != EV_NO_ACTION;
}

json_t *
judge_event_json(const struct judgement *j, size_t i)
{
	const struct event *event = eventlog_at(j->log, i);
	const struct event_claim *claim = &j->view->claims[i];
	char hex[HASH_HEX_SIZE], digest[HASH_HEX_SIZE + 16];
	const char *text = claim->text.data != NULL ? claim->text.data : "";

	hash_hex(judge_event_digest(j, i), j->policy->bank->size, hex);
	snprintf(digest, sizeof(digest), "%s:%s", j->policy->bank->name, hex);
	return json_pack("{s:i, s:i, s:s, s:s, s:s, s:b}", "index",
	    (int)event->index, "pcr", (int)event->pcr, "type",
	    event_type_name(event->type), "digest", digest, "text", text,
	    "checked", claim->checked);
}

bool
judge_pcr_explained(struct judgement *j, uint32_t pcr)
{
	if (j->view->explained & 1u << pcr)
		return true;
	verdict_fail(j->v, NULL, "the event log does not explain PCR %u, so it "
	    "tells nothing about it", pcr);
	return false;
}

static void
judge_replay(struct judgement *j)
{
	const struct pcr_bank *quoted = pcr_bank_find(
	    &attestation_quote(j->a)->pcrs, j->policy->bank);
	char replayed_hex[HASH_HEX_SIZE], quoted_hex[HASH_HEX_SIZE];

	verdict_rule(j->v, "event_log.replay");
	for (uint32_t i = 0; i < PCR_COUNT; i++) {
		const uint8_t *value = pcr_bank_value(quoted, i);

		if (!(j->policy->replay & 1u << i) ||
		    j->view->explained & 1u << i)
			continue;
		if (value == NULL) {
			verdict_fail(j->v, NULL, "PCR %u was not quoted", i);
			continue;
		}
		hash_hex(value, quoted->alg->size, quoted_hex);
		hash_hex(j->view->replay.value[i], quoted->alg->size,
		    replayed_hex);
		verdict_fail(j->v, NULL, "the events for PCR %u end at %s, the "
		    "TPM quotes %s: events are missing, added, changed or in "
		    "another order", i, replayed_hex, quoted_hex);
	}
}

/* Each of PCRs 0 to 7 has one, and it is no error (Firmware Profile,
 * EV_SEPARATOR): what comes after it is not the firmware's before boot. */
static void
judge_separators(struct judgement *j)
{
	unsigned int seen[8] = { 0 };

	verdict_rule(j->v, "event_log.separators");
	for (size_t i = 0; i < eventlog_count(j->log); i++) {
		const struct event *event = eventlog_at(j->log, i);
		const struct event_claim *claim = &j->view->claims[i];

		if (event->pcr >= 8 || event->type != EV_SEPARATOR)
			continue;
		if (claim->kind != CLAIM_SEPARATOR)
			verdict_fail(j->v, judge_event_json(j, i), "event %u: "
			    "the firmware reports an error before boot, or "
			    "this is no separator", event->index);
		seen[event->pcr]++;
	}
	for (uint32_t i = 0; i < 8; i++)
		if (seen[i] != 1)
			verdict_fail(j->v, NULL,
			    "PCR %u has %u separators, not one", i, seen[i]);
}

/* What stands between measurements and shows itself to be nothing else. */
static bool
is_mark(const struct event_claim *claim)
{
	return claim->checked && (claim->kind == CLAIM_SEPARATOR ||
	    claim->kind == CLAIM_ACTION);
}

static const struct measured *
measured_find(const struct measured_list *list, const uint8_t *digest,
    size_t size)
{
	for (size_t i = 0; i < list->count; i++)
		if (memcmp(list->item[i].digest, digest, size) == 0)
			return &list->item[i];
	return NULL;
}

static bool
is_measured(const struct judgement *j, uint32_t pcr, const uint8_t *digest)
{
	for (size_t i = 0; i < eventlog_count(j->log); i++)
		if (judge_event_of(j, i, pcr) &&
		    memcmp(judge_event_digest(j, i), digest,
		    j->policy->bank->size) == 0)
			return true;
	return false;
}

static void
judge_measured(struct judgement *j, const struct measured_kind *kind,
    const struct measured_list *list)
{
	char rule[64];

	snprintf(rule, sizeof(rule), "event_log.%s", kind->member);
	verdict_rule(j->v, rule);
	if (!judge_pcr_explained(j, kind->pcr))
		return;
	for (size_t i = 0; i < eventlog_count(j->log); i++) {
		if (!judge_event_of(j, i, kind->pcr) ||
		    is_mark(&j->view->claims[i]) ||
		    measured_find(list, judge_event_digest(j, i),
		    j->policy->bank->size) != NULL)
			continue;
		verdict_fail(j->v, judge_event_json(j, i), "event %u of PCR "
		    "%u, %s \"%.200s\", is not approved",
		    eventlog_at(j->log, i)->index, kind->pcr,
		    event_type_name(eventlog_at(j->log, i)->type),
		    j->view->claims[i].text.data != NULL ?
		    j->view->claims[i].text.data : "");
	}
	for (size_t i = 0; i < list->count; i++)
		if (list->item[i].required && !is_measured(j, kind->pcr,
		    list->item[i].digest))
			verdict_fail(j->v, NULL, "\"%.200s\" is required, and "
			    "was not measured into PCR %u",
			    list->item[i].name, kind->pcr);
}

static void
judge_actions(struct judgement *j)
{
	const struct text_list *list = &j->policy->actions;

	if (!list->given)
		return;
	verdict_rule(j->v, "event_log.actions");
	for (size_t i = 0; i < eventlog_count(j->log); i++) {
		const struct event_claim *claim = &j->view->claims[i];
		const char *text = claim->text.data;
		size_t k = 0;

		if (claim->kind != CLAIM_ACTION || !(j->policy->replay &
		    1u << eventlog_at(j->log, i)->pcr))
			continue;
		while (k < list->count && (text == NULL ||
		    strcmp(text, list->text[k]) != 0))
			k++;
		if (k == list->count)
			verdict_fail(j->v, judge_event_json(j, i), "event %u: "
			    "the action \"%.200s\" is not approved",
			    eventlog_at(j->log, i)->index,
			    text != NULL ? text : "");
	}
}

void
judge_events(struct judgement *j)
{
	struct err err = { 0 };

	if (!j->policy->events)
		return;
	j->view = attestation_events(j->a, j->policy->bank, &err);
	if (j->view == NULL) {
		verdict_rule(j->v, "event_log");
		verdict_fail(j->v, NULL, "%s", err.text);
		return;
	}
	judge_replay(j);
	judge_separators(j);
	if (j->policy->secure_boot)
		judge_secure_boot(j);
	for (size_t i = 0; i < MEASURED_COUNT; i++)
		if (j->policy->measured[i].given)
			judge_measured(j, &measured_kinds[i],
			    &j->policy->measured[i]);
	judge_commands(j);
	judge_actions(j);
}
