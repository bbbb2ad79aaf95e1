/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Key releases of vta-kmxd, one after the other over one kept connection, with
 * the KEK in its cache: it on one processor, the client on another. How many a
 * second, and its processor time for each beside the OpenSSL operations in one
 * (raw.h).
 */
#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/authority.h"
#include "bench/cpu.h"
#include "bench/https.h"
#include "bench/raw-server.h"

#define WANTED 1000.0	/* a second */

/* All threads of a process on one processor; -1: on any. */
static int
pin_process(pid_t pid, int cpu, struct err *err)
{
	char path[64];
	struct dirent *entry;
	cpu_set_t set;
	DIR *tasks;

	CPU_ZERO(&set);
	for (int i = 0; i < CPU_SETSIZE; i++)
		if (cpu < 0 || i == cpu)
			CPU_SET(i, &set);
	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	if ((tasks = opendir(path)) == NULL)
		return err_sys(err, errno, "cannot read %s", path);
	while ((entry = readdir(tasks)) != NULL)
		if (entry->d_name[0] != '.')
			(void)sched_setaffinity((pid_t)strtol(entry->d_name,
			    NULL, 10), sizeof(set), &set);
	closedir(tasks);
	return 0;
}

int
vm_make(const struct authority_bench *a, const char *token, size_t number,
    struct vm_made *vm, struct err *err)
{
	char body[200], path[80];
	struct https *conn = NULL;
	json_t *made = NULL;
	int rc;

	snprintf(vm->uuid, sizeof(vm->uuid), "beefbeef-0000-4000-8000-%012zx",
	    number);
	snprintf(body, sizeof(body), "{\"vm\":\"%s\",\"name\":\"vm %zu\"}",
	    vm->uuid, number);
	snprintf(path, sizeof(path), "/v1/vms/%s/keys", vm->uuid);
	if ((rc = https_connect(a->place.host, a->place.kmxd_port, &conn,
	    err)) == 0 && (rc = https_call(conn, "POST", "/v1/vms", token,
	    body, NULL, err)) == 0 && (rc = https_call(conn, "POST", path,
	    token, "{}", &made, err)) == 0)
		vm->wrapped = strdup(json_string_value(json_object_get(made,
		    "wrapped")));
	https_close(conn);
	json_decref(made);
	return rc;
}

struct releases {
	const struct authority_bench *a;
	struct https *conn;
	char *token, path[80], body[1024];
};

static int
release_batch(struct releases *r, size_t n, double *us, struct err *err)
{
	double start = now_us();
	int rc;

	for (size_t i = 0; i < n; i++)
		if ((rc = https_call(r->conn, "POST", r->path, r->token,
		    r->body, NULL, err)) < 0)
			return rc;
	*us = (now_us() - start) / (double)n;
	return 0;
}

/* One by one, and the OpenSSL operations after each, in a process of their
 * own. */
static int
cost_batch(struct releases *r, struct raw_server *beside, double *cpu,
    double *raw, struct err *err)
{
	size_t n = r->a->plan.releases;
	double from, to, one;
	int rc;

	*raw = 0;
	if ((rc = cpu_used(r->a->place.kmxd, &from, err)) < 0)
		return rc;
	for (size_t i = 0; i < n; i++) {
		if ((rc = https_call(r->conn, "POST", r->path, r->token,
		    r->body, NULL, err)) < 0 || (rc = raw_server_ask(beside,
		    RAW_RELEASE, &one, err)) < 0)
			return rc;
		*raw += one / (double)n;
	}
	if ((rc = cpu_used(r->a->place.kmxd, &to, err)) == 0)
		*cpu = (to - from) / (double)n;
	return rc;
}

enum { TIME, CPU, RAW, RATE_RATIO, CPU_RATIO, COLUMNS };

