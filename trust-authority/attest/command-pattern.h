/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Patterns of command lines in policies. A pattern is a command line, word by
 * word; a '*' stands for any characters of one word but quotes, so it never
 * stands for a parameter of its own: "root=UUID=*" does not let "init=/bin/sh"
 * in. A regular expression would, one day, in somebody's policy.
 */
#ifndef ATTEST_COMMAND_PATTERN_H
#define ATTEST_COMMAND_PATTERN_H

#include <stdbool.h>

bool command_matches(const char *pattern, const char *command);

#endif
