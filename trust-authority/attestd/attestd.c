/* SPDX-License-Identifier: BSD-3-Clause */
/* vta-attestd's table, its start and its end. */
#include "trust-authority/attestd/attestd.h"

#include <string.h>
#include <time.h>

#include "trust-authority/attest/evidence.h"
#include "trust-authority/attest/policy.h"
#include "trust-authority/attestd/ek-cas.h"
#include "trust-authority/attestd/expiry.h"
#include "trust-authority/attestd/keys.h"
#include "trust-authority/attestd/policies.h"
#include "trust-authority/attestd/refusals.h"
#include "trust-authority/attestd/service-table.h"
#include "trust-authority/attestd/signing.h"
#include "trust-authority/attestd/turns.h"

#define AT(field) offsetof(struct attestd_config, field), \
	sizeof(((struct attestd_config *)NULL)->field)

static const struct keyfile_key keys[] = {
	{ "attest", "session_seconds", keyfile_set_number,
	    AT(session_seconds), 10, 120, false },
	{ "attest", "evidence_mib", keyfile_set_number, AT(evidence_mib), 1,
	    EVIDENCE_SIZE_MAX >> 20, false },
	{ "attest", "per_address", keyfile_set_number, AT(per_address), 1,
	    256, false },
	{ "attest", "key_hours", keyfile_set_number, AT(key_hours), 2, 8784,
	    false },
};

#define REASON_MAX 4096

static struct http_route routes[] = {
	/* Its body is that of one host's logs: attestd_check. */
	{ HTTP_POST, "/v1/attest/finish", HTTP_ANYBODY, ATTESTD_BODY_MAX, 0,
	    finish_handle },
	{ HTTP_POST, "/v1/attest/begin", HTTP_ANYBODY, ATTESTD_BODY_MAX, 0,
	    begin_handle },
	{ HTTP_GET, "/.well-known/jwks.json", HTTP_ANYBODY, 0, 0,
	    jwks_handle },
	{ HTTP_GET, "/v1/health", HTTP_ANYBODY, 0, 0, health_handle },
	{ HTTP_GET, "/v1/status", MAY_READ, 0, 0, status_handle },
	{ HTTP_GET, "/v1/audit", MAY_READ, 0, 0, audit_handle },
	{ HTTP_GET, "/v1/ek-cas", MAY_READ, 0, 0, ek_cas_list },
	{ HTTP_GET, "/v1/ek-cas/{}", MAY_READ, 0, 0, ek_ca_get },
	{ HTTP_PUT, "/v1/ek-cas/{}", MAY_ADMINISTER, ATTESTD_BODY_MAX, 0,
	    ek_ca_put },
	{ HTTP_DELETE, "/v1/ek-cas/{}", MAY_ADMINISTER, 0, 0, ek_ca_remove },
	{ HTTP_GET, "/v1/hosts", MAY_READ, 0, 0, hosts_list },
	{ HTTP_GET, "/v1/hosts/{}", MAY_READ, 0, 0, host_get },
	{ HTTP_PUT, "/v1/hosts/{}", MAY_ADMINISTER, ATTESTD_BODY_MAX, 0,
	    host_put },
	{ HTTP_DELETE, "/v1/hosts/{}", MAY_ADMINISTER, 0, 0, host_remove },
	{ HTTP_POST, "/v1/hosts/{}/revoke", MAY_ADMINISTER, REASON_MAX, 0,
	    host_revoke },
	{ HTTP_POST, "/v1/hosts/{}/restore", MAY_ADMINISTER, REASON_MAX, 0,
	    host_restore },
	{ HTTP_POST, "/v1/hosts/{}/attest", MAY_OPERATE, REASON_MAX, 0,
	    host_attest },
	{ HTTP_POST, "/v1/hosts/{}/capture", MAY_ADMINISTER, REASON_MAX, 0,
	    capture_start },
	{ HTTP_GET, "/v1/hosts/{}/capture", MAY_READ, 0, 0, capture_get },
	{ HTTP_GET, "/v1/policies", MAY_READ, 0, 0, policies_list },
	{ HTTP_GET, "/v1/policies/{}", MAY_READ, 0, 0, policy_get },
	{ HTTP_PUT, "/v1/policies/{}", MAY_ADMINISTER, POLICY_SIZE_MAX, 0,
	    policy_put },
	{ HTTP_DELETE, "/v1/policies/{}", MAY_ADMINISTER, 0, 0,
	    policy_remove },
	{ HTTP_GET, "/v1/groups", MAY_READ, 0, 0, groups_list },
	{ HTTP_GET, "/v1/groups/{}", MAY_READ, 0, 0, group_get },
	{ HTTP_PUT, "/v1/groups/{}", MAY_ADMINISTER, ATTESTD_BODY_MAX, 0,
	    group_put },
	{ HTTP_DELETE, "/v1/groups/{}", MAY_ADMINISTER, 0, 0, group_remove },
	{ HTTP_GET, "/v1/admins", MAY_READ, 0, 0, admins_list },
	{ HTTP_PUT, "/v1/admins/{}", MAY_ADMINISTER, REASON_MAX, 0,
	    admin_put },
	{ HTTP_DELETE, "/v1/admins/{}", MAY_ADMINISTER, 0, 0, admin_remove },
};

