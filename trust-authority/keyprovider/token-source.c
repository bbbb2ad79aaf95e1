/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/keyprovider/token-source.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "trust-authority/common/http-client.h"
#include "trust-authority/common/jws.h"
#include "trust-authority/keyprovider/token-cache.h"

#define REFRESH_SECONDS 300	/* a key is published long before it signs */
#define RETRY_SECONDS 10	/* after a failure, or for an unknown key */
#define URLS_MAX 8
#define PATH "/.well-known/jwks.json"

struct token_source {
	struct http_client *client;
	char issuer[TOKEN_TEXT_MAX];
	char *urls;			/* cut at its spaces */
	const char *url[URLS_MAX];
	size_t url_count;
	pthread_mutex_t fetching;	/* one at a time */
	pthread_rwlock_t lock;		/* of what follows */
	struct token_keys *keys;	/* NULL: never got any */
	struct token_cache *good;	/* by these keys */
	/* vta-attestd's clock less CLOCK_MONOTONIC, so that a clock of ours
	 * that is set shows at once. */
	int64_t theirs;
	bool theirs_known;
	int64_t ahead_then;		/* when it was looked at last */
	int64_t tried, got;		/* seconds of CLOCK_MONOTONIC; 0 */
	bool failing;
};

static int64_t
monotonic(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

int
token_source_new(const char *urls, const char *ca, const char *issuer,
    struct token_source **out, struct err *err)
{
	const struct http_client_config config = { .ca = ca,
		.connect_ms = 2000, .call_ms = 4000, .answer_max = 256 * 1024 };
	struct token_source *s = calloc(1, sizeof(*s));
	char *rest, *one;
	int rc;

	if (s == NULL || (s->urls = strdup(urls)) == NULL ||
	    (s->good = token_cache_new()) == NULL) {
		if (s != NULL)
			free(s->urls);
		free(s);
		return err_sys(err, errno, "no memory for the key set");
	}
	pthread_mutex_init(&s->fetching, NULL);
	pthread_rwlock_init(&s->lock, NULL);
	snprintf(s->issuer, sizeof(s->issuer), "%s", issuer);
	for (one = strtok_r(s->urls, " ", &rest); one != NULL &&
	    s->url_count < URLS_MAX; one = strtok_r(NULL, " ", &rest))
		s->url[s->url_count++] = one;
	if ((rc = http_client_new(&config, &s->client, err)) < 0) {
		token_source_free(s);
		return rc;
	}
	*out = s;
	return 0;
}

void
token_source_free(struct token_source *s)
{
	if (s == NULL)
		return;
	token_keys_free(s->keys);
	token_cache_free(s->good);
	http_client_free(s->client);
	pthread_rwlock_destroy(&s->lock);
	pthread_mutex_destroy(&s->fetching);
	free(s->urls);
	free(s);
}

static int
fetch_from(struct token_source *s, const char *base, struct token_keys **out,
    int64_t *clock, struct err *err)
{
	struct http_reply reply = { 0 };
	char url[600];
	const struct http_call call = { .method = HTTP_GET, .url = url };
	size_t size = strlen(base);
	int rc;

	while (size > 0 && base[size - 1] == '/')
		size--;
	snprintf(url, sizeof(url), "%.*s" PATH, (int)size, base);
	rc = http_client_call(s->client, &call, &reply, err);
	if (rc == 0)
		rc = token_keys_read_jwks(reply.json, out, err);
	*clock = json_integer_value(json_object_get(reply.json, "time"));
	http_reply_reset(&reply);
	return rc;
}

/* With the lock. */
static int64_t
ahead(const struct token_source *s)
{
	return s->theirs_known ? time(NULL) - monotonic() - s->theirs : 0;
}

static int
fetch(struct token_source *s, struct err *err)
{
	struct token_keys *keys = NULL, *old;
	int64_t clock = 0;
	int rc = ERR_CLOSED;

	s->tried = monotonic();
	for (size_t i = 0; rc < 0 && i < s->url_count; i++)
		rc = fetch_from(s, s->url[i], &keys, &clock, err);
	if (rc < 0) {
		if (!s->failing)
			log_event(LOG_LEVEL_WARNING, "tokens.no-key-set",
			    "error=\"%s\" consequence=\"the keys from before "
			    "are used as long as they sign\"", err->text);
		s->failing = true;
		s->tried = monotonic();	/* it may have taken long */
		return rc;
	}
	if (s->failing)
		log_event(LOG_LEVEL_INFO, "tokens.key-set", "again=yes");
	s->failing = false;
	s->got = s->tried;
	pthread_rwlock_wrlock(&s->lock);
	old = s->keys;
	s->keys = keys;
	token_cache_forget(s->good);
	s->theirs_known = clock > 0 && clock < INT64_C(1) << 40;
	s->theirs = s->theirs_known ? clock - monotonic() : 0;
	s->ahead_then = ahead(s);
	pthread_rwlock_unlock(&s->lock);
	token_keys_free(old);
	return 0;
}

static int64_t
ahead_now(struct token_source *s)
{
	int64_t seconds;

	pthread_rwlock_rdlock(&s->lock);
	seconds = ahead(s);
	pthread_rwlock_unlock(&s->lock);
	return seconds;
}

int64_t
token_source_ahead(struct token_source *s)
{
	int64_t now, then;

	pthread_rwlock_rdlock(&s->lock);
	now = ahead(s);
	then = s->ahead_then;
	pthread_rwlock_unlock(&s->lock);
	if ((now < 0) != (then < 0))
		return 0;
	return llabs(now) < llabs(then) ? now : then;
}

int
token_source_refresh(struct token_source *s, struct err *err)
{
	int64_t now = monotonic();
	bool soon = llabs(ahead_now(s)) > TOKEN_SKEW;
	int rc = 0;

	pthread_mutex_lock(&s->fetching);
	if (s->tried == 0 || (now - s->tried >= RETRY_SECONDS && (s->failing ||
	    soon || now - s->got >= REFRESH_SECONDS)))
		rc = fetch(s, err);
	pthread_mutex_unlock(&s->fetching);
	return rc;
}

static bool
known(struct token_source *s, const char *kid)
{
	bool found;

	pthread_rwlock_rdlock(&s->lock);
	found = s->keys != NULL && token_keys_find(s->keys, kid) != NULL;
	pthread_rwlock_unlock(&s->lock);
	return found;
}

static bool
any(struct token_source *s)
{
	bool found;

	pthread_rwlock_rdlock(&s->lock);
	found = s->keys != NULL;
	pthread_rwlock_unlock(&s->lock);
	return found;
}

/* For a token that is refused though it is signed: the keys' clock may have
 * been set. */
static void
look_at_clock(struct token_source *s)
{
	struct err ignored = { 0 };

	if (pthread_mutex_trylock(&s->fetching) != 0)
		return;
	if (monotonic() - s->tried >= RETRY_SECONDS)
		(void)fetch(s, &ignored);
	pthread_mutex_unlock(&s->fetching);
}

/* For a key that is not known. Anybody can invent one: where another worker is
 * fetching, this one does not wait for a vta-attestd that is silent, or all
 * would. Only without any key there is nothing else to do. */
static void
look_for(struct token_source *s, const char *kid)
{
	struct err ignored = { 0 };

	if (pthread_mutex_trylock(&s->fetching) != 0) {
		if (any(s))
			return;
		pthread_mutex_lock(&s->fetching);
	}
	if (!known(s, kid) && (s->tried == 0 ||
	    monotonic() - s->tried >= RETRY_SECONDS))
		(void)fetch(s, &ignored);
	pthread_mutex_unlock(&s->fetching);
}

/* One that was found good before; false where that is not known. */
static bool
verify_again(struct token_source *s, const char *token, const char *audience,
    int64_t now, struct token_claims *claims, int *rc, struct err *err)
{
	char kid[JWK_THUMBPRINT_SIZE + 1];
	bool found;

	pthread_rwlock_rdlock(&s->lock);
	found = token_cache_get(s->good, token, claims, kid);
	if (found)
		*rc = token_check_again(s->keys, kid, claims, s->issuer,
		    audience, now, err);
	pthread_rwlock_unlock(&s->lock);
	if (found && *rc < 0)
		token_claims_reset(claims);
	return found;
}

static int
verify_first(struct token_source *s, const char *token, const char *audience,
    int64_t now, struct token_claims *claims, struct err *err)
{
	char kid[JWK_THUMBPRINT_SIZE + 1];
	int rc;

	if ((rc = jws_kid(token, TOKEN_TYP, kid, err)) < 0)
		return rc;
	if (!known(s, kid))
		look_for(s, kid);
	pthread_rwlock_rdlock(&s->lock);
	if (s->keys == NULL)
		rc = err_set(err, ERR_CLOSED, "this vta-kmxd has had no key "
		    "set from vta-attestd yet, and cannot check tokens");
	else if ((rc = token_verify(s->keys, token, s->issuer, audience, now,
	    claims, err)) == 0)
		token_cache_put(s->good, token, claims, kid);
	pthread_rwlock_unlock(&s->lock);
	return rc;
}

int
token_source_verify(struct token_source *s, const char *token,
    const char *audience, int64_t now, struct token_claims *claims,
    struct err *err)
{
	long long seconds;
	int rc;

	if (!verify_again(s, token, audience, now, claims, &rc, err))
		rc = verify_first(s, token, audience, now, claims, err);
	if (rc != ERR_REFUSED)
		return rc;
	look_at_clock(s);
	if (llabs(seconds = ahead_now(s)) > TOKEN_SKEW)
		err_append(err, ". This vta-kmxd's clock is %lld s %s that of "
		    "vta-attestd: set the one that is wrong",
		    llabs(seconds), seconds > 0 ? "ahead of" : "behind");
	return rc;
}
