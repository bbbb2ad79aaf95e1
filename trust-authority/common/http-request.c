/* SPDX-License-Identifier: BSD-3-Clause */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/log.h"
#include "base/secret.h"
#include "trust-authority/common/http.h"
#include "trust-authority/common/json-fast.h"

static int
hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Percent-decoding in place (RFC 3986, 2.1). No control characters: nothing
 * of ours has any, and they end up in logs. */
static int
decode(char *text)
{
	char *out = text;

	for (const char *in = text; *in != '\0'; in++) {
		int c = (unsigned char)*in;

		if (c == '%') {
			int high = hex(in[1]), low;

			if (high < 0 || (low = hex(in[2])) < 0)
				return ERR_FORMAT;
			c = high << 4 | low;
			in += 2;
		}
		if (c < 0x20 || c == 0x7f)
			return ERR_FORMAT;
		*out++ = (char)c;
	}
	*out = '\0';
	return 0;
}

static int
read_query(struct http_request *r, char *text)
{
	char *save = NULL;

	for (char *pair = strtok_r(text, "&", &save); pair != NULL;
	    pair = strtok_r(NULL, "&", &save)) {
		char *value = strchr(pair, '=');

		if (value == NULL || r->query_count == HTTP_QUERY_MAX)
			return ERR_FORMAT;
		*value++ = '\0';
		if (decode(pair) < 0 || decode(value) < 0 ||
		    http_query(r, pair) != NULL)
			return ERR_FORMAT;
		r->query[r->query_count].name = pair;
		r->query[r->query_count++].value = value;
	}
	return 0;
}

/* The next piece of a path, which begins after a slash; *end is where the one
 * after it begins. */
static size_t
piece(const char *path, const char **end)
{
	size_t size = strcspn(path, "/");

	*end = path[size] == '/' ? path + size + 1 : NULL;
	return size;
}

static bool
matches(const char *pattern, const char *path)
{
	pattern++;
	path++;
	for (;;) {
		const char *rest, *left;
		size_t want = piece(pattern, &rest), have = piece(path, &left);

		if (want == 2 && memcmp(pattern, "{}", 2) == 0) {
			if (have == 0)
				return false;
		} else if (want != have || memcmp(pattern, path, want) != 0) {
			return false;
		}
		if (rest == NULL || left == NULL)
			return rest == left;
		pattern = rest;
		path = left;
	}
}

/* Cuts the path into its pieces, and keeps and decodes those in braces. */
static int
take_params(struct http_request *r)
{
	const char *pattern = r->route->path + 1;
	char *path = r->target + 1;
	size_t n = 0;

	while (pattern != NULL && path != NULL) {
		const char *rest, *left;
		size_t want = piece(pattern, &rest), have = piece(path, &left);
		bool keep = want == 2 && memcmp(pattern, "{}", 2) == 0;

		path[have] = '\0';
		if (keep && (n == HTTP_PARAMS_MAX || decode(path) < 0))
			return ERR_FORMAT;
		if (keep)
			r->params[n++] = path;
		path = left != NULL ? path + have + 1 : NULL;
		pattern = rest;
	}
	return 0;
}

static int
refuse(struct http_request *r, struct http_answer *answer, int status,
    const char *why)
{
	int code = status == 404 ? ERR_NOTFOUND : status == 401 ? ERR_AUTH :
	    status == 403 ? ERR_REFUSED : ERR_USAGE;
	struct err err = { 0 };

	err_set(&err, code, "%s", why);
	http_answer_problem(answer, status, &r->peer, &err);
	return err.code;
}

static int
find_route(const struct http_service *service, struct http_request *r,
    struct http_answer *answer)
{
	unsigned int allowed = 0;
	int rc;

	for (size_t i = 0; i < service->count; i++) {
		const struct http_route *route = &service->routes[i];

		if (!matches(route->path, r->target))
			continue;
		allowed |= route->method;
		if (route->method == r->method) {
			r->route = route;
			return 0;
		}
	}
	if (allowed == 0)
		return refuse(r, answer, 404, "there is nothing at this path; "
		    "look at the program's manual page, and whether both "
		    "sides have the same version");
	rc = refuse(r, answer, 405, "not with this method");
	answer->allow = allowed;
	return rc;
}

