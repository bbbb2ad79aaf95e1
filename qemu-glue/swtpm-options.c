/* SPDX-License-Identifier: BSD-3-Clause */
#include "qemu-glue/swtpm-options.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "qemu-glue/suboptions.h"
#include "qemu-glue/swtpm-address.h"
#include "qemu-glue/swtpm-key.h"

static int
parse_ctrl(struct swtpm_options *o, const struct suboptions *s,
    struct err *err)
{
	const char *type = suboptions_get(s, "type");
	bool terminate = false;
	int fd, rc;

	if (type == NULL)
		return err_set(err, ERR_USAGE, "Missing control channel type");
	if ((rc = suboptions_flag(s, "terminate", &terminate, err)) < 0)
		return rc;
	o->terminate |= terminate;
	if (suboptions_has(s, "fd") && suboptions_has(s, "clientfd"))
		return err_set(err, ERR_USAGE, "fd and clientfd cannot both be "
		    "given");
	if (suboptions_has(s, "clientfd"))
		return swtpm_address_fd(s, "clientfd", &o->ctrl_client, err);
	if (!suboptions_has(s, "fd"))
		return swtpm_address(s, type, o->ctrl, err);
	if ((rc = swtpm_address_fd(s, "fd", &fd, err)) == 0)
		snprintf(o->ctrl, sizeof(o->ctrl), "fd:%d", fd);
	return rc;
}

static int
parse_server(struct swtpm_options *o, const struct suboptions *s,
    struct err *err)
{
	const char *type = suboptions_get(s, "type");
	int rc;

	o->relay.disconnect = suboptions_has(s, "disconnect");
	if (suboptions_has(s, "fd"))
		return swtpm_address_fd(s, "fd", &o->relay.data, err);
	if (suboptions_has(s, "simulator") &&
	    (rc = swtpm_address_next(s, o->platform, err)) < 0)
		return rc;
	return swtpm_address(s, type != NULL ? type : "tcp", o->server, err);
}

/* -- the rest -- */

static int
parse_flags(struct swtpm_options *o, const struct suboptions *s,
    struct err *err)
{
	if (suboptions_has(s, "startup-deactivated"))
		return err_set(err, ERR_USAGE, "startup-deactivated is for a "
		    "TPM 1.2, which there is not");
	if (suboptions_has(s, "disable-auto-shutdown"))
		return err_set(err, ERR_USAGE, "disable-auto-shutdown is not "
		    "available: vtpmd always sends the TPM2_Shutdown that a "
		    "guest owes");
	o->relay.init = suboptions_has(s, "not-need-init");
	if (suboptions_has(s, "startup-clear"))
		o->relay.startup = RELAY_STARTUP_CLEAR;
	if (suboptions_has(s, "startup-state"))
		o->relay.startup = RELAY_STARTUP_STATE;
	if (o->relay.startup != RELAY_STARTUP_NONE)
		o->relay.init = true;
	return 0;
}

static int
parse_locality(struct swtpm_options *o, const struct suboptions *s,
    struct err *err)
{
	(void)err;
	o->reject_locality_4 = suboptions_has(s, "reject-locality-4");
	o->relay.set_locality = suboptions_has(s, "allow-set-locality");
	return 0;
}

static int
parse_log(struct swtpm_options *o, const struct suboptions *s,
    struct err *err)
{
	/* swtpm's levels: the higher, the more; from 5 on all of libtpms's. */
	static const char *const levels[] = { "error", "info", "info", "info",
		"info", "debug" };
	const char *file = suboptions_get(s, "file");
	unsigned long level = 1;
	int fd, rc;

