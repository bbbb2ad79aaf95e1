/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/attestd/identify.h"

#include <openssl/bio.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "trust-authority/attestd/ek-cas.h"
#include "trust-authority/attestd/keys.h"
#include "trust-authority/common/base64url.h"

int
claimant_read_ek(struct attestd *d, struct claimant *c, const uint8_t *ek,
    size_t size, struct tpm_key **out, struct err *err)
{
	uint8_t digest[HASH_MAX];
	char hex[HASH_HEX_SIZE];
	int rc = keys_read(d->keys, ek, size, out, digest, err);

	if (rc == 0) {
		c->ek = *out;
		hash_hex(digest, 32, hex);
		memcpy(c->fingerprint, hex, sizeof(c->fingerprint));
	}
	return rc;
}

int
identity_check_revoked(const struct directory_host *h, struct err *err)
{
	time_t at = (time_t)h->revoked;
	char when[32] = "";
	struct tm tm;

	if (h->revoked == 0)
		return 0;
	if (gmtime_r(&at, &tm) != NULL)
		strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S UTC", &tm);
	return err_set(err, ERR_REFUSED, "the host %s was revoked on %s: %s",
	    h->name, when, h->reason[0] != '\0' ? h->reason :
	    "no reason was given");
}

/* By what it sends, or by what was imported with it. */
static int
check_certificate(struct attestd *d, const struct claimant *c,
    const struct directory_host *h, struct err *err)
{
	uint8_t imported[EK_CERT_MAX];
	const uint8_t *cert = c->certificate;
	size_t size = sizeof(imported);

	if (h->ek_trusted)
		return 0;
	if (cert != NULL)
		return ek_cas_verify(d->ek_cas, cert, c->certificate_size,
		    c->intermediates, c->ek, err);
	if (h->ek_certificate[0] == '\0')
		return err_set(err, ERR_REFUSED, "the host's TPM has no "
		    "certificate for its endorsement key, and the key is not "
		    "trusted by itself: vtactl host import --trust-ek, after "
		    "you have made sure that it is that host's");
	if (base64url_decode(h->ek_certificate, strlen(h->ek_certificate),
	    imported, &size) < 0)
		return err_set(err, ERR_INTERNAL, "the EK certificate in the "
		    "record of the host %s is damaged; import it again",
		    h->name);
	return ek_cas_verify(d->ek_cas, imported, size, c->intermediates,
	    c->ek, err);
}

int
ek_pem_write(const struct tpm_key *ek, char *out, size_t room,
    struct err *err)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text;
	long size;
	int rc = 0;

	if (bio == NULL || PEM_write_bio_PUBKEY(bio, ek->pkey) != 1 ||
	    (size = BIO_get_mem_data(bio, &text)) <= 0 ||
	    (size_t)size >= room) {
		rc = openssl_error(err, "writing an endorsement key");
	} else {
		memcpy(out, text, (size_t)size);
		out[size] = '\0';
	}
	BIO_free(bio);
	return rc;
}

/* The first group in which hosts enter by themselves. */
static int
look_at_group(void *arg, const struct store_record *r, struct err *err)
{
	struct directory_group group;
	char *name = arg;
	int rc = directory_group_read(r, &group, err);

	if (rc == 0 && group.enroll && name[0] == '\0')
		memcpy(name, group.name, NAME_MAX_SIZE);
	return rc;
}

static int
enrolling_group(struct attestd *d, char name[NAME_MAX_SIZE], struct err *err)
{
	name[0] = '\0';
	return store_each(d->service.store, KIND_GROUP, look_at_group, name,
	    err);
}

/* What it calls itself, unless another host is called that. */
static int
choose_name(struct attestd *d, const struct claimant *c,
    char out[NAME_MAX_SIZE], struct err *err)
{
	struct store_record r = { 0 };
	int rc;

	text_cut(out, NAME_MAX_SIZE, c->name);
	rc = store_get(d->service.store, KIND_HOST, out, &r, err);
	store_record_reset(&r);
	if (rc == ERR_NOTFOUND)
		return 0;
	if (rc == 0)
		snprintf(out, NAME_MAX_SIZE, "%.50s-%.12s", c->name,
		    c->fingerprint);
	return rc;
}

int
identity_enroll(const struct claimant *c, const char *name, const char *group,
    struct identity *id, struct err *err)
{
	struct directory_host *h = &id->host;

	memset(id, 0, sizeof(*id));
	text_cut(h->name, sizeof(h->name), name);
	text_cut(h->group, sizeof(h->group), group);
	memcpy(h->ek, c->fingerprint, sizeof(h->ek));
	base64url_encode(c->certificate, c->certificate_size,
	    h->ek_certificate);
	h->enrolled = true;
	h->added = h->tokens_from = attestd_now();
	id->enroll = true;
	return ek_pem_write(c->ek, h->ek_pem, sizeof(h->ek_pem), err);
}

static int
enroll(struct attestd *d, const struct claimant *c, struct identity *id,
    struct err *err)
{
	char group[NAME_MAX_SIZE], name[NAME_MAX_SIZE];
	int rc;

	if ((rc = enrolling_group(d, group, err)) < 0)
		return rc;
	if (group[0] == '\0' || c->certificate == NULL)
		return err_set(err, ERR_NOTFOUND, "no host with the "
		    "endorsement key %.16s... is known to the authority; "
		    "vtactl host import, with what `vtactl host export` gives "
		    "on that host", c->fingerprint);
	if ((rc = ek_cas_verify(d->ek_cas, c->certificate,
	    c->certificate_size, c->intermediates, c->ek, err)) < 0 ||
	    (rc = choose_name(d, c, name, err)) < 0)
		return rc;
	return identity_enroll(c, name, group, id, err);
}

int
identify(struct attestd *d, const struct claimant *c, struct identity *id,
    struct err *err)
{
	struct store *store = d->service.store;
	char name[NAME_MAX_SIZE];
	int rc;

	memset(id, 0, sizeof(*id));
	rc = directory_host_by_ek(store, c->fingerprint, name, NULL, err);
	if (rc == ERR_NOTFOUND)
		return enroll(d, c, id, err);
	if (rc < 0 ||
	    (rc = directory_host_get(store, name, &id->host, err)) < 0 ||
	    (rc = identity_check_revoked(&id->host, err)) < 0)
		return rc;
	return check_certificate(d, c, &id->host, err);
}
