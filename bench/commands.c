/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * TPM commands through the data socket: vtpmd, swtpm, and what no emulator
 * can be faster than: a process that only sends as many bytes back, and
 * libtpms called in this process.
 *
 * Client and server are pinned, once to one processor and once to two (cpu.h).
 */
#include <stdio.h>

#include "bench/bench.h"
#include "bench/cpu.h"
#include "bench/echo.h"
#include "bench/peer.h"
#include "bench/wire.h"
#include "vtpm/tpm-memory.h"
#include "vtpm/tpm.h"

enum { VTPMD, SWTPM, ECHO, IN_PROCESS, N_SUBJECTS };

struct side {
	int fd;			/* -1: in this process */
	const struct command *command;
	size_t answer;		/* bytes, for the echo */
	size_t batch;
};

static int
through_socket(void *arg, double *us, struct err *err)
{
	const struct side *s = arg;
	double start = now_us();
	int rc;

	for (size_t i = 0; i < s->batch; i++)
		if ((rc = command_run(s->fd, s->command, NULL, err)) < 0)
			return rc;
	*us = (now_us() - start) / (double)s->batch;
	return 0;
}

static int
in_process(void *arg, double *us, struct err *err)
{
	const struct side *s = arg;
	double start = now_us();

	for (size_t i = 0; i < s->batch; i++) {
		const uint8_t *answer;
		size_t size;

		tpm_process(s->command->bytes, s->command->size, &answer,
		    &size);
		if (size != s->answer)
			return err_set(err, ERR_TPM, "libtpms in process "
			    "answers %zu bytes, not %zu", size, s->answer);
	}
	*us = (now_us() - start) / (double)s->batch;
	return 0;
}

static int
echo_batch(void *arg, double *us, struct err *err)
{
	const struct side *s = arg;
	double start = now_us();
	int rc;

	for (size_t i = 0; i < s->batch; i++)
		if ((rc = echo_run(s->fd, s->command, s->answer, err)) < 0)
			return rc;
	*us = (now_us() - start) / (double)s->batch;
	return 0;
}

static void
report_command(const struct bench *b, const char *what, const char *where,
    const struct subject *s)
{
	size_t n = b->plan.rounds;
	struct report_row row = { .bar = 1.0 };

	snprintf(row.what, sizeof(row.what), "%s, %s", what, where);
	snprintf(row.ours, sizeof(row.ours), "%.1f us",
	    subject_median(&s[VTPMD], n));
	snprintf(row.other, sizeof(row.other), "swtpm %.1f us",
	    subject_median(&s[SWTPM], n));
	row.ratio = subject_ratio(&s[VTPMD], &s[SWTPM], NULL, n);
	report_add(b->report, &row);
	snprintf(row.other, sizeof(row.other), "echo %.1f + in process %.1f us",
	    subject_median(&s[ECHO], n), subject_median(&s[IN_PROCESS], n));
	row.ratio = subject_ratio(&s[VTPMD], &s[ECHO], &s[IN_PROCESS], n);
	row.bar = 1.2;
	report_add(b->report, &row);
}

static int
compare_command(const struct bench *b, const char *what, const char *where,
    const struct command *c, const int *fds, struct err *err)
{
	struct side side[N_SUBJECTS];
	struct subject s[N_SUBJECTS] = {
		[VTPMD] = { "vtpmd", through_socket, &side[VTPMD], NULL },
		[SWTPM] = { "swtpm", through_socket, &side[SWTPM], NULL },
		[ECHO] = { "echo", echo_batch, &side[ECHO], NULL },
		[IN_PROCESS] = { "libtpms in process", in_process,
		    &side[IN_PROCESS], NULL },
	};
	size_t answer;
	int rc;

	if ((rc = command_run(fds[VTPMD], c, &answer, err)) < 0)
		return err_prefix(err, "vtpmd: %s", what);
	for (size_t i = 0; i < N_SUBJECTS; i++)
		side[i] = (struct side){ fds[i], c, answer, b->plan.batch };
	rc = subjects_measure(s, N_SUBJECTS, b->plan.rounds, err);
	if (rc == 0)
		report_command(b, what, where, s);
	subjects_free(s, N_SUBJECTS);
	return rc;
}

static int
compare_all(const struct bench *b, const char *where, const int *fds,
    struct err *err)
{
	struct command c;
	int rc;

	command_get_random(&c, 16);
	if ((rc = compare_command(b, "GetRandom", where, &c, fds, err)) < 0)
		return rc;
	command_pcr_read(&c);
	if ((rc = compare_command(b, "PCR_Read", where, &c, fds, err)) < 0)
		return rc;
	command_pcr_extend(&c);
	return compare_command(b, "PCR_Extend", where, &c, fds, err);
}

/* A TPM in this process's memory, of the same libtpms. */
static int
start_in_process(struct err *err)
{
	const uint8_t *answer;
	struct command c;
	size_t size;
	int rc;

	if ((rc = tpm_memory_power_on(NULL, 0, err)) < 0)
		return rc;
	command_startup(&c);
	tpm_process(c.bytes, c.size, &answer, &size);
	return 0;
}

static int
compare_placed(const struct bench *b, const char *where, int client,
    int server, struct err *err)
{
	struct peer vtpmd = peer_named(b, PEER_VTPMD, "vm0.nvram");
	struct peer swtpm = peer_named(b, PEER_SWTPM, "swtpm0");
	struct echo echo = { .fd = -1 };
	int fds[N_SUBJECTS] = { [IN_PROCESS] = -1 };
	int rc;

	if ((rc = cpu_pin(server, err)) < 0 ||
	    (rc = echo_start(&echo, NULL, NULL, err)) < 0 ||
	    (rc = peer_power_on(&vtpmd, err)) < 0 ||
	    (rc = peer_power_on(&swtpm, err)) < 0 ||
	    (rc = cpu_pin(client, err)) < 0)
		goto out;
	fds[VTPMD] = vtpmd.data;
	fds[SWTPM] = swtpm.data;
	fds[ECHO] = echo.fd;
	rc = compare_all(b, where, fds, err);
out:
	peer_stop(&swtpm);
	peer_stop(&vtpmd);
	echo_stop(&echo);
	return rc;
}

int
bench_commands(const struct bench *b, struct err *err)
{
	struct cpus cpus;
	int rc;

	if ((rc = cpus_find(&cpus, err)) < 0 ||
	    (rc = start_in_process(err)) < 0)
		goto out;
	rc = compare_placed(b, "one CPU", cpus.cpu[0], cpus.cpu[0], err);
	if (rc == 0 && cpus.n > 1)
		rc = compare_placed(b, "two CPUs", cpus.cpu[0], cpus.cpu[1],
		    err);
out:
	cpu_unpin();
	tpm_memory_free();
	return rc;
}
