/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/attest/command-pattern.h"

#include <stddef.h>

/* What a '*' never stands for: the kernel and GRUB split words at spaces unless
 * they are quoted. */
static bool
ends_star(char c)
{
	return c == '\0' || c == ' ' || c == '\t' || c == '"' || c == '\'' ||
	    c == '\\';
}

/* The usual matching with one place to go back to: the last star that may
 * still stand for more. */
bool
command_matches(const char *pattern, const char *command)
{
	const char *star = NULL, *resume = NULL;

	while (*command != '\0' || *pattern != '\0') {
		if (*pattern == '*') {
			star = ++pattern;
			resume = command;
		} else if (*pattern == *command) {
			pattern++;
			command++;
		} else if (star != NULL && !ends_star(*resume)) {
			command = ++resume;
			pattern = star;
		} else {
			return false;
		}
	}
	return true;
}
