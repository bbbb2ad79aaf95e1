/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A policy as an administrator sends it, or one command line and pattern, which
 * must match only where a star's part has no space. Input after fail_begin's:
 * the document; up to the first newline it is besides a pattern, and what
 * follows a command line.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fail.h"
#include "tests/fuzz/fuzz.h"
#include "trust-authority/attest/command-pattern.h"
#include "trust-authority/attest/policy.h"

static size_t
spaces(const char *text)
{
	size_t n = 0;

	for (; *text != '\0'; text++)
		n += *text == ' ';
	return n;
}

static void
match(char *text)
{
	char *command = strchr(text, '\n');

	if (command == NULL)
		return;
	*command++ = '\0';
	if (command_matches(text, command))
		FUZZ_ASSERT(spaces(text) == spaces(command));
	if (strchr(text, '*') == NULL)
		FUZZ_ASSERT(command_matches(text, command) ==
		    (strcmp(text, command) == 0));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf in = buf_reader(data, size), control;
	uint8_t failing[4] = { 0 };
	struct policy *p;
	struct err err = { 0 };
	char *text;
	int rc;

	(void)buf_get_bytes(&in, failing, sizeof(failing));
	size = buf_left(&in);
	if ((text = malloc(size + 1)) == NULL)
		return 0;
	(void)buf_get_bytes(&in, text, size);
	text[size] = '\0';
	control = buf_reader(failing, sizeof(failing));
	fail_begin(&control);
	rc = policy_read(text, size, &p, &err);
	FUZZ_ASSERT((rc == 0) == (p != NULL));
	FUZZ_ASSERT(rc == 0 || err.text[0] != '\0');
	FUZZ_ASSERT(rc < 0 || policy_name(p)[0] != '\0');
	policy_free(p);
	(void)fail_end();
	match(text);
	free(text);
	return 0;
}
