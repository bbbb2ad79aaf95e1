/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/agent/daemon/attester.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "base/log.h"
#include "trust-authority/agent/daemon/keeper.h"
#include "trust-authority/agent/daemon/round.h"

#define FIRST_PAUSE_MS 1000
/* Somebody waits for it; a slow TPM takes a minute and a half twice. */
#define WAIT_SECONDS 240

struct attester {
	struct kmxa *k;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;		/* of the thread */
	pthread_cond_t done;		/* of who waits for a round */
	bool stop, wanted;
	uint64_t begun, ended;		/* rounds */
	uint64_t pause_ms;		/* after a failure; 0: none before */
	int rc;				/* of the last round */
	struct err err;
	json_t *verdict;
};

static uint32_t
random_below(uint64_t n)
{
	uint32_t r = 0;

	(void)!getrandom(&r, sizeof(r), 0);
	return n > 0 ? (uint32_t)(r % n) : 0;
}

/* Grows to the limit; half of it is random, so that many hosts do not come
 * back in the same moment. */
static uint64_t
failure_pause(struct attester *a)
{
	uint64_t most = (uint64_t)a->k->settings.authority.retry * 1000;

	a->pause_ms = a->pause_ms == 0 ? FIRST_PAUSE_MS : a->pause_ms * 2;
	if (a->pause_ms > most)
		a->pause_ms = most;
	return a->pause_ms / 2 + random_below(a->pause_ms / 2 + 1);
}

/* What the authority says, but no later than two thirds of the token's life;
 * up to a tenth sooner. */
static uint64_t
renewal_pause(const struct round_result *r)
{
	int64_t left = r->expires - (int64_t)time(NULL);
	int64_t after = r->attest_again;
	uint64_t ms;

	if (left < 1)
		left = 1;
	ms = (uint64_t)left * 2000 / 3;
	if (after > 0 && (uint64_t)after * 1000 < ms)
		ms = (uint64_t)after * 1000;
	return ms - random_below(ms / 10 + 1);
}

static void
report(struct kmxa *k, const struct round_result *r)
{
	if (trust_report(k->trust, &r->report))
		kmxa_trust_lost(k);
	else if (r->report.accepted)
		log_event(LOG_LEVEL_INFO, "agent.attested", "host=%s group=%s "
		    "policy=%s expires=%lld", r->report.host, r->report.group,
		    r->report.policy, (long long)r->expires);
}

/* How long to wait for the next. */
static uint64_t
attest(struct attester *a, bool now)
{
	struct round_result r = { 0 };
	struct err err = { 0 };
	bool of_tpm = false;
	uint64_t pause;
	int rc = round_run(a->k, now, &r, &of_tpm, &err);

	if (rc < 0) {
		log_event(LOG_LEVEL_WARNING, of_tpm ? "agent.tpm_failed" :
		    "agent.attest_failed", "error=\"%s\"", err.text);
		trust_failed(a->k->trust, &err);
		pause = failure_pause(a);
	} else {
		report(a->k, &r);
		pause = r.report.accepted ? renewal_pause(&r) :
		    failure_pause(a);
		if (r.report.accepted)
			a->pause_ms = 0;
	}
	pthread_mutex_lock(&a->lock);
	a->rc = rc;
	a->err = err;
	json_decref(a->verdict);
	a->verdict = rc == 0 ? json_incref(r.verdict) : NULL;
	pthread_mutex_unlock(&a->lock);
	round_reset(&r);
	return pause;
}

static void
wait_until(struct attester *a, uint64_t ms)
{
	struct timespec end;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += (time_t)(ms / 1000);
	end.tv_nsec += (long)(ms % 1000) * 1000000;
	if (end.tv_nsec >= 1000000000) {
		end.tv_sec++;
		end.tv_nsec -= 1000000000;
	}
	while (!a->stop && !a->wanted && pthread_cond_timedwait(&a->wake,
	    &a->lock, &end) != ETIMEDOUT)
		;
}

static void *
run(void *arg)
{
	struct attester *a = arg;
	uint64_t pause;

	pthread_mutex_lock(&a->lock);
	while (!a->stop) {
		bool now = a->wanted;

		a->wanted = false;
		a->begun++;
		pthread_mutex_unlock(&a->lock);
		pause = attest(a, now);
		keeper_wake(a->k);
		pthread_mutex_lock(&a->lock);
		a->ended = a->begun;
		pthread_cond_broadcast(&a->done);
		wait_until(a, pause);
	}
	pthread_mutex_unlock(&a->lock);
	return NULL;
}

static void
condition_init(pthread_cond_t *c)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(c, &attr);
	pthread_condattr_destroy(&attr);
}

int
attester_start(struct kmxa *k, struct attester **out, struct err *err)
{
	struct attester *a = calloc(1, sizeof(*a));
	int sys;

	if (a == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	a->k = k;
	pthread_mutex_init(&a->lock, NULL);
	condition_init(&a->wake);
	condition_init(&a->done);
	*out = a;
	if ((sys = pthread_create(&a->thread, NULL, run, a)) == 0)
		return 0;
	*out = NULL;
	free(a);
	return err_sys(err, sys, "cannot start a thread");
}

void
attester_stop(struct attester *a)
{
	if (a == NULL)
		return;
	pthread_mutex_lock(&a->lock);
	a->stop = true;
	pthread_cond_broadcast(&a->wake);
	pthread_cond_broadcast(&a->done);
	pthread_mutex_unlock(&a->lock);
	pthread_join(a->thread, NULL);
	json_decref(a->verdict);
	pthread_cond_destroy(&a->wake);
	pthread_cond_destroy(&a->done);
	pthread_mutex_destroy(&a->lock);
	free(a);
}

void
attester_wake(struct attester *a)
{
	pthread_mutex_lock(&a->lock);
	a->wanted = true;
	pthread_cond_broadcast(&a->wake);
	pthread_mutex_unlock(&a->lock);
}

int
attester_attest(struct attester *a, json_t **verdict, struct err *err)
{
	struct timespec end;
	uint64_t round;
	int rc = 0;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += WAIT_SECONDS;
	pthread_mutex_lock(&a->lock);
	/* The one under way may have read the PCRs already. */
	round = a->begun + 1;
	a->wanted = true;
	pthread_cond_broadcast(&a->wake);
	while (a->ended < round && !a->stop && rc == 0)
		rc = pthread_cond_timedwait(&a->done, &a->lock, &end);
	if (a->ended < round)
		rc = err_set(err, ERR_BUSY, "the attestation did not end in "
		    "%d s: see the agent's log", WAIT_SECONDS);
	else if ((rc = a->rc) < 0)
		*err = a->err;
	else
		*verdict = json_incref(a->verdict);
	pthread_mutex_unlock(&a->lock);
	return rc;
}
