/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/common/http-client.h"

#include <curl/curl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/secret.h"

#define KEPT_MAX 32	/* handles, and with them connections, at rest */

struct http_client {
	struct http_client_config config;
	/* Copies; config's are those of the caller. */
	char *ca, *certificate, *key;
	char *ca_pem, *certificate_pem, *key_pem, *server_name;
	bool pinned;				/* ca_pem is the server's */
	pthread_mutex_t lock;			/* of kept */
	CURL *kept[KEPT_MAX];
	size_t kept_count;
};

/* One try. */
struct attempt {
	struct http_client *client;
	CURL *curl;
	struct http_reply *reply;
	bool too_large;
	struct curl_slist *headers, *connect_to;
	char *body;
	char why[CURL_ERROR_SIZE];
	unsigned int retry_after;
};

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;

static void
start_curl(void)
{
	(void)curl_global_init(CURL_GLOBAL_DEFAULT);
}

static int
copy(const char *text, char **out)
{
	if (text == NULL)
		return 0;
	return (*out = strdup(text)) != NULL ? 0 : ERR_SYSTEM;
}

static void
set_default(unsigned int *n, unsigned int value)
{
	if (*n == 0)
		*n = value;
}

int
http_client_new(const struct http_client_config *config,
    struct http_client **out, struct err *err)
{
	struct http_client *c = NULL;

	if (config->ca == NULL && config->ca_pem == NULL &&
	    config->pinned_pem == NULL)
		return err_set(err, ERR_USAGE, "a client needs CAs or a "
		    "pinned certificate");
	pthread_once(&curl_once, start_curl);
	if ((c = calloc(1, sizeof(*c))) == NULL)
		return err_set(err, ERR_SYSTEM, "no memory for a client");
	pthread_mutex_init(&c->lock, NULL);
	c->config = *config;
	set_default(&c->config.connect_ms, 3000);
	set_default(&c->config.call_ms, 10000);
	set_default(&c->config.tries, 1);
	set_default(&c->config.pause_ms, 200);
	set_default(&c->config.pause_max_ms, 10000);
	if (c->config.answer_max == 0)
		c->config.answer_max = 16u << 20;
	c->pinned = config->pinned_pem != NULL;
	if (copy(config->ca, &c->ca) < 0 || copy(config->key, &c->key) < 0 ||
	    copy(config->certificate, &c->certificate) < 0 ||
	    copy(c->pinned ? config->pinned_pem : config->ca_pem,
	    &c->ca_pem) < 0 ||
	    copy(config->certificate_pem, &c->certificate_pem) < 0 ||
	    copy(config->key_pem, &c->key_pem) < 0 ||
	    copy(config->server_name, &c->server_name) < 0) {
		http_client_free(c);
		return err_set(err, ERR_SYSTEM, "no memory for a client");
	}
	*out = c;
	return 0;
}

void
http_client_free(struct http_client *c)
{
	if (c == NULL)
		return;
	while (c->kept_count > 0)
		curl_easy_cleanup(c->kept[--c->kept_count]);
	pthread_mutex_destroy(&c->lock);
	free(c->ca);
	free(c->certificate);
	free(c->key);
	free(c->ca_pem);
	free(c->certificate_pem);
	if (c->key_pem != NULL)
		cleanse(c->key_pem, strlen(c->key_pem));
	free(c->key_pem);
	free(c->server_name);
	free(c);
}

static CURL *
take_handle(struct http_client *c)
{
	CURL *curl = NULL;

	pthread_mutex_lock(&c->lock);
	if (c->kept_count > 0)
		curl = c->kept[--c->kept_count];
	pthread_mutex_unlock(&c->lock);
	return curl != NULL ? curl : curl_easy_init();
}

static void
give_handle(struct http_client *c, CURL *curl)
{
	if (curl == NULL)
		return;
	/* Keeps its connections, forgets all else. */
	curl_easy_reset(curl);
	pthread_mutex_lock(&c->lock);
	if (c->kept_count < KEPT_MAX) {
		c->kept[c->kept_count++] = curl;
		curl = NULL;
	}
	pthread_mutex_unlock(&c->lock);
	curl_easy_cleanup(curl);
}

