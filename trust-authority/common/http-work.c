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

struct http_work {
	pthread_mutex_t lock;
	pthread_cond_t more;
	bool ending;
	size_t max, first, count;	/* of the ring */
	struct job *ring;
	size_t threads;
	pthread_t thread[];
};

static void *
work(void *arg)
{
	struct http_work *w = arg;

	pthread_mutex_lock(&w->lock);
	for (;;) {
		struct job job;

		while (w->count == 0 && !w->ending)
			pthread_cond_wait(&w->more, &w->lock);
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
	    threads * sizeof(w->thread[0]));
	sigset_t all, before;
	int sys = 0;

	if (w == NULL ||
	    (w->ring = calloc(queue_max, sizeof(*w->ring))) == NULL) {
		free(w);
		return err_set(err, ERR_SYSTEM, "no memory for the workers");
	}
	w->max = queue_max;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->more, NULL);
	/* Signals are for the loop's thread. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	while (w->threads < threads && sys == 0) {
		sys = pthread_create(&w->thread[w->threads], NULL, work, w);
		if (sys == 0)
			w->threads++;
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
		pthread_cond_signal(&w->more);
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
	pthread_cond_broadcast(&w->more);
	pthread_mutex_unlock(&w->lock);
	for (size_t i = 0; i < w->threads; i++)
		pthread_join(w->thread[i], NULL);
	pthread_cond_destroy(&w->more);
	pthread_mutex_destroy(&w->lock);
	free(w->ring);
	free(w);
}
