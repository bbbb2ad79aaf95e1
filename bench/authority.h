/* SPDX-License-Identifier: BSD-3-Clause */
/* What the measurements of the trust authority share. */
#ifndef BENCH_AUTHORITY_H
#define BENCH_AUTHORITY_H

#include "bench/bench.h"
#include "bench/place.h"
#include "bench/raw.h"
#include "bench/soft-host.h"

struct authority_plan {
	size_t rounds, batch;	/* of attestations */
	size_t releases;	/* a round, of keys */
	size_t hosts, vms_each;	/* that there are */
	size_t kek_vms;		/* VMs with a KEK in the KMS */
	double interval;	/* s between two attestations of a host */
	double seconds;		/* that the load goes on */
	size_t starts;		/* of a VM, and moves */
};

struct authority_bench {
	struct authority_plan plan;
	struct bench bench;	/* for peers; its report is ours */
	struct place place;
	struct raw *raw;
	struct soft_ca ca;
	struct jwk *transport;	/* one for all simulated hosts */
};

/* One whole attestation over a connection of its own, as a host that comes
 * every five minutes makes it. *token may be NULL; else free it. */
int attest_once(const struct authority_bench *a, const struct soft_host *h,
    char **token, struct err *err);
/* A host as an administrator imports it. */
int attest_import(const struct authority_bench *a, const struct soft_host *h,
    struct err *err);

/* A VM of that host's group, made as vtpmctl create does. */
struct vm_made {
	char uuid[40];
	char *wrapped;		/* base64url; free it */
};
int vm_make(const struct authority_bench *a, const char *token, size_t number,
    struct vm_made *vm, struct err *err);

/* Each adds its rows. */
int bench_attest(const struct authority_bench *a, struct err *err);
int bench_release(const struct authority_bench *a, struct err *err);
int bench_hosts(const struct authority_bench *a, struct err *err);
int bench_vm_start(const struct authority_bench *a, struct err *err);
int bench_vm_move(const struct authority_bench *a, struct err *err);

#endif
