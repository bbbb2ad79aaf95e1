/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/agent/daemon/https.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "trust-authority/agent/daemon/attester.h"
#include "trust-authority/agent/daemon/own-cert.h"
#include "trust-authority/agent/daemon/status.h"
#include "trust-authority/common/http-server.h"

#define STATUS_MAX (1u << 20)

struct https {
	struct kmxa *k;
	struct http_server *server;
	pthread_t thread;
	char *certificate;		/* PEM */
	char *intermediates;		/* PEM or NULL */
	struct http_service service;
};

static int
get_status(void *ctx, const struct http_request *request,
    struct http_answer *answer, struct err *err)
{
	(void)request;
	/* The authority's word is root's. */
	answer->json = status_json(ctx, 0, STATUS_MAX);
	return answer->json != NULL ? 0 :
	    err_set(err, ERR_INTERNAL, "out of memory");
}

static int
post_attest(void *ctx, const struct http_request *request,
    struct http_answer *answer, struct err *err)
{
	struct kmxa *k = ctx;

	(void)err;
	log_event(LOG_LEVEL_INFO, "agent.told", "what=attest peer=%s name=\"%s"
	    "\"", request->peer.address, request->peer.name);
	attester_wake(k->attester);
	answer->status = 202;
	return 0;
}

static const struct http_route routes[] = {
	{ HTTP_GET, "/v1/status", HTTP_CERTIFIED, 0, 0, get_status },
	{ HTTP_POST, "/v1/attest", HTTP_CERTIFIED, 1024, 0, post_attest },
};

static int
make_server(struct https *h, struct err *err)
{
	struct kmxa *k = h->k;
	char cert[PATH_MAX + 16], key[PATH_MAX + 16];
	struct http_server_config config = { .address =
		k->settings.server.address, .port =
		(unsigned int)k->settings.server.port, .certificate = cert,
		.key = key, .client_ca = k->settings.authority.ca,
		.workers = 2, .connections = 64, .connections_per_peer = 16 };

	own_cert_paths(&k->state, cert, key, sizeof(cert));
	h->service = (struct http_service){ .routes = routes,
		.count = sizeof(routes) / sizeof(routes[0]), .ctx = k };
	return http_server_new(&config, &h->service, &h->server, err);
}

int
https_open(struct kmxa *k, struct https **out, struct err *err)
{
	struct https *h = calloc(1, sizeof(*h));
	const char *pem = k->settings.authority.intermediates;
	int rc;

	if (h == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	h->k = k;
	if ((rc = own_cert_get(&k->state, k->settings.agent.name,
	    &h->certificate, err)) < 0 ||
	    (pem[0] != '\0' && (rc = own_cert_read_pem(pem,
	    &h->intermediates, err)) < 0) || (rc = make_server(h, err)) < 0) {
		free(h->certificate);
		free(h->intermediates);
		free(h);
		return rc;
	}
	*out = h;
	return 0;
}

static void *
run(void *arg)
{
	struct https *h = arg;
	struct err err = { 0 };

	if (http_server_run(h->server, &err) < 0)
		log_error("%s", err.text);
	return NULL;
}

int
https_start(struct https *h, struct err *err)
{
	int sys = pthread_create(&h->thread, NULL, run, h);

	return sys == 0 ? 0 : err_sys(err, sys, "cannot start a thread");
}

unsigned int
https_port(const struct https *h)
{
	return http_server_port(h->server);
}

json_t *
https_json(const struct https *h)
{
	return json_pack("{sI ss}", "port", (json_int_t)https_port(h),
	    "certificate", h->certificate);
}

const char *
https_intermediates(const struct https *h)
{
	return h->intermediates;
}
