/* SPDX-License-Identifier: BSD-3-Clause */
#include "qemu-glue/argv.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Takes over word. */
static void
add(struct argv *a, char *word)
{
	char **words;

	if (word == NULL || a->failed) {
		free(word);
		a->failed = true;
		return;
	}
	words = reallocarray(a->words, a->count + 2, sizeof(*words));
	if (words == NULL) {
		free(word);
		a->failed = true;
		return;
	}
	words[a->count++] = word;
	words[a->count] = NULL;
	a->words = words;
}

void
argv_add(struct argv *a, const char *word)
{
	add(a, strdup(word));
}

void
argv_addf(struct argv *a, const char *fmt, ...)
{
	char *word = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&word, fmt, ap) < 0)
		word = NULL;
	va_end(ap);
	add(a, word);
}

void
argv_free(struct argv *a)
{
	for (size_t i = 0; i < a->count; i++)
		free(a->words[i]);
	free(a->words);
	*a = (struct argv){ 0 };
}

char *
argv_quote(const char *value)
{
	char *quoted = malloc(2 * strlen(value) + 1);
	char *out = quoted;

	if (quoted == NULL)
		return NULL;
	for (; *value != '\0'; value++) {
		if (*value == ',')
			*out++ = ',';
		*out++ = *value;
	}
	*out = '\0';
	return quoted;
}

bool
argv_is_option(const char *word, const char *name)
{
	if (*word++ != '-')
		return false;
	if (*word == '-')
		word++;
	return strcmp(word, name) == 0;
}
