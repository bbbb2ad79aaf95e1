/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Configuration files: sections in brackets, lines `key = value`, comments
 * after # or ;. What a program knows is a table; what the table has not, or a
 * key that is there twice, is refused with file and line. Programs that use it
 * link with inih.
 */
#ifndef BASE_KEYFILE_H
#define BASE_KEYFILE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define KEYFILE_KEYS_MAX 64

struct keyfile_key {
	const char *section, *name;
	/* Puts value into the program's own struct. 0, or ERR_USAGE and why
	 * without file and line. */
	int (*set)(void *into, const struct keyfile_key *key,
	    const char *value, struct err *err);
	/* For setters that serve many keys: where in `into`, and what fits. */
	size_t at, room;
	long min, max;
	bool required;
};

/* A text of less than `room` bytes, in char[room] at `at`. */
int keyfile_set_text(void *into, const struct keyfile_key *key,
    const char *value, struct err *err);
/* The same, which must be an absolute path. */
int keyfile_set_path(void *into, const struct keyfile_key *key,
    const char *value, struct err *err);
/* A decimal number of min to max, in a long at `at`. */
int keyfile_set_number(void *into, const struct keyfile_key *key,
    const char *value, struct err *err);
/* An enum log_level (base/log.h) at `at`. */
int keyfile_set_log_level(void *into, const struct keyfile_key *key,
    const char *value, struct err *err);
/* yes or no, in a bool at `at`. */
int keyfile_set_flag(void *into, const struct keyfile_key *key,
    const char *value, struct err *err);

/* A file that is not there is nothing read, unless must_exist. At most
 * KEYFILE_KEYS_MAX keys. */
int keyfile_read(const char *file, bool must_exist,
    const struct keyfile_key *keys, size_t count, void *into,
    struct err *err);

#endif
