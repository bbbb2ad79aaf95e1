/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/keyfile.h"

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

struct reading {
	FILE *file;
	const struct keyfile_key *keys;
	size_t count;
	void *into;
	uint64_t seen;		/* bit i: keys[i] was set */
	int line;
	int bad_line;		/* the first that was refused, */
	struct err why;		/* and why */
};

int
keyfile_set_text(void *into, const struct keyfile_key *key, const char *value,
    struct err *err)
{
	size_t size = strlen(value) + 1;

	if (size > key->room)
		return err_set(err, ERR_USAGE, "%s is longer than %zu bytes",
		    key->name, key->room - 1);
	memcpy((char *)into + key->at, value, size);
	return 0;
}

int
keyfile_set_path(void *into, const struct keyfile_key *key, const char *value,
    struct err *err)
{
	if (value[0] != '/')
		return err_set(err, ERR_USAGE, "%s must be an absolute path",
		    key->name);
	return keyfile_set_text(into, key, value, err);
}

int
keyfile_set_number(void *into, const struct keyfile_key *key,
    const char *value, struct err *err)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(value, &end, 10);
	if (!isdigit((unsigned char)value[0]) || *end != '\0' || errno != 0 ||
	    n < key->min || n > key->max)
		return err_set(err, ERR_USAGE, "%s is a number of %ld to %ld",
		    key->name, key->min, key->max);
	memcpy((char *)into + key->at, &n, sizeof(n));
	return 0;
}

int
keyfile_set_log_level(void *into, const struct keyfile_key *key,
    const char *value, struct err *err)
{
	enum log_level level;

	if (log_level_parse(value, &level) < 0)
		return err_set(err, ERR_USAGE,
		    "%s is error, warning, info or debug", key->name);
	memcpy((char *)into + key->at, &level, sizeof(level));
	return 0;
}

int
keyfile_set_flag(void *into, const struct keyfile_key *key, const char *value,
    struct err *err)
{
	bool flag = strcmp(value, "yes") == 0;

	if (!flag && strcmp(value, "no") != 0)
		return err_set(err, ERR_USAGE, "%s is 'yes' or 'no'",
		    key->name);
	memcpy((char *)into + key->at, &flag, sizeof(flag));
	return 0;
}

static int
set_key(struct reading *r, const char *section, const char *name,
    const char *value)
{
	for (size_t i = 0; i < r->count; i++) {
		const struct keyfile_key *key = &r->keys[i];

		if (strcmp(key->section, section) != 0 ||
		    strcmp(key->name, name) != 0)
			continue;
		if (r->seen >> i & 1)
			return err_set(&r->why, ERR_USAGE, "'%s' was set "
			    "before (a line that begins with a space goes on "
			    "with the one above it)", name);
		r->seen |= UINT64_C(1) << i;
		return key->set(r->into, key, value, &r->why);
	}
	return err_set(&r->why, ERR_USAGE, "unknown key '%s' in section [%s]",
	    name, section);
}

/* For inih: 0 makes the line's number its result. */
static int
on_key(void *user, const char *section, const char *name, const char *value)
{
	struct reading *r = user;

	if (r->bad_line != 0 || set_key(r, section, name, value) == 0)
		return 1;
	r->bad_line = r->line;
	return 0;
}

static bool
section_is_known(const struct reading *r, const char *name, size_t size)
{
	for (size_t i = 0; i < r->count; i++)
		if (strlen(r->keys[i].section) == size &&
		    memcmp(r->keys[i].section, name, size) == 0)
			return true;
	return false;
}

/* Stops inih at what it would pass over: the head of a section without keys,
 * and the rest of a line that does not fit, which it takes for another one. */
static int
check_line(struct reading *r, const char *line, int size)
{
	const char *head = line + strspn(line, " \t"), *end;

	if (strchr(line, '\n') == NULL && !feof(r->file))
		return err_set(&r->why, ERR_USAGE,
		    "the line is longer than %d bytes", size - 2);
	if (head[0] == '[' && (end = strchr(head, ']')) != NULL &&
	    !section_is_known(r, head + 1, (size_t)(end - head - 1)))
		return err_set(&r->why, ERR_USAGE, "unknown section [%.*s]",
		    (int)(end - head - 1), head + 1);
	return 0;
}

static char *
next_line(char *out, int size, void *stream)
{
	struct reading *r = stream;

	if (r->bad_line != 0 || fgets(out, size, r->file) == NULL)
		return NULL;
	r->line++;
	if (check_line(r, out, size) < 0) {
		r->bad_line = r->line;
		return NULL;
	}
	return out;
}

static int
check_required(const struct reading *r, const char *file, struct err *err)
{
	for (size_t i = 0; i < r->count; i++)
		if (r->keys[i].required && !(r->seen >> i & 1))
			return err_set(err, ERR_USAGE, "%s: section [%s] needs "
			    "'%s'", file, r->keys[i].section, r->keys[i].name);
	return 0;
}

int
keyfile_read(const char *file, bool must_exist,
    const struct keyfile_key *keys, size_t count, void *into, struct err *err)
{
	struct reading r = { .keys = keys, .count = count, .into = into };
	int line, failed;

	if (count > KEYFILE_KEYS_MAX)
		return err_set(err, ERR_INTERNAL, "%zu keys are too many",
		    count);
	if ((r.file = fopen(file, "re")) == NULL) {
		if (errno == ENOENT && !must_exist)
			return check_required(&r, file, err);
		return err_sys(err, errno,
		    "cannot read the configuration file %s", file);
	}
	line = ini_parse_stream(next_line, &r, on_key, &r);
	failed = ferror(r.file);
	fclose(r.file);
	if (line < 0 || failed)
		return err_set(err, ERR_SYSTEM,
		    "cannot read the configuration file %s", file);
	/* A line that is no key at all stands before what we refused. */
	if (line > 0 && (r.bad_line == 0 || line < r.bad_line))
		return err_set(err, ERR_USAGE,
		    "%s, line %d: not 'key = value'", file, line);
	if (r.bad_line > 0)
		return err_set(err, ERR_USAGE, "%s, line %d: %s", file,
		    r.bad_line, r.why.text);
	return check_required(&r, file, err);
}
