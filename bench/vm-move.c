/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The blobs' part of a live migration (bench/migrate.c) of a VM whose record
 * the authority keeps: one request on the source (OFFER) and one on the target
 * (CLAIM), over vta-kmxa and vta-kmxd to the store, all on this machine. Each
 * move has a fresh process as its target, and a first command after it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "bench/authority.h"
#include "bench/peer.h"
#include "bench/wire.h"

#define LIMIT_US 10e3
#define FILE_NAME "move.nvram"

static const char *const incoming[] = { "--incoming", NULL };

struct moving {
	struct peer side[2];
	size_t here;
	struct state_blob blobs[BLOB_KINDS];
};

static int
hand_over(struct moving *m, struct peer *from, struct peer *to,
    struct err *err)
{
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < BLOB_KINDS; i++)
		rc = ctrl_get_blob(from->ctrl, i + 1, &m->blobs[i], err);
	if (rc == 0)
		rc = ctrl_stop(to->ctrl, err);
	/* QEMU leaves empty ones out. */
	for (uint32_t i = 0; rc == 0 && i < BLOB_KINDS; i++)
		if (m->blobs[i].size > 0)
			rc = ctrl_set_blob(to->ctrl, i + 1, &m->blobs[i],
			    err);
	return rc == 0 ? ctrl_init_incoming(to->ctrl, err) : rc;
}

static int
move(struct moving *m, double *us, struct err *err)
{
	struct peer *from = &m->side[m->here], *to = &m->side[m->here ^ 1u];
	double start;
	int rc;

	to->options = incoming;
	if ((rc = peer_start(to, err)) < 0 ||
	    (rc = ctrl_data_fd(to->ctrl, &to->data, err)) < 0)
		return rc;
	start = now_us();
	rc = hand_over(m, from, to, err);
	*us = now_us() - start;
	m->here ^= 1u;
	if (rc == 0)
		rc = peer_use(to, err);
	peer_stop(from);
	return rc;
}

static int
begin(const struct authority_bench *a, struct moving *m, struct err *err)
{
	char protector[PLACE_TEXT + 16];
	const char *create[] = { a->bench.vtpmctl, "create", FILE_NAME,
		"--protector", protector, "--config", a->place.config, NULL };
	int rc;

	snprintf(protector, sizeof(protector), "authority:%s", a->place.group);
	for (size_t i = 0; i < 2; i++) {
		m->side[i] = peer_named(&a->bench, PEER_VTPMD, FILE_NAME);
		snprintf(m->side[i].socket, sizeof(m->side[i].socket),
		    "move%zu", i);
		m->side[i].config = a->place.config;
	}
	if ((rc = run(create, err)) < 0 ||
	    (rc = peer_power_on(&m->side[0], err)) < 0)
		return rc;
	return peer_use(&m->side[0], err);
}

static void
tell(const struct authority_bench *a, double *samples)
{
	struct report_row row = { .what = "VM move: the blobs, with offer and "
		"claim", .bar = 1.0 };

	for (size_t i = 0; i < a->plan.starts; i++)
		samples[i] /= LIMIT_US;
	row.ratio = spread_of(samples, a->plan.starts);
	snprintf(row.ours, sizeof(row.ours), "%.2f ms",
	    row.ratio.mid * LIMIT_US / 1e3);
	snprintf(row.other, sizeof(row.other), "10 ms; 1 request a side");
	report_add(a->bench.report, &row);
}

int
bench_vm_move(const struct authority_bench *a, struct err *err)
{
	double *samples = calloc(a->plan.starts, sizeof(*samples));
	struct moving m = { .here = 0 };
	double warm;
	int rc;

	if (samples == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	if ((rc = begin(a, &m, err)) == 0)
		rc = move(&m, &warm, err);
	for (size_t i = 0; rc == 0 && i < a->plan.starts; i++)
		rc = move(&m, &samples[i], err);
	if (rc == 0)
		tell(a, samples);
	for (size_t i = 0; i < 2; i++)
		peer_stop(&m.side[i]);
	free(samples);
	return rc;
}
