/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vtpm-qemu: runs QEMU with a vTPM. Exit status: QEMU's own, 128 + n when
 * signal n ended it, 126 or 127 when it cannot be executed; vtpmd's when that
 * fails before QEMU starts, 128 + n for a signal then; 1 when QEMU ended well
 * but vtpmd had died under it; else as err_exit_status() (2 usage).
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "qemu-glue/argv.h"
#include "qemu-glue/child.h"
#include "qemu-glue/emulator.h"
#include "qemu-glue/firmware.h"
#include "qemu-glue/passphrase.h"
#include "qemu-glue/vbs.h"

/* QEMU closes the control channel a moment before it ends itself; vtpmd's
 * good end is news only when QEMU has not followed after this long. */
#define FOLLOW_MS 3000

struct options {
	struct emulator_options emulator;
	const char *model;	/* tpm-crb, tpm-tis */
	const char *firmware_dir;
	char *vars;
	bool vbs;
	char *const *qemu;	/* program and arguments, to a NULL */
};

static const char usage_text[] =
"usage: vtpm-qemu --nvram FILE [options] [--] qemu-system-x86_64 ARGS...\n"
"Runs QEMU with a TPM 2.0 whose state is the encrypted FILE of vtpmctl(8).\n"
"\n"
"  --nvram FILE          the vTPM\n"
"  --vbs                 all that Windows VBS asks: q35 with SMM, UEFI Secure\n"
"                        Boot, IOMMU, nested virtualisation, enlightenments\n"
"  --vars FILE           variable store with --vbs (NVRAM-FILE.vars.fd)\n"
"  --firmware-dir DIR    firmware descriptors with --vbs (QEMU's)\n"
"  --tpm-model crb|tis   the guest's interface (crb)\n"
"  --vtpmd PATH          the vtpmd to run (beside vtpm-qemu, then PATH)\n"
"  --state-dir DIR, --passphrase-fd N, --log FILE|syslog, --log-level LEVEL,\n"
"  --user USER, --config FILE, --agent SOCKET\n"
"                        handed on to vtpmd\n"
"  --help, --version\n";

static int
usage_error(struct err *err)
{
	fprintf(stderr, "vtpm-qemu: %s\nTry vtpm-qemu --help.\n", err->text);
	return err_exit_status(ERR_USAGE);
}

static int
parse_fd(const char *text, int *fd, struct err *err)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || n < 0 ||
	    n > INT_MAX || fcntl((int)n, F_GETFD) < 0)
		return err_set(err, ERR_USAGE, "--passphrase-fd %s is not an "
		    "open descriptor", text);
	*fd = (int)n;
	/* vtpmd alone gets it. */
	if (n > 2)
		fcntl(*fd, F_SETFD, FD_CLOEXEC);
	return 0;
}

enum { OPT_NVRAM = 256, OPT_VBS, OPT_VARS, OPT_FIRMWARE, OPT_MODEL, OPT_VTPMD,
	OPT_STATE, OPT_PASSPHRASE, OPT_LOG, OPT_LEVEL, OPT_USER,
	OPT_CONFIG, OPT_AGENT, OPT_HELP, OPT_VERSION };

static const struct option long_options[] = {
	{ "nvram", required_argument, NULL, OPT_NVRAM },
	{ "vbs", no_argument, NULL, OPT_VBS },
	{ "vars", required_argument, NULL, OPT_VARS },
	{ "firmware-dir", required_argument, NULL, OPT_FIRMWARE },
	{ "tpm-model", required_argument, NULL, OPT_MODEL },
	{ "vtpmd", required_argument, NULL, OPT_VTPMD },
	{ "state-dir", required_argument, NULL, OPT_STATE },
	{ "passphrase-fd", required_argument, NULL, OPT_PASSPHRASE },
	{ "log", required_argument, NULL, OPT_LOG },
	{ "log-level", required_argument, NULL, OPT_LEVEL },
	{ "user", required_argument, NULL, OPT_USER },
	{ "config", required_argument, NULL, OPT_CONFIG },
	{ "agent", required_argument, NULL, OPT_AGENT },
	{ "help", no_argument, NULL, OPT_HELP },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ NULL, 0, NULL, 0 },
};

static int
parse_model(const char *text, const char **model, struct err *err)
{
	if (strcmp(text, "crb") == 0)
		*model = "tpm-crb";
	else if (strcmp(text, "tis") == 0)
		*model = "tpm-tis";
	else
		return err_set(err, ERR_USAGE, "--tpm-model %s is neither crb "
		    "nor tis", text);
	return 0;
}

