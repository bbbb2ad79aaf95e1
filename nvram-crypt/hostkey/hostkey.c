/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vtpm-hostkey: seals and unseals this host's native key with the host's TPM.
 * nvram-crypt/hostkey-run.c runs it; see vtpm-hostkey(8). Alone of all our
 * programs it maps tpm2-tss.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fdio.h"
#include "base/secret.h"
#include <config.h>
#include "nvram-crypt/hostkey/hosttpm.h"
#include "nvram-crypt/hostkey/sealed.h"

#define TCTI_DEFAULT "device:/dev/tpmrm0"

/* No core dump, no debugger of the same user, nothing in swap. */
static int
harden(struct err *err)
{
	const struct rlimit none = { 0 };

	if (setrlimit(RLIMIT_CORE, &none) < 0 ||
	    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return err_sys(err, errno, "cannot switch core dumps off");
	/* Our own copies of the key are locked one by one (base/secret.h);
	 * this covers those that tpm2-tss keeps in what is mapped by now, where
	 * the limit allows it. Not MCL_FUTURE: under the usual limit what
	 * tpm2-tss maps later would fail (mlockall(2)). */
	(void)mlockall(MCL_CURRENT | MCL_ONFAULT);
	return 0;
}

/* All of standard input: at most max bytes. A secret, as one command's input
 * is; not secret_read_fd, which is for text and drops a newline. */
static int
input_read(size_t max, struct secret **out, struct err *err)
{
	struct secret *s = secret_new(max + 1);
	size_t used = 0;
	ssize_t n;

	if (s == NULL)
		return err_sys(err, errno, "cannot lock memory for the input");
	while (used <= max && (n = read(STDIN_FILENO, secret_data(s) + used,
	    max + 1 - used)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			secret_free(s);
			return err_sys(err, errno, "cannot read the input");
		}
		used += (size_t)n;
	}
	if (used > max) {
		secret_free(s);
		return err_set(err, ERR_FORMAT, "the input is longer than %zu "
		    "bytes", max);
	}
	secret_truncate(s, used);
	*out = s;
	return 0;
}

static int
output_write(const void *data, size_t size, struct err *err)
{
	if (fdio_write(STDOUT_FILENO, data, size) < 0)
		return err_sys(err, errno, "cannot write the output");
	return 0;
}

static int
command_seal(const char *tcti, struct err *err)
{
	uint8_t blob[SEALED_MAX];
	struct buf out = buf_writer(blob, sizeof(blob));
	struct hosttpm *t = NULL;
	struct secret *key = NULL;
	int rc;

	if ((rc = input_read(SEALED_KEY_SIZE, &key, err)) < 0)
		goto out;
	if (secret_size(key) != SEALED_KEY_SIZE) {
		rc = err_set(err, ERR_FORMAT, "the input has %zu bytes, a key "
		    "has %d", secret_size(key), SEALED_KEY_SIZE);
		goto out;
	}
	if ((rc = hosttpm_open(&t, tcti, err)) < 0 ||
	    (rc = sealed_make(t, key, &out, err)) < 0)
		goto out;
	rc = output_write(blob, out.pos, err);
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
	if ((rc = input_read(SEALED_MAX, &blob, err)) < 0)
		goto out;
	in = buf_reader(secret_bytes(blob), secret_size(blob));
	if ((rc = hosttpm_open(&t, tcti, err)) < 0 ||
	    (rc = sealed_open(t, &in, &key, err)) < 0)
		goto out;
	rc = output_write(secret_bytes(key), secret_size(key), err);
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
	const char *tcti = TCTI_DEFAULT;
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
	/* tpm2-tss writes to standard error by itself, and could be told to
	 * log the bytes of commands. */
	if (setenv("TSS2_LOG", "all+none", 1) < 0 || harden(&err) < 0) {
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
