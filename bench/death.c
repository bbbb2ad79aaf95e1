/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How long a guest waits when the worker dies: from kill(2) with SIGKILL until
 * the answer, read by the client that called kill.
 *
 * Idle: nothing has been sent for a while; PCR_Read is sent at once after kill.
 * At work: commands have come without a pause, and one is under way, sent and
 * not answered, when kill is called some moment later; measured are its answer
 * and that of the PCR_Read sent as soon as it has come. Deaths that no command
 * was under way at, because its answer was already there, do not count.
 *
 * A command that is answered TPM_RC_RETRY is sent again, as a driver does, and
 * the time goes on. swtpm's one process is killed once, to see what it does.
 */
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "bench/bench.h"
#include "bench/family.h"
#include "bench/peer.h"
#include "bench/wire.h"
#include "vtpm/tpm.h"

#define WORKER "vtpmd-worker"
/* The project's bar, and how long to look for a worker. */
#define BAR_US 20e3
#define WORKER_TIMEOUT_US 10e6
#define REST_NS 20000000	/* of an idle TPM */
#define BURST 60		/* commands before a death at work */
#define TRIES 20		/* for one command under way */
#define COUNTER 0x01500010

struct deaths {
	struct peer *p;
	double *next, *under_way;	/* us, a sample a death */
	size_t n;
	unsigned int retries, failures;
};

static int
kill_worker(const struct peer *p, double *at, struct err *err)
{
	struct timespec pause = { .tv_nsec = 100000 };
	double end = now_us() + WORKER_TIMEOUT_US;
	pid_t pid;

	/* A new one has its name a moment after it has its process. */
	while ((pid = family_member(p->pid, WORKER)) == 0) {
		if (now_us() > end)
			return err_set(err, ERR_NOTFOUND, "no process %s is "
			    "below %d", WORKER, (int)p->pid);
		nanosleep(&pause, NULL);
	}
	*at = now_us();
	kill(pid, SIGKILL);
	return 0;
}

/* Until it succeeds. TPM_RC_FAILURE after a death means that a change the
 * client was told of is lost: it is counted, and the machine reset. */
static int
read_until_done(struct deaths *d, struct err *err)
{
	struct command c, startup;
	struct answer a;
	int rc;

	command_pcr_read(&c);
	command_startup(&startup);
	for (;;) {
		if ((rc = command_ask(d->p->data, &c, &a, err)) < 0)
			return rc;
		if (a.rc == TPM_RC_RETRY) {
			d->retries++;
			continue;
		}
		if (a.rc != TPM_RC_FAILURE)
			return answer_check(&a, err);
		d->failures++;
		if ((rc = ctrl_reset(d->p->ctrl, err)) < 0 ||
		    (rc = command_run(d->p->data, &startup, NULL, err)) < 0)
			return rc;
	}
}

static int
die_idle(struct deaths *d, struct err *err)
{
	struct timespec rest = { .tv_nsec = REST_NS };
	double at;
	int rc;

	nanosleep(&rest, NULL);
	if ((rc = kill_worker(d->p, &at, err)) < 0 ||
	    (rc = read_until_done(d, err)) < 0)
		return rc;
	d->next[d->n++] = now_us() - at;
	return 0;
}

/* One that is short, one that computes, one that waits for the disk. */
static double
some_command(struct command *c, size_t number)
{
	switch (number % 3) {
	case 0:
		command_pcr_extend(c);
		return 30;
	case 1:
		command_get_random(c, 48);
		return 30;
	default:
		command_nv_increment(c, COUNTER);
		return 200;
	}
}

static int
work(struct deaths *d, struct err *err)
{
	struct command c;
	int rc;

	for (size_t i = 0; i < BURST; i++) {
		(void)some_command(&c, i);
		if ((rc = command_run(d->p->data, &c, NULL, err)) < 0)
			return rc;
	}
	return 0;
}

