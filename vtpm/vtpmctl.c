/* SPDX-License-Identifier: BSD-3-Clause */
#include "vtpm/vtpmctl.h"

#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

static const struct ctl_command *const commands[] = {
	&ctl_create,
	&ctl_info,
	&ctl_verify,
	&ctl_protector_list,
	&ctl_protector_add,
	&ctl_protector_remove,
	&ctl_cert_list,
	&ctl_cert_export,
	&ctl_rekey,
	&ctl_accept_restore,
	&ctl_destroy,
	&ctl_export,
	&ctl_import,
	&ctl_migrate_check,
	&ctl_migrate_key,
	&ctl_upgrade,
	&ctl_windows_check,
	&ctl_libvirt_enable,
	&ctl_libvirt_disable,
	&ctl_libvirt_status,
	&ctl_agent_status,
	&ctl_version,
};
#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void
help(void)
{
	char left[64];

	printf("Usage: vtpmctl [--json] [--state-dir DIR] COMMAND ...\n"
	    "       vtpmctl --help | --version\n\n"
	    "Makes, inspects and changes the nvram files of virtual TPMs.\n\n"
	    "Commands:\n");
	for (size_t i = 0; i < N_COMMANDS; i++) {
		snprintf(left, sizeof(left), "%s %s", commands[i]->name,
		    commands[i]->operands);
		printf("  %-32s %s\n", left, commands[i]->summary);
	}
	printf("\nvtpmctl COMMAND --help tells a command's options.\n");
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
	size_t n = argc > 0 ? strlen(argv[0]) : 0;
	char known[256] = "";

	if (argc == 0)
		return err_set(err, ERR_USAGE,
		    "no command given; try vtpmctl --help");
	for (size_t i = 0; i < N_COMMANDS; i++)
		if (strncmp(commands[i]->name, argv[0], n) == 0 &&
		    commands[i]->name[n] == ' ')
			snprintf(known + strlen(known),
			    sizeof(known) - strlen(known), "%s%s",
			    known[0] != '\0' ? ", " : "",
			    commands[i]->name + n + 1);
	if (known[0] != '\0')
		return err_set(err, ERR_USAGE, "vtpmctl %s is followed by one "
		    "of: %s", argv[0], known);
	return err_set(err, ERR_USAGE, "unknown command '%s'; try "
	    "vtpmctl --help", argv[0]);
}

static int
find_command(struct ctl *ctl, int argc, char **argv, int *used,
    struct err *err)
{
	for (size_t i = 0; i < N_COMMANDS; i++)
		if ((*used = words_matched(commands[i]->name, argc,
		    argv)) > 0) {
			ctl->command = commands[i];
			return 0;
		}
	return unknown_command(argc, argv, err);
}

static int
run(struct ctl *ctl, int argc, char **argv, struct err *err)
{
	static char version[] = "version";
	int used, rc;

	/* As vtpmd and vtpm-qemu have it. */
	if (argc == 1 && strcmp(argv[0], "--version") == 0)
		argv[0] = version;
	if ((rc = ctl_options_global(ctl, argc, argv, &used, err)) < 0)
		return rc;
	argc -= used;
	argv += used;
	if (ctl->help) {
		help();
		return 0;
	}
	if ((rc = find_command(ctl, argc, argv, &used, err)) < 0)
		return rc;
	if ((rc = ctl_options_parse(ctl, argc - used, argv + used, err)) < 0)
		return rc;
	if (ctl->help) {
		ctl_options_help(ctl->command);
		return 0;
	}
	return ctl->command->run(ctl, err);
}

/* Keys and TPM states pass through this process: no core dump, no ptrace by
 * others of the same user. Both can only fail where they are not needed. */
static void
hide_memory(void)
{
	const struct rlimit none = { 0, 0 };

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
	struct ctl ctl = { .json = wants_json(argc, argv) };
	struct err err = { 0 };
	int rc;

	hide_memory();
	/* Lines of libraries below (a torn slot) must not mix with data. */
	(void)log_open("-", "vtpmctl", LOG_LEVEL_WARNING, NULL);
	rc = run(&ctl, argc - 1, argv + 1, &err);
	if (rc < 0)
		ctl_print_error(&ctl, &err);
	ctl_reset(&ctl);
	return err_exit_status(rc);
}
