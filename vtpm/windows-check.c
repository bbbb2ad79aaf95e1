/* SPDX-License-Identifier: BSD-3-Clause */
#include "vtpm/windows-check.h"

#include <stdarg.h>
#include <stdio.h>

#include "vtpm/tpm-command.h"
#include "vtpm/tpm-memory.h"
#include "vtpm/windows-ask.h"
#include "vtpm/windows-internal.h"

#define TPM_PT_PERMANENT 0x200u

void
windows_add(struct windows_report *r, enum windows_verdict verdict,
    const char *name, const char *source, const char *remedy,
    const char *found, ...)
{
	struct windows_check *c = &r->checks[r->n];
	va_list ap;

	/* The table has room for all that there are; see the test. */
	if (r->n == WINDOWS_CHECKS_MAX)
		return;
	c->name = name;
	c->source = source;
	c->verdict = verdict;
	c->remedy = verdict == WINDOWS_OK ? NULL : remedy;
	va_start(ap, found);
	vsnprintf(c->found, sizeof(c->found), found, ap);
	va_end(ap);
	r->n++;
}

static void
check_response(struct windows_report *r)
{
	struct err why = { 0 };

	if (ask_self_test(&why) == 0)
		windows_add(r, WINDOWS_OK, "self-test", SOURCE_EVENT, NULL,
		    "TPM2_Startup and a full TPM2_SelfTest succeed");
	else
		windows_add(r, WINDOWS_SHORT, "self-test", SOURCE_EVENT,
		    "libtpms of this host does not pass its own test: see "
		    "whether OpenSSL's default provider is restricted "
		    "(FIPS)", "%s", why.text);
}

static int
ask_all(struct windows_report *r, struct err *err)
{
	uint32_t permanent;
	int rc;

	if ((rc = tpm2_startup_clear(err)) < 0)
		return rc;
	check_response(r);
	if ((rc = tpm2_get_property(TPM_PT_PERMANENT, &permanent, err)) < 0 ||
	    (rc = windows_able(r, err)) < 0 ||
	    (rc = windows_keys(r, permanent, err)) < 0 ||
	    (rc = windows_state(r, permanent, err)) < 0)
		return rc;
	return windows_room(r, err);
}

int
windows_check(const uint8_t *state, size_t size, struct windows_report *r,
    struct err *err)
{
	int rc;

	r->n = 0;
	if ((rc = tpm_memory_power_on(state, size, err)) == 0)
		rc = ask_all(r, err);
	tpm_memory_free();
	return rc;
}
