/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What capturing the volatile state costs, per kind of command, each a median
 * over many cycles through all kinds (kinds.h).
 *
 * In process: capture-local.c.
 *
 * Through the socket: vtpmd beside bench/vtpmd-nocapture, the same program with
 * nothing captured; cycles in turn, and compared pair by pair. Lone: the client
 * sleeps 1 ms before each command. Burst: a PCR_Read is sent as soon as the
 * answer has come, and the time is that of both, since the next command is who
 * waits for a capture. Client and server are pinned (cpu.h).
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/bench.h"
#include "bench/capture-local.h"
#include "bench/cpu.h"
#include "bench/family.h"
#include "bench/kinds.h"
#include "bench/peer.h"
#include "vtpm/journal.h"
#include "vtpm/tpm.h"

#define LONE_NS 1000000
#define MODES 4

enum { WITH, WITHOUT, N_PEERS };

static const struct mode {
	const char *name;
	bool lone;
	size_t server;		/* which processor; the client has the first */
} modes[MODES] = {
	{ "lone, two CPUs", true, 1 },
	{ "lone, one CPU", true, 0 },
	{ "burst, two CPUs", false, 1 },
	{ "burst, one CPU", false, 0 },
};

struct captured {
	size_t cycles;
	struct capture_local local;
	struct samples us[MODES][N_PEERS];
};

static int
captured_make(struct captured *t, size_t cycles, struct err *err)
{
	int rc;

	t->cycles = cycles;
	if ((rc = samples_make(&t->local.command, cycles, err)) < 0 ||
	    (rc = samples_make(&t->local.capture, cycles, err)) < 0)
		return rc;
	for (size_t m = 0; m < MODES; m++)
		for (size_t i = 0; i < N_PEERS; i++)
			if ((rc = samples_make(&t->us[m][i], cycles, err)) < 0)
				return rc;
	return 0;
}

static void
captured_free(struct captured *t)
{
	if (t == NULL)
		return;
	samples_free(&t->local.command);
	samples_free(&t->local.capture);
	for (size_t m = 0; m < MODES; m++)
		for (size_t i = 0; i < N_PEERS; i++)
			samples_free(&t->us[m][i]);
	free(t);
}

/* -- through the socket -- */

static int
ask_peer(void *arg, const struct command *c, struct answer *a,
    struct err *err)
{
	const struct peer *p = arg;

	return command_ask(p->data, c, a, err);
}

static int
cycle_through_socket(const struct peer *p, struct kinds *k, bool lone,
    struct samples *s, size_t round, struct err *err)
{
	struct timespec pause = { .tv_nsec = LONE_NS };
	struct command c, next;
	struct answer a, b;
	int rc;

	command_pcr_read(&next);
	for (size_t i = 0; i < kinds_count(); i++) {
		double start;

		kind_build(i, k, &c);
		if (lone)
			nanosleep(&pause, NULL);
		start = now_us();
		if ((rc = command_ask(p->data, &c, &a, err)) < 0 ||
		    (!lone && (rc = command_ask(p->data, &next, &b, err)) < 0))
			return rc;
		s->of[i][round] = now_us() - start;
		if ((rc = kind_take(i, k, &a, err)) < 0)
			return rc;
	}
	return 0;
}

static int
take_turns(const struct mode *mode, struct peer *peers, struct kinds *k,
    struct samples *s, size_t cycles, struct err *err)
{
	int rc = 0;

	for (size_t round = 0; rc == 0 && round < cycles; round++)
		for (size_t n = 0; rc == 0 && n < N_PEERS; n++) {
			size_t i = (round + n) % N_PEERS;

			rc = cycle_through_socket(&peers[i], &k[i],
			    mode->lone, &s[i], round, err);
			if (rc < 0)
				err_prefix(err, "%s", peers[i].name);
		}
	return rc;
}

/* That vtpmd-nocapture captures nothing: a change of a PCR is not there after
 * its worker's death. */
