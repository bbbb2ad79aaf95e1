/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/attestd/signing.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

struct signing {
	struct store *store;
	const struct secret *sealing;
	struct token_times times;
	pthread_rwlock_t lock;		/* of what is below */
	struct token_keys *keys;
	struct err last;
};

static int
refresh(struct signing *s, int64_t now, struct err *err)
{
	struct token_keys *fresh = NULL, *old;
	int rc = token_keys_refresh(s->store, s->sealing, &s->times, now,
	    &fresh, err);

	pthread_rwlock_wrlock(&s->lock);
	old = fresh;
	if (rc == 0) {
		old = s->keys;
		s->keys = fresh;
	}
	memset(&s->last, 0, sizeof(s->last));
	if (rc < 0)
		s->last = *err;
	pthread_rwlock_unlock(&s->lock);
	token_keys_free(old);
	return rc;
}

int
signing_new(struct store *store, const struct secret *sealing,
    const struct token_times *times, struct signing **out, struct err *err)
{
	struct signing *s = calloc(1, sizeof(*s));
	int rc;

	if (s == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	s->store = store;
	s->sealing = sealing;
	s->times = *times;
	pthread_rwlock_init(&s->lock, NULL);
	if ((rc = refresh(s, time(NULL), err)) < 0) {
		signing_free(s);
		return err_prefix(err, "the keys that sign tokens");
	}
	*out = s;
	return 0;
}

void
signing_free(struct signing *s)
{
	if (s == NULL)
		return;
	token_keys_free(s->keys);
	pthread_rwlock_destroy(&s->lock);
	free(s);
}

void
signing_refresh(struct signing *s, int64_t now)
{
	struct err err = { 0 }, before;

	(void)signing_good(s, now, &before);
	if (refresh(s, now, &err) < 0 && before.code == 0)
		log_event(LOG_LEVEL_ERROR, "token-keys.failed", "error=\"%s\" "
		    "consequence=\"the old keys sign as long as they may\"",
		    err.text);
	else if (err.code == 0 && before.code != 0)
		log_event(LOG_LEVEL_WARNING, "token-keys.recovered",
		    "after=\"%s\"", before.text);
}

int
signing_issue(struct signing *s, struct token_claims *claims,
    int64_t lifetime, int64_t now, char **out, struct err *err)
{
	int rc;

	pthread_rwlock_rdlock(&s->lock);
	rc = token_issue(s->keys, claims, lifetime, now, out, err);
	pthread_rwlock_unlock(&s->lock);
	return rc;
}

json_t *
signing_jwks(struct signing *s)
{
	json_t *jwks;

	pthread_rwlock_rdlock(&s->lock);
	jwks = token_keys_jwks(s->keys);
	pthread_rwlock_unlock(&s->lock);
	return jwks;
}

bool
signing_good(struct signing *s, int64_t now, struct err *last)
{
	bool good;

	pthread_rwlock_rdlock(&s->lock);
	good = token_keys_current(s->keys, now) != NULL;
	*last = s->last;
	pthread_rwlock_unlock(&s->lock);
	return good;
}
