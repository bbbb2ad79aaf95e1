/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Captured policies accept the boot they came from. Every change is refused
 * with its reason: first of logs that the quote no longer explains, then of
 * boots whose logs are true, and bad.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/attest-fixture.h"

#define BINDING ((const uint8_t *)GOLDEN_BINDING)

static struct attestation *
golden_attest(const struct golden *g)
{
	struct evidence ev = golden_evidence(g);
	struct attestation *a;
	struct err err = { 0 };

	cr_assert_eq(attestation_verify(&ev, g->ak, g->ek, BINDING, &a, &err),
	    0, "%s", err.text);
	return a;
}

static char *
captured(struct attestation *a, const char *bank, bool ima)
{
	struct err err = { 0 };
	char *json;

	cr_assert_eq(policy_capture(a, "captured", hash_by_name(bank), ima,
	    &json, &err), 0, "%s", err.text);
	return json;
}

static struct verdict *
judged(struct attestation *a, const char *json, const struct tpm_clock *before)
{
	const struct policy *list[1];
	struct policy *p;
	struct verdict *v;
	struct err err = { 0 };

	cr_assert_eq(policy_read(json, strlen(json), &p, &err), 0, "%s",
	    err.text);
	list[0] = p;
	cr_assert_eq(judge(a, list, 1, before, &v, NULL), 0);
	policy_free(p);
	return v;
}

static void
accepted(struct attestation *a, const char *json)
{
	struct verdict *v = judged(a, json, NULL);

	cr_assert(verdict_accepted(v), "%s", verdict_reason(v));
	verdict_free(v);
}

/* That rule fails, with these words in its first reason. */
static void
refused(struct attestation *a, const char *json, const char *rule,
    const char *words)
{
	struct verdict *v = judged(a, json, NULL);
	json_t *rules, *r, *why = NULL;
	size_t i;

	cr_assert(!verdict_accepted(v));
	cr_assert(verdict_policy_passed(v) == NULL);
	rules = json_object_get(json_array_get(json_object_get(
	    verdict_json(v), "policies"), 0), "rules");
	json_array_foreach(rules, i, r)
		if (strcmp(json_string_value(json_object_get(r, "rule")),
		    rule) == 0) {
			cr_assert(json_is_false(json_object_get(r,
			    "passed")), "%s has passed", rule);
			why = json_object_get(json_array_get(json_object_get(
			    r, "failures"), 0), "why");
		}
	cr_assert(why != NULL, "no rule %s", rule);
	cr_assert(strstr(json_string_value(why), words) != NULL, "%s: %s",
	    rule, json_string_value(why));
	verdict_free(v);
}

Test(judge, captured_policies_accept)
{
	static const struct {
		const char *boot, *bank;
	} boots[] = {
		{ "crb-chain", "sha256" }, { "tis-kernel", "sha256" },
		{ "crb-ima1", "sha256" }, { "tis-off", "sha384" },
	};

	for (size_t i = 0; i < 4; i++) {
		struct golden g = golden_read(boots[i].boot,
		    hash_by_name(boots[i].bank));
		struct attestation *a = golden_attest(&g);
		char *json;

		/* The boot aggregate is over the SHA-1 bank there, of which
		 * this quote has nothing. */
		json = captured(a, boots[i].bank,
		    strcmp(boots[i].boot, "crb-ima1") != 0);
		if (strcmp(boots[i].boot, "tis-off") == 0)
			cr_assert(strstr(json, "secure_boot") == NULL);
		else
			cr_assert(strstr(json, "secure_boot") != NULL);
		/* tis-off: its aggregate is over SHA-256, the quote SHA-384. */
		if (strcmp(boots[i].boot, "tis-off") == 0)
			refused(a, json, "ima.boot_aggregate",
			    "bank sha256, which was not quoted");
		else
			accepted(a, json);
		free(json);
		attestation_free(a);
		golden_free(&g);
	}
}