/* Not realloc: what it leaves behind may be an answer with a secret. */
static size_t
on_body(char *data, size_t one, size_t n, void *arg)
{
	struct attempt *a = arg;
	struct http_reply *r = a->reply;
	size_t have = r->text != NULL ? malloc_usable_size(r->text) : 0;

	(void)one;
	if (n > a->client->config.answer_max ||
	    r->size > a->client->config.answer_max - n) {
		a->too_large = true;
		return 0;
	}
	if (r->text == NULL || r->size + n + 1 > have) {
		char *more = malloc(2 * (r->size + n) + 512);

		if (more == NULL)
			return 0;
		if (r->text != NULL) {
			memcpy(more, r->text, r->size);
			cleanse(r->text, have);
		}
		free(r->text);
		r->text = more;
	}
	memcpy(r->text + r->size, data, n);
	r->size += n;
	r->text[r->size] = '\0';
	return n;
}

static int
add_header(struct attempt *a, const char *header)
{
	struct curl_slist *more = curl_slist_append(a->headers, header);

	if (more == NULL)
		return ERR_SYSTEM;
	a->headers = more;
	return 0;
}

static int
add_headers(struct attempt *a, const struct http_call *call)
{
	char bearer[HTTP_BEARER_MAX + 32];
	int rc;

	/* No pause for "100 Continue". */
	if (add_header(a, "Expect:") < 0 ||
	    add_header(a, "Accept: application/json, */*") < 0 ||
	    add_header(a, "Content-Type: application/json") < 0)
		return ERR_SYSTEM;
	if (call->bearer == NULL)
		return 0;
	if (strlen(call->bearer) >= HTTP_BEARER_MAX)
		return ERR_USAGE;
	snprintf(bearer, sizeof(bearer), "Authorization: Bearer %s",
	    call->bearer);
	rc = add_header(a, bearer);
	cleanse(bearer, sizeof(bearer));
	return rc;
}

static const char *
method_name(enum http_method method)
{
	switch (method) {
	case HTTP_POST: return "POST";
	case HTTP_PUT: return "PUT";
	case HTTP_DELETE: return "DELETE";
	case HTTP_GET: break;
	}
	return "GET";
}

/* A PEM text; curl keeps the pointer for the call. */
static bool
set_blob(CURL *h, CURLoption option, char *pem)
{
	struct curl_blob blob = { pem, 0, CURL_BLOB_NOCOPY };

	if (pem == NULL)
		return true;
	blob.len = strlen(pem);
	return curl_easy_setopt(h, option, &blob) == CURLE_OK;
}

/* Its own certificate as the only anchor: whoever has its key is the server,
 * whatever the certificate calls it. */
static bool
set_trust(const struct http_client *c, CURL *h)
{
	return curl_easy_setopt(h, CURLOPT_CAINFO, c->ca) == CURLE_OK &&
	    curl_easy_setopt(h, CURLOPT_CAPATH, NULL) == CURLE_OK &&
	    set_blob(h, CURLOPT_CAINFO_BLOB, c->ca_pem) &&
	    curl_easy_setopt(h, CURLOPT_SSL_VERIFYHOST,
	    c->pinned ? 0L : 2L) == CURLE_OK;
}

static bool
set_tls(struct attempt *a)
{
	const struct http_client *c = a->client;
	CURL *h = a->curl;

	return set_trust(c, h) &&
	    set_blob(h, CURLOPT_SSLCERT_BLOB, c->certificate_pem) &&
	    set_blob(h, CURLOPT_SSLKEY_BLOB, c->key_pem) &&
	    curl_easy_setopt(h, CURLOPT_SSLVERSION,
	    (long)CURL_SSLVERSION_TLSv1_2) == CURLE_OK &&
	    curl_easy_setopt(h, CURLOPT_SSL_CIPHER_LIST, "ECDHE+AESGCM") ==
	    CURLE_OK &&
	    curl_easy_setopt(h, CURLOPT_SSLCERT, c->certificate) == CURLE_OK &&
	    curl_easy_setopt(h, CURLOPT_SSLKEY, c->key) == CURLE_OK;
}

/* The URL; or, with a fixed name, the same with that name in it, and where to
 * connect all the same. */
