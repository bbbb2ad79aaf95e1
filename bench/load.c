/* SPDX-License-Identifier: BSD-3-Clause */
#include "bench/load.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#include "bench/bench.h"

#define THREADS 48

struct load {
	pthread_mutex_t lock;
	struct load_kind *kinds;
	size_t n;
	size_t begun[LOAD_KINDS_MAX], room[LOAD_KINDS_MAX];
	double start, seconds;
	struct err err;		/* the first */
	bool failed;
};

static double
due_at(const struct load *l, size_t kind)
{
	return l->start + ((double)l->begun[kind] + 0.5) * 1e6 /
	    l->kinds[kind].rate;
}

/* What is due next; false: nothing more. */
static bool
take(struct load *l, size_t *kind, size_t *k, double *due)
{
	bool more;

	pthread_mutex_lock(&l->lock);
	*kind = 0;
	for (size_t i = 1; i < l->n; i++)
		if (due_at(l, i) < due_at(l, *kind))
			*kind = i;
	*due = due_at(l, *kind);
	*k = l->begun[*kind];
	more = !l->failed && *due < l->start + l->seconds * 1e6 &&
	    *k < l->room[*kind];
	if (more)
		l->begun[*kind]++;
	pthread_mutex_unlock(&l->lock);
	return more;
}

static void
sleep_until(double at)
{
	double left = at - now_us();
	struct timespec t;

	if (left <= 0)
		return;
	t.tv_sec = (time_t)(left / 1e6);
	t.tv_nsec = (long)((left - (double)t.tv_sec * 1e6) * 1e3);
	nanosleep(&t, NULL);
}

static void *
work(void *arg)
{
	struct load *l = arg;
	size_t kind, k;
	double due;

	while (take(l, &kind, &k, &due)) {
		struct load_kind *what = &l->kinds[kind];
		struct err err = { 0 };
		double done = 0;
		int rc;

		sleep_until(due);
		rc = what->work(what->arg, k, &done, &err);
		what->us[k] = (done > 0 ? done : now_us()) - due;
		if (rc == 0)
			continue;
		pthread_mutex_lock(&l->lock);
		if (!l->failed)
			l->err = err;
		l->failed = true;
		pthread_mutex_unlock(&l->lock);
	}
	return NULL;
}

static void
watch(struct load *l, int (*second)(void *arg, double at, struct err *err),
    void *arg)
{
	struct err err = { 0 };
	double at;

	for (double next = 1; next <= l->seconds && !l->failed; next++) {
		sleep_until(l->start + next * 1e6);
		at = (now_us() - l->start) / 1e6;
		if (second(arg, at, &err) < 0) {
			pthread_mutex_lock(&l->lock);
			l->err = err;
			l->failed = true;
			pthread_mutex_unlock(&l->lock);
		}
	}
}

int
load_run(struct load_kind *kinds, size_t n, double seconds,
    int (*second)(void *arg, double at, struct err *err), void *arg,
    struct err *err)
{
	struct load l = { .kinds = kinds, .n = n, .seconds = seconds };
	pthread_t threads[THREADS];
	size_t started = 0;

	pthread_mutex_init(&l.lock, NULL);
	for (size_t i = 0; i < n; i++) {
		l.room[i] = (size_t)(kinds[i].rate * seconds) + 1;
		kinds[i].us = calloc(l.room[i], sizeof(double));
		if (kinds[i].us == NULL)
			return err_set(err, ERR_INTERNAL, "out of memory");
	}
	l.start = now_us() + 1e4;
	while (started < THREADS && pthread_create(&threads[started], NULL,
	    work, &l) == 0)
		started++;
	watch(&l, second, arg);
	for (size_t i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	for (size_t i = 0; i < n; i++)
		kinds[i].count = l.begun[i];
	pthread_mutex_destroy(&l.lock);
	if (l.failed && err != NULL)
		*err = l.err;
	return l.failed ? l.err.code : 0;
}
