/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/common/http-work.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>

struct job {
	void (*run)(void *job);
	void *job;
};

struct worker {
	struct http_work *all;
	struct worker *next;		/* in the list of the idle */
	pthread_t thread;
	pthread_cond_t woken;
	bool idle;
};

struct http_work {
	pthread_mutex_t lock;
	bool ending;
	size_t max, first, count;	/* of the ring */
	struct job *ring;
	/* The last one to become idle is the first to be woken: its stack and
	 * its part of the heap are in the caches still, and those of whom few
	 * requests do not need stay out of memory. */
	struct worker *idle;
	size_t threads;
	struct worker worker[];
};

/* With the lock. */
static void
wait_for_work(struct worker *me)
{
	me->idle = true;
	me->next = me->all->idle;
	me->all->idle = me;
	while (me->idle && !me->all->ending)
		pthread_cond_wait(&me->woken, &me->all->lock);
}

/* With the lock. */
static void
wake_one(struct http_work *w)
{
	struct worker *one = w->idle;

	if (one == NULL)
		return;
	w->idle = one->next;
	one->idle = false;
	pthread_cond_signal(&one->woken);
}

static void *
work(void *arg)
{
	struct worker *me = arg;
	struct http_work *w = me->all;

	pthread_mutex_lock(&w->lock);
	for (;;) {
		struct job job;

		while (w->count == 0 && !w->ending)
			wait_for_work(me);
		if (w->count == 0)
			break;
		job = w->ring[w->first];
		w->first = (w->first + 1) % w->max;
		w->count--;
		pthread_mutex_unlock(&w->lock);
		job.run(job.job);
		pthread_mutex_lock(&w->lock);
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

int
http_work_new(size_t threads, size_t queue_max, struct http_work **out,
    struct err *err)
{
	struct http_work *w = calloc(1, sizeof(*w) +
	    threads * sizeof(w->worker[0]));
	sigset_t all, before;
	int sys = 0;

	if (w == NULL ||
	    (w->ring = calloc(queue_max, sizeof(*w->ring))) == NULL) {
		free(w);
		return err_set(err, ERR_SYSTEM, "no memory for the workers");
	}
	w->max = queue_max;
	pthread_mutex_init(&w->lock, NULL);
	/* Signals are for the loop's thread. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	while (w->threads < threads && sys == 0) {
		struct worker *one = &w->worker[w->threads];

		one->all = w;
		pthread_cond_init(&one->woken, NULL);
		sys = pthread_create(&one->thread, NULL, work, one);
		if (sys == 0)
			w->threads++;
		else
			pthread_cond_destroy(&one->woken);
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (sys != 0) {
		http_work_free(w);
		return err_sys(err, sys, "cannot start a worker's thread");
	}
	*out = w;
	return 0;
}

int
http_work_add(struct http_work *w, void (*run)(void *job), void *job)
{
	int rc = ERR_BUSY;

	pthread_mutex_lock(&w->lock);
	if (w->count < w->max) {
		w->ring[(w->first + w->count++) % w->max] =
		    (struct job){ run, job };
		wake_one(w);
		rc = 0;
	}
	pthread_mutex_unlock(&w->lock);
	return rc;
}

void
http_work_free(struct http_work *w)
{
	if (w == NULL)
		return;
	pthread_mutex_lock(&w->lock);
	w->ending = true;
	for (size_t i = 0; i < w->threads; i++)
		pthread_cond_signal(&w->worker[i].woken);
	pthread_mutex_unlock(&w->lock);
	for (size_t i = 0; i < w->threads; i++) {
		pthread_join(w->worker[i].thread, NULL);
		pthread_cond_destroy(&w->worker[i].woken);
	}
	pthread_mutex_destroy(&w->lock);
	free(w->ring);
	free(w);
}