Test(judge, one_of_several_is_enough)
{
	struct golden g = golden_read("crb-chain", hash_by_name("sha256"));
	struct golden o = golden_read("tis-kernel", hash_by_name("sha256"));
	struct attestation *a = golden_attest(&g), *b = golden_attest(&o);
	char *ja = captured(a, "sha256", true), *jb = captured(b, "sha256",
	    true);
	struct policy *pa, *pb;
	const struct policy *list[2];
	struct verdict *v;

	cr_assert_eq(policy_read(ja, strlen(ja), &pa, NULL), 0);
	cr_assert_eq(policy_read(jb, strlen(jb), &pb, NULL), 0);
	list[0] = pb;
	list[1] = pa;
	cr_assert_eq(judge(a, list, 2, NULL, &v, NULL), 0);
	cr_assert(verdict_accepted(v), "%s", verdict_reason(v));
	cr_assert_eq(json_array_size(json_object_get(verdict_json(v),
	    "policies")), 2);
	verdict_free(v);
	cr_assert_eq(judge(a, list, 1, NULL, &v, NULL), 0);
	cr_assert(!verdict_accepted(v));
	verdict_free(v);
	/* None approved: nobody gets in. */
	cr_assert_eq(judge(a, list, 0, NULL, &v, NULL), 0);
	cr_assert(!verdict_accepted(v));
	cr_assert(strstr(verdict_reason(v), "no policy is approved"));
	verdict_free(v);
	policy_free(pa);
	policy_free(pb);
	free(ja);
	free(jb);
	attestation_free(a);
	attestation_free(b);
	golden_free(&g);
	golden_free(&o);
}

/* The log is changed by f, and judged with the true quote. */
static void
tampered(void (*f)(struct bytes *log, const struct eventlog *parsed),
    const char *rule, const char *words)
{
	struct golden g = golden_read("crb-chain", hash_by_name("sha256"));
	struct attestation *a = golden_attest(&g);
	char *json = captured(a, "sha256", true);

	f(&g.eventlog, attestation_eventlog(a));
	attestation_free(a);
	a = golden_attest(&g);
	refused(a, json, rule, words);
	attestation_free(a);
	free(json);
	golden_free(&g);
}

/* Where event i begins: PCR, type and two digests come before its data. */
static size_t
event_start(const struct bytes *log, const struct eventlog *parsed, size_t i)
{
	return (size_t)(eventlog_at(parsed, i)->data - log->data) - 4 -
	    (2 + 32) - (2 + 48) - 12;
}

static void
cut_last(struct bytes *log, const struct eventlog *parsed)
{
	log->size = event_start(log, parsed, eventlog_count(parsed) - 1);
}

static void
repeat_last(struct bytes *log, const struct eventlog *parsed)
{
	size_t at = event_start(log, parsed, eventlog_count(parsed) - 1);
	size_t n = log->size - at;
	uint8_t *more = realloc(log->data, log->size + n);

	cr_assert(more != NULL);
	memcpy(more + log->size, more + at, n);
	log->data = more;
	log->size += n;
}

/* Two events of PCR 7: SecureBoot and PK. */
static void
reorder(struct bytes *log, const struct eventlog *parsed)
{
	size_t i = 0, a, b, end;
	uint8_t *copy = malloc(log->size);

	while (eventlog_at(parsed, i)->type != EV_EFI_VARIABLE_DRIVER_CONFIG)
		i++;
	a = event_start(log, parsed, i);
	b = event_start(log, parsed, i + 1);
	end = event_start(log, parsed, i + 2);
	memcpy(copy, log->data, log->size);
	memcpy(log->data + a, copy + b, end - b);
	memcpy(log->data + a + (end - b), copy + a, b - a);
	free(copy);
}

static void
change_digest(struct bytes *log, const struct eventlog *parsed)
{
	for (size_t i = 0; i < eventlog_count(parsed); i++)
		if (eventlog_at(parsed, i)->pcr == 4)
			log->data[eventlog_digest(parsed, eventlog_at(parsed,
			    i), hash_by_name("sha256")) - log->data] ^= 1;
}

/* The true digest under data that say Secure Boot were another variable. */
static void
change_data(struct bytes *log, const struct eventlog *parsed)
{
	size_t i = 0;

	while (eventlog_at(parsed, i)->type != EV_EFI_VARIABLE_DRIVER_CONFIG)
		i++;
	log->data[eventlog_at(parsed, i)->data - log->data +
	    eventlog_at(parsed, i)->size - 1] ^= 1;
}