/* *counts: a command was under way. */
static int
die_at_work(struct deaths *d, bool *counts, struct err *err)
{
	struct pollfd p = { .fd = d->p->data, .events = POLLIN };
	struct command c;
	struct answer a;
	double at, until;
	int rc;

	if ((rc = work(d, err)) < 0)
		return rc;
	until = some_command(&c, d->n) * (double)rand() / RAND_MAX;
	if ((rc = command_send(d->p->data, &c, err)) < 0)
		return rc;
	for (at = now_us(); now_us() < at + until;)
		;
	if ((rc = kill_worker(d->p, &at, err)) < 0)
		return rc;
	*counts = poll(&p, 1, 0) == 0;
	rc = answer_read(d->p->data, &a, err);
	while (rc == 0 && a.rc == TPM_RC_RETRY) {
		d->retries++;
		rc = command_ask(d->p->data, &c, &a, err);
	}
	if (rc < 0 || (a.rc != TPM_RC_FAILURE &&
	    (rc = answer_check(&a, err)) < 0))
		return rc;
	if (*counts)
		d->under_way[d->n] = now_us() - at;
	if ((rc = read_until_done(d, err)) < 0)
		return rc;
	if (*counts)
		d->next[d->n++] = now_us() - at;
	return 0;
}

static void
report_deaths(const struct bench *b, const char *what, double *us, size_t n)
{
	struct report_row row = { .bar = 1.0 };

	row.ratio = spread_of(us, n);
	snprintf(row.what, sizeof(row.what), "%s", what);
	snprintf(row.ours, sizeof(row.ours), "%.2f ms", row.ratio.mid / 1e3);
	snprintf(row.other, sizeof(row.other),
	    "20 ms; 95 %% %.1f, most %.1f; swtpm: never",
	    quantile(us, n, 0.95) / 1e3, quantile(us, n, 1) / 1e3);
	row.ratio.low /= BAR_US;
	row.ratio.mid /= BAR_US;
	row.ratio.high /= BAR_US;
	report_add(b->report, &row);
}

static int
measure(const struct bench *b, struct deaths *d, struct err *err)
{
	struct command c;
	bool counts;
	int rc = 0;

	while (rc == 0 && d->n < b->plan.deaths)
		rc = die_idle(d, err);
	if (rc < 0)
		return err_prefix(err, "worker killed, idle");
	report_deaths(b, "worker killed, idle: next answer", d->next, d->n);
	d->n = 0;
	command_nv_define_counter(&c, COUNTER);
	rc = command_run(d->p->data, &c, NULL, err);
	for (size_t i = 0; rc == 0 && d->n < b->plan.deaths; i++)
		rc = i < TRIES * b->plan.deaths ? die_at_work(d, &counts, err) :
		    err_set(err, ERR_SYSTEM, "no command is under way at a "
		    "death");
	if (rc < 0)
		return err_prefix(err, "worker killed, at work");
	report_deaths(b, "worker killed, at work: its answer", d->under_way,
	    d->n);
	report_deaths(b, "worker killed, at work: the next", d->next, d->n);
	report_note(b->report, "%zu workers killed idle and as many at work: "
	    "%u commands were answered TPM_RC_RETRY, %u times the TPM went "
	    "into failure mode until reset", d->n, d->retries, d->failures);
	return 0;
}

/* That of a swtpm whose process is killed nothing is left to answer: the rows
 * say so. */
static int
kill_swtpm(const struct bench *b, struct err *err)
{
	struct peer p = peer_named(b, PEER_SWTPM, "swtpm0");
	struct command c;
	int rc;

	command_pcr_read(&c);
	signal(SIGPIPE, SIG_IGN);
	if ((rc = peer_power_on(&p, err)) == 0) {
		kill(p.pid, SIGKILL);
		if (command_run(p.data, &c, NULL, NULL) == 0)
			rc = err_set(err, ERR_INTERNAL,
			    "a swtpm that was killed answers");
	}
	peer_stop(&p);
	return rc;
}

int
bench_death(const struct bench *b, struct err *err)
{
	struct peer p = peer_named(b, PEER_VTPMD, "vm0.nvram");
	struct deaths d = { .p = &p };
	int rc;

	d.next = calloc(b->plan.deaths, sizeof(double));
	d.under_way = calloc(b->plan.deaths, sizeof(double));
	if (d.next == NULL || d.under_way == NULL) {
		rc = err_set(err, ERR_INTERNAL, "out of memory");
		goto out;
	}
	if ((rc = kill_swtpm(b, err)) == 0 &&
	    (rc = peer_power_on(&p, err)) == 0)
		rc = measure(b, &d, err);
out:
	peer_stop(&p);
	free(d.next);
	free(d.under_way);
	return rc;
}