static int
check_forgets(const struct peer *p, struct err *err)
{
	pid_t worker = family_member(p->pid, "vtpmd-worker");
	struct command extend, read;
	struct answer before, after;
	int rc;

	command_pcr_extend(&extend);
	command_pcr_read(&read);
	if ((rc = command_ask(p->data, &extend, &before, err)) < 0 ||
	    (rc = command_ask(p->data, &read, &before, err)) < 0)
		return rc;
	if (worker == 0 || kill(worker, SIGKILL) < 0)
		return err_set(err, ERR_NOTFOUND, "%s has no worker", p->name);
	do
		rc = command_ask(p->data, &read, &after, err);
	while (rc == 0 && after.rc == TPM_RC_RETRY);
	if (rc == 0 && after.rc == TPM_RC_SUCCESS && memcmp(before.bytes,
	    after.bytes, before.size) == 0)
		return err_set(err, ERR_INTERNAL, "vtpmd-nocapture captures "
		    "what it should not (bench/nocapture.c)");
	return rc;
}

static int
measure_mode(const struct bench *b, const struct mode *mode,
    const struct cpus *cpus, struct samples *s, struct err *err)
{
	struct bench without = *b;
	struct peer peers[N_PEERS] = {
		peer_named(b, PEER_VTPMD, "with.nvram"),
		peer_named(&without, PEER_VTPMD, "without.nvram"),
	};
	struct kinds k[N_PEERS];
	int rc;

	without.vtpmd = b->nocapture;
	if ((rc = cpu_pin(cpus->cpu[mode->server], err)) < 0)
		return rc;
	for (size_t i = 0; rc == 0 && i < N_PEERS; i++)
		if ((rc = peer_power_on(&peers[i], err)) == 0)
			rc = kinds_prepare(&k[i], ask_peer, &peers[i], err);
	if (rc == 0 && (rc = cpu_pin(cpus->cpu[0], err)) == 0)
		rc = take_turns(mode, peers, k, s, b->plan.cycles, err);
	if (rc == 0)
		rc = check_forgets(&peers[WITHOUT], err);
	for (size_t i = 0; i < N_PEERS; i++)
		peer_stop(&peers[i]);
	cpu_unpin();
	return rc;
}

/* -- the table -- */

/* "51.2 +0.3 (-0.5 to 1.1)": with captures, and the median and quartiles of
 * what the pairs differ by. */
static void
write_cell(const struct samples *s, size_t kind, size_t cycles, double *room,
    char *cell, size_t size)
{
	struct spread d;
	double with;

	memcpy(room, s[WITH].of[kind], cycles * sizeof(*room));
	/* Not measured: there is one processor only. */
	if ((with = quantile(room, cycles, 0.5)) == 0)
		return;
	for (size_t i = 0; i < cycles; i++)
		room[i] = s[WITH].of[kind][i] - s[WITHOUT].of[kind][i];
	d = spread_of(room, cycles);
	snprintf(cell, size, "%.1f, %+.1f (%+.1f to %+.1f)", with, d.mid, d.low,
	    d.high);
}

static void
write_kind(const struct bench *b, const struct captured *t, size_t kind,
    double *room)
{
	char cells[MODES][48] = { "" };
	double command, cost;

	memcpy(room, t->local.command.of[kind], t->cycles * sizeof(*room));
	command = quantile(room, t->cycles, 0.5);
	memcpy(room, t->local.capture.of[kind], t->cycles * sizeof(*room));
	cost = quantile(room, t->cycles, 0.5);
	for (size_t m = 0; m < MODES; m++)
		write_cell(t->us[m], kind, t->cycles, room, cells[m],
		    sizeof(cells[m]));
	report_text(b->report, "| %-19s | %8.1f | %7.1f | %-27s | %s | %s | %s "
	    "| %s |", kind_name(kind), command, cost, t->local.how[kind],
	    cells[0], cells[1], cells[2], cells[3]);
}

