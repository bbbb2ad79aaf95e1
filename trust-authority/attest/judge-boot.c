/* SPDX-License-Identifier: BSD-3-Clause */
/* Rules on PCR 7, Secure Boot, and on the command lines of GRUB and kernel. */
#include <string.h>

#include "trust-authority/attest/command-pattern.h"
#include "trust-authority/attest/judge-parts.h"

struct secure_boot {
	bool separated;		/* the firmware has handed over */
	unsigned int enabled;	/* SecureBoot=1 before that */
	unsigned int seen[VARIABLE_COUNT];
};

static void
variable_before(struct judgement *j, size_t i, struct secure_boot *s)
{
	const struct event_claim *claim = &j->view->claims[i];
	unsigned int index = eventlog_at(j->log, i)->index;

	if (event_claim_is_variable(claim, "SecureBoot")) {
		if (claim->value_size == 1 && claim->value[0] == 1) {
			s->enabled++;
			verdict_because(j->v, judge_event_json(j, i));
		} else {
			verdict_fail(j->v, judge_event_json(j, i),
			    "event %u: Secure Boot is off", index);
		}
	}
	for (size_t n = 0; n < VARIABLE_COUNT; n++) {
		const struct digest_list *list = &j->policy->variable[n];

		if (!event_claim_is_variable(claim, variable_names[n]))
			continue;
		s->seen[n]++;
		if (list->given && !digest_list_has(list,
		    judge_event_digest(j, i), j->policy->bank->size))
			verdict_fail(j->v, judge_event_json(j, i), "event %u: "
			    "the content of %s is not approved", index,
			    variable_names[n]);
	}
}

/* Who vouched for what was loaded; shim's own variables too. */
static void
variable_after(struct judgement *j, size_t i)
{
	const struct event_claim *claim = &j->view->claims[i];
	const struct digest_list *list = &j->policy->authorities;
	unsigned int index = eventlog_at(j->log, i)->index;

	if (list->given && !digest_list_has(list, judge_event_digest(j, i),
	    j->policy->bank->size))
		verdict_fail(j->v, judge_event_json(j, i), "event %u: the "
		    "authority \"%.100s\" is not approved", index,
		    claim->text.data != NULL ? claim->text.data : "");
	if (claim->text.data != NULL &&
	    strcmp(claim->text.data, "MokSBState") == 0 &&
	    claim->value_size > 0 && claim->value[0] != 0)
		verdict_fail(j->v, judge_event_json(j, i), "event %u: "
		    "MokSBState has turned shim's verification off", index);
}

static void
secure_boot_event(struct judgement *j, size_t i, struct secure_boot *s)
{
	const struct event_claim *claim = &j->view->claims[i];
	unsigned int index = eventlog_at(j->log, i)->index;

	if (!claim->checked || claim->kind == CLAIM_SEPARATOR_ERROR) {
		verdict_fail(j->v, judge_event_json(j, i), "event %u of PCR 7 "
		    "is not what its digest says", index);
	} else if (claim->kind == CLAIM_VARIABLE) {
		if (s->separated)
			variable_after(j, i);
		else
			variable_before(j, i, s);
	} else if (claim->kind == CLAIM_SEPARATOR) {
		s->separated = true;
	} else if (claim->kind == CLAIM_ACTION) {
		/* Firmware Profile, PCR[7]: a debugger may be attached. */
		if (claim->text.data == NULL ||
		    strcmp(claim->text.data, "UEFI Debug Mode") == 0)
			verdict_fail(j->v, judge_event_json(j, i),
			    "event %u: the firmware is in debug mode", index);
	} else {
		verdict_fail(j->v, judge_event_json(j, i), "event %u is "
		    "nothing that belongs into PCR 7", index);
	}
}

/* In the firmware's order: the variables come before the separator, so an
 * operating system that extends PCR 7 itself cannot add SecureBoot=1. */
void
judge_secure_boot(struct judgement *j)
{
	struct secure_boot s = { 0 };

	verdict_rule(j->v, "event_log.secure_boot");
	if (!judge_pcr_explained(j, 7))
		return;
	for (size_t i = 0; i < eventlog_count(j->log); i++)
		if (judge_event_of(j, i, 7))
			secure_boot_event(j, i, &s);
	if (s.enabled != 1)
		verdict_fail(j->v, NULL, "the firmware has measured that "
		    "Secure Boot is on %u times, not once", s.enabled);
	if (!s.separated)
		verdict_fail(j->v, NULL, "PCR 7 has no separator");
	for (size_t n = 0; n < VARIABLE_COUNT; n++)
		if (j->policy->variable[n].given && s.seen[n] != 1)
			verdict_fail(j->v, NULL, "the firmware has measured "
			    "%s %u times, not once", variable_names[n],
			    s.seen[n]);
}

static bool
approved(const struct text_list *list, const char *command)
{
	for (size_t i = 0; i < list->count; i++)
		if (command_matches(list->text[i], command))
			return true;
	return false;
}

/* GRUB measures a command without its kind, "grub_cmd" or "kernel_cmdline", so
 * a log could call the kernel's command line a command, and a command that was
 * typed in the kernel's command line. Hence both lists approve what is in
 * PCR 8, and of the kernel's there must be one. */
static bool
command_event(struct judgement *j, size_t i)
{
	const struct event_claim *claim = &j->view->claims[i];
	const char *text = claim->text.data;
	unsigned int index = eventlog_at(j->log, i)->index;
	unsigned int pcr = eventlog_at(j->log, i)->pcr;

	if (claim->checked && claim->kind == CLAIM_SEPARATOR)
		return false;
	if (!claim->checked || text == NULL || !claim->text.plain) {
		verdict_fail(j->v, judge_event_json(j, i), "event %u of PCR %u "
		    "is no command line that its digest vouches for, or not "
		    "in printable ASCII", index, pcr);
		return false;
	}
	if (approved(&j->policy->kernel_commands, text)) {
		verdict_because(j->v, judge_event_json(j, i));
		return true;
	}
	if (!approved(&j->policy->boot_commands, text))
		verdict_fail(j->v, judge_event_json(j, i), "event %u: the "
		    "command line \"%.300s\" is not approved", index, text);
	return false;
}

void
judge_commands(struct judgement *j)
{
	const struct policy *p = j->policy;
	size_t found = 0;

	if (!p->kernel_commands.given && !p->boot_commands.given)
		return;
	verdict_rule(j->v, p->kernel_commands.given ?
	    "event_log.kernel_command_lines" : "event_log.boot_commands");
	if (!judge_pcr_explained(j, 8) || !judge_pcr_explained(j, 12))
		return;
	for (size_t i = 0; i < eventlog_count(j->log); i++)
		if (judge_event_of(j, i, 8) || judge_event_of(j, i, 12))
			found += command_event(j, i);
	if (p->kernel_commands.given && found == 0)
		verdict_fail(j->v, NULL, "no kernel command line that is "
		    "approved was measured into PCR 8 or 12");
}