/* The kernel's file by another label does not help; by a type neither. */
static void
change_type(struct bytes *log, const struct eventlog *parsed)
{
	for (size_t i = 0; i < eventlog_count(parsed); i++)
		if (eventlog_at(parsed, i)->pcr == 8)
			log->data[event_start(log, parsed, i) + 4] =
			    EV_COMPACT_HASH;
}

Test(judge, tampered_logs)
{
	tampered(cut_last, "event_log.replay", "the events for PCR 5 end at");
	tampered(repeat_last, "event_log.replay", "PCR 5");
	tampered(reorder, "event_log.replay", "PCR 7");
	tampered(reorder, "event_log.secure_boot", "does not explain PCR 7");
	tampered(change_digest, "event_log.replay", "PCR 4");
	tampered(change_digest, "event_log.boot_applications",
	    "does not explain PCR 4");
	tampered(change_data, "event_log.secure_boot",
	    "not what its digest says");
	tampered(change_type, "event_log.kernel_command_lines",
	    "no command line that its digest vouches for");
}

Test(judge, no_logs_at_all)
{
	struct golden g = golden_read("crb-chain", hash_by_name("sha256"));
	struct attestation *a = golden_attest(&g);
	char *json = captured(a, "sha256", true);
	struct evidence ev = golden_evidence(&g);

	attestation_free(a);
	ev.eventlog = ev.ima_log = NULL;
	cr_assert_eq(attestation_verify(&ev, g.ak, g.ek, BINDING, &a, NULL),
	    0);
	refused(a, json, "event_log", "sent no event log");
	refused(a, json, "ima.replay", "sent no IMA log");
	attestation_free(a);
	free(json);
	golden_free(&g);
}

/* A small boot of our own, in which the test chooses what was measured. */
struct boot {
	int secure;		/* 0 off, 1 on, 2 not measured, 3 late */
	bool debug, evil_app, evil_action, second_separator, mok_off;
	const char *kernel, *command;
	const char *kernel_prefix, *command_prefix;
	bool evil_file, relabel;
};

static const struct boot good_boot = { .secure = 1,
	.kernel = "/vmlinuz root=UUID=1234 ro", .command = "boot",
	.kernel_prefix = "kernel_cmdline: ", .command_prefix = "grub_cmd: " };

static void
log_command(struct log_maker *m, const char *prefix, const char *text)
{
	char line[128];

	snprintf(line, sizeof(line), "%s%s", prefix, text);
	log_event(m, 8, EV_IPL, line, strlen(line) + 1, text, strlen(text));
}

static void
log_pcr7(struct log_maker *m, const struct boot *b)
{
	const uint32_t config = EV_EFI_VARIABLE_DRIVER_CONFIG;

	if (b->secure < 2)
		log_variable(m, config, false, "SecureBoot",
		    b->secure ? "\1" : "\0", 1);
	log_variable(m, config, false, "PK", "pk", 2);
	log_variable(m, config, false, "KEK", "kek", 3);
	log_variable(m, config, true, "db", "db", 2);
	log_variable(m, config, true, "dbx", "dbx", 3);
	if (b->debug)
		log_event(m, 7, EV_EFI_ACTION, "UEFI Debug Mode", 15, NULL, 0);
	log_separator(m, 7);
	if (b->secure == 3)
		log_variable(m, config, false, "SecureBoot", "\1", 1);
	log_variable(m, EV_EFI_VARIABLE_AUTHORITY, true, "db", "cert", 4);
	if (b->mok_off)
		log_variable(m, EV_EFI_VARIABLE_AUTHORITY, false,
		    "MokSBState", "\1", 1);
}

static struct attestation *
boot_attest(struct log_maker *m, const struct boot *b)
{
	log_begin(m);
	log_event(m, 0, EV_S_CRTM_VERSION, "v\0001\0\0", 6, NULL, 0);
	log_pcr7(m, b);
	for (uint32_t i = 0; i < 7; i++)
		log_separator(m, i);
	if (b->second_separator)
		log_separator(m, 4);
	log_event(m, 4, EV_EFI_BOOT_SERVICES_APPLICATION, "", 0, "shim", 4);
	if (b->evil_app)
		log_event(m, 4, b->relabel ? EV_EFI_ACTION :
		    EV_EFI_BOOT_SERVICES_APPLICATION, "", 0, "evil", 4);
	if (b->evil_action)
		log_event(m, 5, EV_EFI_ACTION, "Something Else", 14, NULL, 0);
	log_command(m, b->kernel_prefix, b->kernel);
	log_command(m, b->command_prefix, b->command);
	log_event(m, 9, EV_IPL, "/vmlinuz", 9, "kernel", 6);
	if (b->evil_file)
		log_event(m, 9, EV_IPL, "/vmlinuz", 9, "evil", 4);
	return soft_attest(m->data, m->out.pos, NULL, 0, NULL);
}