/* Takes one option; getopt has complained of unknown ones. */
static int
take(struct options *opt, int c, char *value, struct err *err)
{
	switch (c) {
	case OPT_NVRAM:
		opt->emulator.nvram = value;
		return 0;
	case OPT_VBS:
		opt->vbs = true;
		return 0;
	case OPT_VARS:
		free(opt->vars);
		opt->vars = strdup(value);
		return 0;
	case OPT_FIRMWARE:
		opt->firmware_dir = value;
		return 0;
	case OPT_MODEL:
		return parse_model(value, &opt->model, err);
	case OPT_VTPMD:
		opt->emulator.program = value;
		return 0;
	case OPT_STATE:
		opt->emulator.state_dir = value;
		return 0;
	case OPT_PASSPHRASE:
		return parse_fd(value, &opt->emulator.passphrase_fd, err);
	case OPT_LOG:
		opt->emulator.log = value;
		return 0;
	case OPT_LEVEL:
		opt->emulator.log_level = value;
		return 0;
	case OPT_USER:
		opt->emulator.user = value;
		return 0;
	case OPT_CONFIG:
		opt->emulator.config = value;
		return 0;
	case OPT_AGENT:
		opt->emulator.agent = value;
		return 0;
	case OPT_HELP:
		fputs(usage_text, stdout);
		exit(0);
	case OPT_VERSION:
		puts("vtpm-qemu " PACKAGE_VERSION);
		exit(0);
	default:
		return err_set(err, ERR_USAGE, "the options are not right");
	}
}

/* What would leave the guest with two TPMs or ours with no socket. */
static int
check_user(char *const *user, struct err *err)
{
	for (; *user != NULL; user++) {
		const char *value = user[1] != NULL ? user[1] : "";

		if (argv_is_option(*user, "tpmdev") ||
		    (argv_is_option(*user, "device") &&
		    strncmp(value, "tpm-", 4) == 0))
			return err_set(err, ERR_USAGE, "\"%s %s\": vtpm-qemu "
			    "adds the TPM itself; choose its interface with "
			    "--tpm-model", *user, value);
		if (argv_is_option(*user, "chardev") &&
		    strstr(value, "id=chrtpm") != NULL)
			return err_set(err, ERR_USAGE, "\"%s %s\": the name "
			    "chrtpm is vtpm-qemu's own", *user, value);
		if (argv_is_option(*user, "daemonize"))
			return err_set(err, ERR_USAGE, "-daemonize would take "
			    "QEMU out of vtpm-qemu's sight; run vtpm-qemu "
			    "itself in the background");
	}
	return 0;
}

static int
parse(struct options *opt, int argc, char **argv, struct err *err)
{
	int c, rc;

	while ((c = getopt_long(argc, argv, "+", long_options, NULL)) != -1) {
		rc = take(opt, c, optarg, err);
		if (rc < 0)
			return rc;
	}
	if (opt->emulator.nvram == NULL)
		return err_set(err, ERR_USAGE, "--nvram FILE is missing");
	if (optind == argc)
		return err_set(err, ERR_USAGE, "no QEMU to run is named");
	opt->qemu = argv + optind;
	if (!opt->vbs && (opt->vars != NULL || opt->firmware_dir != NULL))
		return err_set(err, ERR_USAGE, "--vars and --firmware-dir "
		    "have a meaning with --vbs only");
	if (opt->vars == NULL &&
	    asprintf(&opt->vars, "%s.vars.fd", opt->emulator.nvram) < 0)
		return err_set(err, ERR_INTERNAL, "out of memory");
	return check_user(opt->qemu + 1, err);
}

/* The vtpmd that was installed or built with us, or the one in PATH. */
static const char *
find_vtpmd(char path[PATH_MAX])
{
	ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - 8);
	char *slash;

	if (n > 0) {
		path[n] = '\0';
		slash = strrchr(path, '/');
		memcpy(slash + 1, "vtpmd", sizeof("vtpmd"));
		if (access(path, X_OK) == 0)
			return path;
	}
	return "vtpmd";
}

static int
build_qemu(struct argv *argv, const struct options *opt, struct firmware *fw,
    struct err *err)
{
	struct vbs_options vbs = { .vars = opt->vars,
		.firmware_dir = opt->firmware_dir, .user = opt->qemu + 1 };
	int rc = 0;

	argv_add(argv, opt->qemu[0]);
	if (opt->vbs)
		rc = vbs_add(argv, &vbs, fw, err);
	if (rc < 0)
		return rc;
	for (char *const *word = opt->qemu + 1; *word != NULL; word++)
		argv_add(argv, *word);
	return 0;
}

