/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a whole attestation takes of vta-attestd's processor time, user and
 * system, by its process's clock: a TLS connection, begin with MakeCredential,
 * finish with verification, judgement, commit and token. Every one has a new
 * attestation key, so that a credential is asked for each time. After each the
 * OpenSSL operations in it (raw.h), once, in a process of their own.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/authority.h"
#include "bench/https.h"
#include "bench/raw-server.h"

#define COST_HOSTS 8

int
attest_import(const struct authority_bench *a, const struct soft_host *h,
    struct err *err)
{
	char path[80], *body = NULL, *ek = base64_text(h->ek_pub, h->ek_size);
	struct https *admin = NULL;
	int rc;

	snprintf(path, sizeof(path), "/v1/hosts/%s", h->name);
	if (ek == NULL || asprintf(&body, "{\"ek\":\"%s\",\"ek_certificate\":"
	    "\"%s\",\"group\":\"%s\"}", ek, h->ek_cert, a->place.group) < 0)
		return err_set(err, ERR_INTERNAL, "out of memory");
	if ((rc = https_connect(a->place.admin, a->place.attestd_port, &admin,
	    err)) == 0)
		rc = https_call(admin, "PUT", path, NULL, body, NULL, err);
	https_close(admin);
	free(body);
	free(ek);
	return rc;
}

int
attest_once(const struct authority_bench *a, const struct soft_host *h,
    char **token, struct err *err)
{
	char *first = soft_host_begin(h, err), *second = NULL;
	json_t *begun = NULL, *finished = NULL;
	struct https *conn = NULL;
	int rc = ERR_INTERNAL;

	if (first == NULL || (rc = https_connect(a->place.host,
	    a->place.attestd_port, &conn, err)) < 0 ||
	    (rc = https_call(conn, "POST", "/v1/attest/begin", NULL, first,
	    &begun, err)) < 0)
		goto out;
	if ((second = soft_host_finish(h, &a->place, begun, a->transport,
	    err)) == NULL) {
		rc = ERR_INTERNAL;
		goto out;
	}
	rc = https_call(conn, "POST", "/v1/attest/finish", NULL, second,
	    &finished, err);
	if (rc == 0 && !json_is_true(json_object_get(finished, "accepted")))
		rc = err_set(err, ERR_REFUSED, "%s is not accepted", h->name);
	if (rc == 0 && token != NULL)
		*token = strdup(json_string_value(json_object_get(finished,
		    "token")));
out:
	https_close(conn);
	json_decref(begun);
	json_decref(finished);
	free(first);
	free(second);
	return rc;
}

static int
attest_batch(const struct authority_bench *a, struct soft_host *hosts,
    struct raw_server *beside, double *us, double *raw, struct err *err)
{
	size_t n = a->plan.batch;
	double from, to, one;
	int rc = 0;

	*raw = 0;

	for (size_t i = 0; i < COST_HOSTS && rc == 0; i++)
		rc = soft_host_new_ak(&hosts[i], err);
	if (rc < 0 || (rc = cpu_used(a->place.attestd, &from, err)) < 0)
		return rc;
	for (size_t i = 0; i < n; i++) {
		struct soft_host *h = &hosts[i % COST_HOSTS];

		if ((rc = attest_once(a, h, NULL, err)) < 0 ||
		    (rc = raw_server_ask(beside, RAW_ATTESTATION, &one,
		    err)) < 0 ||
		    (i + COST_HOSTS < n &&
		    (rc = soft_host_new_ak(h, err)) < 0))
			return rc;
		*raw += one / (double)n;
	}
	if ((rc = cpu_used(a->place.attestd, &to, err)) == 0)
		*us = (to - from) / (double)n;
	return rc;
}

static int
make_hosts(const struct authority_bench *a, struct soft_host *hosts,
    struct err *err)
{
	int rc = 0;

	for (unsigned int i = 0; i < COST_HOSTS && rc == 0; i++) {
		snprintf(hosts[i].name, sizeof(hosts[i].name), "rsa-%u", i);
		if ((rc = soft_host_make(&hosts[i], true, &a->ca, err)) == 0)
			rc = attest_import(a, &hosts[i], err);
	}
	return rc;
}

static int
rounds(const struct authority_bench *a, struct soft_host *hosts,
    double *whole, double *raw, double *ratio, struct err *err)
{
	struct raw_server *beside = NULL;
	int rc;

	if ((rc = raw_server_start(a->raw, -1, &beside, err)) < 0 ||
	    (rc = attest_batch(a, hosts, beside, &whole[0], &raw[0],
	    err)) < 0)
		goto out;
	for (size_t i = 0; i < a->plan.rounds; i++) {
		if ((rc = attest_batch(a, hosts, beside, &whole[i], &raw[i],
		    err)) < 0)
			goto out;
		ratio[i] = whole[i] / raw[i];
	}
out:
	raw_server_stop(beside);
	return rc;
}

static int
tell_arithmetic(const struct authority_bench *a, double whole,
    struct err *err)
{
	double us, row;
	int rc = raw_arithmetic(a->raw, a->plan.batch, &us, err);

	if (rc == 0)
		rc = raw_attestation(a->raw, a->plan.batch, &row, err);
	if (rc == 0)
		report_note(a->bench.report, "attestation: its OpenSSL "
		    "operations in a row of %zu, and not one by one, take "
		    "%.0f us: a ratio of %.1f", a->plan.batch, row,
		    whole / row);
	if (rc == 0)
		report_note(a->bench.report, "attestation: the arithmetic "
		    "alone of its OpenSSL operations (an RSA-2048, three "
		    "P-256 and two X25519 operations, OAEP, SHA-256) takes "
		    "%.0f us: a ratio of %.1f", us, whole / us);
	return rc;
}

int
bench_attest(const struct authority_bench *a, struct err *err)
{
	struct report_row row = { .what = "attestation: CPU of vta-attestd",
		.bar = 2.0 };
	struct soft_host hosts[COST_HOSTS] = { { .ek = NULL } };
	size_t n = a->plan.rounds;
	double *all = calloc(3 * n, sizeof(*all));
	int rc;

	if (all == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	if ((rc = make_hosts(a, hosts, err)) == 0 &&
	    (rc = rounds(a, hosts, all, all + n, all + 2 * n, err)) == 0) {
		snprintf(row.ours, sizeof(row.ours), "%.0f us",
		    spread_of(all, n).mid);
		snprintf(row.other, sizeof(row.other), "its OpenSSL "
		    "operations, %.0f us", spread_of(all + n, n).mid);
		row.ratio = spread_of(all + 2 * n, n);
		report_add(a->bench.report, &row);
		rc = tell_arithmetic(a, spread_of(all, n).mid, err);
	}
	for (size_t i = 0; i < COST_HOSTS; i++)
		soft_host_reset(&hosts[i]);
	free(all);
	return rc;
}