	if ((rc = suboptions_number(s, "level", 10, INT_MAX, &level,
	    err)) < 0)
		return rc;
	if (file == NULL && !suboptions_has(s, "fd"))
		return err_set(err, ERR_USAGE, "log: file= or fd= is missing");
	if (file != NULL)
		snprintf(o->log, sizeof(o->log), "%s", strcmp(file, "-") == 0 ?
		    "/dev/null" : file);
	else if ((rc = swtpm_address_fd(s, "fd", &fd, err)) < 0)
		return rc;
	else
		snprintf(o->log, sizeof(o->log), "fd:%d", fd);
	o->log_level = levels[level > 5 ? 5 : level];
	if (suboptions_has(s, "truncate") && file != NULL &&
	    truncate(o->log, 0) < 0 && errno != ENOENT)
		return err_sys(err, errno, "cannot truncate %s", o->log);
	return 0;
}

static int
parse_pid(struct swtpm_options *o, const struct suboptions *s,
    struct err *err)
{
	const char *file = suboptions_get(s, "file");
	int fd, rc;

	if (file != NULL)
		return (size_t)snprintf(o->pid_file, sizeof(o->pid_file), "%s",
		    file) < sizeof(o->pid_file) ? 0 : err_set(err, ERR_USAGE,
		    "the pid file's name is too long");
	if (!suboptions_has(s, "fd"))
		return err_set(err, ERR_USAGE, "The file or fd parameter is "
		    "required for the pid option");
	if ((rc = swtpm_address_fd(s, "fd", &fd, err)) == 0)
		snprintf(o->pid_file, sizeof(o->pid_file), "fd:%d", fd);
	return rc;
}

static int
parse_migration(struct swtpm_options *o, const struct suboptions *s,
    struct err *err)
{
	(void)err;
	/* What is handed out is always let go of. */
	o->incoming = suboptions_has(s, "incoming");
	return 0;
}

static int
parse_seccomp(struct swtpm_options *o, const struct suboptions *s,
    struct err *err)
{
	const char *action = suboptions_get(s, "action");

	(void)o;
	if (action == NULL || (strcmp(action, "none") != 0 &&
	    strcmp(action, "log") != 0 && strcmp(action, "kill") != 0))
		return err_set(err, ERR_USAGE, "Unsupported seccomp action %s",
		    action != NULL ? action : "");
	return 0;
}

/* libtpms 0.9 has none; those of 0.10 are to come with it. */
static int
parse_profile(struct swtpm_options *o, const struct suboptions *s,
    struct err *err)
{
	const char *name = suboptions_get(s, "name");

	(void)o;
	if (name != NULL && strcmp(name, "null") == 0)
		return 0;
	return err_set(err, ERR_UNSUPPORTED, "this libtpms knows no profile "
	    "but null");
}

static const char *const ctrl_names[] = { "type=", "path=", "port=",
	"bindaddr=", "ifname=", "fd=", "clientfd=", "mode=", "uid=", "gid=",
	"terminate?", NULL };
static const char *const server_names[] = { "type=", "path=", "port=",
	"bindaddr=", "ifname=", "fd=", "mode=", "uid=", "gid=", "disconnect",
	"simulator", NULL };
static const char *const flags_names[] = { "not-need-init", "startup-clear",
	"startup-state", "startup-deactivated", "startup-none",
	"disable-auto-shutdown", NULL };
static const char *const locality_names[] = { "reject-locality-4",
	"allow-set-locality", NULL };
static const char *const log_names[] = { "file=", "fd=", "level=", "prefix=",
	"truncate", NULL };
static const char *const pid_names[] = { "file=", "fd=", NULL };
static const char *const migration_names[] = { "incoming",
	"release-lock-outgoing", NULL };
static const char *const seccomp_names[] = { "action=", NULL };
static const char *const profile_names[] = { "name=", "profile=", "file=",
	"fd=", "remove-disabled=", NULL };

enum { OPT_CTRL = 256, OPT_SERVER, OPT_FLAGS, OPT_LOCALITY, OPT_LOG, OPT_PID,
	OPT_MIGRATION, OPT_SECCOMP, OPT_PROFILE, OPT_TPMSTATE, OPT_TPM2,
	OPT_KEY, OPT_MIGRATION_KEY, OPT_PRINT_CAPABILITIES, OPT_PRINT_STATES,
	OPT_PRINT_INFO, OPT_CONFIG, OPT_PROXY };