static int
rounds(struct releases *r, int cpu, double *all, size_t n, struct err *err)
{
	size_t count = r->a->plan.releases;
	struct raw_server *beside = NULL;
	double warm;
	int rc;

	if ((rc = raw_server_start(r->a->raw, cpu, &beside, err)) < 0 ||
	    (rc = release_batch(r, count, &warm, err)) < 0)
		goto out;
	for (size_t i = 0; i < n; i++) {
		if ((rc = release_batch(r, count, &all[TIME * n + i],
		    err)) < 0 || (rc = cost_batch(r, beside, &all[CPU * n + i],
		    &all[RAW * n + i], err)) < 0)
			goto out;
		all[RATE_RATIO * n + i] = all[TIME * n + i] / (1e6 / WANTED);
		all[CPU_RATIO * n + i] = all[CPU * n + i] / all[RAW * n + i];
	}
out:
	raw_server_stop(beside);
	return rc;
}

static void
tell(const struct authority_bench *a, double *all, size_t n)
{
	struct report_row rate = { .what = "key releases a second, one CPU",
		.bar = 1.0 };
	struct report_row cpu = { .what = "key release: CPU of vta-kmxd",
		.bar = 3.0 };
	double token, row;

	snprintf(rate.ours, sizeof(rate.ours), "%.0f",
	    1e6 / spread_of(all + TIME * n, n).mid);
	snprintf(rate.other, sizeof(rate.other), "%.0f (inverse ratio)",
	    WANTED);
	rate.ratio = spread_of(all + RATE_RATIO * n, n);
	report_add(a->bench.report, &rate);
	snprintf(cpu.ours, sizeof(cpu.ours), "%.0f us",
	    spread_of(all + CPU * n, n).mid);
	snprintf(cpu.other, sizeof(cpu.other), "its OpenSSL operations, "
	    "%.0f us", spread_of(all + RAW * n, n).mid);
	cpu.ratio = spread_of(all + CPU_RATIO * n, n);
	report_add(a->bench.report, &cpu);
	if (raw_release(a->raw, a->plan.releases, &row, NULL) == 0)
		report_note(a->bench.report, "key release: its OpenSSL "
		    "operations in a row of %zu, and not one by one, take "
		    "%.0f us: a ratio of %.1f", a->plan.releases, row,
		    spread_of(all + CPU * n, n).mid / row);
	if (raw_token(a->raw, a->plan.releases, &token, NULL) == 0)
		report_note(a->bench.report, "key release: verifying a "
		    "token's signature, which is done once for each token and "
		    "not counted here, takes %.0f us", token);
}

static int
prepare(struct releases *r, struct soft_host *h, struct err *err)
{
	struct vm_made vm = { .wrapped = NULL };
	int rc;

	snprintf(h->name, sizeof(h->name), "releases");
	if ((rc = soft_host_make(h, false, &r->a->ca, err)) < 0 ||
	    (rc = attest_import(r->a, h, err)) < 0 ||
	    (rc = attest_once(r->a, h, &r->token, err)) < 0 ||
	    (rc = vm_make(r->a, r->token, 0xfffff, &vm, err)) < 0)
		return rc;
	snprintf(r->path, sizeof(r->path), "/v1/vms/%s/keys/open", vm.uuid);
	snprintf(r->body, sizeof(r->body), "{\"wrapped\":\"%s\"}", vm.wrapped);
	free(vm.wrapped);
	return https_connect(r->a->place.host, r->a->place.kmxd_port, &r->conn,
	    err);
}

int
bench_release(const struct authority_bench *a, struct err *err)
{
	struct releases r = { .a = a };
	struct soft_host h = { .ek = NULL };
	size_t n = a->plan.rounds;
	double *all = calloc(COLUMNS * n, sizeof(*all));
	struct cpus cpus;
	int rc;

	if (all == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	if ((rc = cpus_find(&cpus, err)) == 0 &&
	    (rc = prepare(&r, &h, err)) == 0 &&
	    (rc = pin_process(a->place.kmxd, cpus.cpu[0], err)) == 0 &&
	    (rc = cpu_pin(cpus.cpu[cpus.n - 1], err)) == 0 &&
	    (rc = rounds(&r, cpus.cpu[0], all, n, err)) == 0)
		tell(a, all, n);
	cpu_unpin();
	(void)pin_process(a->place.kmxd, -1, NULL);
	https_close(r.conn);
	soft_host_reset(&h);
	free(r.token);
	free(all);
	return rc;
}
