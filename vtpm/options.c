/* SPDX-License-Identifier: BSD-3-Clause */
#include <config.h>

#include "vtpm/options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>


static const char usage[] =
"usage: vtpmd --nvram FILE --ctrl unix:PATH[,mode=0600] [OPTION]...\n"
"Run the virtual TPM 2.0 whose state is the encrypted nvram FILE.\n"
"\n"
"      --nvram FILE         the vTPM's state (make one with vtpmctl create)\n"
"      --ctrl unix:PATH     control socket for QEMU's -tpmdev emulator;\n"
"                           ,mode=0600 ,uid=N ,gid=N set its permissions;\n"
"                           or tcp:ADDRESS:PORT, or fd:N that listens already\n"
"      --client-fd N        a control connection that is there already; vtpmd\n"
"                           ends with it\n"
"      --reject-locality-4  refuse SET_LOCALITY to locality 4\n"
"      --passphrase-fd N    read a passphrase for FILE from descriptor N\n"
"      --state-dir DIR      the host's keys and freshness records\n"
"      --config FILE        configuration, instead of " SYSCONFDIR
"/vtpmd/vtpmd.conf\n"
"      --agent SOCKET       socket of the trust authority's agent, instead of\n"
"                           [authority] socket\n"
"      --user U             become user U when started by root\n"
"      --terminate          end when the hypervisor's connection ends\n"
"      --incoming           do not open FILE before a state comes from the\n"
"                           hypervisor (a migration, a saved VM), or the VM starts;\n"
"                           made of what a trusted host sends, if it is not there\n"
"      --allow-restore      take up older states too, as of a VM's snapshots\n"
"      --daemon             go into the background once ready\n"
"      --pid-file F         write the process id to F\n"
"      --log F|syslog       log there instead of standard error\n"
"      --log-level L        error, warning, info (default) or debug\n"
"  -h, --help               this text\n"
"  -V, --version            version\n"
"\n"
"See vtpmd(8).\n";

enum { OPT_NVRAM = 256, OPT_CTRL, OPT_PASSPHRASE_FD, OPT_STATE_DIR, OPT_CONFIG,
	OPT_USER, OPT_TERMINATE, OPT_DAEMON, OPT_PID_FILE, OPT_LOG,
	OPT_LOG_LEVEL, OPT_AGENT, OPT_TRIAL, OPT_TAKE_OVER, OPT_WORKER,
	OPT_REPORT, OPT_INCOMING, OPT_ALLOW_RESTORE, OPT_CLIENT_FD,
	OPT_REJECT_LOCALITY_4 };

static const struct option long_options[] = {
	{ "incoming", no_argument, NULL, OPT_INCOMING },
	{ "allow-restore", no_argument, NULL, OPT_ALLOW_RESTORE },
	{ "client-fd", required_argument, NULL, OPT_CLIENT_FD },
	{ "reject-locality-4", no_argument, NULL, OPT_REJECT_LOCALITY_4 },
	{ "nvram", required_argument, NULL, OPT_NVRAM },
	{ "ctrl", required_argument, NULL, OPT_CTRL },
	{ "passphrase-fd", required_argument, NULL, OPT_PASSPHRASE_FD },
	{ "state-dir", required_argument, NULL, OPT_STATE_DIR },
	{ "config", required_argument, NULL, OPT_CONFIG },
	{ "user", required_argument, NULL, OPT_USER },
	{ "terminate", no_argument, NULL, OPT_TERMINATE },
	{ "daemon", no_argument, NULL, OPT_DAEMON },
	{ "pid-file", required_argument, NULL, OPT_PID_FILE },
	{ "log", required_argument, NULL, OPT_LOG },
	{ "log-level", required_argument, NULL, OPT_LOG_LEVEL },
	{ "agent", required_argument, NULL, OPT_AGENT },
	{ "trial", required_argument, NULL, OPT_TRIAL },
	{ "take-over", required_argument, NULL, OPT_TAKE_OVER },
	{ "worker", required_argument, NULL, OPT_WORKER },
	{ "report", required_argument, NULL, OPT_REPORT },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ NULL, 0, NULL, 0 },
};

static int
parse_descriptor(const char *text, int *fd, struct err *err)
{
	char *end;
	long n = strtol(text, &end, 10);

	if (*text == '\0' || *end != '\0' || n < 0 || n > 1 << 20)
		return err_set(err, ERR_USAGE, "'%s' is not a descriptor",
		    text);
	*fd = (int)n;
	return 0;
}

static int
add_client(struct options *o, const char *text, struct err *err)
{
	if (o->n_clients == OPTIONS_CLIENTS)
		return err_set(err, ERR_USAGE, "at most %d --client-fd",
		    OPTIONS_CLIENTS);
	return parse_descriptor(text, &o->client_fds[o->n_clients++], err);
}

int
options_parse(struct options *o, int argc, char **argv, struct err *err)
{
	int c;

	*o = (struct options){ .passphrase_fd = -1, .trial_fd = -1 };
	while ((c = getopt_long(argc, argv, "hV", long_options, NULL)) != -1) {
		switch (c) {
		case OPT_NVRAM:
			o->nvram = optarg;
			break;
		case OPT_CTRL:
			o->ctrl = optarg;
			break;
		case OPT_PASSPHRASE_FD:
			if (parse_descriptor(optarg, &o->passphrase_fd,
			    err) < 0)
				return ERR_USAGE;
			break;
		case OPT_CLIENT_FD:
			if (add_client(o, optarg, err) < 0)
				return ERR_USAGE;
			break;
		case OPT_REJECT_LOCALITY_4:
			o->reject_locality_4 = true;
			break;
		case OPT_STATE_DIR:
			o->state_dir = optarg;
			break;
		case OPT_CONFIG:
			o->config = optarg;
			break;
		case OPT_USER:
			o->user = optarg;
			break;
		case OPT_TERMINATE:
			o->terminate = true;
			break;
		case OPT_INCOMING:
			o->incoming = true;
			break;
		case OPT_ALLOW_RESTORE:
			o->allow_restore = true;
			break;
		case OPT_DAEMON:
			o->daemon = true;
			break;
		case OPT_PID_FILE:
			o->pid_file = optarg;
			break;
		case OPT_LOG:
			o->log = optarg;
			break;
		case OPT_LOG_LEVEL:
			o->log_level = optarg;
			break;
		case OPT_AGENT:
			o->agent = optarg;
			if (optarg[0] != '/')
				return err_set(err, ERR_USAGE, "the agent's "
				    "socket '%s' is not an absolute path",
				    optarg);
			break;
		case OPT_TRIAL:
			if (parse_descriptor(optarg, &o->trial_fd, err) < 0)
				return ERR_USAGE;
			break;
		case OPT_TAKE_OVER:
			o->take_over = optarg;
			break;
		case OPT_WORKER:
			o->worker = optarg;
			break;
		case OPT_REPORT:
			o->report = optarg;
			break;
		case 'h':
			fputs(usage, stdout);
			return 1;
		case 'V':
			printf("vtpmd %s\n", PACKAGE_VERSION);
			return 1;
		default:
			return err_set(err, ERR_USAGE,
			    "see vtpmd --help for the options");
		}
	}
	if (optind < argc)
		return err_set(err, ERR_USAGE, "'%s' is one word too many",
		    argv[optind]);
	if (o->nvram == NULL || (o->ctrl == NULL && o->n_clients == 0))
		return err_set(err, ERR_USAGE, "%s is missing; see vtpmd "
		    "--help", o->nvram == NULL ? "--nvram FILE" :
		    "--ctrl unix:PATH");
	return 0;
}
