/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Measures the trust authority in the working directory, which bench.sh
 * prepares. Ends with 0 unless something could not be measured: a bar that is
 * not met is a result.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "bench/authority.h"
#include "bench/peer.h"

static const struct authority_plan full = {
	.rounds = 25, .batch = 24, .releases = 200, .hosts = 10000,
	.vms_each = 10, .kek_vms = 200, .interval = 300, .seconds = 40,
	.starts = 101,
};
/* Shows that the bench works, not how fast anything is. */
static const struct authority_plan smoke = {
	.rounds = 2, .batch = 3, .releases = 5, .hosts = 200,
	.vms_each = 50, .kek_vms = 3, .interval = 100, .seconds = 2, .starts = 3,
};

static const struct {
	const char *name;
	int (*run)(const struct authority_bench *a, struct err *err);
} parts[] = {
	{ "attest", bench_attest },
	{ "release", bench_release },
	{ "hosts", bench_hosts },
	{ "vm-start", bench_vm_start },
	{ "vm-move", bench_vm_move },
};
#define N_PARTS (sizeof(parts) / sizeof(parts[0]))

static const char usage[] =
"usage: vta-bench VTPMD VTPMCTL [--smoke] [--seconds N] [PART...]\n"
"Parts: attest release hosts vm-start vm-move (default: all).\n";

static const struct place *running;

static void
on_signal(int number)
{
	if (running->pid > 0)
		kill(running->pid, SIGTERM);
	_Exit(128 + number);
}

static bool
wanted(char **names, size_t n, const char *part)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(names[i], part) == 0)
			return true;
	return n == 0;
}

static int
prepare(struct authority_bench *a, struct err *err)
{
	int rc;

	if ((rc = report_new(&a->bench.report, "authority", err)) < 0 ||
	    (rc = place_start(&a->place, err)) < 0 ||
	    (rc = soft_ca_new(&a->ca, err)) < 0 ||
	    (rc = raw_new(&a->place, &a->ca, &a->raw, err)) < 0 ||
	    (rc = soft_ca_import(&a->ca, &a->place, err)) < 0)
		return rc;
	return jwk_generate(&a->transport, err);
}

static int
write_results(const struct authority_bench *a, struct err *err)
{
	FILE *f = fopen("results-authority", "we");

	if (f == NULL)
		return err_sys(err, errno, "cannot write the results");
	report_write(a->bench.report, f);
	if (fclose(f) != 0)
		return err_sys(err, errno, "cannot write the results");
	report_write(a->bench.report, stdout);
	return 0;
}

static int
measure(struct authority_bench *a, char **names, size_t n, struct err *err)
{
	int rc;

	if ((rc = prepare(a, err)) < 0)
		return rc;
	for (size_t i = 0; i < N_PARTS; i++)
		if (wanted(names, n, parts[i].name) &&
		    (rc = parts[i].run(a, err)) < 0)
			return err_prefix(err, "%s", parts[i].name);
	return write_results(a, err);
}

static void
end(struct authority_bench *a)
{
	peer_kill_all();
	raw_free(a->raw);
	soft_ca_free(&a->ca);
	jwk_free(a->transport);
	report_free(a->bench.report);
	place_stop(&a->place);
}

int
main(int argc, char **argv)
{
	struct authority_bench a = { .plan = full, .place = { .hold = -1 } };
	struct err err = { 0 };
	int at = 3, rc;

	if (argc < 3) {
		fputs(usage, stderr);
		return 2;
	}
	a.bench.vtpmd = argv[1];
	a.bench.vtpmctl = argv[2];
	if (argc > at && strcmp(argv[at], "--smoke") == 0) {
		a.plan = smoke;
		at++;
	}
	if (argc > at + 1 && strcmp(argv[at], "--seconds") == 0) {
		a.plan.seconds = strtod(argv[at + 1], NULL);
		at += 2;
	}
	running = &a.place;
	signal(SIGPIPE, SIG_IGN);
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	rc = measure(&a, argv + at, (size_t)(argc - at), &err);
	end(&a);
	if (rc < 0)
		fprintf(stderr, "vta-bench: cannot measure: %s\n", err.text);
	return rc < 0 ? 1 : 0;
}
