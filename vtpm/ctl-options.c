/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <string.h>

#include "vtpm/vtpmctl.h"

#define N_SHARED 5

/* Fills `options` with the ones that every command takes. */
static void
shared_options(struct ctl *ctl, struct ctl_option options[N_SHARED + 1])
{
	const struct ctl_option shared[N_SHARED + 1] = {
		{ "passphrase-fd", "N", "open the file with the passphrase "
		    "read from descriptor N", &ctl->passphrase_fd, NULL },
		{ "state-dir", "DIR", "where this host keeps its key, records "
		    "and EK CA", &ctl->state_dir, NULL },
		{ "config", "FILE", "read FILE instead of vtpmd.conf",
		    &ctl->config_file, NULL },
		{ "json", NULL, "print JSON, errors too", NULL, &ctl->json },
		{ "help", NULL, "print this", NULL, &ctl->help },
	};

	memcpy(options, shared, sizeof(shared));
}

static const struct ctl_option *
find(const struct ctl_option *options, const char *name, size_t length)
{
	for (; options != NULL && options->name != NULL; options++)
		if (strlen(options->name) == length &&
		    memcmp(options->name, name, length) == 0)
			return options;
	return NULL;
}

/* argv[*i] is "--NAME", "--NAME=VALUE" or "-h". Moves *i to the last argument
 * that belongs to it. */
static int
parse_option(struct ctl *ctl, const struct ctl_option *own, int argc,
    char **argv, int *i, struct err *err)
{
	const char *name = argv[*i] + 2, *equals = strchr(name, '=');
	size_t length = equals != NULL ? (size_t)(equals - name) : strlen(name);
	struct ctl_option shared[N_SHARED + 1];
	const struct ctl_option *o;

	if (strcmp(argv[*i], "-h") == 0) {
		ctl->help = true;
		return 0;
	}
	shared_options(ctl, shared);
	if ((o = find(own, name, length)) == NULL)
		o = find(shared, name, length);
	if (strncmp(argv[*i], "--", 2) != 0 || o == NULL)
		return err_set(err, ERR_USAGE, "unknown option %s; try "
		    "vtpmctl %s%s--help", argv[*i],
		    ctl->command != NULL ? ctl->command->name : "",
		    ctl->command != NULL ? " " : "");
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
	*o->value = equals != NULL ? equals + 1 : argv[++*i];
	return 0;
}

static bool
is_option(const char *argument)
{
	return argument[0] == '-' && argument[1] != '\0';
}

int
ctl_options_global(struct ctl *ctl, int argc, char **argv, int *used,
    struct err *err)
{
	int i, rc;

	for (i = 0; i < argc && is_option(argv[i]); i++)
		if ((rc = parse_option(ctl, NULL, argc, argv, &i, err)) < 0)
			return rc;
	*used = i;
	return 0;
}

int
ctl_options_parse(struct ctl *ctl, int argc, char **argv, struct err *err)
{
	bool options_end = false;
	size_t n = 0;
	int rc;

	for (int i = 0; i < argc; i++) {
		if (!options_end && strcmp(argv[i], "--") == 0) {
			options_end = true;
			continue;
		}
		if (!options_end && is_option(argv[i])) {
			rc = parse_option(ctl, ctl->command->options, argc,
			    argv, &i, err);
			if (rc < 0)
				return rc;
			continue;
		}
		if (n == (ctl->command->operands_many ? OPERANDS_MAX :
		    ctl->command->n_operands))
			return err_set(err, ERR_USAGE, "one argument too "
			    "many: %s; try vtpmctl %s --help", argv[i],
			    ctl->command->name);
		ctl->operands[n++] = argv[i];
	}
	ctl->n_given = n;
	if (n < ctl->command->n_operands && !ctl->help &&
	    !ctl->command->operands_optional)
		return err_set(err, ERR_USAGE, "usage: vtpmctl %s [OPTIONS] "
		    "%s; try vtpmctl %s --help", ctl->command->name,
		    ctl->command->operands, ctl->command->name);
	return 0;
}

static void
print_options(const struct ctl_option *o)
{
	char left[40];

	for (; o != NULL && o->name != NULL; o++) {
		snprintf(left, sizeof(left), "--%s%s%s", o->name,
		    o->argument != NULL ? " " : "",
		    o->argument != NULL ? o->argument : "");
		printf("  %-26s %s\n", left, o->help);
	}
}

void
ctl_options_help(const struct ctl_command *command)
{
	struct ctl_option shared[N_SHARED + 1];
	struct ctl unused;

	shared_options(&unused, shared);
	printf("Usage: vtpmctl %s [OPTIONS]%s%s\n\n%s.\n", command->name,
	    command->operands[0] != '\0' ? " " : "", command->operands,
	    command->summary);
	if (command->details != NULL)
		printf("\n%s", command->details);
	printf("\nOptions:\n");
	print_options(command->options);
	print_options(shared);
}
