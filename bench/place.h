/* SPDX-License-Identifier: BSD-3-Clause */
/* A whole trust authority to be measured, which authority.py brings up in the
 * working directory: KMS, both services, a host with its agent. */
#ifndef BENCH_PLACE_H
#define BENCH_PLACE_H

#include <limits.h>
#include <openssl/types.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "trust-authority/common/store.h"
#include "trust-authority/common/token-keys.h"

#define PLACE_TEXT 512
#define PLACE_PCRS 24
#define PLACE_PCR 32		/* bytes of SHA-256 */

struct place {
	pid_t pid;		/* of authority.py; 0: not started */
	int hold;		/* its standard input: closed, it ends */
	int attestd_port, kmxd_port;
	pid_t attestd, kmxd;
	char ca[PLACE_TEXT], root_cert[PLACE_TEXT], root_key[PLACE_TEXT];
	char issuer[PLACE_TEXT], group[PLACE_TEXT], config[PLACE_TEXT];
	char file[PLACE_TEXT];	/* of the store */
	/* What a host shows that has booted as it should. */
	uint8_t pcrs[PLACE_PCRS][PLACE_PCR];
	uint8_t *eventlog, *ima;
	size_t eventlog_size, ima_size;
	struct store *store;
	struct token_keys *keys;	/* that sign tokens */
	SSL_CTX *host, *admin;		/* admin: with the certificate */
	SSL_CTX *server;		/* as vta-attestd has it */
};

int place_start(struct place *p, struct err *err);
void place_stop(struct place *p);

/* us of processor time, user and system, that a process has used. */
int cpu_used(pid_t pid, double *us, struct err *err);
/* Resident set of a process. */
int resident_kb(pid_t pid, long *kb, struct err *err);

#endif