/* The good boot's policy, the root's UUID made a pattern. */
static char *
good_policy(void)
{
	static struct log_maker m;
	struct attestation *a = boot_attest(&m, &good_boot);
	char *json = captured(a, "sha256", false), *uuid;

	attestation_free(a);
	uuid = strstr(json, "UUID=1234");
	cr_assert(uuid != NULL);
	memmove(uuid + 6, uuid + 9, strlen(uuid + 9) + 1);
	uuid[5] = '*';
	return json;
}

static void
boot_refused(const struct boot *b, const char *rule, const char *words)
{
	static struct log_maker m;
	struct attestation *a = boot_attest(&m, b);
	char *json = good_policy();

	refused(a, json, rule, words);
	free(json);
	attestation_free(a);
}

#define BOOT(...) (&(struct boot){ .secure = 1, \
	.kernel = "/vmlinuz root=UUID=1234 ro", .command = "boot", \
	.kernel_prefix = "kernel_cmdline: ", \
	.command_prefix = "grub_cmd: ", __VA_ARGS__ })

#pragma GCC diagnostic ignored "-Woverride-init"

Test(judge, a_good_boot)
{
	static struct log_maker m;
	char *json = good_policy();
	struct attestation *a = boot_attest(&m, BOOT(
	    .kernel = "/vmlinuz root=UUID=5678-90 ro"));

	accepted(a, json);
	attestation_free(a);
	free(json);
}

Test(judge, secure_boot)
{
	boot_refused(BOOT(.secure = 0), "event_log.secure_boot",
	    "Secure Boot is off");
	boot_refused(BOOT(.secure = 2), "event_log.secure_boot",
	    "is on 0 times");
	/* An operating system that extends PCR 7 after the firmware. */
	boot_refused(BOOT(.secure = 3), "event_log.secure_boot",
	    "authority \"SecureBoot\" is not approved");
	boot_refused(BOOT(.debug = true), "event_log.secure_boot",
	    "debug mode");
	boot_refused(BOOT(.mok_off = true), "event_log.secure_boot",
	    "MokSBState");
}

Test(judge, applications_and_files)
{
	boot_refused(BOOT(.evil_app = true), "event_log.boot_applications",
	    "PCR 4, EV_EFI_BOOT_SERVICES_APPLICATION");
	boot_refused(BOOT(.evil_app = true, .relabel = true),
	    "event_log.boot_applications", "PCR 4, EV_EFI_ACTION");
	boot_refused(BOOT(.evil_file = true), "event_log.boot_files",
	    "EV_IPL \"/vmlinuz\", is not approved");
	boot_refused(BOOT(.evil_action = true), "event_log.actions",
	    "\"Something Else\" is not approved");
	boot_refused(BOOT(.second_separator = true), "event_log.separators",
	    "PCR 4 has 2 separators");
}

Test(judge, command_lines)
{
	boot_refused(BOOT(.kernel = "/vmlinuz root=UUID=1 ro init=/bin/sh"),
	    "event_log.kernel_command_lines", "init=/bin/sh\" is not approved");
	boot_refused(BOOT(.kernel = "/vmlinuz root=UUID=1 init=/x ro"),
	    "event_log.kernel_command_lines", "is not approved");
	/* GRUB measures no prefix: an approved line that was typed, and the
	 * kernel's own called a command. */
	boot_refused(BOOT(.kernel = "/vmlinuz init=/bin/sh",
	    .kernel_prefix = "grub_cmd: ",
	    .command = "/vmlinuz root=UUID=1 ro",
	    .command_prefix = "kernel_cmdline: "),
	    "event_log.kernel_command_lines",
	    "\"/vmlinuz init=/bin/sh\" is not approved");
	boot_refused(BOOT(.kernel = "boot"),
	    "event_log.kernel_command_lines",
	    "no kernel command line");
}