static const struct {
	int option;
	const char *name;
	const char *const *names;
	int (*parse)(struct swtpm_options *o, const struct suboptions *s,
	    struct err *err);
} structured[] = {
	{ OPT_CTRL, "ctrl", ctrl_names, parse_ctrl },
	{ OPT_SERVER, "server", server_names, parse_server },
	{ OPT_FLAGS, "flags", flags_names, parse_flags },
	{ OPT_LOCALITY, "locality", locality_names, parse_locality },
	{ OPT_LOG, "log", log_names, parse_log },
	{ OPT_PID, "pid", pid_names, parse_pid },
	{ OPT_MIGRATION, "migration", migration_names, parse_migration },
	{ OPT_SECCOMP, "seccomp", seccomp_names, parse_seccomp },
	{ OPT_PROFILE, "profile", profile_names, parse_profile },
};
#define N_STRUCTURED (sizeof(structured) / sizeof(structured[0]))

static const struct option long_options[] = {
	{ "ctrl", required_argument, NULL, OPT_CTRL },
	{ "server", required_argument, NULL, OPT_SERVER },
	{ "flags", required_argument, NULL, OPT_FLAGS },
	{ "locality", required_argument, NULL, OPT_LOCALITY },
	{ "log", required_argument, NULL, OPT_LOG },
	{ "pid", required_argument, NULL, OPT_PID },
	{ "migration", required_argument, NULL, OPT_MIGRATION },
	{ "seccomp", required_argument, NULL, OPT_SECCOMP },
	{ "profile", required_argument, NULL, OPT_PROFILE },
	{ "tpmstate", required_argument, NULL, OPT_TPMSTATE },
	{ "tpm2", no_argument, NULL, OPT_TPM2 },
	{ "key", required_argument, NULL, OPT_KEY },
	{ "migration-key", required_argument, NULL, OPT_MIGRATION_KEY },
	{ "print-capabilities", no_argument, NULL, OPT_PRINT_CAPABILITIES },
	{ "print-states", no_argument, NULL, OPT_PRINT_STATES },
	{ "print-info", required_argument, NULL, OPT_PRINT_INFO },
	{ "vtpmd-config", required_argument, NULL, OPT_CONFIG },
	{ "runas", required_argument, NULL, 'r' },
	{ "daemon", no_argument, NULL, 'd' },
	{ "terminate", no_argument, NULL, 't' },
	{ "fd", required_argument, NULL, 'f' },
	{ "help", no_argument, NULL, 'h' },
	{ "port", required_argument, NULL, 'p' },
	{ "chardev", required_argument, NULL, 'c' },
	{ "vtpm-proxy", no_argument, NULL, OPT_PROXY },
	{ NULL, 0, NULL, 0 },
};

static int
run_structured(struct swtpm_options *o, int option, const char *text,
    struct err *err)
{
	struct suboptions s;
	int rc = ERR_INTERNAL;

	for (size_t i = 0; i < N_STRUCTURED; i++) {
		if (structured[i].option != option)
			continue;
		if ((rc = suboptions_parse(&s, structured[i].name, text,
		    structured[i].names, err)) < 0)
			return rc;
		rc = structured[i].parse(o, &s, err);
		suboptions_free(&s);
	}
	return rc;
}

static int
take_key(struct secret **into, const char *name, const char *spec,
    struct err *err)
{
	secret_free(*into);
	*into = swtpm_key_passphrase(name, spec, err);
	return *into == NULL ? err->code : 0;
}

/* Checked as swtpm does; there is nothing to do with it. */
static int
drop_migration_key(const char *spec, struct err *err)
{
	struct secret *key = swtpm_key_passphrase("migration-key", spec, err);

	secret_free(key);
	return key == NULL ? err->code : 0;
}

