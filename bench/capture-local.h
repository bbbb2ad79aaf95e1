/* SPDX-License-Identifier: BSD-3-Clause */
/* What capturing costs by itself: libtpms and the journal in this process. */
#ifndef BENCH_CAPTURE_LOCAL_H
#define BENCH_CAPTURE_LOCAL_H

#include <stddef.h>

#include "base/err.h"
#include "vtpm/journal.h"

#define KINDS_MAX 24
#define CAPTURE_EXTENDS (10 * (JOURNAL_LOG_MAX + 1))

/* A sample a cycle of each kind (kinds.h), us. */
struct samples {
	double *of[KINDS_MAX];
};

int samples_make(struct samples *s, size_t n, struct err *err);
void samples_free(struct samples *s);

struct capture_local {
	struct samples command, capture;
	const char *how[KINDS_MAX];	/* what is captured */
	double extends;		/* mean of CAPTURE_EXTENDS captures in a row */
};

/* The caller has made the samples. */
int capture_measure_local(struct capture_local *l, size_t cycles,
    struct err *err);

#endif