static bool
set_where(struct attempt *a, const char *url)
{
	const char *name = a->client->server_name;
	char *host = NULL, *port = NULL, *named = NULL, to[512];
	CURLU *u = NULL;
	bool good = false;

	if (name == NULL)
		return curl_easy_setopt(a->curl, CURLOPT_URL, url) == CURLE_OK;
	if ((u = curl_url()) == NULL ||
	    curl_url_set(u, CURLUPART_URL, url, 0) != CURLUE_OK ||
	    curl_url_get(u, CURLUPART_HOST, &host, 0) != CURLUE_OK ||
	    curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) !=
	    CURLUE_OK || curl_url_set(u, CURLUPART_HOST, name, 0) !=
	    CURLUE_OK || curl_url_get(u, CURLUPART_URL, &named, 0) != CURLUE_OK)
		goto out;
	snprintf(to, sizeof(to), "::%s:%s", host, port);
	a->connect_to = curl_slist_append(NULL, to);
	good = a->connect_to != NULL &&
	    curl_easy_setopt(a->curl, CURLOPT_URL, named) == CURLE_OK &&
	    curl_easy_setopt(a->curl, CURLOPT_CONNECT_TO, a->connect_to) ==
	    CURLE_OK;
out:
	curl_free(host);
	curl_free(port);
	curl_free(named);
	curl_url_cleanup(u);
	return good;
}

static bool
set_call(struct attempt *a, const struct http_call *call)
{
	const struct http_client_config *config = &a->client->config;
	CURL *h = a->curl;
	CURLcode e = CURLE_OK;

	e |= curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "https");
	e |= curl_easy_setopt(h, CURLOPT_CUSTOMREQUEST,
	    method_name(call->method));
	e |= curl_easy_setopt(h, CURLOPT_PROXY, "");
	e |= curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
	e |= curl_easy_setopt(h, CURLOPT_ERRORBUFFER, a->why);
	e |= curl_easy_setopt(h, CURLOPT_HTTPHEADER, a->headers);
	e |= curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, on_body);
	e |= curl_easy_setopt(h, CURLOPT_WRITEDATA, a);
	e |= curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT_MS,
	    (long)config->connect_ms);
	e |= curl_easy_setopt(h, CURLOPT_TIMEOUT_MS, (long)config->call_ms);
	if (a->body != NULL) {
		e |= curl_easy_setopt(h, CURLOPT_POSTFIELDS, a->body);
		e |= curl_easy_setopt(h, CURLOPT_POSTFIELDSIZE_LARGE,
		    (curl_off_t)strlen(a->body));
	}
	return e == CURLE_OK && set_where(a, call->url) && set_tls(a);
}

/* Whether the server can have got the request. */
static bool
may_have_begun(CURLcode e)
{
	return e != CURLE_COULDNT_RESOLVE_HOST &&
	    e != CURLE_COULDNT_CONNECT && e != CURLE_SSL_CONNECT_ERROR &&
	    e != CURLE_PEER_FAILED_VERIFICATION && e != CURLE_SSL_CERTPROBLEM;
}

static int
tell_failure(struct attempt *a, const struct http_call *call, CURLcode e,
    struct err *err)
{
	const char *why = a->why[0] != '\0' ? a->why : curl_easy_strerror(e);
	curl_off_t connected = 0;

	(void)curl_easy_getinfo(a->curl, CURLINFO_PRETRANSFER_TIME_T,
	    &connected);
	/* A time-out may have been before the handshake's end. */
	a->reply->maybe_done = may_have_begun(e) && connected > 0;
	if (a->too_large)
		return err_set(err, ERR_FORMAT, "%s: the answer is larger than "
		    "%zu bytes", call->url, a->client->config.answer_max);
	if (e == CURLE_PEER_FAILED_VERIFICATION)
		return err_set(err, ERR_AUTH, "%s: not the server that it "
		    "should be: %s", call->url, why);
	if (e == CURLE_SSL_CERTPROBLEM || e == CURLE_SSL_CACERT_BADFILE)
		return err_set(err, ERR_USAGE, "%s: cannot use our own "
		    "certificate, key or CA file: %s", call->url, why);
	return err_set(err, ERR_CLOSED, "%s: %s", call->url, why);
}

