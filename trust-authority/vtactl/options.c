/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trust-authority/vtactl/vtactl.h"

#define N_SHARED 3

/* Fills `options` with the ones that every command takes. */
static void
shared_options(struct vtactl *v, struct option options[N_SHARED + 1])
{
	const struct option shared[N_SHARED + 1] = {
		{ "config", "FILE", "read FILE instead of " SYSCONFDIR
		    "/vta/vtactl.conf", &v->config_file, NULL, NULL },
		{ "json", NULL, "print JSON, errors too", NULL, &v->json,
		    NULL },
		{ "help", NULL, "print this", NULL, &v->help, NULL },
	};

	memcpy(options, shared, sizeof(shared));
}

static const struct option *
find(const struct option *options, const char *name, size_t length)
{
	for (; options != NULL && options->name != NULL; options++)
		if (strlen(options->name) == length &&
		    memcmp(options->name, name, length) == 0)
			return options;
	return NULL;
}

/* "a,b" are two. argv is ours, and stays. */
static int
add_to_list(const struct option *o, char *value, struct err *err)
{
	char *save = NULL;

	for (char *word = strtok_r(value, ",", &save); word != NULL;
	    word = strtok_r(NULL, ",", &save)) {
		if (o->list->count == LIST_MAX)
			return err_set(err, ERR_USAGE, "--%s: at most %d",
			    o->name, LIST_MAX);
		o->list->text[o->list->count++] = word;
	}
	return 0;
}

/* argv[*i] is "--NAME", "--NAME=VALUE" or "-h". Moves *i to the last argument
 * that belongs to it. */
static int
parse_option(struct vtactl *v, const struct option *own, int argc,
    char **argv, int *i, struct err *err)
{
	char *name = argv[*i] + 2, *equals = strchr(argv[*i], '='), *value;
	size_t length = equals != NULL ? (size_t)(equals - name) : strlen(name);
	struct option shared[N_SHARED + 1];
	const struct option *o;

	if (strcmp(argv[*i], "-h") == 0) {
		v->help = true;
		return 0;
	}
	shared_options(v, shared);
	if (strncmp(argv[*i], "--", 2) != 0 ||
	    ((o = find(own, name, length)) == NULL &&
	    (o = find(shared, name, length)) == NULL))
		return err_set(err, ERR_USAGE, "unknown option %s; try "
		    "vtactl %s%s--help", argv[*i],
		    v->command != NULL ? v->command->name : "",
		    v->command != NULL ? " " : "");
	if (o->flag != NULL) {
		if (equals != NULL)
			return err_set(err, ERR_USAGE,
			    "--%s takes no argument", o->name);
		*o->flag = true;
		return 0;
	}
	if (equals == NULL && *i + 1 == argc)
		return err_set(err, ERR_USAGE, "--%s needs an argument: %s",
		    o->name, o->argument);
	value = equals != NULL ? equals + 1 : argv[++*i];
	if (o->list != NULL)
		return add_to_list(o, value, err);
	*o->value = value;
	return 0;
}

static bool
is_option(const char *argument)
{
	return argument[0] == '-' && argument[1] != '\0';
}

int
options_global(struct vtactl *v, int argc, char **argv, int *used,
    struct err *err)
{
	int i, rc;

	for (i = 0; i < argc && is_option(argv[i]); i++)
		if ((rc = parse_option(v, NULL, argc, argv, &i, err)) < 0)
			return rc;
	*used = i;
	return 0;
}

int
options_parse(struct vtactl *v, int argc, char **argv, struct err *err)
{
	const struct command *c = v->command;
	bool options_end = false;
	int rc;

	for (int i = 0; i < argc; i++) {
		if (!options_end && strcmp(argv[i], "--") == 0) {
			options_end = true;
			continue;
		}
		if (!options_end && is_option(argv[i])) {
			rc = parse_option(v, c->options, argc, argv, &i, err);
			if (rc < 0)
				return rc;
			continue;
		}
		if (v->n_operands == c->most)
			return err_set(err, ERR_USAGE, "one argument too "
			    "many: %s; try vtactl %s --help", argv[i],
			    c->name);
		v->operands[v->n_operands++] = argv[i];
	}
	if (v->n_operands < c->least && !v->help)
		return err_set(err, ERR_USAGE, "usage: vtactl %s [OPTIONS] "
		    "%s; try vtactl %s --help", c->name, c->operands, c->name);
	return 0;
}

static void
print_options(const struct option *o)
{
	char left[48];

	for (; o != NULL && o->name != NULL; o++) {
		snprintf(left, sizeof(left), "--%s%s%s", o->name,
		    o->argument != NULL ? " " : "",
		    o->argument != NULL ? o->argument : "");
		printf("  %-26s %s\n", left, o->help);
	}
}

void
options_help(const struct command *command)
{
	struct option shared[N_SHARED + 1];
	struct vtactl unused;

	shared_options(&unused, shared);
	printf("Usage: vtactl %s [OPTIONS]%s%s\n\n%s.\n", command->name,
	    command->operands[0] != '\0' ? " " : "", command->operands,
	    command->summary);
	if (command->details != NULL)
		printf("\n%s", command->details);
	printf("\nOptions:\n");
	print_options(command->options);
	print_options(shared);
}

int
option_number(const char *name, const char *text, long least, long most,
    long *out, struct err *err)
{
	char *end;
	long n;

	if (text == NULL)
		return 0;
	errno = 0;
	n = strtol(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || n < least || n > most)
		return err_set(err, ERR_USAGE, "--%s is a number from %ld to "
		    "%ld, not '%s'", name, least, most, text);
	*out = n;
	return 0;
}

int
option_flag(const char *name, const char *text, bool *out, struct err *err)
{
	if (text == NULL)
		return 0;
	if (strcmp(text, "yes") != 0 && strcmp(text, "no") != 0)
		return err_set(err, ERR_USAGE, "--%s is yes or no, not '%s'",
		    name, text);
	*out = strcmp(text, "yes") == 0;
	return 0;
}
