/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libtpms runs each command in this process, and the worker's half of the
 * journal is called as vtpm/worker.c does after a command and
 * vtpm/worker-orders.c while a store is under way; the clock is read before and
 * after each. The permanent state is kept in memory.
 */
#include "bench/capture-local.h"

#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "bench/kinds.h"
#include "vtpm/tpm.h"

#define STATE_MAX (256 * 1024)

/* As global as the TPM. */
static struct {
	struct journal *journal;
	uint64_t number;	/* of the command */
	uint8_t *state;		/* permanent */
	size_t size;
	bool running;		/* a command that is measured */
	bool prepared;		/* it has stored, and was captured meanwhile */
	double store_us;	/* what that took */
	double clock_us;	/* reading the clock: in every sample */
} here;

int
samples_make(struct samples *s, size_t n, struct err *err)
{
	for (size_t i = 0; i < kinds_count(); i++)
		if ((s->of[i] = calloc(n, sizeof(double))) == NULL)
			return err_set(err, ERR_INTERNAL, "out of memory");
	return 0;
}

void
samples_free(struct samples *s)
{
	for (size_t i = 0; i < KINDS_MAX; i++)
		free(s->of[i]);
}

static int
load(void *ctx, enum tpm_state which, const uint8_t **data, size_t *size)
{
	(void)ctx;
	if (which != TPM_STATE_PERMANENT || here.size == 0)
		return ERR_NOTFOUND;
	*data = here.state;
	*size = here.size;
	return 0;
}

static int
store(void *ctx, enum tpm_state which, const uint8_t *data, size_t size)
{
	double start;

	(void)ctx;
	if (which != TPM_STATE_PERMANENT)
		return 0;
	if (size > STATE_MAX)
		return ERR_FORMAT;
	memcpy(here.state, data, size);
	here.size = size;
	if (!here.running)
		return 0;
	start = now_us();
	here.prepared = journal_capture_prepare(here.journal) == 0;
	here.store_us += now_us() - start;
	return 0;
}

static int
ask(void *arg, const struct command *c, struct answer *a, struct err *err)
{
	const uint8_t *response;
	struct buf b;

	(void)arg;
	tpm_process(c->bytes, c->size, &response, &a->size);
	if (a->size > sizeof(a->bytes))
		return err_set(err, ERR_FORMAT, "an answer of %zu bytes",
		    a->size);
	memcpy(a->bytes, response, a->size);
	b = buf_reader(a->bytes, a->size);
	buf_get_bytes(&b, NULL, 6);
	if (buf_get_u32be(&b, &a->rc) < 0)
		return err_set(err, ERR_FORMAT, "an answer without a code");
	return 0;
}

/* What the worker does before it runs a command. */
static enum journal_trace
trace(const struct command *c)
{
	enum journal_trace trace = journal_trace_of(c->bytes, c->size);

	here.number++;
	if (trace == JOURNAL_TRACE_LOG && !journal_log_prepare(here.journal,
	    here.number, c->bytes, c->size))
		trace = JOURNAL_TRACE_CAPTURE;
	if (trace == JOURNAL_TRACE_CAPTURE)
		journal_keep(here.journal, here.number, c->bytes, c->size);
	return trace;
}

/* And after. */
static const char *
capture(enum journal_trace trace)
{
	uint64_t number = here.number;

	if (here.prepared) {
		journal_capture_publish(here.journal, number);
		return "whole, while the disk syncs";
	}
	if (trace == JOURNAL_TRACE_NOTHING || trace == JOURNAL_TRACE_RANDOM) {
		journal_unchanged(here.journal, number);
		return "none";
	}
	if (trace == JOURNAL_TRACE_LOG) {
		journal_log_publish(here.journal, number);
		return "noted in the log";
	}
	return journal_capture(here.journal, number) == 0 ? "whole" : "fails";
}

/* Runs a command as the worker does; what it took, and what its capture. */
static int
run(const struct command *c, struct answer *a, double *command_us,
    double *capture_us, const char **how, struct err *err)
{
	double start, begun, ran;
	enum journal_trace kind;
	int rc;

	here.running = true;
	here.prepared = false;
	here.store_us = 0;
	begun = now_us();
	kind = trace(c);
	start = now_us();
	rc = ask(NULL, c, a, err);
	ran = now_us();
	here.running = false;
	*how = capture(kind);
	*capture_us = now_us() - ran + start - begun - 2 * here.clock_us +
	    here.store_us;
	*command_us = ran - start - here.clock_us - here.store_us;
	return rc;
}

static void
read_clock_cost(void)
{
	double start = now_us();

	for (int i = 0; i < 1000; i++)
		(void)now_us();
	here.clock_us = (now_us() - start) / 1000;
}

static int
run_cycle(struct capture_local *l, struct kinds *k, size_t round,
    struct err *err)
{
	for (size_t i = 0; i < kinds_count(); i++) {
		struct command c;
		struct answer a;
		int rc;

		kind_build(i, k, &c);
		if ((rc = run(&c, &a, &l->command.of[i][round],
		    &l->capture.of[i][round], &l->how[i], err)) < 0 ||
		    (rc = kind_take(i, k, &a, err)) < 0)
			return rc;
		if (kind_stores(i) != here.prepared)
			return err_set(err, ERR_INTERNAL, "%s is not stored "
			    "as this table says", kind_name(i));
	}
	return 0;
}

static int
extend_in_a_row(struct capture_local *l, struct err *err)
{
	double unused, one, sum = 0;
	struct command c;
	struct answer a;
	const char *how;
	int rc;

	command_pcr_extend(&c);
	for (size_t i = 0; i < CAPTURE_EXTENDS; i++) {
		if ((rc = run(&c, &a, &unused, &one, &how, err)) < 0 ||
		    (rc = answer_check(&a, err)) < 0)
			return rc;
		sum += one;
	}
	l->extends = sum / CAPTURE_EXTENDS;
	return 0;
}

static int
power_on(struct err *err)
{
	static const struct tpm_storage storage = { .load = load,
		.store = store, .may_manufacture = true };
	struct command c;
	struct answer a;
	int rc;

	if (tpm_setup(&storage) != 0 || tpm_power_on() != 0)
		return err_set(err, ERR_TPM, "libtpms does not start");
	command_startup(&c);
	if ((rc = ask(NULL, &c, &a, err)) < 0)
		return rc;
	return answer_check(&a, err);
}

int
capture_measure_local(struct capture_local *l, size_t cycles,
    struct err *err)
{
	struct kinds k;
	int rc;

	here.journal = calloc(1, sizeof(*here.journal));
	here.state = malloc(STATE_MAX);
	if (here.journal == NULL || here.state == NULL) {
		rc = err_set(err, ERR_INTERNAL, "out of memory");
		goto out;
	}
	read_clock_cost();
	if ((rc = power_on(err)) < 0 ||
	    (rc = kinds_prepare(&k, ask, NULL, err)) < 0)
		goto out;
	for (size_t i = 0; rc == 0 && i < cycles; i++)
		rc = run_cycle(l, &k, i, err);
	if (rc == 0)
		rc = extend_in_a_row(l, err);
out:
	tpm_power_off();
	free(here.journal);
	free(here.state);
	memset(&here, 0, sizeof(here));
	return rc;
}