static struct attestd_config config = { .session_seconds = 60,
	.evidence_mib = 16, .per_address = 4, .key_hours = 168 };
static struct attestd attestd = { .config = &config };

int64_t
attestd_now(void)
{
	return time(NULL);
}

int64_t
attestd_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void
text_cut(char *out, size_t room, const char *text)
{
	size_t n = 0;

	for (; n < room - 1 && text[n] != '\0'; n++) {
		unsigned char c = (unsigned char)text[n];

		out[n] = c < 0x20 ? ' ' : c > 0x7e ? '?' : text[n];
	}
	out[n] = '\0';
}

const char *
fault_of_host(int code)
{
	switch (code) {
	case ERR_AUTH:
	case ERR_FORMAT:
	case ERR_NOTFOUND:
	case ERR_REFUSED:
	case ERR_STALE:
	case ERR_UNSUPPORTED:
	case ERR_USAGE:
		return "host";
	default:
		return NULL;
	}
}

int
version_check(uint64_t is, int64_t wanted, const char *what, struct err *err)
{
	if (wanted == 0 || (uint64_t)wanted == is)
		return 0;
	return err_set(err, ERR_STALE, "%s has been changed by somebody else "
	    "since you looked at it; look again", what);
}

/* The body of a finish is base64url, and a session beside it. */
static int
attestd_check(void *arg, struct err *err)
{
	const struct attestd_config *c = arg;
	size_t evidence = (size_t)c->evidence_mib << 20;

	(void)err;
	routes[0].body_max = evidence / 3 * 4 + 2 * ATTESTD_BODY_MAX;
	return 0;
}

static int
attestd_start(void *arg, struct err *err)
{
	struct attestd *d = arg;
	const struct authority_config *c = &d->config->common;
	const struct token_times times = { d->config->key_hours * 3600,
		ATTESTD_TOKEN_SECONDS_MAX };
	int rc;

	d->agent_client = (struct http_client_config){
		.certificate = c->server.certificate, .key = c->server.key,
		.call_ms = 5000, .answer_max = 65536 };
	d->ek_cas = ek_cas_new(d->service.store);
	d->keys = keys_new();
	d->policies = policies_new(d->service.store);
	d->refusals = refusals_new();
	d->turns = turns_new((unsigned int)d->config->per_address);
	if (d->ek_cas == NULL || d->keys == NULL || d->policies == NULL ||
	    d->refusals == NULL || d->turns == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	if ((rc = service_derive(d->service.sealing, "vta-session",
	    &d->session_key, err)) < 0)
		return rc;
	return signing_new(d->service.store, d->service.sealing, &times,
	    &d->signing, err);
}

static void
attestd_stop(void *arg)
{
	struct attestd *d = arg;

	signing_free(d->signing);
	turns_free(d->turns);
	refusals_free(d->refusals);
	policies_free(d->policies);
	keys_free(d->keys);
	ek_cas_free(d->ek_cas);
	secret_free(d->session_key);
}

static void
attestd_tick(void *arg)
{
	struct attestd *d = arg;

	signing_refresh(d->signing, attestd_now());
	expiry_look(d);
}

const struct service_program attestd_program = {
	.name = "vta-attestd",
	.summary = "Attests hosts for the trust authority",
	.default_port = 7889,
	.keys = keys, .key_count = sizeof(keys) / sizeof(keys[0]),
	.config = &config, .check = attestd_check,
	.service = &attestd, .start = attestd_start, .stop = attestd_stop,
	.tick = attestd_tick, .tick_seconds = 30,
	.routes = routes, .route_count = sizeof(routes) / sizeof(routes[0]),
};
