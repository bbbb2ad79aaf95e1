/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What all measurements share: how often, where the results go, and the way to
 * compare. Everything is measured side by side in one run, a little of each in
 * turn, and compared pair by pair: absolute times of a busy machine drift,
 * ratios do so much less. All times are microseconds.
 */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <stddef.h>

#include "base/err.h"
#include "bench/report.h"

#define BENCH_SUBJECTS_MAX 6
#define BENCH_CROWDS 3

struct bench_plan {
	size_t rounds;		/* of the commands */
	size_t batch;		/* commands a round */
	size_t writes;		/* durable writes a round */
	size_t starts;		/* rounds of exec to INIT */
	size_t creates;		/* rounds of making a TPM */
	size_t crowds[BENCH_CROWDS];	/* TPMs running at once, rising */
	size_t flat_commands, flat_resets;
	size_t moves;		/* migrations */
	size_t deaths;		/* of a worker, idle and at work */
	size_t cycles;		/* through all kinds of commands */
};

struct bench {
	struct bench_plan plan;
	const char *vtpmd, *vtpmctl;	/* the programs to measure */
	const char *nocapture;		/* vtpmd without its captures */
	struct report *report;
};

/* One of the things compared: measure gives one sample. */
struct subject {
	const char *name;
	int (*measure)(void *arg, double *us, struct err *err);
	void *arg;
	double *samples;
};

double now_us(void);
/* Both sort v. quantile: the value below which share of the samples are. */
double quantile(double *v, size_t n, double share);
struct spread spread_of(double *v, size_t n);

/* Takes one sample of each subject, then the next; who is first goes round. A
 * first round warms up and does not count. Allocates the samples. */
int subjects_measure(struct subject *s, size_t n_subjects, size_t rounds,
    struct err *err);
/* Only the samples' room, for who takes them otherwise. */
int subjects_room(struct subject *s, size_t n_subjects, size_t rounds,
    struct err *err);
void subjects_free(struct subject *s, size_t n_subjects);
double subject_median(const struct subject *s, size_t rounds);
/* Over the rounds, of top / (below + also); also may be NULL. */
struct spread subject_ratio(const struct subject *top,
    const struct subject *below, const struct subject *also, size_t rounds);

/* The measurements; each adds its rows to the report. */
int bench_commands(const struct bench *b, struct err *err);
int bench_writes(const struct bench *b, struct err *err);
int bench_start(const struct bench *b, struct err *err);
int bench_create(const struct bench *b, struct err *err);
int bench_memory(const struct bench *b, struct err *err);
int bench_capture(const struct bench *b, struct err *err);
int bench_death(const struct bench *b, struct err *err);
int bench_migrate(const struct bench *b, struct err *err);
int bench_flat(const struct bench *b, struct err *err);

#endif
