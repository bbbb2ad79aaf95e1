/* SPDX-License-Identifier: BSD-3-Clause */
/* swtpm_ioctl: one command to the control channel of a vtpmd or a swtpm. */
#include <config.h>

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "qemu-glue/ctrl-client.h"
#include "qemu-glue/swtpm-ioctl.h"
#include "qemu-glue/swtpm-version.h"

#define HOST "127.0.0.1"
#define PORT "6546"

static const char usage[] =
"Usage: swtpm_ioctl --unix <path>|--tcp [<host>]:[<port>] command\n"
"Give a command to the control channel of a TPM.\n"
"\n"
"--unix <path>         : its Unix socket\n"
"--tcp [<host>]:[<prt>]: its TCP socket; default " HOST ":" PORT "\n"
"-c                    : get ptm capabilities\n"
"-i                    : power it on; with volatile state that is stored it\n"
"                        goes on there, and that is dropped\n"
"--stop                : power it off\n"
"-s                    : shut it down: the program ends\n"
"-e                    : get the tpmEstablished bit\n"
"-r <loc>              : reset the tpmEstablished bit, from that locality\n"
"-v                    : store the volatile state\n"
"-C                    : cancel the command under way\n"
"-l <loc>              : set the locality, 0 to 4\n"
"-h <data>             : hash the data, - for standard input (H-CRTM)\n"
"--save <type> <file>  : write a state blob to a file; type is permanent,\n"
"                        volatile or savestate\n"
"--load <type> <file>  : read one from a file\n"
"-g                    : get configuration flags\n"
"-b <buffersize>       : set the buffer's size; 0 asks\n"
"--info <flags>        : what the TPM says of itself\n"
"--lock-storage <n>    : take the state's lock again, with so many tries\n"
"--version, --help\n"
"\n"
"See vtpmd-swtpm(8).\n";

static const struct option long_options[] = {
	{ "unix", required_argument, NULL, OPT_UNIX },
	{ "tcp", required_argument, NULL, OPT_TCP },
	{ "tpm-device", required_argument, NULL, OPT_DEVICE },
	{ "stop", no_argument, NULL, OPT_STOP },
	{ "save", required_argument, NULL, OPT_SAVE },
	{ "load", required_argument, NULL, OPT_LOAD },
	{ "info", required_argument, NULL, OPT_INFO },
	{ "lock-storage", required_argument, NULL, OPT_LOCK_STORAGE },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

/* HOST:PORT, :PORT, HOST, [ADDRESS]:PORT */
static int
connect_tcp(const char *text, struct err *err)
{
	char host[256] = HOST;
	const char *port = strrchr(text, ':'), *end = text + strlen(text);

	if (port != NULL && strchr(port, ']') == NULL)
		end = port++;
	else
		port = NULL;
	if (*text == '[' && end > text && end[-1] == ']') {
		text++;
		end--;
	}
	if (end > text)
		snprintf(host, sizeof(host), "%.*s", (int)(end - text), text);
	return ctrl_connect_tcp(host, port != NULL && *port != '\0' ? port :
	    PORT, err);
}

static int
run(const struct request *r, struct err *err)
{
	int sock, rc;

	sock = r->unix_path != NULL ? ctrl_connect_unix(r->unix_path, err) :
	    connect_tcp(r->tcp, err);
	if (sock < 0)
		return sock;
	rc = ioctl_run(sock, r, err);
	close(sock);
	return rc;
}

/* 1: the program is done. */
static int
parse(struct request *r, int argc, char **argv, struct err *err)
{
	int c;

	while ((c = getopt_long(argc, argv, "cisegvCr:l:h:b:", long_options,
	    NULL)) != -1) {
		if (c == OPT_UNIX)
			r->unix_path = optarg;
		else if (c == OPT_TCP)
			r->tcp = optarg;
		else if (c == OPT_VERSION || c == OPT_HELP) {
			fputs(c == OPT_HELP ? usage : "TPM emulator control "
			    "tool version " SWTPM_INTERFACE ", of vtpmd "
			    PACKAGE_VERSION "\n", stdout);
			return 1;
		} else if (c == OPT_DEVICE)
			return err_set(err, ERR_UNSUPPORTED, "CUSE devices "
			    "are not available: use --unix or --tcp");
		else if (c == '?')
			return err_set(err, ERR_USAGE, "No valid command.");
		else if (r->command != 0)
			return err_set(err, ERR_USAGE, "Only one command may "
			    "be given.");
		else {
			r->command = c;
			r->argument = optarg;
		}
		if ((c == OPT_SAVE || c == OPT_LOAD) && optind < argc) {
			r->type = optarg;
			r->file = argv[optind++];
		}
	}
	if (r->command == 0 || ((r->command == OPT_SAVE ||
	    r->command == OPT_LOAD) && r->file == NULL))
		return err_set(err, ERR_USAGE, "No valid command.");
	if (optind < argc)
		return err_set(err, ERR_UNSUPPORTED, "CUSE devices such as %s "
		    "are not available: use --unix or --tcp", argv[optind]);
	if (r->unix_path == NULL && r->tcp == NULL)
		return err_set(err, ERR_USAGE, "Missing --unix or --tcp: "
		    "whose control channel?");
	return 0;
}

int
main(int argc, char **argv)
{
	struct request r = { 0 };
	struct err err = { 0 };
	int rc = parse(&r, argc, argv, &err);

	signal(SIGPIPE, SIG_IGN);
	if (rc == 0)
		rc = run(&r, &err);
	if (rc >= 0)
		return EXIT_SUCCESS;
	fprintf(stderr, "%s\n", err.text);
	return EXIT_FAILURE;
}
