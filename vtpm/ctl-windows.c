/* SPDX-License-Identifier: BSD-3-Clause */
/* vtpmctl windows-check: what Windows asks of a TPM, asked of this one. */
#include <stdio.h>
#include <stdlib.h>

#include "vtpm/vtpmctl.h"
#include "vtpm/windows-check.h"
#include "vtpm/windows-find.h"

static const char *
verdict_name(enum windows_verdict verdict)
{
	switch (verdict) {
	case WINDOWS_OK:
		return "ok";
	case WINDOWS_ADVICE:
		return "advice";
	case WINDOWS_SHORT:
		return "short";
	}
	return "unknown";
}

static size_t
count(const struct windows_report *r, enum windows_verdict verdict)
{
	size_t n = 0;

	for (size_t i = 0; i < r->n; i++)
		n += r->checks[i].verdict == verdict;
	return n;
}

static json_t *
describe_checks(const struct windows_report *r)
{
	json_t *list = json_array(), *one;

	for (size_t i = 0; i < r->n; i++) {
		const struct windows_check *c = &r->checks[i];

		one = json_pack("{s:s, s:s, s:o, s:s}", "name", c->name,
		    "result", verdict_name(c->verdict),
		    "found", ctl_json_text(c->found), "source", c->source);
		if (c->remedy != NULL)
			json_object_set_new(one, "remedy",
			    json_string(c->remedy));
		json_array_append_new(list, one);
	}
	return list;
}

/* What only a boot can tell: doc/windows.md says how. */
static json_t *
describe_rest(void)
{
	return json_pack("[s, s, s]",
	    "the event log, and that the PCRs of a boot agree with it",
	    "clearing the TPM through the firmware (PPI)",
	    "clearing memory at a reset (MOR)");
}

static void
print(const json_t *v)
{
	const json_t *checks = json_object_get(v, "checks"), *c;
	const json_t *rest = json_object_get(v, "not_asked");

	printf("%s: VM %s%s\n", ctl_text(v, "file"), ctl_text(v, "uuid"),
	    json_object_get(v, "pid") != NULL ?
	    ", running: its state as last written" : "");
	for (size_t i = 0; i < json_array_size(checks); i++) {
		c = json_array_get(checks, i);
		printf("  %-6s %-20s %s\n", ctl_text(c, "result"),
		    ctl_text(c, "name"), ctl_text(c, "found"));
		if (json_object_get(c, "remedy") != NULL)
			printf("         %s\n         (%s)\n",
			    ctl_text(c, "remedy"), ctl_text(c, "source"));
	}
	printf("Not asked here, for it takes a boot:\n");
	for (size_t i = 0; i < json_array_size(rest); i++)
		printf("  %s\n", json_string_value(json_array_get(rest, i)));
}

static int
report(const struct ctl *ctl, const struct windows_target *t,
    const struct nvram *nv, const struct windows_report *r, struct err *err)
{
	size_t n = count(r, WINDOWS_SHORT);
	json_t *json = json_pack("{s:o, s:o, s:b, s:o, s:o}",
	    "file", ctl_json_text(ctl->operands[0]),
	    "uuid", ctl_json_uuid(nvram_header(nv)->uuid),
	    "ready", n == 0, "checks", describe_checks(r),
	    "not_asked", describe_rest());
	int rc;

	if (t->pid != 0)
		json_object_set_new(json, "pid", json_integer(t->pid));
	if ((rc = ctl_print(ctl, json, print, err)) < 0 || n == 0)
		return rc;
	return err_set(err, ERR_TPM, "this vTPM falls short of what Windows "
	    "asks in %zu of %zu points", n, r->n);
}

static int
run(struct ctl *ctl, struct err *err)
{
	const char *given = ctl->operands[0];
	struct windows_report *r = NULL;
	struct windows_target t;
	struct nvram *nv = NULL;
	const uint8_t *state;
	size_t size;
	int rc;

	if ((rc = windows_find(given, &t, err)) < 0)
		return rc;
	ctl->operands[0] = t.file;
	rc = ctl_open_unlocked(ctl, false, &nv, err);
	ctl->operands[0] = given;
	if (rc < 0 || (rc = nvram_get(nv, NVRAM_PERMANENT, &state, &size,
		err)) < 0)
		goto out;
	if ((r = calloc(1, sizeof(*r))) == NULL) {
		rc = err_set(err, ERR_INTERNAL, "out of memory");
		goto out;
	}
	if ((rc = windows_check(state, size, r, err)) == 0)
		rc = report(ctl, &t, nv, r, err);
out:
	free(r);
	nvram_close(nv);
	return rc;
}

const struct ctl_command ctl_windows_check = {
	.name = "windows-check",
	.operands = "FILE|SOCKET|PID",
	.n_operands = 1,
	.summary = "Ask a vTPM all that Windows needs of one",
	.details = "Of a file, or of a vtpmd that runs, by its control socket "
	    "or process id: then\nof the state it has last written. Asked is "
	    "a copy in memory, so neither the file\nnor the guest notices. "
	    "Each point is:\n"
	    "  ok      as documented\n"
	    "  advice  Windows works without; hardware is certified with it\n"
	    "  short   something in Windows will not work; exit status 1\n",
	.run = run,
};
