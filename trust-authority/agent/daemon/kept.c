/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/agent/daemon/kept.h"

#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "trust-authority/agent/daemon/kept-record.h"
#include "trust-authority/agent/dek-store.h"

struct kept {
	struct kmxa *k;
	struct state_dir keys, records;
	pthread_mutex_t lock;		/* of mac */
	struct secret *mac;		/* NULL: not unsealed yet */
};

/* The HMAC's key lies among the others, under the UUID of no VM. */
static const struct dek_label mac_label;

int
kept_open(struct kmxa *k, struct kept **out, struct err *err)
{
	struct kept *kept;
	int rc;

	*out = NULL;
	if (!k->settings.keys.keep)
		return 0;
	if ((kept = calloc(1, sizeof(*kept))) == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	kept->k = k;
	kept->keys.fd = kept->records.fd = -1;
	pthread_mutex_init(&kept->lock, NULL);
	if ((rc = dek_store_open(&kept->keys, &k->state, err)) == 0)
		rc = state_dir_below(&kept->records, &k->state, "kept", err);
	if (rc == 0)
		*out = kept;
	else
		kept_close(kept);
	return rc;
}

void
kept_close(struct kept *kept)
{
	if (kept == NULL)
		return;
	state_dir_close(&kept->keys);
	state_dir_close(&kept->records);
	secret_free(kept->mac);
	pthread_mutex_destroy(&kept->lock);
	free(kept);
}

static int
seal(struct kept *kept, const struct dek_label *label,
    const struct secret *key, struct err *err)
{
	struct kmxa *k = kept->k;
	uint8_t blob[DEK_BLOB_MAX];
	size_t size = 0;
	int rc;

	pthread_mutex_lock(&k->host.lock);
	if ((rc = kmxa_identity(k, err)) == 0)
		rc = host_tpm_seal(&k->host.tpm, k->host.id.ak_blob, label,
		    &k->settings.keys.pcrs, key, blob, &size, err);
	pthread_mutex_unlock(&k->host.lock);
	return rc < 0 ? rc : dek_store_put(&kept->keys, label->vm, blob, size,
	    err);
}

static int
unseal(struct kept *kept, const struct dek_label *label, struct secret **key,
    struct err *err)
{
	struct kmxa *k = kept->k;
	struct host_bytes blob = { 0 };
	uint8_t *data = NULL;
	int rc;

	if ((rc = dek_store_get(&kept->keys, label->vm, &data, &blob.size,
	    err)) < 0)
		return rc;
	blob.data = data;
	pthread_mutex_lock(&k->host.lock);
	rc = host_tpm_unseal(&k->host.tpm, blob, label, key, err);
	pthread_mutex_unlock(&k->host.lock);
	free(data);
	if (rc == ERR_STALE || rc == ERR_KEY)
		err_append(err, "; keys kept on this host come from the "
		    "authority again once it has attested this host");
	return rc;
}

/* With the lock. */
static int
mac_make(struct kept *kept, struct err *err)
{
	struct secret *s = secret_new(DEK_SIZE);
	int rc;

	if (s == NULL || RAND_priv_bytes(secret_data(s), DEK_SIZE) != 1)
		rc = err_set(err, ERR_CRYPTO, "cannot make a key in locked "
		    "memory");
	else
		rc = seal(kept, &mac_label, s, err);
	if (rc == 0)
		kept->mac = s;
	else
		secret_free(s);
	return rc;
}

static int
wipe_files(struct kept *kept, size_t *count, struct err *err)
{
	size_t records;
	int rc, rc2;

	rc = dek_store_wipe(&kept->keys, count, err);
	/* It removes every file of a directory, whatever is in them. */
	rc2 = dek_store_wipe(&kept->records, &records, rc == 0 ? err : NULL);
	if (*count > 0)
		--*count;	/* the HMAC's key */
	return rc < 0 ? rc : rc2;
}

/* What was sealed here before does not open: another TPM, other PCRs. Only
 * where the authority has just vouched for this host as it is now. */
static int
mac_replace(struct kept *kept, const struct err *why, struct err *err)
{
	size_t count;
	int rc;

	log_event(LOG_LEVEL_WARNING, "agent.kept_unusable", "error=\"%s\"",
	    why->text);
	if ((rc = wipe_files(kept, &count, err)) < 0)
		return rc;
	return mac_make(kept, err);
}

/* make: where there is none, or none that opens. */
static int
mac_get(struct kept *kept, bool make, struct secret **out, struct err *err)
{
	struct err why = { 0 };
	int rc = 0;

	*out = NULL;
	pthread_mutex_lock(&kept->lock);
	if (kept->mac == NULL) {
		rc = unseal(kept, &mac_label, &kept->mac, &why);
		if (rc == ERR_NOTFOUND && make)
			rc = mac_make(kept, err);
		else if (make && (rc == ERR_STALE || rc == ERR_KEY ||
		    rc == ERR_FORMAT))
			rc = mac_replace(kept, &why, err);
		else if (rc < 0 && err != NULL)
			*err = why;
	}
	if (rc == 0 && (*out = secret_from(secret_bytes(kept->mac),
	    DEK_SIZE)) == NULL)
		rc = err_set(err, ERR_SYSTEM, "cannot lock memory for a key");
	pthread_mutex_unlock(&kept->lock);
	return rc;
}

int
kept_seal(struct kept *kept, const uint8_t vm[UUID_SIZE],
    const struct secret *key, struct err *err)
{
	struct dek_label label = { .epoch = 0 };
	struct secret *mac = NULL;
	int rc;

	if ((rc = mac_get(kept, true, &mac, err)) < 0)
		return rc;
	secret_free(mac);
	memcpy(label.vm, vm, UUID_SIZE);
	return seal(kept, &label, key, err);
}

int
kept_key(struct kept *kept, const uint8_t vm[UUID_SIZE],
    const uint8_t hash[KEYS_HASH_SIZE], struct secret **key, struct err *err)
{
	struct dek_label label = { .epoch = 0 };
	struct kept_record r;
	int rc;

	if ((rc = kept_load(kept, vm, &r, err)) < 0)
		return rc;
	if (memcmp(r.hash, hash, KEYS_HASH_SIZE) != 0)
		return err_set(err, ERR_NOTFOUND, "the key that is kept is "
		    "another than the one of this file");
	memcpy(label.vm, vm, UUID_SIZE);
	return unseal(kept, &label, key, err);
}

int
kept_load(struct kept *kept, const uint8_t vm[UUID_SIZE],
    struct kept_record *r, struct err *err)
{
	struct secret *mac = NULL;
	char name[UUID_TEXT_SIZE];
	uint8_t *data = NULL;
	size_t size = 0;
	int rc;

	memset(r, 0, sizeof(*r));
	uuid_format(vm, name);
	rc = state_file_read(&kept->records, name, KEPT_RECORD_SIZE, &data,
	    &size, err);
	if (rc == ERR_NOTFOUND)
		return err_set(err, ERR_NOTFOUND, "this host keeps no key of "
		    "VM %s", name);
	if (rc == 0 && (rc = mac_get(kept, false, &mac, err)) == 0)
		rc = kept_record_read(data, size, mac, r, err);
	if (rc == 0 && memcmp(r->vm, vm, UUID_SIZE) != 0)
		rc = err_set(err, ERR_AUTH, "%s/%s is another VM's record",
		    kept->records.path, name);
	secret_free(mac);
	free(data);
	return rc;
}

int
kept_save(struct kept *kept, const struct kept_record *r, struct err *err)
{
	uint8_t bytes[KEPT_RECORD_SIZE];
	char name[UUID_TEXT_SIZE];
	struct secret *mac = NULL;
	int rc;

	uuid_format(r->vm, name);
	if ((rc = mac_get(kept, true, &mac, err)) == 0 &&
	    (rc = kept_record_write(r, mac, bytes, err)) == 0)
		rc = state_file_write(&kept->records, name, bytes,
		    sizeof(bytes), err);
	secret_free(mac);
	return rc;
}

void
kept_drop(struct kept *kept, const uint8_t vm[UUID_SIZE])
{
	char name[UUID_TEXT_SIZE];
	struct err err = { 0 };

	uuid_format(vm, name);
	if (dek_store_remove(&kept->keys, vm, &err) < 0 ||
	    state_file_remove(&kept->records, name, &err) < 0)
		log_event(LOG_LEVEL_ERROR, "agent.wipe_failed", "error=\"%s\"",
		    err.text);
}

int
kept_wipe(struct kept *kept, size_t *count, struct err *err)
{
	int rc;

	pthread_mutex_lock(&kept->lock);
	secret_free(kept->mac);
	kept->mac = NULL;
	rc = wipe_files(kept, count, err);
	pthread_mutex_unlock(&kept->lock);
	return rc;
}

size_t
kept_count(struct kept *kept)
{
	uint8_t (*vms)[UUID_SIZE] = NULL;
	size_t count = 0;

	if (dek_store_list(&kept->keys, &vms, &count, NULL) < 0)
		count = 0;
	free(vms);
	return count > 0 ? count - 1 : 0;
}

int
kept_list(struct kept *kept, uint8_t (**vms)[UUID_SIZE], size_t *count,
    struct err *err)
{
	/* By the names alone, as those of keys. */
	return dek_store_list(&kept->records, vms, count, err);
}
