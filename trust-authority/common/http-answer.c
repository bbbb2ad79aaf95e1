/* SPDX-License-Identifier: BSD-3-Clause */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/secret.h"
#include "trust-authority/common/http.h"
#include "trust-authority/common/json-fast.h"

static const struct {
	int status;
	const char *phrase;
} phrases[] = {
	{ 200, "OK" }, { 201, "Created" }, { 202, "Accepted" },
	{ 204, "No Content" }, { 400, "Bad Request" }, { 401, "Unauthorized" },
	{ 403, "Forbidden" }, { 404, "Not Found" },
	{ 405, "Method Not Allowed" }, { 409, "Conflict" },
	{ 413, "Content Too Large" }, { 414, "URI Too Long" },
	{ 415, "Unsupported Media Type" }, { 429, "Too Many Requests" },
	{ 500, "Internal Server Error" }, { 501, "Not Implemented" },
	{ 502, "Bad Gateway" }, { 503, "Service Unavailable" },
	{ 507, "Insufficient Storage" },
};

static const struct {
	int code, status;
} statuses[] = {
	{ ERR_FORMAT, 400 }, { ERR_USAGE, 400 }, { ERR_AUTH, 401 },
	{ ERR_REFUSED, 403 }, { ERR_KEY, 403 }, { ERR_NOTFOUND, 404 },
	{ ERR_EXISTS, 409 }, { ERR_STALE, 409 }, { ERR_UNSUPPORTED, 501 },
	{ ERR_CLOSED, 502 }, { ERR_BUSY, 503 }, { ERR_NOSPACE, 507 },
};

const char *
http_phrase(int status)
{
	for (size_t i = 0; i < sizeof(phrases) / sizeof(phrases[0]); i++)
		if (phrases[i].status == status)
			return phrases[i].phrase;
	return "Unknown";
}

int
http_status_of(int code)
{
	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
		if (statuses[i].code == code)
			return statuses[i].status;
	return 500;
}

static const struct {
	const char *name;
	int code;
} codes[] = {
	{ "format", ERR_FORMAT }, { "auth", ERR_AUTH }, { "key", ERR_KEY },
	{ "stale", ERR_STALE }, { "busy", ERR_BUSY },
	{ "exists", ERR_EXISTS }, { "not-found", ERR_NOTFOUND },
	{ "usage", ERR_USAGE }, { "unsupported", ERR_UNSUPPORTED },
	{ "no-space", ERR_NOSPACE }, { "refused", ERR_REFUSED },
	{ "closed", ERR_CLOSED },
};

int
http_code_of(const char *name, int status)
{
	for (size_t i = 0; name != NULL &&
	    i < sizeof(codes) / sizeof(codes[0]); i++)
		if (strcmp(codes[i].name, name) == 0)
			return codes[i].code;
	switch (status) {
	case 400: return ERR_USAGE;
	case 401: return ERR_AUTH;
	case 403: return ERR_REFUSED;
	case 404: return ERR_NOTFOUND;
	case 409: return ERR_STALE;
	case 429:
	case 503: return ERR_BUSY;
	default: return ERR_SYSTEM;
	}
}

void
http_answer_problem(struct http_answer *answer, int status,
    const struct http_peer *peer, const struct err *err)
{
	const char *detail = err->text, *fault = answer->fault;

	if (fault == NULL && status >= 500)
		fault = "authority";
	http_answer_reset(answer);
	answer->status = status;
	answer->type = "application/problem+json";
	if (status >= 500)
		log_warning("answered %s with %d: %s", peer->address, status,
		    err->text);
	if (status >= 500 && !peer->certified)
		detail = "the service could not do it; its log says why";
	if (status == 503)
		answer->retry_after = 2;
	/* A text that is not UTF-8 would be none at all. */
	answer->json = json_pack("{ss ss si ss ss* ss*}", "type",
	    "about:blank", "title", http_phrase(status), "status", status,
	    "code", err_name(err->code), "detail", detail, "fault", fault);
	if (answer->json == NULL)
		answer->json = json_pack("{ss ss si ss ss*}", "type",
		    "about:blank", "title", http_phrase(status), "status",
		    status, "code", err_name(err->code), "fault", fault);
}

const char *
http_answer_text(struct http_answer *answer)
{
	if (answer->text == NULL && answer->json != NULL) {
		answer->text = json_fast_dump(answer->json, false);
		answer->text_size = answer->text != NULL ?
		    strlen(answer->text) : 0;
		if (answer->type == NULL)
			answer->type = "application/json";
	}
	if (answer->status == 0)
		answer->status = answer->text != NULL ? 200 : 204;
	return answer->text;
}

void
http_answer_reset(struct http_answer *answer)
{
	if (answer->text != NULL)
		cleanse(answer->text, malloc_usable_size(answer->text));
	free(answer->text);
	json_decref(answer->json);
	*answer = (struct http_answer){ 0 };
}