static int
take_number(const char *text, unsigned long max, unsigned long *number,
    const char *what, struct err *err)
{
	char *end;

	*number = strtoul(text, &end, 0);
	if (*text < '0' || *text > '9' || *end != '\0' || *number > max)
		return err_set(err, ERR_USAGE, "'%s' is not a %s", text, what);
	return 0;
}

static int
take_fd(struct swtpm_options *o, const char *text, struct err *err)
{
	unsigned long n;
	int rc;

	if ((rc = take_number(text, SWTPM_FD_MAX, &n, "descriptor", err)) < 0)
		return rc;
	o->relay.data = (int)n;
	o->relay.terminate |= !o->chardev;
	return 0;
}

static int
take_port(struct swtpm_options *o, const char *text, struct err *err)
{
	unsigned long port;
	int rc = take_number(text, UINT16_MAX, &port, "port", err);

	snprintf(o->server, sizeof(o->server), "tcp:127.0.0.1:%lu",
	    rc == 0 ? port : 0);
	/* As swtpm's old way does. */
	o->relay.disconnect |= rc == 0;
	return rc;
}

static int
take(struct swtpm_options *o, int c, struct err *err)
{
	switch (c) {
	case OPT_TPMSTATE:
		o->has_store = true;
		return swtpm_store_parse(&o->store, optarg, err);
	case OPT_TPM2:
		o->tpm2 = true;
		return 0;
	case OPT_KEY:
		return take_key(&o->passphrase, "key", optarg, err);
	case OPT_MIGRATION_KEY:
		return drop_migration_key(optarg, err);
	case OPT_PRINT_CAPABILITIES:
		o->print_capabilities = true;
		return 0;
	case OPT_PRINT_STATES:
		o->print_states = true;
		return 0;
	case OPT_PRINT_INFO:
		o->print_info = true;
		return take_number(optarg, UINT32_MAX, &o->info_flags,
		    "number of flags", err);
	case OPT_CONFIG:
		o->config = optarg;
		return 0;
	case OPT_PROXY:
		o->vtpm_proxy = true;
		return 0;
	case 'c':
		o->device = optarg;
		return 0;
	case 'r':
		o->user = optarg;
		return 0;
	case 'd':
		o->daemon = true;
		return 0;
	case 't':
		o->terminate = true;
		return 0;
	case 'f':
		return take_fd(o, optarg, err);
	case 'p':
		return take_port(o, optarg, err);
	default:
		return run_structured(o, c, optarg, err);
	}
}

int
swtpm_options_parse(struct swtpm_options *o, int argc, char **argv,
    struct err *err)
{
	const char *words = o->chardev ? "c:dtf:r:h" : "p:dtf:r:h";
	int c, rc;

	o->ctrl_client = o->relay.data = o->relay.listen = -1;
	o->relay.listen_dir = o->relay.platform = -1;
	o->relay.ctrl = o->relay.ctrl_dir = -1;
	while ((c = getopt_long(argc, argv, words, long_options,
	    NULL)) != -1) {
		if (c == 'h') {
			swtpm_usage(o->chardev);
			return 1;
		}
		/* getopt has said why. */
		if (c == '?' || (o->chardev ? c == 'p' || c == OPT_SERVER :
		    c == 'c' || c == OPT_PROXY))
			return err_set(err, ERR_USAGE, "see swtpm %s --help "
			    "for the options", argv[0]);
		if ((rc = take(o, c, err)) < 0)
			return rc;
	}
	if (optind < argc)
		return err_set(err, ERR_USAGE, "Unknown parameter '%s'",
		    argv[optind]);
	o->store.config = o->config;
	o->relay.daemon = o->daemon;
	o->relay.terminate |= o->terminate;
	return 0;
}

void
swtpm_options_free(struct swtpm_options *o)
{
	secret_free(o->passphrase);
	o->passphrase = NULL;
}
