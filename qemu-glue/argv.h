/* SPDX-License-Identifier: BSD-3-Clause */
/* A growing argument vector, and questions about one of QEMU's. */
#ifndef QEMU_GLUE_ARGV_H
#define QEMU_GLUE_ARGV_H

#include <stdbool.h>
#include <stddef.h>

struct argv {
	char **words;	/* ends with NULL, for exec */
	size_t count;
	bool failed;	/* memory ran out: nothing may be run from it */
};

void argv_add(struct argv *a, const char *word);
void argv_addf(struct argv *a, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void argv_free(struct argv *a);

/* The text with every comma doubled, as QEMU's option parser wants it inside
 * a value (qemu util/keyval.c, qemu-option.c). The caller frees; NULL when
 * memory runs out. */
char *argv_quote(const char *value);

/* Is word QEMU's option name, with one dash or with two? */
bool argv_is_option(const char *word, const char *name);

#endif
