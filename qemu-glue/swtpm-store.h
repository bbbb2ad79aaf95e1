/* SPDX-License-Identifier: BSD-3-Clause */
/* What swtpm's --tpmstate names, and the nvram file that is there. */
#ifndef QEMU_GLUE_SWTPM_STORE_H
#define QEMU_GLUE_SWTPM_STORE_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/secret.h"

/* The nvram file in a directory of swtpm's. */
#define SWTPM_STORE_NAME "tpm2-00.nvram"

struct swtpm_store {
	char place[PATH_MAX];	/* absolute: the directory, or the file */
	char nvram[PATH_MAX];	/* the nvram file */
	bool is_file;		/* backend file:// */
	mode_t mode;		/* for a new file, where it is given */
	bool mode_given;
	const char *config;	/* vtpmd.conf(5); NULL: the default one */
};

/* "dir=D[,mode=M][,lock]", "backend-uri=dir://D" or "backend-uri=file://F". */
int swtpm_store_parse(struct swtpm_store *s, const char *text,
    struct err *err);
/* "D", "dir://D" or "file://F", as swtpm_setup takes. */
int swtpm_store_take(struct swtpm_store *s, const char *uri, struct err *err);

enum swtpm_store_state {
	SWTPM_STORE_EMPTY,
	SWTPM_STORE_NVRAM,	/* ours */
	SWTPM_STORE_SWTPM,	/* swtpm's own state */
};
int swtpm_store_look(const struct swtpm_store *s,
    enum swtpm_store_state *state, struct err *err);

/* What a new TPM has. */
struct swtpm_make {
	const char *banks;	/* as of vtpmctl create */
	const char *eks, *srk;
	const char *uuid, *name;	/* NULL: by the place's name, or none */
};

/* Makes the file, with this passphrase or else as vtpmd.conf says. */
int swtpm_store_make(const struct swtpm_store *s, const struct swtpm_make *m,
    const struct secret *passphrase, struct err *err);
/* After this the file is there: it was, or it is a TPM as swtpm makes one that
 * finds nothing, without keys and with all banks. State of swtpm's is taken in
 * where vtpmd.conf says so: key is then swtpm's, for vtpmctl import; or else
 * refused. */
int swtpm_store_need(const struct swtpm_store *s,
    const struct secret *passphrase, struct err *err);
/* Removes what is there. */
int swtpm_store_clear(const struct swtpm_store *s, struct err *err);

#endif
