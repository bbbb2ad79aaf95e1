/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The HTTP server and client of trust-authority/common as programs.
 *
 *   http-run serve CERT KEY CLIENT-CA WORKERS QUEUE CONNECTIONS PER-PEER SECONDS
 *     prints "port N", serves until SIGTERM
 *   http-run call CA CERT KEY TRIES CALL-MS METHOD URL [BODY]
 *     prints what came of it as JSON
 */
#include <curl/curl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "trust-authority/common/http-client.h"
#include "trust-authority/common/http-server.h"

enum { ADMIN = 2 };

static struct http_server *server;
static atomic_int running;

static int
echo(void *ctx, const struct http_request *r, struct http_answer *a,
    struct err *err)
{
	json_t *query = json_object();

	(void)ctx, (void)err;
	for (size_t i = 0; i < r->query_count; i++)
		json_object_set_new(query, r->query[i].name,
		    json_string(r->query[i].value));
	a->json = json_pack("{ss ss ss si ss* sO* so ss* ss*}",
	    "address", r->peer.address, "name", r->peer.name,
	    "fingerprint", r->peer.fingerprint, "roles", (int)r->peer.roles,
	    "bearer", r->bearer, "json", r->json, "query", query,
	    "first", r->params[0], "second", r->params[1]);
	return 0;
}

static int
slow(void *ctx, const struct http_request *r, struct http_answer *a,
    struct err *err)
{
	const char *ms = http_query(r, "ms");
	long n = ms != NULL ? atol(ms) : 0;
	struct timespec t = { n / 1000, n % 1000 * 1000000 };

	(void)ctx, (void)err;
	a->json = json_pack("{si}", "running", atomic_fetch_add(&running, 1));
	nanosleep(&t, NULL);
	atomic_fetch_sub(&running, 1);
	return 0;
}

static int
fail(void *ctx, const struct http_request *r, struct http_answer *a,
    struct err *err)
{
	const char *code = http_query(r, "code");

	(void)ctx, (void)a;
	return err_set(err, code != NULL ? atoi(code) : ERR_INTERNAL,
	    "the reason is \"%s\"", r->peer.address);
}

static int
large(void *ctx, const struct http_request *r, struct http_answer *a,
    struct err *err)
{
	(void)ctx, (void)r, (void)err;
	a->text_size = 8u << 20;
	a->text = malloc(a->text_size);
	memset(a->text, 'x', a->text_size);
	a->type = "text/plain";
	return 0;
}

static int
nothing(void *ctx, const struct http_request *r, struct http_answer *a,
    struct err *err)
{
	(void)ctx, (void)r, (void)a, (void)err;
	return 0;
}

static unsigned int
roles(void *ctx, const struct http_peer *peer)
{
	(void)ctx;
	return strcmp(peer->name, "admin") == 0 ? ADMIN : 0;
}

static const struct http_route routes[] = {
	{ HTTP_GET, "/health", HTTP_ANYBODY, 0, HTTP_AT_ONCE, nothing },
	{ HTTP_GET, "/echo", HTTP_ANYBODY, 0, 0, echo },
	{ HTTP_POST, "/echo", HTTP_ANYBODY, 4096, 0, echo },
	{ HTTP_GET, "/things/{}/parts/{}", HTTP_ANYBODY, 0, 0, echo },
	{ HTTP_DELETE, "/things/{}", HTTP_ANYBODY, 0, 0, nothing },
	{ HTTP_PUT, "/things/{}", HTTP_ANYBODY, 65536, 0, echo },
	{ HTTP_GET, "/certified", HTTP_CERTIFIED, 0, 0, echo },
	{ HTTP_GET, "/admin", ADMIN, 0, 0, echo },
	{ HTTP_GET, "/slow", HTTP_ANYBODY, 0, 0, slow },
	{ HTTP_GET, "/fail", HTTP_ANYBODY, 0, 0, fail },
	{ HTTP_GET, "/large", HTTP_ANYBODY, 0, 0, large },
};

static int
serve(char **args, struct err *err)
{
	const struct http_server_config config = {
		.address = "127.0.0.1", .certificate = args[0], .key = args[1],
		.client_ca = args[2], .workers = (size_t)atol(args[3]),
		.queue_max = (size_t)atol(args[4]),
		.connections = (size_t)atol(args[5]),
		.connections_per_peer = (size_t)atol(args[6]),
		.request_seconds = (unsigned int)atol(args[7]),
		.signals = true,
	};
	const struct http_service service = { routes,
		sizeof(routes) / sizeof(routes[0]), NULL, roles };
	int rc;

	if ((rc = http_server_new(&config, &service, &server, err)) < 0)
		return rc;
	printf("port %u\n", http_server_port(server));
	fflush(stdout);
	rc = http_server_run(server, err);
	http_server_free(server);
	return rc;
}

static enum http_method
method_of(const char *name)
{
	switch (name[1]) {
	case 'O': return HTTP_POST;
	case 'U': return HTTP_PUT;
	case 'E': return name[0] == 'D' ? HTTP_DELETE : HTTP_GET;
	default: return HTTP_GET;
	}
}

static int
call(char **args, const char *body, struct err *err)
{
	const struct http_client_config config = { .ca = args[0],
		.certificate = args[1][0] ? args[1] : NULL,
		.key = args[2][0] ? args[2] : NULL,
		.tries = (unsigned int)atol(args[3]),
		.call_ms = (unsigned int)atol(args[4]),
		.answer_max = 1u << 20 };
	json_t *json = body != NULL ? json_loads(body, 0, NULL) : NULL;
	struct http_call call = { method_of(args[5]), args[6],
		getenv("HTTP_RUN_BEARER"), json, false };
	struct http_client *client = NULL;
	struct http_reply reply = { 0 };
	json_t *out;
	int rc;

	if ((rc = http_client_new(&config, &client, err)) < 0)
		return rc;
	rc = http_client_call(client, &call, &reply, err);
	out = json_pack("{ss si ss sb sO*}", "code", err_name(rc), "status",
	    reply.status, "text", rc < 0 ? err->text : "", "maybe_done",
	    reply.maybe_done, "json", reply.json);
	json_dumpf(out, stdout, JSON_COMPACT);
	json_decref(out);
	json_decref(json);
	http_reply_reset(&reply);
	http_client_free(client);
	curl_global_cleanup();
	return 0;
}

int
main(int argc, char **argv)
{
	struct err err = { 0 };
	int rc = ERR_USAGE;

	if (argc == 10 && strcmp(argv[1], "serve") == 0)
		rc = serve(argv + 2, &err);
	else if ((argc == 9 || argc == 10) && strcmp(argv[1], "call") == 0)
		rc = call(argv + 2, argv[9], &err);
	if (rc < 0)
		log_error("%s", err.text);
	return rc < 0 ? err_exit_status(rc) : 0;
}
