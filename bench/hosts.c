/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * 10,000 hosts with ten running VMs each, for a while: every one attests every
 * five minutes and renews the leases of its VMs (of five minutes) every
 * hundred seconds, each time over a connection of its own, as after such
 * pauses; and every second ten VMs start (key, epoch, confirmation) and stop.
 * Real tokens, real evidence, on the disk of the build. Times count from when
 * a request was due.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/fleet.h"
#include "bench/https.h"
#include "bench/load.h"
#include "trust-authority/attest/hash.h"

#define LEASE_EVERY 100.0	/* seconds: a third of a lease */
#define STARTS_EVERY 10000.0	/* seconds, of one VM */
#define LIMIT_MS 100.0
#define LIMIT_KB (128L * 1024)
/* How much memory may grow after the first half: SQLite's two caches of 2 MB
 * still fill up, with one store and with the other. */
#define FLAT_KB 4096
#define FLAT_SHARE 50
#define SETTLED 0.5

enum { ATTEST, LEASES, STARTS, KINDS };

struct starter {
	struct vm_made vm;
	size_t epoch;
};

struct memory {
	long settled, most, last;
};

struct crowd {
	const struct authority_bench *a;
	struct fleet *fleet;
	struct starter *starters;
	struct memory attestd, kmxd;
};

static int
attest_one(void *arg, size_t k, double *done, struct err *err)
{
	struct crowd *c = arg;

	(void)done;
	return attest_once(c->a, &c->fleet->soft[k % c->fleet->attesting],
	    NULL, err);
}

static char *
leases_body(const struct fleet *f, size_t host)
{
	size_t room = 64 + f->vms_each * 160, at;
	char *text = malloc(room), uuid[40], instance[40];

	if (text == NULL)
		return NULL;
	at = (size_t)snprintf(text, room, "{\"vms\":[");
	for (size_t i = 0; i < f->vms_each; i++) {
		fleet_vm(host, i, uuid, instance);
		at += (size_t)snprintf(text + at, room - at, "%s{\"vm\":\"%s\","
		    "\"epoch\":%d,\"instance\":\"%s\"}", i > 0 ? "," : "",
		    uuid, FLEET_EPOCH, instance);
	}
	snprintf(text + at, room - at, "]}");
	return text;
}

static int
check_kept(const json_t *answer, size_t n, struct err *err)
{
	const json_t *vms = json_object_get(answer, "vms"), *one;
	size_t i, kept = 0;

	json_array_foreach(vms, i, one) {
		const char *state = json_string_value(json_object_get(one,
		    "state"));

		kept += state != NULL && strcmp(state, "kept") == 0;
	}
	return kept == n ? 0 : err_set(err, ERR_STALE, "%zu of %zu leases "
	    "were kept", kept, n);
}

static int
renew_one(void *arg, size_t k, double *done, struct err *err)
{
	struct crowd *c = arg;
	size_t host = k % c->fleet->hosts;
	char *body = leases_body(c->fleet, host);
	struct https *conn = NULL;
	json_t *answer = NULL;
	int rc;

	(void)done;
	if ((rc = https_connect(c->a->place.host, c->a->place.kmxd_port, &conn,
	    err)) == 0 && (rc = https_call(conn, "POST", "/v1/leases",
	    c->fleet->tokens[host], body, &answer, err)) == 0)
		rc = check_kept(answer, c->fleet->vms_each, err);
	https_close(conn);
	json_decref(answer);
	free(body);
	return rc;
}

/* One call about a VM; members: of the body. */
static int
ask(struct https *conn, const struct starter *s, const char *what,
    const char *token, const char *members, struct err *err)
{
	char path[96];

	snprintf(path, sizeof(path), "/v1/vms/%s/%s", s->vm.uuid, what);
	return https_call(conn, "POST", path, token, members, NULL, err);
}

#define DIGEST "00112233445566778899aabbccddeeff" \
	"00112233445566778899aabbccddeeff"

static int
start_one(void *arg, size_t k, double *done, struct err *err)
{
	struct crowd *c = arg;
	struct starter *s = &c->starters[k % c->a->plan.kek_vms];
	const char *token = c->fleet->tokens[k % c->fleet->hosts];
	char claim[300], open[1024];
	struct https *conn = NULL;
	int rc;

	snprintf(open, sizeof(open), "{\"wrapped\":\"%s\"}", s->vm.wrapped);
	snprintf(claim, sizeof(claim), "{\"epoch\":%zu,\"digest\":\"" DIGEST
	    "\",\"instance\":\"%032zx\"}", s->epoch, k + 1);
	if ((rc = https_connect(c->a->place.host, c->a->place.kmxd_port, &conn,
	    err)) < 0 ||
	    (rc = ask(conn, s, "keys/open", token, open, err)) < 0 ||
	    (rc = ask(conn, s, "acquire", token, claim, err)) < 0)
		goto out;
	s->epoch++;
	snprintf(claim, sizeof(claim), "{\"epoch\":%zu,\"instance\":"
	    "\"%032zx\"}", s->epoch, k + 1);
	if ((rc = ask(conn, s, "confirm", token, claim, err)) < 0)
		goto out;
	*done = now_us();
	snprintf(claim, sizeof(claim), "{\"epoch\":%zu,\"digest\":\"" DIGEST
	    "\",\"instance\":\"%032zx\",\"synced\":true}", s->epoch, k + 1);
	rc = ask(conn, s, "release", token, claim, err);
out:
	https_close(conn);
	return rc;
}

