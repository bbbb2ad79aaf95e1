/* SPDX-License-Identifier: BSD-3-Clause */
#include <config.h>

#include "trust-authority/vtactl/vtactl.h"

#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "trust-authority/common/memory.h"

/* In the order in which an authority is set up and lived with. */
static const struct command *const tables[] = {
	init_commands, admin_commands, renew_commands, kms_commands,
	ek_ca_commands, host_export_commands, host_commands, policy_commands,
	group_commands,
	grant_commands, vm_commands, ca_commands, status_commands,
	audit_commands,
};
#define N_TABLES (sizeof(tables) / sizeof(tables[0]))

static const struct command *
command_next(const struct command *c, size_t *table)
{
	if (c == NULL) {
		*table = 0;
		return tables[0];
	}
	if ((++c)->name != NULL)
		return c;
	return ++*table < N_TABLES ? tables[*table] : NULL;
}

static void
help(void)
{
	const struct command *c = NULL;
	char left[96];
	size_t table;

	printf("Usage: vtactl [--json] [--config FILE] COMMAND ...\n"
	    "       vtactl --help | --version\n\n"
	    "Sets up the trust authority and lives with it: hosts, what may "
	    "run on them,\nwhich VMs' keys they get, and who decides that.\n\n"
	    "Commands:\n");
	while ((c = command_next(c, &table)) != NULL) {
		snprintf(left, sizeof(left), "%s %s", c->name, c->operands);
		printf("  %-34s %s\n", left, c->summary);
	}
	printf("\nvtactl COMMAND --help tells a command's options.\n");
}

/* How many words of argv are the command's name; 0: none of them. */
static int
words_matched(const char *name, int argc, char **argv)
{
	const char *space = strchr(name, ' ');
	size_t first = space != NULL ? (size_t)(space - name) : strlen(name);

	if (argc < 1 || strlen(argv[0]) != first ||
	    memcmp(argv[0], name, first) != 0)
		return 0;
	if (space == NULL)
		return 1;
	return argc >= 2 && strcmp(argv[1], space + 1) == 0 ? 2 : 0;
}

static int
unknown_command(int argc, char **argv, struct err *err)
{
	size_t n = argc > 0 ? strlen(argv[0]) : 0, table;
	const struct command *c = NULL;
	char known[256] = "";

	if (argc == 0)
		return err_set(err, ERR_USAGE,
		    "no command given; try vtactl --help");
	while ((c = command_next(c, &table)) != NULL)
		if (strncmp(c->name, argv[0], n) == 0 && c->name[n] == ' ')
			snprintf(known + strlen(known),
			    sizeof(known) - strlen(known), "%s%s",
			    known[0] != '\0' ? ", " : "", c->name + n + 1);
	if (known[0] != '\0')
		return err_set(err, ERR_USAGE, "vtactl %s is followed by one "
		    "of: %s", argv[0], known);
	return err_set(err, ERR_USAGE, "unknown command '%s'; try "
	    "vtactl --help", argv[0]);
}

static int
find_command(struct vtactl *v, int argc, char **argv, int *used,
    struct err *err)
{
	const struct command *c = NULL;
	size_t table;

	while ((c = command_next(c, &table)) != NULL)
		if ((*used = words_matched(c->name, argc, argv)) > 0) {
			v->command = c;
			return 0;
		}
	return unknown_command(argc, argv, err);
}

static int
run(struct vtactl *v, int argc, char **argv, struct err *err)
{
	int used, rc;

	if (argc == 1 && strcmp(argv[0], "--version") == 0) {
		printf("vtactl %s\n", PACKAGE_VERSION);
		return 0;
	}
	if ((rc = options_global(v, argc, argv, &used, err)) < 0)
		return rc;
	argc -= used;
	argv += used;
	if (v->help) {
		help();
		return 0;
	}
	if ((rc = find_command(v, argc, argv, &used, err)) < 0)
		return rc;
	if ((rc = options_parse(v, argc - used, argv + used, err)) < 0)
		return rc;
	if (v->help) {
		options_help(v->command);
		return 0;
	}
	return v->command->run(v, err);
}

/* Private keys pass through: no core dump, no ptrace, JSON cleansed. Memory is
 * locked for root alone: others' limit would let a large policy fail half-way
 * through. What cannot be had here is no reason to refuse. */
static void
hide_memory(void)
{
	const struct rlimit none = { 0, 0 };

	if (geteuid() == 0) {
		(void)memory_guard(NULL);
		return;
	}
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	(void)setrlimit(RLIMIT_CORE, &none);
}

/* --json behind a mistake still means that the error is to be JSON. */
static bool
wants_json(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (strcmp(argv[i], "--json") == 0)
			return true;
	return false;
}

int
main(int argc, char **argv)
{
	struct vtactl v = { .json = wants_json(argc, argv) };
	struct err err = { 0 };
	int rc;

	hide_memory();
	(void)log_open("-", "vtactl", LOG_LEVEL_WARNING, NULL);
	rc = run(&v, argc - 1, argv + 1, &err);
	/* A command that has said all and is not content gives a code without
	 * a text. */
	if (rc < 0 && err.text[0] != '\0')
		print_error(&v, &err);
	vtactl_reset(&v);
	return err_exit_status(rc);
}