static void
write_table(const struct bench *b, const struct captured *t, double *room)
{
	report_text(b->report, "Capture of the volatile state per kind of "
	    "command, us, medians of %zu cycles. Through the socket: the time "
	    "with captures, and what it differs by without (quartiles); a "
	    "burst's is that of the command and a PCR_Read sent at once behind "
	    "it.", t->cycles);
	report_text(b->report, "\n| command | in process | capture | what is "
	    "captured | %s | %s | %s | %s |\n"
	    "|---|---:|---:|---|---|---|---|---|",
	    modes[0].name, modes[1].name, modes[2].name, modes[3].name);
	for (size_t i = 0; i < kinds_count(); i++)
		if (kind_name(i) != NULL)
			write_kind(b, t, i, room);
}

/* What shows of it: of the kinds that are captured whole after their answer,
 * each one's median with captures to that without. */
static void
report_lone(const struct bench *b, const struct captured *t, size_t mode,
    double *room)
{
	double with[KINDS_MAX], without[KINDS_MAX], ratio[KINDS_MAX];
	struct report_row row = { .bar = 1.05 };
	size_t n = 0;

	for (size_t i = 0; i < kinds_count(); i++) {
		if (kind_name(i) == NULL ||
		    strcmp(t->local.how[i], "whole") != 0)
			continue;
		memcpy(room, t->us[mode][WITH].of[i],
		    t->cycles * sizeof(*room));
		with[n] = quantile(room, t->cycles, 0.5);
		memcpy(room, t->us[mode][WITHOUT].of[i],
		    t->cycles * sizeof(*room));
		without[n] = quantile(room, t->cycles, 0.5);
		ratio[n] = with[n] / without[n];
		n++;
	}
	snprintf(row.what, sizeof(row.what), "capture, %s", modes[mode].name);
	snprintf(row.ours, sizeof(row.ours), "%.1f us",
	    quantile(with, n, 0.5));
	snprintf(row.other, sizeof(row.other),
	    "vtpmd without captures, %.1f us", quantile(without, n, 0.5));
	row.ratio = spread_of(ratio, n);
	report_add(b->report, &row);
}

static int
measure(const struct bench *b, struct captured *t, struct err *err)
{
	double *room = calloc(t->cycles, sizeof(*room));
	struct cpus cpus;
	int rc;

	if (room == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	if ((rc = cpus_find(&cpus, err)) < 0 ||
	    (rc = capture_measure_local(&t->local, t->cycles, err)) < 0)
		goto out;
	report_note(b->report, "capture of PCR_Extend, mean of %d in a row "
	    "(one of %d captures the whole): %.1f us", CAPTURE_EXTENDS,
	    JOURNAL_LOG_MAX + 1, t->local.extends);
	for (size_t n = 0; rc == 0 && n < MODES; n++)
		if (modes[n].server < cpus.n &&
		    (rc = measure_mode(b, &modes[n], &cpus, t->us[n], err)) < 0)
			err_prefix(err, "%s", modes[n].name);
	if (rc < 0)
		goto out;
	for (size_t m = 0; m < MODES; m++)
		if (modes[m].lone && modes[m].server < cpus.n)
			report_lone(b, t, m, room);
	write_table(b, t, room);
out:
	free(room);
	return rc;
}

int
bench_capture(const struct bench *b, struct err *err)
{
	const struct peer with = peer_named(b, PEER_VTPMD, "with.nvram");
	const struct peer without = peer_named(b, PEER_VTPMD, "without.nvram");
	struct captured *t = calloc(1, sizeof(*t));
	int rc = 0;

	if (t == NULL)
		rc = err_set(err, ERR_INTERNAL, "out of memory");
	else if ((rc = captured_make(t, b->plan.cycles, err)) == 0 &&
	    (rc = peer_create(&with, NULL, NULL, err)) == 0 &&
	    (rc = peer_create(&without, NULL, NULL, err)) == 0)
		rc = measure(b, t, err);
	captured_free(t);
	return rc;
}