static int
read_answer(struct attempt *a, const struct http_call *call, struct err *err)
{
	struct http_reply *r = a->reply;
	const char *detail, *title;
	curl_off_t wait = 0;
	long status = 0;

	(void)curl_easy_getinfo(a->curl, CURLINFO_RESPONSE_CODE, &status);
	(void)curl_easy_getinfo(a->curl, CURLINFO_RETRY_AFTER, &wait);
	a->retry_after = wait > 0 && wait < 3600 ? (unsigned int)wait : 0;
	r->status = (int)status;
	if (r->text != NULL)
		r->json = json_loadb(r->text, r->size, JSON_REJECT_DUPLICATES,
		    NULL);
	if (status >= 200 && status < 300)
		return 0;
	r->maybe_done = status >= 500 && status != 503;
	detail = json_string_value(json_object_get(r->json, "detail"));
	title = json_string_value(json_object_get(r->json, "title"));
	return err_set(err, http_code_of(json_string_value(json_object_get(
	    r->json, "code")), r->status), "%s: %d %s", call->url, r->status,
	    detail != NULL ? detail : title != NULL ? title :
	    http_phrase(r->status));
}

static int
try_once(struct http_client *c, const struct http_call *call,
    struct http_reply *reply, unsigned int *retry_after, struct err *err)
{
	struct attempt a = { .client = c, .reply = reply };
	CURLcode e;
	int rc;

	http_reply_reset(reply);
	if (call->json != NULL)
		a.body = json_dumps(call->json, JSON_COMPACT);
	if ((call->json != NULL && a.body == NULL) ||
	    (a.curl = take_handle(c)) == NULL || add_headers(&a, call) < 0 ||
	    !set_call(&a, call)) {
		rc = err_set(err, ERR_INTERNAL, "cannot make a call to %s",
		    call->url);
		goto out;
	}
	e = curl_easy_perform(a.curl);
	rc = e == CURLE_OK ? read_answer(&a, call, err) :
	    tell_failure(&a, call, e, err);
	*retry_after = a.retry_after;
out:
	give_handle(c, a.curl);
	curl_slist_free_all(a.headers);
	curl_slist_free_all(a.connect_to);
	if (a.body != NULL)
		cleanse(a.body, strlen(a.body));
	free(a.body);
	return rc;
}

static bool
is_worth_another(const struct http_call *call, const struct http_reply *r,
    int rc)
{
	if (rc == ERR_AUTH || rc == ERR_USAGE || rc == ERR_INTERNAL ||
	    rc == ERR_FORMAT)
		return false;
	if (r->status != 0 && r->status != 429 && r->status < 500)
		return false;
	return !r->maybe_done || call->repeatable || call->method != HTTP_POST;
}

static void
wait_before(const struct http_client_config *config, unsigned int try,
    unsigned int retry_after)
{
	uint64_t ms = config->pause_ms;
	struct timespec pause;
	uint32_t random = 0;

	for (unsigned int i = 1; i < try && ms < config->pause_max_ms; i++)
		ms *= 2;
	if (ms > config->pause_max_ms)
		ms = config->pause_max_ms;
	(void)!getrandom(&random, sizeof(random), 0);
	ms = ms / 2 + random % (ms / 2 + 1);
	if (ms < retry_after * UINT64_C(1000))
		ms = retry_after * UINT64_C(1000) + random % 500;
	pause.tv_sec = (time_t)(ms / 1000);
	pause.tv_nsec = (long)(ms % 1000 * 1000000);
	(void)nanosleep(&pause, NULL);
}

int
http_client_call(struct http_client *c, const struct http_call *call,
    struct http_reply *reply, struct err *err)
{
	unsigned int retry_after = 0;
	bool maybe_done = false;
	int rc;

	*reply = (struct http_reply){ 0 };
	for (unsigned int try = 1; ; try++) {
		rc = try_once(c, call, reply, &retry_after, err);
		maybe_done |= reply->maybe_done;
		if (rc == 0 || try >= c->config.tries ||
		    !is_worth_another(call, reply, rc))
			break;
		wait_before(&c->config, try, retry_after);
	}
	reply->maybe_done = maybe_done && rc < 0;
	return rc;
}

void
http_reply_reset(struct http_reply *reply)
{
	if (reply->text != NULL)
		cleanse(reply->text, malloc_usable_size(reply->text));
	free(reply->text);
	json_decref(reply->json);
	*reply = (struct http_reply){ 0 };
}