Test(judge, required)
{
	static struct log_maker m;
	char *json = good_policy(), *at, *more;
	struct attestation *a = boot_attest(&m, &good_boot);

	/* The digest of "kernel" is required, and is there; then another. */
	at = strstr(json, "\"name\": \"/vmlinuz\"");
	cr_assert(at != NULL);
	more = calloc(1, strlen(json) + 64);
	sprintf(more, "%.*s\"required\": true, %s", (int)(at - json), json,
	    at);
	accepted(a, more);
	at = strstr(more, "\"name\": \"/vmlinuz\"");
	at = strstr(at, "\"digest\": \"") + 11;
	at[0] = at[0] == '0' ? '1' : '0';
	refused(a, more, "event_log.boot_files", "is not approved");
	attestation_free(a);
	free(more);
	free(json);
}

Test(judge, pcr_values_and_tpm)
{
	static const char start[] = "{\"format\": 1, \"name\": \"n\", "
	    "\"bank\": \"sha256\", \"pcrs\": {\"16\": [\"0000000000000000"
	    "000000000000000000000000000000000000000000000000\"]}";
	static struct log_maker m;
	struct attestation *a = boot_attest(&m, &good_boot);
	char json[512];

	snprintf(json, sizeof(json), "%s}", start);
	accepted(a, json);
	snprintf(json, sizeof(json), "%s, \"tpm\": {\"firmware\": "
	    "[\"0000000020200102\"], \"clock_safe\": true}}", start);
	accepted(a, json);
	snprintf(json, sizeof(json), "%s, \"tpm\": {\"firmware\": "
	    "[\"0000000020200103\"]}}", start);
	refused(a, json, "tpm.firmware", "0000000020200102 is not approved");
	snprintf(json, sizeof(json), "%s}", start);
	*strstr(json, "\"16\"") = ' ';
	memcpy(strstr(json, "16\""), "\"0", 2);
	refused(a, json, "pcrs.0", "which is not approved");
	attestation_free(a);
}

Test(judge, clock)
{
	static const char json[] = "{\"format\": 1, \"name\": \"n\", "
	    "\"bank\": \"sha256\", \"pcrs\": {\"16\": [\"0000000000000000"
	    "000000000000000000000000000000000000000000000000\"]}, "
	    "\"tpm\": {\"allow_resets\": false}}";
	const struct tpm_clock later = { 5000, 6, 0, true };
	const struct tpm_clock same = { 900, 5, 0, true };
	const struct tpm_clock reset = { 900, 4, 0, true };
	static struct log_maker m;
	struct attestation *a = boot_attest(&m, &good_boot);
	struct verdict *v;

	v = judged(a, json, &same);
	cr_assert(verdict_accepted(v), "%s", verdict_reason(v));
	verdict_free(v);
	v = judged(a, json, &later);
	cr_assert(strstr(verdict_reason(v), "counted 6 before") != NULL);
	verdict_free(v);
	v = judged(a, json, &reset);
	cr_assert(strstr(verdict_reason(v), "the host was reset") != NULL);
	verdict_free(v);
	attestation_free(a);
}

Test(judge, ima_files)
{
	struct golden g = golden_read("crb-chain", hash_by_name("sha256"));
	struct attestation *a = golden_attest(&g);
	char *json = captured(a, "sha256", true), *at;
	size_t i;

	/* /ram/other was measured after the quote: not judged, and so not
	 * captured. */
	cr_assert(strstr(json, "c8872210411124be") == NULL);
	at = strstr(json, "43496b43c80dbe20");	/* /ram/file */
	cr_assert(at != NULL);
	at[0] = '5';
	refused(a, json, "ima.digests", "entry 2: the file \"/ram/file\" is "
	    "not approved");
	attestation_free(a);
	/* An entry that is changed, gone, or in another's place. */
	at[0] = '4';
	for (i = 0; memcmp(g.ima.data + i, "/ram/file", 9) != 0; i++)
		;
	g.ima.data[i + 5] = 'F';
	a = golden_attest(&g);
	refused(a, json, "ima.replay", "no beginning of the IMA log");
	attestation_free(a);
	free(json);
	golden_free(&g);
}
