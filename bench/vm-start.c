/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the authority adds to a VM's start: exec of vtpmd to INIT with a file
 * whose key the authority gives, over vta-kmxa with a current token, vta-kmxd
 * and the KMS on this machine, beside a file with a native key; each in turn.
 */
#include <stdio.h>
#include <stdlib.h>

#include "bench/authority.h"
#include "bench/peer.h"
#include "bench/wire.h"

#define LIMIT_US 20e3

static int
start_to_init(void *arg, double *us, struct err *err)
{
	struct peer *p = arg;
	double start = now_us();
	int rc;

	if ((rc = peer_start(p, err)) == 0)
		rc = ctrl_init(p->ctrl, err);
	*us = now_us() - start;
	peer_stop(p);
	return rc;
}

static int
make_files(const struct authority_bench *a, struct err *err)
{
	char protector[PLACE_TEXT + 16];
	const char *native[] = { a->bench.vtpmctl, "create", "native.nvram",
		NULL };
	const char *authority[] = { a->bench.vtpmctl, "create",
		"authority.nvram", "--protector", protector, "--config",
		a->place.config, NULL };
	int rc;

	snprintf(protector, sizeof(protector), "authority:%s", a->place.group);
	if ((rc = run(native, err)) < 0)
		return rc;
	return run(authority, err);
}

static void
tell(const struct authority_bench *a, struct subject s[2])
{
	struct report_row row = { .what = "VM start: added by the authority",
		.bar = 1.0 };
	size_t n = a->plan.starts;
	double *added = calloc(n, sizeof(*added));

	if (added == NULL)
		return;
	for (size_t i = 0; i < n; i++)
		added[i] = (s[0].samples[i] - s[1].samples[i]) / LIMIT_US;
	row.ratio = spread_of(added, n);
	snprintf(row.ours, sizeof(row.ours), "%.1f ms",
	    row.ratio.mid * LIMIT_US / 1e3);
	snprintf(row.other, sizeof(row.other), "20 ms; %.1f ms, native %.1f "
	    "ms", subject_median(&s[0], n) / 1e3,
	    subject_median(&s[1], n) / 1e3);
	report_add(a->bench.report, &row);
	free(added);
}

int
bench_vm_start(const struct authority_bench *a, struct err *err)
{
	struct peer authority = peer_named(&a->bench, PEER_VTPMD,
	    "authority.nvram");
	struct peer native = peer_named(&a->bench, PEER_VTPMD, "native.nvram");
	struct subject s[] = {
		{ "authority", start_to_init, &authority, NULL },
		{ "native", start_to_init, &native, NULL },
	};
	int rc;

	authority.config = native.config = a->place.config;
	if ((rc = make_files(a, err)) == 0 &&
	    (rc = subjects_measure(s, 2, a->plan.starts, err)) == 0)
		tell(a, s);
	subjects_free(s, 2);
	return rc;
}
