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

double
median(double *v, size_t n)
{
	if (n == 0)
		return 0;
	qsort(v, n, sizeof(*v), by_value);
	return n % 2 == 1 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

int
subjects_measure(struct subject *s, size_t n_subjects, size_t rounds,
    struct err *err)
{
	double warm;
	int rc;

	for (size_t i = 0; i < n_subjects; i++) {
		s[i].samples = calloc(rounds, sizeof(double));
		if (s[i].samples == NULL)
			return err_set(err, ERR_INTERNAL, "out of memory");
		if ((rc = s[i].measure(s[i].arg, &warm, err)) < 0)
			return err_prefix(err, "%s", s[i].name);
	}
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
	m = median(copy, rounds);
	free(copy);
	return m;
}

double
subject_ratio(const struct subject *top, const struct subject *below,
    const struct subject *also, size_t rounds)
{
	double m, *v = calloc(rounds, sizeof(*v));

	if (v == NULL)
		return 0;
	for (size_t i = 0; i < rounds; i++)
		v[i] = top->samples[i] / (below->samples[i] +
		    (also != NULL ? also->samples[i] : 0));
	m = median(v, rounds);
	free(v);
	return m;
}
