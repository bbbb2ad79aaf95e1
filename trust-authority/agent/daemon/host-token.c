/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/agent/daemon/host-token.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "trust-authority/common/jwe.h"

#define JWE_TYP "vtpm-key"
#define KEY_SIZE 32

struct host_token {
	atomic_uint uses;
	char *text;
	int64_t expires;
	int64_t ends;		/* the same, of CLOCK_BOOTTIME */
	struct transport_key *key;
	struct jwk *jwk;	/* the same; its number stays where it is */
};

/* Goes on while the host sleeps, and when its clock is set. */
static int64_t
since_boot(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return t.tv_sec;
}

static int
bridge(struct transport_key *key, struct jwk **out, struct err *err)
{
	EVP_PKEY *pkey = transport_key_pkey(key);
	struct jwk *jwk = calloc(1, sizeof(*jwk));
	size_t size = 0;

	if (jwk == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	if (EVP_PKEY_get_octet_string_param(pkey, OSSL_PKEY_PARAM_PUB_KEY,
	    jwk->point, sizeof(jwk->point), &size) != 1 ||
	    size != sizeof(jwk->point) || EVP_PKEY_up_ref(pkey) != 1) {
		ERR_clear_error();
		free(jwk);
		return err_set(err, ERR_CRYPTO, "OpenSSL cannot show a "
		    "transport key");
	}
	jwk->pkey = pkey;
	jwk->is_private = true;
	*out = jwk;
	return 0;
}

int
host_token_new(const char *text, int64_t expires, struct transport_key *key,
    struct host_token **out, struct err *err)
{
	struct host_token *t = calloc(1, sizeof(*t));
	int rc;

	if (t == NULL) {
		transport_key_free(key);
		return err_set(err, ERR_INTERNAL, "out of memory");
	}
	atomic_init(&t->uses, 1);
	t->key = key;
	t->expires = expires;
	t->ends = since_boot() + (expires - (int64_t)time(NULL));
	if ((t->text = strdup(text)) == NULL)
		rc = err_set(err, ERR_INTERNAL, "out of memory");
	else
		rc = bridge(key, &t->jwk, err);
	if (rc == 0)
		*out = t;
	else
		host_token_drop(t);
	return rc;
}

struct host_token *
host_token_take(struct host_token *t)
{
	atomic_fetch_add(&t->uses, 1);
	return t;
}

void
host_token_drop(struct host_token *t)
{
	if (t == NULL || atomic_fetch_sub(&t->uses, 1) > 1)
		return;
	jwk_free(t->jwk);
	transport_key_free(t->key);
	if (t->text != NULL)
		cleanse(t->text, strlen(t->text));
	free(t->text);
	free(t);
}

const char *
host_token_text(const struct host_token *t)
{
	return t->text;
}

bool
host_token_lives(const struct host_token *t)
{
	return since_boot() < t->ends;
}

int64_t
host_token_expires(const struct host_token *t)
{
	return t->expires;
}

int
host_token_open(const struct host_token *t, const char *jwe,
    struct secret **key, struct err *err)
{
	struct secret *s = NULL;
	int rc;

	if ((rc = jwe_open(t->jwk, JWE_TYP, jwe, &s, err)) < 0)
		return rc;
	if (secret_size(s) != KEY_SIZE) {
		rc = err_set(err, ERR_FORMAT, "the authority's answer has a "
		    "key of %zu bytes", secret_size(s));
		secret_free(s);
		return rc;
	}
	*key = s;
	return 0;
}
