/* SPDX-License-Identifier: BSD-3-Clause */
/* swtpm's command line (swtpm(8) of 0.7 to 0.10), in vtpmd's terms. */
#ifndef QEMU_GLUE_SWTPM_OPTIONS_H
#define QEMU_GLUE_SWTPM_OPTIONS_H

#include <limits.h>
#include <stdbool.h>

#include "base/err.h"
#include "base/secret.h"
#include "qemu-glue/swtpm-address.h"
#include "qemu-glue/swtpm-relay.h"
#include "qemu-glue/swtpm-store.h"

struct swtpm_options {
	bool chardev;			/* mode chardev, and not socket */
	bool tpm2, daemon, terminate, incoming, reject_locality_4;
	bool has_store;
	struct swtpm_store store;
	char ctrl[SWTPM_ADDRESS_MAX];	/* vtpmd's --ctrl; empty: none */
	int ctrl_client;		/* -1: none */
	char server[SWTPM_ADDRESS_MAX];	/* the same for data; empty: none */
	char platform[SWTPM_ADDRESS_MAX];	/* the simulator's other port */
	const char *device;		/* of chardev; NULL: none */
	bool vtpm_proxy;
	struct relay relay;		/* what it is told besides */
	struct secret *passphrase;
	char pid_file[PATH_MAX];
	char log[PATH_MAX];		/* empty: not given */
	const char *log_level;		/* NULL: not given */
	const char *user;		/* --runas */
	const char *config;
	bool print_capabilities, print_states, print_info;
	unsigned long info_flags;
};

/* 1: the program is done (help). */
int swtpm_options_parse(struct swtpm_options *o, int argc, char **argv,
    struct err *err);
/* Prints the options of a mode. */
void swtpm_usage(bool chardev);
void swtpm_options_free(struct swtpm_options *o);

#endif
