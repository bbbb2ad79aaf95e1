/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory of many vTPMs on one host, vtpmd's and swtpm's: the proportional set
 * size of all processes of one, as the mean over all that run. First all of one
 * kind run, then all of the other, so that libraries are shared within a kind
 * only. Each has been used as a guest does at the least.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "bench/memory.h"
#include "bench/peer.h"
#include "bench/wire.h"

#define NOTED_PLACES 8

struct crowd {
	struct peer *peers;
	size_t n;		/* running */
	long kb[BENCH_CROWDS];	/* mean PSS of one */
	struct memory_map dirty;
};

/* As Linux does at start; it touches all of the cryptography. */
static int
test_self(const struct peer *p, struct err *err)
{
	struct command c;

	command_self_test(&c);
	return command_run(p->data, &c, NULL, err);
}

static int
mean_pss(const struct crowd *c, long *kb, struct err *err)
{
	long one, sum = 0;
	int rc;

	if (c->n == 0)
		return err_set(err, ERR_INTERNAL, "nobody runs");
	for (size_t i = 0; i < c->n; i++) {
		if ((rc = memory_pss(c->peers[i].pid, &one, err)) < 0)
			return rc;
		sum += one;
	}
	*kb = sum / (long)c->n;
	return 0;
}

static int
make(const struct peer *p, enum peer_kind kind, struct err *err)
{
	struct peer first = peer_named(p->bench, kind, "swtpm0");

	/* A copy of an nvram file is refused: it would be a fork of a TPM. */
	if (kind == PEER_SWTPM)
		return peer_copy(&first, p, err);
	return peer_create(p, NULL, NULL, err);
}

/* Each kind runs alone: what libraries it shares with others is then shared
 * with its own kind only. */
static int
gather(const struct bench *b, enum peer_kind kind, struct crowd *c,
    struct err *err)
{
	char name[PEER_NAME];
	int rc;

	for (size_t k = 0; k < BENCH_CROWDS; k++) {
		while (c->n < b->plan.crowds[k]) {
			struct peer *p = &c->peers[c->n++];

			snprintf(name, sizeof(name), kind == PEER_VTPMD ?
			    "crowd%zu" : "swcrowd%zu", c->n);
			*p = peer_named(b, kind, name);
			if ((rc = make(p, kind, err)) < 0 ||
			    (rc = peer_power_on(p, err)) < 0 ||
			    (rc = test_self(p, err)) < 0 ||
			    (rc = peer_use(p, err)) < 0)
				return rc;
		}
		if ((rc = mean_pss(c, &c->kb[k], err)) < 0)
			return rc;
	}
	return memory_dirty(c->peers[0].pid, &c->dirty, err);
}

static int
crowd_run(const struct bench *b, enum peer_kind kind, struct crowd *c,
    struct err *err)
{
	size_t most = b->plan.crowds[BENCH_CROWDS - 1];
	int rc;

	memset(c, 0, sizeof(*c));
	if ((c->peers = calloc(most, sizeof(*c->peers))) == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	rc = gather(b, kind, c, err);
	for (size_t i = 0; i < c->n; i++)
		peer_stop(&c->peers[i]);
	free(c->peers);
	c->peers = NULL;
	return rc;
}

static void
note_dirty(const struct bench *b, const char *who, const struct crowd *c)
{
	char text[160] = "";
	size_t at = 0;

	for (size_t i = 0; i < c->dirty.n && i < NOTED_PLACES; i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%s %ld",
		    i > 0 ? ", " : "", c->dirty.places[i].name,
		    c->dirty.places[i].kb) < sizeof(text) - at ?
		    strlen(text + at) : 0;
	report_note(b->report, "private dirty of one %s, kB: %s", who, text);
}

int
bench_memory(const struct bench *b, struct err *err)
{
	static struct crowd ours, theirs;
	int rc;

	if ((rc = crowd_run(b, PEER_VTPMD, &ours, err)) < 0 ||
	    (rc = crowd_run(b, PEER_SWTPM, &theirs, err)) < 0)
		return rc;
	for (size_t k = 0; k < BENCH_CROWDS; k++) {
		struct report_row row = {
			.ratio.mid = (double)ours.kb[k] /
			    (double)theirs.kb[k],
			.bar = k == BENCH_CROWDS - 1 ? 1.0 : 0 };

		snprintf(row.what, sizeof(row.what), "PSS of one of %zu",
		    b->plan.crowds[k]);
		snprintf(row.ours, sizeof(row.ours), "%ld kB", ours.kb[k]);
		snprintf(row.other, sizeof(row.other), "swtpm %ld kB",
		    theirs.kb[k]);
		report_add(b->report, &row);
	}
	note_dirty(b, "vtpmd", &ours);
	note_dirty(b, "swtpm", &theirs);
	return 0;
}
