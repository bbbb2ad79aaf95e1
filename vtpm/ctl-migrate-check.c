/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "migration/state-version.h"
#include "vtpm/vtpmctl.h"

static const char *target;

static const struct ctl_option options[] = {
	{ "target", "VERSION|FILE", "libtpms there: a version, or a file with "
	    "what vtpmctl --json version says there", &target, NULL },
	{ 0 },
};

/* A file that is there is one; nobody calls his 0.9.2. */
static int
parse_target(uint32_t *version, struct err *err)
{
	const char *text;
	json_error_t why;
	json_t *info;
	int rc;

	if (target == NULL)
		return err_set(err, ERR_USAGE, "what is there? --target "
		    "VERSION|FILE");
	if (access(target, F_OK) < 0)
		return state_version_parse(target, version, err);
	if ((info = json_load_file(target, 0, &why)) == NULL)
		return err_set(err, ERR_USAGE, "%s is not JSON: line %d: %s",
		    target, why.line, why.text);
	text = ctl_text(info, "libtpms");
	rc = text[0] != '\0' ? state_version_parse(text, version, err) :
	    err_set(err, ERR_USAGE, "%s does not say which libtpms there is: "
	    "make it with vtpmctl --json version", target);
	json_decref(info);
	return rc;
}

static json_t *
version_text(uint32_t v)
{
	char text[32];

	snprintf(text, sizeof(text), "%u.%u.%u", v >> 16 & 0xff,
	    v >> 8 & 0xff, v & 0xff);
	return json_string(text);
}

static void
print(const json_t *c)
{
	printf("%s: the state of libtpms %s can go to a host with libtpms "
	    "%s\n", ctl_text(c, "file"), ctl_text(c, "state_version"),
	    ctl_text(c, "target"));
}

static int
check(const struct nvram *nv, uint32_t version, struct err *err)
{
	const uint8_t *permanent, *rest = NULL;
	size_t size, rest_size = 0;
	int rc;

	if ((rc = nvram_get(nv, NVRAM_PERMANENT, &permanent, &size, err)) < 0)
		return rc;
	(void)nvram_get(nv, NVRAM_VOLATILE, &rest, &rest_size, NULL);
	return state_version_check(version, nvram_header(nv)->state_version,
	    permanent, size, rest, rest_size, err);
}

static int
run(struct ctl *ctl, struct err *err)
{
	struct nvram *nv = NULL;
	uint32_t version;
	int rc;

	if ((rc = parse_target(&version, err)) < 0 ||
	    (rc = ctl_open_unlocked(ctl, false, &nv, err)) < 0)
		return rc;
	if ((rc = check(nv, version, err)) == 0)
		rc = ctl_print(ctl, json_pack("{s:o, s:o, s:o, s:b}",
		    "file", ctl_json_text(ctl->operands[0]),
		    "state_version",
		    version_text(nvram_header(nv)->state_version),
		    "target", version_text(version), "possible", true),
		    print, err);
	else
		err_prefix(err, "%s cannot go there", ctl->operands[0]);
	nvram_close(nv);
	return rc;
}

const struct ctl_command ctl_migrate_check = {
	.name = "migrate-check",
	.operands = "FILE",
	.n_operands = 1,
	.summary = "Say whether another host's libtpms takes a file's state",
	.details = "The VM may run. What a libtpms takes is what it or an "
	    "earlier release wrote, and of later\nones what says that it can "
	    "be read. Where it does not, the exit status is 1.\n",
	.options = options,
	.run = run,
};