static int
add_tpm(struct argv *argv, const struct options *opt, int ctrl,
    struct err *err)
{
	argv_add(argv, "-chardev");
	argv_addf(argv, "socket,id=chrtpm,fd=%d", ctrl);
	argv_add(argv, "-tpmdev");
	argv_add(argv, "emulator,id=tpm0,chardev=chrtpm");
	argv_add(argv, "-device");
	argv_addf(argv, "%s,tpmdev=tpm0", opt->model);
	if (argv->failed)
		return err_set(err, ERR_INTERNAL, "out of memory");
	return 0;
}

static void
say_vtpmd_died(const struct child *vtpmd)
{
	char how[80];

	child_describe(vtpmd, how, sizeof(how));
	fprintf(stderr, "vtpm-qemu: vtpmd %s while QEMU runs. The guest's TPM "
	    "does not answer any more, and QEMU will end at the guest's next "
	    "reset. What the TPM had told the guest is stored: shut the guest "
	    "down and start it again.\n", how);
}

/* Until QEMU has ended. True when vtpmd ended before its time. */
static bool
supervise(struct child *qemu, struct child *vtpmd, int signals)
{
	bool died = false, follow = false;

	for (;;) {
		int number = 0, what;
		bool sent = false;

		what = child_wait_signal(signals, -1, follow ? FOLLOW_MS : -1,
		    &number, &sent);
		if (what == 0 && follow) {
			follow = false;
			died = true;
			say_vtpmd_died(vtpmd);
		}
		if (what != 1)
			continue;
		if (number != SIGCHLD) {
			if (sent)
				kill(qemu->pid, number);
			continue;
		}
		if (child_reap(vtpmd)) {
			follow = child_exit_status(vtpmd) == 0;
			died = !follow;
			if (died)
				say_vtpmd_died(vtpmd);
		}
		if (child_reap(qemu))
			return died;
	}
}

/* vtpmd, which listens then at *ctrl. */
static int
start_vtpmd(struct child *vtpmd, struct options *opt, int signals, int *ctrl,
    int *status, struct err *err)
{
	static char sibling[PATH_MAX];	/* *opt keeps it */
	int rc;

	if (opt->emulator.program == NULL)
		opt->emulator.program = find_vtpmd(sibling);
	rc = passphrase_take(&opt->emulator.passphrase_fd, opt->emulator.nvram,
	    signals, status, err);
	if (rc == 0)
		rc = *ctrl = emulator_start(vtpmd, &opt->emulator, signals,
		    status, err);
	if (opt->emulator.passphrase_fd > 2)
		close(opt->emulator.passphrase_fd);
	opt->emulator.passphrase_fd = -1;
	return rc < 0 ? rc : 0;
}

static int
run(struct options *opt, struct err *err)
{
	struct child vtpmd = { 0 }, qemu = { 0 };
	struct argv argv = { 0 };
	struct child_spec spec = { .name = "QEMU", .keep_fd = -1 };
	struct firmware fw;
	int signals, ctrl = -1, status = 0, rc;
	bool died = false;

	rc = signals = child_signals(err);
	if (signals < 0)
		return err_exit_status(rc);
	rc = build_qemu(&argv, opt, &fw, err);
	if (rc == 0)
		rc = start_vtpmd(&vtpmd, opt, signals, &ctrl, &status, err);
	/* Not for a VM whose TPM does not open: the name may be a mistake. */
	if (rc == 0 && opt->vbs)
		rc = firmware_vars_make(&fw, opt->vars, err);
	if (rc >= 0)
		rc = add_tpm(&argv, opt, ctrl, err);
	if (rc < 0)
		goto out;
	spec.argv = argv.words;
	spec.keep_fd = ctrl;
	rc = child_start(&qemu, &spec, err);
	if (rc < 0)
		goto out;
	/* The end of the connection is QEMU's alone now. */
	close(ctrl);
	ctrl = -1;
	died = supervise(&qemu, &vtpmd, signals);
	status = child_exit_status(&qemu);
	if (status == 0 && died)
		status = 1;
out:
	if (ctrl >= 0)
		close(ctrl);
	/* The last state may not be on the disk. */
	if (!emulator_stop(&vtpmd, signals) && rc >= 0 && status == 0)
		status = 1;
	close(signals);
	argv_free(&argv);
	return rc < 0 && status == 0 ? err_exit_status(rc) : status;
}

int
main(int argc, char **argv)
{
	struct options opt = { .model = "tpm-crb",
		.emulator.passphrase_fd = -1 };
	struct err err = { 0 };
	int status;

	if (parse(&opt, argc, argv, &err) < 0) {
		status = usage_error(&err);
	} else {
		status = run(&opt, &err);
		if (err.code == ERR_USAGE)
			usage_error(&err);
		else if (err.code != 0)
			fprintf(stderr, "vtpm-qemu: %s\n", err.text);
	}
	free(opt.vars);
	return status;
}
