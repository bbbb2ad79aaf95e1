/* SPDX-License-Identifier: BSD-3-Clause */
#include <criterion/criterion.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"

Test(err, says_what_and_returns_the_code)
{
	struct err err = { 0 };

	cr_assert_eq(err_set(&err, ERR_BUSY, "%s is %d", "it", 7), ERR_BUSY);
	cr_assert_eq(err.code, ERR_BUSY);
	cr_assert_str_eq(err.text, "it is 7");
	cr_assert_eq(err_set(NULL, ERR_BUSY, "nobody listens"), ERR_BUSY);
}

Test(err, adds_what_the_system_said)
{
	struct err err = { 0 };

	cr_assert_eq(err_sys(&err, ENOENT, "cannot open %s", "F"), ERR_SYSTEM);
	cr_assert_str_eq(err.text, "cannot open F: No such file or directory");
	cr_assert_eq(err.sys, ENOENT);
	cr_assert_eq(err_sys(NULL, ENOENT, "x"), ERR_SYSTEM);
}

Test(err, a_full_disk_has_its_own_code)
{
	struct err err = { 0 };

	cr_assert_eq(err_sys(&err, ENOSPC, "x"), ERR_NOSPACE);
	cr_assert_eq(err_sys(&err, EDQUOT, "x"), ERR_NOSPACE);
	cr_assert_eq(err_sys(NULL, EDQUOT, "x"), ERR_NOSPACE);
	cr_assert_eq(err_sys(&err, EIO, "x"), ERR_SYSTEM);
}

Test(err, prefix_and_advice)
{
	struct err err = { 0 };

	err_set(&err, ERR_KEY, "nothing fits");
	cr_assert_eq(err_prefix(&err, "file %s", "F"), ERR_KEY);
	cr_assert_eq(err_append(&err, " (try %s)", "harder"), ERR_KEY);
	cr_assert_str_eq(err.text, "file F: nothing fits (try harder)");
	cr_assert_eq(err_prefix(NULL, "x"), ERR_INTERNAL);
	cr_assert_eq(err_append(NULL, "x"), ERR_INTERNAL);
}

Test(err, its_own_text_may_be_quoted)
{
	struct err err = { 0 };

	err_set(&err, ERR_CLOSED, "no answer");
	err_set(&err, ERR_REFUSED, "not taken: %s (again: %s)", err.text,
	    err.text);
	cr_assert_str_eq(err.text, "not taken: no answer (again: no answer)");
	err_append(&err, " [%s]", err.text);
	cr_assert_str_eq(err.text, "not taken: no answer (again: no answer) "
	    "[not taken: no answer (again: no answer)]");
	err_set(&err, ERR_CLOSED, "gone");
	err_prefix(&err, "%s twice", err.text);
	cr_assert_str_eq(err.text, "gone twice: gone");
}

Test(err, long_texts_are_cut_and_ended)
{
	char lots[3000];
	struct err err = { 0 };

	memset(lots, 'x', sizeof(lots) - 1);
	lots[sizeof(lots) - 1] = '\0';
	err_set(&err, ERR_FORMAT, "%s", lots);
	cr_assert_eq(strlen(err.text), ERR_TEXT_MAX - 1);
	err_append(&err, "%s", lots);
	cr_assert_eq(strlen(err.text), ERR_TEXT_MAX - 1);
	err_prefix(&err, "%s", lots);
	cr_assert_lt(strlen(err.text), ERR_TEXT_MAX);
	err_sys(&err, ENOENT, "%s", lots);
	cr_assert_not_null(strstr(err.text, "No such file"),
	    "the system's words must survive");
}

/* err.h's list, which the man pages' EXIT STATUS sections repeat. */
Test(err, exit_statuses)
{
	static const struct {
		int code, status;
		const char *name;
	} want[] = {
		{ 0, 0, "ok" }, { ERR_INTERNAL, 1, "internal" },
		{ ERR_SYSTEM, 1, "system" }, { ERR_FORMAT, 6, "format" },
		{ ERR_AUTH, 6, "auth" }, { ERR_KEY, 4, "key" },
		{ ERR_STALE, 5, "stale" }, { ERR_BUSY, 7, "busy" },
		{ ERR_EXISTS, 8, "exists" }, { ERR_NOTFOUND, 3, "not-found" },
		{ ERR_USAGE, 2, "usage" }, { ERR_UNSUPPORTED, 1, "unsupported" },
		{ ERR_NOSPACE, 1, "no-space" }, { ERR_TPM, 1, "tpm" },
		{ ERR_CRYPTO, 1, "crypto" }, { ERR_CLOSED, 1, "closed" },
		{ ERR_REFUSED, 1, "refused" }, { -9999, 1, "unknown" },
	};

	for (size_t i = 0; i < sizeof(want) / sizeof(*want); i++) {
		cr_assert_str_eq(err_name(want[i].code), want[i].name);
		cr_assert_eq(err_exit_status(want[i].code), want[i].status,
		    "%s", want[i].name);
	}
}
