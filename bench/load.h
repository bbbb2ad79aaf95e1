/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An open load: each kind of work is begun at its own fixed rate, whatever
 * becomes of what was begun before, and its time counts from when it was due.
 */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <stddef.h>

#include "base/err.h"

#define LOAD_KINDS_MAX 4

struct load_kind {
	const char *name;
	double rate;		/* a second */
	/* The k-th. *us (may be left alone): when it counts as done, by
	 * now_us, if there is more to do after. In a thread of its own. */
	int (*work)(void *arg, size_t k, double *done, struct err *err);
	void *arg;
	/* Results: how many, and the us of each; free it. */
	size_t count;
	double *us;
};

/* second: called about once a second with the seconds since the begin; an
 * error of its or of any work ends all. */
int load_run(struct load_kind *kinds, size_t n, double seconds,
    int (*second)(void *arg, double at, struct err *err), void *arg,
    struct err *err);

#endif
