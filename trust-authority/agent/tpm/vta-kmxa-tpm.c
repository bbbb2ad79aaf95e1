/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vta-kmxa-tpm: what the trust authority's agent does with the host's TPM. The
 * agent runs it once for each thing (../host-tpm.c), with a request on its
 * standard input; it has no files and keeps no state. A program of its own
 * because a TPM may never answer, and because tpm2-tss is not to be mapped into
 * a daemon that faces a network and holds keys.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <config.h>
#include "nvram-crypt/hostkey/tpm-helper.h"
#include "trust-authority/agent/tpm/requests.h"

static const struct {
	const char *name;
	int (*run)(struct hosttpm *t, struct buf *in, struct err *err);
} commands[] = {
	{ "identity", request_identity },
	{ "activate", request_activate },
	{ "evidence", request_evidence },
	{ "seal", request_seal },
	{ "unseal", request_unseal },
};

static int
usage(FILE *to)
{
	fprintf(to, "usage: vta-kmxa-tpm [--tcti TCTI] "
	    "identity|activate|evidence|seal|unseal\n"
	    "Is run by vta-kmxa, with a request on its standard input.\n");
	return to == stdout ? 0 : err_exit_status(ERR_USAGE);
}

static int
serve(const char *tcti, int (*run)(struct hosttpm *t, struct buf *in,
    struct err *err), struct err *err)
{
	struct secret *request = NULL;
	struct hosttpm *t = NULL;
	struct buf in;
	int rc;

	/* A key on a terminal is a key in somebody's scrollback. */
	if (isatty(STDOUT_FILENO))
		return err_set(err, ERR_USAGE, "the answer is not written to a "
		    "terminal");
	if ((rc = tpm_helper_read(REQUEST_MAX, &request, err)) < 0 ||
	    (rc = hosttpm_open(&t, tcti, err)) < 0)
		goto out;
	in = buf_reader(secret_bytes(request), secret_size(request));
	rc = run(t, &in, err);
out:
	hosttpm_close(t);
	secret_free(request);
	return rc;
}

int
main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "tcti", required_argument, NULL, 't' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	const char *tcti = TPM_HELPER_TCTI;
	struct err err = { 0 };
	int c, rc;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 't')
			tcti = optarg;
		else if (c == 'h')
			return usage(stdout);
		else if (c == 'V')
			return printf("vta-kmxa-tpm %s\n", PACKAGE_VERSION) < 0;
		else
			return usage(stderr);
	}
	if (optind + 1 != argc)
		return usage(stderr);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(argv[optind], commands[i].name) != 0)
			continue;
		if ((rc = tpm_helper_harden(&err)) == 0)
			rc = serve(tcti, commands[i].run, &err);
		if (rc < 0)
			fprintf(stderr, "vta-kmxa-tpm: %s\n", err.text);
		return err_exit_status(rc);
	}
	return usage(stderr);
}
