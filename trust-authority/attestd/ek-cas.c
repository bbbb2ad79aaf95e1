/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/attestd/ek-cas.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "trust-authority/common/fields.h"

struct ek_cas {
	struct store *store;
	pthread_rwlock_t lock;
	struct ek_trust *trust;		/* NULL: not read yet */
	uint64_t version;		/* of the head, 0: there is none */
};

struct ek_cas *
ek_cas_new(struct store *store)
{
	struct ek_cas *c = calloc(1, sizeof(*c));

	if (c != NULL) {
		c->store = store;
		pthread_rwlock_init(&c->lock, NULL);
	}
	return c;
}

void
ek_cas_free(struct ek_cas *c)
{
	if (c == NULL)
		return;
	ek_trust_free(c->trust);
	pthread_rwlock_destroy(&c->lock);
	free(c);
}

static int
head_version(struct ek_cas *c, uint64_t *version, struct err *err)
{
	struct store_record r = { 0 };
	int rc = store_get(c->store, KIND_EK_CA_HEAD, EK_CA_HEAD_KEY, &r, err);

	*version = r.version;
	store_record_reset(&r);
	return rc == ERR_NOTFOUND ? 0 : rc;
}

static int
add(void *arg, const struct store_record *r, struct err *err)
{
	json_t *json = json_loadb(r->value, r->size, 0, NULL);
	const char *pem = json_string_value(json_object_get(json, "pem"));
	struct err why = { 0 };
	int rc;

	if (pem == NULL)
		rc = err_set(&why, ERR_FORMAT, "it has no certificate");
	else
		rc = ek_trust_add_pem(arg, pem, strlen(pem), &why);
	json_decref(json);
	if (rc < 0)
		return err_set(err, ERR_INTERNAL, "the record %s/%s is "
		    "damaged: %s", KIND_EK_CA, r->key, why.text);
	return 0;
}

static int
load(struct ek_cas *c, struct ek_trust **out, struct err *err)
{
	struct ek_trust *trust = ek_trust_new(err);
	int rc;

	if (trust == NULL)
		return ERR_INTERNAL;
	if ((rc = store_each(c->store, KIND_EK_CA, add, trust, err)) < 0) {
		ek_trust_free(trust);
		return rc;
	}
	*out = trust;
	return 0;
}

/* With the lock held for writing. */
static int
follow(struct ek_cas *c, uint64_t version, struct err *err)
{
	struct ek_trust *fresh = NULL;
	int rc;

	if (c->trust != NULL && c->version == version)
		return 0;
	if ((rc = load(c, &fresh, err)) < 0)
		return rc;
	ek_trust_free(c->trust);
	c->trust = fresh;
	c->version = version;
	return 0;
}

int
ek_cas_verify(struct ek_cas *c, const uint8_t *cert, size_t size,
    const char *intermediates, const struct tpm_key *ek, struct err *err)
{
	struct ek_maker maker;
	uint64_t version;
	bool known;
	int rc;

	if ((rc = head_version(c, &version, err)) < 0)
		return rc;
	pthread_rwlock_rdlock(&c->lock);
	known = c->trust != NULL && c->version == version;
	pthread_rwlock_unlock(&c->lock);
	if (!known) {
		pthread_rwlock_wrlock(&c->lock);
		rc = follow(c, version, err);
		pthread_rwlock_unlock(&c->lock);
		if (rc < 0)
			return rc;
	}
	pthread_rwlock_rdlock(&c->lock);
	rc = ek_cert_verify(c->trust, cert, size, intermediates, ek,
	    time(NULL), &maker, err);
	if (rc < 0 && ek_trust_count(c->trust) == 0)
		err_append(err, "; no CA for EK certificates has been "
		    "imported: vtactl ek-ca import");
	pthread_rwlock_unlock(&c->lock);
	return rc;
}
