/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From exec to a TPM that is on: fork and exec of the emulator, until INIT on
 * its control socket is answered; it is ended before the next one starts. And
 * from nothing to a TPM that is made: vtpmctl create and swtpm_setup, from fork
 * until the process has ended. A start or a making of each in turn.
 */
#include <stdio.h>

#include "bench/bench.h"
#include "bench/peer.h"
#include "bench/wire.h"

struct creator {
	const struct bench *bench;
	enum peer_kind kind;
	const char *option, *value;
	const char *prefix;	/* of the names of what is made */
	unsigned int count;
};

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

int
bench_start(const struct bench *b, struct err *err)
{
	struct peer vtpmd = peer_named(b, PEER_VTPMD, "vm0.nvram");
	struct peer swtpm = peer_named(b, PEER_SWTPM, "swtpm0");
	struct subject s[] = {
		{ "vtpmd", start_to_init, &vtpmd, NULL },
		{ "swtpm", start_to_init, &swtpm, NULL },
	};
	struct report_row row = { .what = "exec to INIT done", .bar = 1.0 };
	int rc;

	if ((rc = subjects_measure(s, 2, b->plan.starts, err)) == 0) {
		snprintf(row.ours, sizeof(row.ours), "%.2f ms",
		    subject_median(&s[0], b->plan.starts) / 1e3);
		snprintf(row.other, sizeof(row.other), "swtpm %.2f ms",
		    subject_median(&s[1], b->plan.starts) / 1e3);
		row.ratio = subject_ratio(&s[0], &s[1], NULL, b->plan.starts);
		report_add(b->report, &row);
	}
	subjects_free(s, 2);
	return rc;
}

static int
create_once(void *arg, double *us, struct err *err)
{
	struct creator *c = arg;
	struct peer p;
	char name[PEER_NAME];
	double start;
	int rc;

	snprintf(name, sizeof(name), "%s%u", c->prefix, c->count++);
	p = peer_named(c->bench, c->kind, name);
	start = now_us();
	rc = peer_create(&p, c->option, c->value, err);
	*us = now_us() - start;
	return rc;
}

/* swtpm_setup makes no storage root key unless asked; vtpmctl always does, so
 * its default is the harder comparison of the two. */
int
bench_create(const struct bench *b, struct err *err)
{
	struct creator c[] = {
		{ b, PEER_VTPMD, NULL, NULL, "made", 0 },
		{ b, PEER_SWTPM, NULL, NULL, "swmade", 0 },
		{ b, PEER_VTPMD, "--srk", "p256", "madep256-", 0 },
	};
	struct subject s[] = {
		{ "vtpmctl create", create_once, &c[0], NULL },
		{ "swtpm_setup", create_once, &c[1], NULL },
		{ "vtpmctl create --srk p256", create_once, &c[2], NULL },
	};
	static const char *const what[] = { "create: EKs, certificates, SRK",
		NULL, "the same, SRK on P-256" };
	size_t n = b->plan.creates;
	int rc;

	rc = subjects_measure(s, 3, n, err);
	for (size_t i = 0; rc == 0 && i < 3; i += 2) {
		struct report_row row = { .bar = 0.3 };

		snprintf(row.what, sizeof(row.what), "%s", what[i]);
		snprintf(row.ours, sizeof(row.ours), "%.0f ms",
		    subject_median(&s[i], n) / 1e3);
		snprintf(row.other, sizeof(row.other),
		    "swtpm_setup, no SRK, %.0f ms",
		    subject_median(&s[1], n) / 1e3);
		row.ratio = subject_ratio(&s[i], &s[1], NULL, n);
		report_add(b->report, &row);
	}
	subjects_free(s, 3);
	return rc;
}