/* "Bearer TOKEN", b64token of RFC 6750, 2.1; other schemes are not ours. */
static int
read_bearer(struct http_request *r, const char *header)
{
	size_t size;

	if (strncasecmp(header, "Bearer ", 7) != 0)
		return ERR_FORMAT;
	header += 7 + strspn(header + 7, " ");
	size = strlen(header);
	if (size == 0 || size >= sizeof(r->token))
		return ERR_FORMAT;
	for (size_t i = 0; i < size; i++)
		if (!isalnum((unsigned char)header[i]) &&
		    strchr("-._~+/=", header[i]) == NULL)
			return ERR_FORMAT;
	memcpy(r->token, header, size + 1);
	r->bearer = r->token;
	return 0;
}

int
http_request_read(const struct http_service *service, struct http_request *r,
    enum http_method method, const char *target, const char *authorization,
    struct http_answer *answer)
{
	size_t size = strlen(target);
	char *query;
	int rc;

	r->method = method;
	if (size >= sizeof(r->target))
		return refuse(r, answer, 414, "the path is too long");
	memcpy(r->target, target, size + 1);
	r->target[strcspn(r->target, "#")] = '\0';
	if ((query = strchr(r->target, '?')) != NULL)
		*query++ = '\0';
	if (r->target[0] != '/' || (query != NULL && read_query(r, query) < 0))
		return refuse(r, answer, 400, "the path or its query is not "
		    "well-formed");
	if ((rc = find_route(service, r, answer)) < 0)
		return rc;
	if (take_params(r) < 0)
		return refuse(r, answer, 400, "the path is not well-formed");
	if (authorization != NULL && read_bearer(r, authorization) < 0)
		return refuse(r, answer, 401, "the Authorization header is not "
		    "'Bearer' and a token");
	return 0;
}

static int
check_role(const struct http_service *service, struct http_request *r,
    struct http_answer *answer)
{
	unsigned int needed = r->route->roles;

	r->peer.roles = 0;
	if (r->peer.certified) {
		r->peer.roles = HTTP_CERTIFIED;
		if (service->roles != NULL)
			r->peer.roles |= service->roles(service->ctx, &r->peer);
	}
	if (needed == HTTP_ANYBODY || r->peer.roles & needed)
		return 0;
	if (!r->peer.certified)
		return refuse(r, answer, 401, "this needs a client certificate "
		    "of this authority");
	log_event(LOG_LEVEL_WARNING, "http.refused", "peer=%s name=\"%s\" "
	    "fingerprint=%s method=%d route=%s", r->peer.address, r->peer.name,
	    r->peer.fingerprint, (int)r->method, r->route->path);
	return refuse(r, answer, 403, "your certificate has no role that may "
	    "do this; an administrator of the authority can give it one");
}

static int
read_body(struct http_request *r, const char *type, const void *body,
    size_t size, struct http_answer *answer)
{
	json_error_t why;

	if (size == 0)
		return 0;
	if (size > r->route->body_max)
		return refuse(r, answer, 413, "the body is too large");
	/* Also what a form on a web page cannot send. */
	if (type == NULL || strncasecmp(type, "application/json", 16) != 0 ||
	    (type[16] != '\0' && type[16] != ';' && type[16] != ' '))
		return refuse(r, answer, 415, "bodies are application/json");
	r->json = json_fast_load(body, size, &why);
	if (r->json == NULL)
		return refuse(r, answer, 400, why.text);
	return 0;
}

void
http_request_run(const struct http_service *service, struct http_request *r,
    const char *type, const void *body, size_t size,
    struct http_answer *answer)
{
	struct err err = { 0 };
	int rc;

	if (check_role(service, r, answer) < 0 ||
	    read_body(r, type, body, size, answer) < 0)
		return;
	rc = r->route->handle(service->ctx, r, answer, &err);
	if (rc == 0)
		return;
	if (err.code == 0)
		err_set(&err, rc, "%s", err_name(rc));
	http_answer_problem(answer, http_status_of(rc), &r->peer, &err);
}

void
http_request_reset(struct http_request *r)
{
	json_decref(r->json);
	cleanse(r, sizeof(*r));
}

const char *
http_query(const struct http_request *r, const char *name)
{
	for (size_t i = 0; i < r->query_count; i++)
		if (strcmp(r->query[i].name, name) == 0)
			return r->query[i].value;
	return NULL;
}
