/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A TPM to measure: vtpmd or swtpm, made and run as an administrator and QEMU
 * would. All files are in the working directory, named after the peer.
 */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "bench/bench.h"

#define PEER_NAME 32
#define PEER_OPTIONS 4

enum peer_kind { PEER_VTPMD, PEER_SWTPM };

struct peer {
	const struct bench *bench;
	enum peer_kind kind;
	char name[PEER_NAME];
	char socket[PEER_NAME];	/* its control socket, without .sock; the
				 * name unless set */
	pid_t pid;		/* 0: not running */
	int ctrl, data;		/* -1: none */
	const char *config;	/* vtpmd's --config; NULL: none */
	/* More of the program's options, at most PEER_OPTIONS; NULL: none. */
	const char *const *options;
};

/* Runs a program to its end, its output to the file "log". ERR_SYSTEM unless
 * it succeeds. */
int run(const char *const *argv, struct err *err);

struct peer peer_named(const struct bench *b, enum peer_kind kind,
    const char *name);
/* Makes the TPM: vtpmctl create, or swtpm_setup with the same keys. option may
 * be NULL, or one more option and its value. */
int peer_create(const struct peer *p, const char *option, const char *value,
    struct err *err);
/* The same with any options, at most PEER_OPTIONS. */
int peer_create_with(const struct peer *p, const char *const *options,
    struct err *err);
/* A swtpm's state can be copied. */
int peer_copy(const struct peer *from, const struct peer *to,
    struct err *err);
/* Executes it and waits for the control socket. */
int peer_start(struct peer *p, struct err *err);
/* Start, SET_DATAFD, INIT, TPM2_Startup. */
int peer_power_on(struct peer *p, struct err *err);
/* What a guest's firmware and kernel do at the least: GetRandom, PCR_Extend,
 * PCR_Read. */
int peer_use(const struct peer *p, struct err *err);
/* Ends it in good order, by pid. */
void peer_stop(struct peer *p);
/* For the end of a failed run: whatever still runs. */
void peer_kill_all(void);

#endif
