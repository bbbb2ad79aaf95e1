/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Measures vtpmd beside swtpm and beside the least that its work can cost, in
 * the working directory, which bench.sh prepares. Ends with 0 unless something
 * could not be measured: a bar that is not met is a result.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "bench/bench.h"
#include "bench/peer.h"

static const struct bench_plan full = {
	.rounds = 201, .batch = 200, .writes = 20, .starts = 101,
	.creates = 25, .crowds = { 1, 30, 100 },
	.flat_commands = 100000, .flat_resets = 1000,
	.moves = 51, .deaths = 100, .cycles = 301,
};
/* Shows that the bench works, not how fast anything is. */
static const struct bench_plan smoke = {
	.rounds = 3, .batch = 5, .writes = 2, .starts = 3,
	.creates = 1, .crowds = { 1, 2, 3 },
	.flat_commands = 40, .flat_resets = 10,
	.moves = 3, .deaths = 3, .cycles = 3,
};

static const struct {
	const char *name;
	int (*run)(const struct bench *b, struct err *err);
} parts[] = {
	{ "commands", bench_commands },
	{ "writes", bench_writes },
	{ "start", bench_start },
	{ "create", bench_create },
	{ "memory", bench_memory },
	{ "flat", bench_flat },
	{ "migrate", bench_migrate },
	{ "death", bench_death },
	{ "capture", bench_capture },
};
#define N_PARTS (sizeof(parts) / sizeof(parts[0]))

static const char usage[] =
"usage: vtpm-bench VTPMD VTPMCTL NOCAPTURE [--smoke] [PART...]\n"
"Parts: commands writes start create memory flat migrate death capture "
"(default: all).\n";

static bool
wanted(char **names, size_t n, const char *part)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(names[i], part) == 0)
			return true;
	return n == 0;
}

/* The TPMs that most parts use, and both certificate authorities, which are
 * made on first use. */
static int
prepare(const struct bench *b, struct err *err)
{
	struct peer vtpmd = peer_named(b, PEER_VTPMD, "vm0.nvram");
	struct peer swtpm = peer_named(b, PEER_SWTPM, "swtpm0");
	struct rlimit files;
	int rc;

	/* Two descriptors for each of a crowd. */
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	if ((rc = peer_create(&vtpmd, NULL, NULL, err)) < 0)
		return rc;
	return peer_create(&swtpm, NULL, NULL, err);
}

static int
write_results(const struct bench *b, struct err *err)
{
	FILE *f = fopen("results", "we");

	if (f == NULL)
		return err_sys(err, errno, "cannot write the results");
	report_write(b->report, f);
	if (fclose(f) != 0)
		return err_sys(err, errno, "cannot write the results");
	report_write(b->report, stdout);
	return 0;
}

static int
measure(const struct bench *b, char **names, size_t n, struct err *err)
{
	int rc;

	if ((rc = prepare(b, err)) < 0)
		return rc;
	for (size_t i = 0; i < N_PARTS; i++)
		if (wanted(names, n, parts[i].name) &&
		    (rc = parts[i].run(b, err)) < 0)
			return err_prefix(err, "%s", parts[i].name);
	return write_results(b, err);
}

int
main(int argc, char **argv)
{
	struct bench b = { .plan = full };
	struct err err = { 0 };
	int at = 4, rc;

	if (argc < 4) {
		fputs(usage, stderr);
		return 2;
	}
	b.vtpmd = argv[1];
	b.vtpmctl = argv[2];
	b.nocapture = argv[3];
	if (argc > at && strcmp(argv[at], "--smoke") == 0) {
		b.plan = smoke;
		at++;
	}
	if ((rc = report_new(&b.report, "vtpmd", &err)) == 0)
		rc = measure(&b, argv + at, (size_t)(argc - at), &err);
	peer_kill_all();
	report_free(b.report);
	if (rc < 0)
		fprintf(stderr, "vtpm-bench: cannot measure: %s\n", err.text);
	return rc < 0 ? 1 : 0;
}
