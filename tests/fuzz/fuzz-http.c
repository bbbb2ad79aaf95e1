/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A request to the authority's services, as libevent hands it on. Input after
 * fail_begin's: flags (1), then target, Authorization, Content-Type and body,
 * each but the last ended by NUL.
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "tests/fuzz/fail.h"
#include "tests/fuzz/fuzz.h"
#include "trust-authority/common/http.h"

enum { CERTIFIED = 16, ADMIN = 2 };

static int called;

static int
handle(void *ctx, const struct http_request *r, struct http_answer *a,
    struct err *err)
{
	const char *code = http_query(r, "code");

	(void)ctx;
	called++;
	for (size_t i = 0; i < HTTP_PARAMS_MAX && r->params[i] != NULL; i++)
		FUZZ_ASSERT(strpbrk(r->params[i], "\r\n") == NULL);
	FUZZ_ASSERT(r->route->roles == HTTP_ANYBODY ||
	    r->peer.roles & r->route->roles);
	if (code != NULL)
		return err_set(err, -(atoi(code) & 31) - 1, "%s", code);
	a->json = json_pack("{sO* ss*}", "json", r->json, "bearer", r->bearer);
	return 0;
}

static unsigned int
roles(void *ctx, const struct http_peer *peer)
{
	(void)ctx;
	FUZZ_ASSERT(peer->certified);
	return peer->name[0] == 'a' ? ADMIN : 0;
}

static void
quiet(enum log_level level, const char *line)
{
	(void)level, (void)line;
}

static const struct http_route routes[] = {
	{ HTTP_GET, "/a", HTTP_ANYBODY, 0, 0, handle },
	{ HTTP_POST, "/a", HTTP_CERTIFIED, 256, 0, handle },
	{ HTTP_PUT, "/v/{}", ADMIN, 512, 0, handle },
	{ HTTP_GET, "/v/{}/w/{}", HTTP_ANYBODY, 0, 0, handle },
	{ HTTP_GET, "/{}/{}/{}/{}", HTTP_CERTIFIED, 64, 0, handle },
};
static const struct http_service service = { routes,
	sizeof(routes) / sizeof(routes[0]), NULL, roles };

/* The next text of the input, NULL for none. */
static char *
next(struct buf *in)
{
	size_t size = strnlen((const char *)in->data + in->pos, buf_left(in));
	const uint8_t *at;
	char *out = NULL;

	if (size == buf_left(in) || buf_get_ref(in, &at, size) < 0 ||
	    buf_get_bytes(in, NULL, 1) < 0)
		return NULL;
	out = strndup((const char *)at, size);
	FUZZ_ASSERT(out != NULL);
	return out;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf in = buf_reader(data, size), control = in;
	struct http_answer answer = { 0 };
	struct http_request *request = calloc(1, sizeof(*request));
	char *target = NULL, *authorization = NULL, *type = NULL;
	uint8_t flags = 0;
	const uint8_t *body;
	int rc;

	log_set_sink(quiet);
	if (buf_get_bytes(&in, NULL, 4) < 0 || buf_get_u8(&in, &flags) < 0 ||
	    request == NULL || (target = next(&in)) == NULL)
		goto out;
	authorization = next(&in);
	type = next(&in);
	size = buf_left(&in);
	(void)buf_get_ref(&in, &body, size);
	request->peer.certified = flags & CERTIFIED;
	request->peer.name[0] = flags & 32 ? 'a' : 'b';

	called = 0;
	fail_begin(&control);
	rc = http_request_read(&service, request, 1 << (flags & 3), target,
	    authorization, &answer);
	FUZZ_ASSERT((rc == 0) == (answer.status == 0));
	if (rc == 0)
		http_request_run(&service, request, type, body, size, &answer);
	(void)fail_end();
	FUZZ_ASSERT(called <= (rc == 0));
	(void)http_answer_text(&answer);
	FUZZ_ASSERT(answer.status >= 200 && answer.status < 600);
	FUZZ_ASSERT(answer.status == 204 || answer.text != NULL);
	FUZZ_ASSERT(called || answer.status >= 400);
out:
	if (request != NULL)
		http_request_reset(request);
	http_answer_reset(&answer);
	free(request);
	free(target);
	free(authorization);
	free(type);
	return 0;
}
