/* SPDX-License-Identifier: BSD-3-Clause */
/* Samples, taken in turn, and their medians. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/bench.h"

double
now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int
by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* Between two samples in proportion; v is sorted. */
static double
at_share(const double *v, size_t n, double share)
{
	double at = share * (double)(n - 1);
	size_t i = (size_t)at;

	if (i + 1 >= n)
		return v[n - 1];
	return v[i] + (v[i + 1] - v[i]) * (at - (double)i);
}

double
quantile(double *v, size_t n, double share)
{
	if (n == 0)
		return 0;
	qsort(v, n, sizeof(*v), by_value);
	return at_share(v, n, share);
}

struct spread
spread_of(double *v, size_t n)
{
	struct spread s = { 0, 0, 0 };

	if (n == 0)
		return s;
	qsort(v, n, sizeof(*v), by_value);
	s.low = at_share(v, n, 0.25);
	s.mid = at_share(v, n, 0.5);
	s.high = at_share(v, n, 0.75);
	return s;
}

int
subjects_room(struct subject *s, size_t n_subjects, size_t rounds,
    struct err *err)
{
	for (size_t i = 0; i < n_subjects; i++)
		if ((s[i].samples = calloc(rounds, sizeof(double))) == NULL)
			return err_set(err, ERR_INTERNAL, "out of memory");
	return 0;
}

int
subjects_measure(struct subject *s, size_t n_subjects, size_t rounds,
    struct err *err)
{
	double warm;
	int rc;

	if ((rc = subjects_room(s, n_subjects, rounds, err)) < 0)
		return rc;
	for (size_t i = 0; i < n_subjects; i++)
		if ((rc = s[i].measure(s[i].arg, &warm, err)) < 0)
			return err_prefix(err, "%s", s[i].name);
	for (size_t round = 0; round < rounds; round++)
		for (size_t k = 0; k < n_subjects; k++) {
			size_t i = (round + k) % n_subjects;

			rc = s[i].measure(s[i].arg, &s[i].samples[round], err);
			if (rc < 0)
				return err_prefix(err, "%s", s[i].name);
		}
	return 0;
}

void
subjects_free(struct subject *s, size_t n_subjects)
{
	for (size_t i = 0; i < n_subjects; i++) {
		free(s[i].samples);
		s[i].samples = NULL;
	}
}

double
subject_median(const struct subject *s, size_t rounds)
{
	double m, *copy = calloc(rounds, sizeof(*copy));

	if (copy == NULL)
		return 0;
	memcpy(copy, s->samples, rounds * sizeof(*copy));
	m = quantile(copy, rounds, 0.5);
	free(copy);
	return m;
}

struct spread
subject_ratio(const struct subject *top, const struct subject *below,
    const struct subject *also, size_t rounds)
{
	double *v = calloc(rounds, sizeof(*v));
	struct spread s = { 0, 0, 0 };

	if (v == NULL)
		return s;
	for (size_t i = 0; i < rounds; i++)
		v[i] = top->samples[i] / (below->samples[i] +
		    (also != NULL ? also->samples[i] : 0));
	s = spread_of(v, rounds);
	free(v);
	return s;
}
