/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The OpenSSL operations in a process of their own that sleeps until it is
 * asked for one round of them, as the services are: what an operation costs
 * where it comes once, after others have had the processor, and not in a row
 * of hundreds.
 */
#ifndef BENCH_RAW_SERVER_H
#define BENCH_RAW_SERVER_H

#include "bench/raw.h"

struct raw_server;

/* cpu: that it stays on; -1: any. */
int raw_server_start(struct raw *r, int cpu, struct raw_server **out,
    struct err *err);
/* NULL is allowed. */
void raw_server_stop(struct raw_server *s);

enum raw_kind { RAW_ATTESTATION, RAW_RELEASE };
/* One round; us of its processor time, user and system. */
int raw_server_ask(struct raw_server *s, enum raw_kind kind, double *us,
    struct err *err);

#endif
