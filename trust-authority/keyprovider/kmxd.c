/* SPDX-License-Identifier: BSD-3-Clause */
/* vta-kmxd: gives the keys of VMs to hosts that attest. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "trust-authority/keyprovider/kmxd.h"
#include "trust-authority/keyprovider/vm-change.h"

#define DEFAULT_PORT 7888
#define TICK_SECONDS 2
#define KEKS_MAX 1024
#define ROUTES_MAX 48

#define AT(field) offsetof(struct kmxd_config, field), \
	sizeof(((struct kmxd_config *)NULL)->field)

static const struct keyfile_key keys[] = {
	{ "attestation", "url", keyfile_set_text, AT(attestation.url), 0, 0,
	    true },
	{ "attestation", "ca", keyfile_set_path, AT(attestation.ca), 0, 0,
	    true },
	{ "keys", "kek_seconds", keyfile_set_number, AT(kek_seconds), 0, 3600,
	    false },
	{ "leases", "seconds", keyfile_set_number, AT(lease_seconds), 1, 86400,
	    false },
	{ "leases", "skew_seconds", keyfile_set_number, AT(lease_skew), 0, 600,
	    false },
	{ "ek_ca", "certificate", keyfile_set_path, AT(ek_ca.certificate), 0,
	    0, false },
	{ "ek_ca", "key", keyfile_set_path, AT(ek_ca.key), 0, 0, false },
	{ "ek_ca", "crl_url", keyfile_set_text, AT(ek_ca.crl_url), 0, 0,
	    false },
	{ "ek_ca", "crl_hours", keyfile_set_number, AT(ek_ca.crl_hours), 1,
	    8760, false },
};

static int
check(void *config, struct err *err)
{
	const struct kmxd_config *c = config;

	if (strncmp(c->attestation.url, "https://", 8) != 0)
		return err_set(err, ERR_USAGE, "section [attestation]: 'url' "
		    "is vta-attestd's, as https://attest.example:7889; "
		    "several with spaces between");
	if ((c->ek_ca.certificate[0] == '\0') != (c->ek_ca.key[0] == '\0'))
		return err_set(err, ERR_USAGE, "section [ek_ca] needs both "
		    "'certificate' and 'key'");
	return 0;
}

static int
start(void *service, struct err *err)
{
	struct kmxd *k = service;
	const struct kmxd_config *c = k->config;
	long workers = c->common.server.workers;
	int rc;

	pthread_mutex_init(&k->lock, NULL);
	k->at_kms_max = workers > 3 ? (size_t)workers - 2 : 1;
	if ((rc = alarms_new(&k->alarms, err)) < 0 ||
	    (rc = token_source_new(c->attestation.url, c->attestation.ca,
	    c->common.authority.url, &k->tokens, err)) < 0 ||
	    (rc = service_derive(k->service.sealing, "vtpm-kms",
	    &k->kms_sealing, err)) < 0 ||
	    (rc = kms_table_new(k->service.store, k->kms_sealing, &k->kms,
	    err)) < 0 ||
	    (rc = kek_cache_new(KEKS_MAX, (unsigned int)c->kek_seconds,
	    &k->keks, err)) < 0)
		return rc;
	if (c->ek_ca.certificate[0] != '\0')
		return ek_issuer_new(&c->ek_ca, k->service.store,
		    &k->ek_issuer, err);
	return 0;
}

static void
stop(void *service)
{
	struct kmxd *k = service;

	ek_issuer_free(k->ek_issuer);
	kek_cache_free(k->keks);
	kms_table_free(k->kms);
	token_source_free(k->tokens);
	secret_free(k->kms_sealing);
	alarms_free(k->alarms);
	pthread_mutex_destroy(&k->lock);
}

static void
judge_clock(struct kmxd *k)
{
	long long ahead = token_source_ahead(k->tokens);
	char text[160];

	if (llabs(ahead) <= TOKEN_SKEW) {
		alarm_clear(k->alarms, "clock.differs", "attestd");
		return;
	}
	snprintf(text, sizeof(text), "the clock of this vta-kmxd is %lld s %s "
	    "that of vta-attestd: tokens are refused. Set the one that is "
	    "wrong", llabs(ahead), ahead > 0 ? "ahead of" : "behind");
	alarm_raise(k->alarms, "clock.differs", "attestd", text);
}

static void
tick(void *service)
{
	struct kmxd *k = service;
	struct err err = { 0 };

	(void)kek_cache_expire(k->keks);
	if (token_source_refresh(k->tokens, &err) < 0)
		log_debug("%s", err.text);
	judge_clock(k);
	kms_check(k->kms, k->alarms);
	vm_finish_all(k);
	vm_review_alarms(k);
}

static size_t
gather(struct http_route *all)
{
	static const struct http_route *const tables[] = { routes_keys,
		routes_epochs, routes_offer, routes_ek, routes_vms,
		routes_kms };
	size_t count = 0;

	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		for (const struct http_route *r = tables[i]; r->path != NULL;
		    r++)
			all[count++] = *r;
	return count;
}

int
main(int argc, char **argv)
{
	static struct kmxd_config config = { .kek_seconds = 10,
		.lease_seconds = 60, .lease_skew = 5,
		.ek_ca = { .crl_hours = 24 } };
	static struct kmxd kmxd = { .config = &config };
	static struct http_route routes[ROUTES_MAX];
	const struct service_program program = {
		.name = "vta-kmxd",
		.summary = "Gives the keys of VMs to hosts that attest",
		.default_port = DEFAULT_PORT,
		.keys = keys,
		.key_count = sizeof(keys) / sizeof(keys[0]),
		.config = &config,
		.check = check,
		.service = &kmxd,
		.start = start,
		.stop = stop,
		.tick = tick,
		.tick_seconds = TICK_SECONDS,
		.routes = routes,
		.route_count = gather(routes),
	};

	return service_main(&program, argc, argv);
}
