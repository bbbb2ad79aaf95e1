/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vtpm-hostkey: seals and unseals this host's native key with the host's TPM.
 * nvram-crypt/hostkey-run.c runs it; see vtpm-hostkey(8). This and
 * vta-kmxa-tpm alone of all our programs map tpm2-tss.
 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <config.h>
#include "nvram-crypt/hostkey/hosttpm.h"
#include "nvram-crypt/hostkey/sealed.h"
#include "nvram-crypt/hostkey/tpm-helper.h"

static int
command_seal(const char *tcti, struct err *err)
{
	uint8_t blob[SEALED_MAX];
	struct buf out = buf_writer(blob, sizeof(blob));
	struct hosttpm *t = NULL;
	struct secret *key = NULL;
	int rc;

	if ((rc = tpm_helper_read(SEALED_KEY_SIZE, &key, err)) < 0)
		goto out;
	if (secret_size(key) != SEALED_KEY_SIZE) {
		rc = err_set(err, ERR_FORMAT, "the input has %zu bytes, a key "
		    "has %d", secret_size(key), SEALED_KEY_SIZE);
		goto out;
	}
	if ((rc = hosttpm_open(&t, tcti, err)) < 0 ||
	    (rc = sealed_make(t, key, &out, err)) < 0)
		goto out;
	rc = tpm_helper_write(blob, out.pos, err);
out:
	hosttpm_close(t);
	secret_free(key);
	return rc;
}

static int
command_unseal(const char *tcti, struct err *err)
{
	struct hosttpm *t = NULL;
	struct secret *blob = NULL, *key = NULL;
	struct buf in;
	int rc;

	/* A key on a terminal is a key in somebody's scrollback. */
	if (isatty(STDOUT_FILENO))
		return err_set(err, ERR_USAGE, "the key is not written to a "
		    "terminal");
	if ((rc = tpm_helper_read(SEALED_MAX, &blob, err)) < 0)
		goto out;
	in = buf_reader(secret_bytes(blob), secret_size(blob));
	if ((rc = hosttpm_open(&t, tcti, err)) < 0 ||
	    (rc = sealed_open(t, &in, &key, err)) < 0)
		goto out;
	rc = tpm_helper_write(secret_bytes(key), secret_size(key), err);
out:
	hosttpm_close(t);
	secret_free(key);
	secret_free(blob);
	return rc;
}

static const struct {
	const char *name;
	int (*run)(const char *tcti, struct err *err);
} commands[] = {
	{ "seal", command_seal },
	{ "unseal", command_unseal },
};

static int
usage(FILE *to)
{
	fprintf(to, "usage: vtpm-hostkey [--tcti TCTI] seal|unseal\n"
	    "Seals a key (32 bytes) from standard input to the host's TPM, or "
	    "unseals it.\n");
	return to == stdout ? 0 : err_exit_status(ERR_USAGE);
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
			return printf("vtpm-hostkey %s\n", PACKAGE_VERSION) < 0;
		else
			return usage(stderr);
	}
	if (optind + 1 != argc)
		return usage(stderr);
	if (tpm_helper_harden(&err) < 0) {
		fprintf(stderr, "vtpm-hostkey: %s\n", err.text);
		return 1;
	}
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(argv[optind], commands[i].name) == 0) {
			rc = commands[i].run(tcti, &err);
			if (rc < 0)
				fprintf(stderr, "vtpm-hostkey: %s\n", err.text);
			return err_exit_status(rc);
		}
	return usage(stderr);
}
