/* SPDX-License-Identifier: BSD-3-Clause */
#include "qemu-glue/suboptions.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The rule for name, or NULL. */
static const char *
find_rule(const char *const *known, const char *name)
{
	size_t size = strlen(name);

	for (; *known != NULL; known++)
		if (strncmp(*known, name, size) == 0 &&
		    ((*known)[size] == '\0' || strcmp(*known + size, "=") == 0 ||
		    strcmp(*known + size, "?") == 0))
			return *known;
	return NULL;
}

static int
add(struct suboptions *s, char *item, const char *const *known,
    struct err *err)
{
	char *value = strchr(item, '=');
	const char *rule;
	char kind;

	if (value != NULL)
		*value++ = '\0';
	if ((rule = find_rule(known, item)) == NULL)
		return err_set(err, ERR_USAGE, "Error parsing %s options: "
		    "Unknown option '%s'", s->option, item);
	kind = rule[strlen(item)];
	if ((kind == '=' && value == NULL) || (kind == '\0' && value != NULL))
		return err_set(err, ERR_USAGE, "Error parsing %s options: "
		    "'%s' %s a value", s->option, item,
		    kind == '=' ? "needs" : "does not take");
	if (s->n == SUBOPTIONS_MAX)
		return err_set(err, ERR_USAGE, "%s: too many options",
		    s->option);
	s->items[s->n].name = item;
	s->items[s->n++].value = value;
	return 0;
}

int
suboptions_parse(struct suboptions *s, const char *option, const char *text,
    const char *const *known, struct err *err)
{
	char *rest, *item;
	int rc = 0;

	*s = (struct suboptions){ .option = option, .copy = strdup(text) };
	if ((rest = s->copy) == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	while (rc == 0 && (item = strsep(&rest, ",")) != NULL)
		if (*item != '\0')
			rc = add(s, item, known, err);
	if (rc < 0)
		suboptions_free(s);
	return rc;
}

void
suboptions_free(struct suboptions *s)
{
	free(s->copy);
	*s = (struct suboptions){ 0 };
}

bool
suboptions_has(const struct suboptions *s, const char *name)
{
	for (size_t i = 0; i < s->n; i++)
		if (strcmp(s->items[i].name, name) == 0)
			return true;
	return false;
}

const char *
suboptions_get(const struct suboptions *s, const char *name)
{
	for (size_t i = s->n; i > 0; i--)
		if (strcmp(s->items[i - 1].name, name) == 0)
			return s->items[i - 1].value;
	return NULL;
}

int
suboptions_flag(const struct suboptions *s, const char *name, bool *flag,
    struct err *err)
{
	const char *value = suboptions_get(s, name);

	if (!suboptions_has(s, name))
		return 0;
	if (value == NULL || strcmp(value, "true") == 0 ||
	    strcmp(value, "1") == 0)
		*flag = true;
	else if (strcmp(value, "false") == 0 || strcmp(value, "0") == 0)
		*flag = false;
	else
		return err_set(err, ERR_USAGE, "%s: %s is true or false, not "
		    "'%s'", s->option, name, value);
	return 0;
}

int
suboptions_number(const struct suboptions *s, const char *name, int base,
    unsigned long max, unsigned long *number, struct err *err)
{
	const char *value = suboptions_get(s, name);
	char *end;

	if (value == NULL)
		return 0;
	errno = 0;
	*number = strtoul(value, &end, base);
	if (*value < '0' || *value > '9' || *end != '\0' || errno != 0 ||
	    *number > max)
		return err_set(err, ERR_USAGE, "%s: '%s' is not a number for "
		    "%s, up to %lu", s->option, value, name, max);
	return 0;
}
