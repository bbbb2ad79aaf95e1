/* SPDX-License-Identifier: BSD-3-Clause */
/* Many hosts with their VMs, as the authority's store has them after a while:
 * written into it in one go. */
#ifndef BENCH_FLEET_H
#define BENCH_FLEET_H

#include "bench/authority.h"

#define FLEET_EPOCH 5

struct fleet {
	const struct authority_bench *a;
	size_t hosts, vms_each;
	struct soft_host *soft;	/* the first `attesting` of them */
	size_t attesting;
	char **tokens;		/* of each host */
};

int fleet_new(const struct authority_bench *a, size_t attesting,
    struct fleet **out, struct err *err);
void fleet_free(struct fleet *f);

void fleet_host_name(size_t host, char out[32]);
/* Of a host's VM: its UUID, and the instance that owns it, in hex. */
void fleet_vm(size_t host, size_t vm, char uuid[40], char instance[40]);

#endif