static int
make_starters(struct crowd *c, struct err *err)
{
	struct https *conn = NULL;
	int rc;

	c->starters = calloc(c->a->plan.kek_vms, sizeof(*c->starters));
	if (c->starters == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	if ((rc = https_connect(c->a->place.host, c->a->place.kmxd_port, &conn,
	    err)) < 0)
		return rc;
	for (size_t i = 0; i < c->a->plan.kek_vms && rc == 0; i++) {
		struct starter *s = &c->starters[i];

		s->epoch = 1;
		if ((rc = vm_make(c->a, c->fleet->tokens[0], i, &s->vm,
		    err)) == 0)
			rc = ask(conn, s, "register", c->fleet->tokens[0],
			    "{\"epoch\":1,\"digest\":\"" DIGEST "\"}", err);
	}
	https_close(conn);
	return rc;
}

static int
look_at(struct memory *m, pid_t pid, bool settled, struct err *err)
{
	int rc = resident_kb(pid, &m->last, err);

	if (m->last > m->most)
		m->most = m->last;
	if (!settled)
		m->settled = m->most;
	return rc;
}

static int
each_second(void *arg, double at, struct err *err)
{
	struct crowd *c = arg;
	bool settled = at > c->a->plan.seconds * SETTLED;
	int rc;

	if ((rc = look_at(&c->attestd, c->a->place.attestd, settled,
	    err)) < 0)
		return rc;
	return look_at(&c->kmxd, c->a->place.kmxd, settled, err);
}

static void
tell_times(const struct crowd *c, struct load_kind *kinds)
{
	for (size_t i = 0; i < KINDS; i++) {
		struct load_kind *k = &kinds[i];
		struct report_row row = { .bar = 1.0 };
		double p99, p50;

		if (k->count == 0)
			continue;
		p50 = quantile(k->us, k->count, 0.5) / 1e3;
		p99 = quantile(k->us, k->count, 0.99) / 1e3;
		snprintf(row.what, sizeof(row.what), "%zu hosts: %s, p99",
		    c->a->plan.hosts, k->name);
		snprintf(row.ours, sizeof(row.ours), "%.1f ms", p99);
		snprintf(row.other, sizeof(row.other), "%.0f ms; p50 %.1f, "
		    "most %.0f, %.0f/s", LIMIT_MS, p50, k->us[k->count - 1] /
		    1e3, k->rate);
		row.ratio.mid = p99 / LIMIT_MS;
		report_add(c->a->bench.report, &row);
	}
}

static void
tell_memory(const struct crowd *c, const char *name, const struct memory *m)
{
	struct report_row most = { .bar = 1.0 }, flat = { .bar = 1.0 };
	long may = m->settled / FLAT_SHARE > FLAT_KB ?
	    m->settled / FLAT_SHARE : FLAT_KB;

	snprintf(most.what, sizeof(most.what), "the same: memory of %s", name);
	snprintf(most.ours, sizeof(most.ours), "%ld kB", m->most);
	snprintf(most.other, sizeof(most.other), "128 MiB");
	most.ratio.mid = (double)m->most / (double)LIMIT_KB;
	report_add(c->a->bench.report, &most);
	snprintf(flat.what, sizeof(flat.what), "the same: its growth");
	snprintf(flat.ours, sizeof(flat.ours), "%ld kB", m->most);
	snprintf(flat.other, sizeof(flat.other), "%s: after half, %ld + %ld "
	    "kB", m->most <= m->settled + may ? "flat" : "NOT flat",
	    m->settled, may);
	flat.ratio.mid = (double)m->most / (double)(m->settled + may);
	report_add(c->a->bench.report, &flat);
}

static int
run_load(struct crowd *c, struct err *err)
{
	const struct authority_plan *plan = &c->a->plan;
	double hosts = (double)plan->hosts;
	struct load_kind kinds[KINDS] = {
		[ATTEST] = { .name = "attest", .rate = hosts / plan->interval,
			.work = attest_one, .arg = c },
		[LEASES] = { .name = "leases", .rate = hosts / LEASE_EVERY,
			.work = renew_one, .arg = c },
		[STARTS] = { .name = "VM start", .rate = hosts *
			(double)plan->vms_each / STARTS_EVERY,
			.work = start_one, .arg = c },
	};
	int rc;

	rc = load_run(kinds, KINDS, plan->seconds, each_second, c, err);
	if (rc == 0) {
		tell_times(c, kinds);
		tell_memory(c, "vta-attestd", &c->attestd);
		tell_memory(c, "vta-kmxd", &c->kmxd);
	}
	for (size_t i = 0; i < KINDS; i++)
		free(kinds[i].us);
	return rc;
}

int
bench_hosts(const struct authority_bench *a, struct err *err)
{
	const struct authority_plan *plan = &a->plan;
	struct crowd c = { .a = a };
	int rc;

	if ((rc = fleet_new(a, (size_t)((double)plan->hosts / plan->interval *
	    plan->seconds) + 1, &c.fleet, err)) == 0 &&
	    (rc = make_starters(&c, err)) == 0)
		rc = run_load(&c, err);
	for (size_t i = 0; c.starters != NULL && i < plan->kek_vms; i++)
		free(c.starters[i].vm.wrapped);
	free(c.starters);
	fleet_free(c.fleet);
	return rc;
}
