/* SPDX-License-Identifier: BSD-3-Clause */
#include "qemu-glue/swtpm-report.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "qemu-glue/argv.h"
#include "qemu-glue/vtpmctl-run.h"
#include "vtpm/tpm.h"

#define TPMLIB_INFO_TPMFEATURES 4u
#define KEY_SIZES "\"RSAKeySizes\":["

/* A TPM that is never powered on has no state. */
static int
no_state(void *ctx, enum tpm_state which, const uint8_t **data, size_t *size)
{
	(void)ctx;
	(void)which;
	(void)data;
	(void)size;
	return ERR_NOTFOUND;
}

static int
no_store(void *ctx, enum tpm_state which, const uint8_t *data, size_t size)
{
	(void)ctx;
	(void)which;
	(void)data;
	(void)size;
	return ERR_REFUSED;
}

static char *
library_info(uint64_t flags, struct err *err)
{
	static const struct tpm_storage none = { .load = no_state,
		.store = no_store };
	char *text = NULL;

	if (tpm_setup(&none) == 0)
		text = tpm_info(flags);
	if (text == NULL)
		err_set(err, ERR_TPM, "libtpms does not describe itself");
	return text;
}

int
swtpm_print_info(uint64_t flags, struct err *err)
{
	char *text = library_info(flags, err);

	if (text == NULL)
		return ERR_TPM;
	printf("%s\n", text);
	free(text);
	return 0;
}

/* "RSAKeySizes":[1024,2048,3072] */
static void
print_key_sizes(const char *info)
{
	const char *at = strstr(info, KEY_SIZES);
	char *end;

	if (at == NULL)
		return;
	at += sizeof(KEY_SIZES) - 1;
	while (*at >= '0' && *at <= '9') {
		printf(", \"rsa-keysize-%lu\"", strtoul(at, &end, 10));
		at = *end == ',' ? end + 1 : end;
	}
}

int
swtpm_print_capabilities(struct err *err)
{
	char *info = library_info(TPMLIB_INFO_TPMFEATURES, err);

	if (info == NULL)
		return ERR_TPM;
	printf("{ \"type\": \"swtpm\", \"features\": [ \"tpm-2.0\", "
	    "\"tpm-send-command-header\", \"flags-opt-startup\", "
	    "\"ctrl-opt-terminate\", \"cmdarg-seccomp\", "
	    "\"cmdarg-key-fd\", \"cmdarg-pwd-fd\", "
	    "\"cmdarg-print-states\", \"cmdarg-migration\", "
	    "\"nvram-backend-dir\", \"nvram-backend-file\"");
	print_key_sizes(info);
	printf(", \"cmdarg-print-info\", \"tpmstate-opt-lock\" ], "
	    "\"version\": \"" SWTPM_INTERFACE "\" }\n");
	free(info);
	return 0;
}

/* -- states -- */

/* The number behind name in vtpmctl's JSON; -1: it is not there. */
static long
number_of(const char *json, const char *name)
{
	const char *at = strstr(json, name);

	return at == NULL ? -1 : strtol(at + strlen(name), NULL, 10);
}

/* What vtpmctl verify says of the file, into text. */
static int
verify(const struct swtpm_store *s, const struct secret *passphrase,
    char *text, size_t room, struct err *err)
{
	int fd = memfd_create("states", MFD_CLOEXEC), rc;
	struct argv a = { 0 };
	ssize_t n = 0;

	if (fd < 0)
		return err_sys(err, errno, "cannot make a memory file");
	if (s->config != NULL) {
		argv_add(&a, "--config");
		argv_add(&a, s->config);
	}
	argv_add(&a, "--json");
	if (passphrase != NULL) {
		argv_add(&a, "--passphrase-fd=PASSPHRASE");
	}
	argv_add(&a, "verify");
	argv_add(&a, s->nvram);
	rc = vtpmctl_run(&a, passphrase, fd, err);
	argv_free(&a);
	if (rc == 0 && (n = pread(fd, text, room - 1, 0)) < 0)
		rc = err_sys(err, errno, "cannot read what vtpmctl said");
	text[rc == 0 ? n : 0] = '\0';
	close(fd);
	return rc;
}

int
swtpm_print_states(const struct swtpm_store *s,
    const struct secret *passphrase, struct err *err)
{
	enum swtpm_store_state state;
	struct err ignored = { 0 };
	long permanent, suspended;
	char text[8192];
	struct stat st;
	int rc;

	if ((rc = swtpm_store_look(s, &state, err)) < 0)
		return rc;
	printf("{ \"type\": \"swtpm\", \"states\": [ ");
	if (state == SWTPM_STORE_NVRAM && stat(s->nvram, &st) == 0) {
		if (verify(s, passphrase, text, sizeof(text), &ignored) < 0)
			text[0] = '\0';
		permanent = number_of(text, "\"permanent_size\": ");
		suspended = number_of(text, "\"volatile_size\": ");
		printf("{\"name\": \"permall\", \"size\": %ld}",
		    permanent >= 0 ? permanent : (long)st.st_size);
		if (suspended > 0)
			printf(", {\"name\": \"volatile\", \"size\": %ld}",
			    suspended);
		printf(" ");
	}
	printf("] }\n");
	return 0;
}
