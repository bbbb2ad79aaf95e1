/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/agent/daemon/kmxa.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "trust-authority/agent/daemon/keys.h"
#include "trust-authority/common/base64url.h"

int
kmxa_identity(struct kmxa *k, struct err *err)
{
	bool made = false;
	int rc;

	if (k->host.known)
		return 0;
	if ((rc = host_identity_open(&k->host.tpm, &k->state, &k->host.id,
	    &made, err)) < 0)
		return rc;
	k->host.known = true;
	log_event(LOG_LEVEL_INFO, "agent.identity", "made=%s ek=%s "
	    "certificate=%s", made ? "yes" : "no", k->host.id.ek_name,
	    k->host.id.certificate.size > 0 ? "yes" : "no");
	return 0;
}

void
kmxa_trust_lost(struct kmxa *k)
{
	size_t count = 0;
	struct err err = { 0 };

	if (keys_wipe(k->keys, &count, &err) < 0)
		log_event(LOG_LEVEL_ERROR, "agent.wipe_failed", "error=\"%s\"",
		    err.text);
	log_event(LOG_LEVEL_WARNING, "agent.keys_wiped", "count=%zu", count);
}

void
kmxa_vm_lock(struct kmxa *k, const uint8_t vm[UUID_SIZE])
{
	pthread_mutex_lock(&k->vm_lock[vm[UUID_SIZE - 1] % KMXA_VM_LOCKS]);
}

void
kmxa_vm_unlock(struct kmxa *k, const uint8_t vm[UUID_SIZE])
{
	pthread_mutex_unlock(&k->vm_lock[vm[UUID_SIZE - 1] % KMXA_VM_LOCKS]);
}

json_t *
kmxa_json_bytes(const void *data, size_t size)
{
	char *text = malloc(BASE64URL_SIZE(size) + 1);
	json_t *json;

	if (text == NULL)
		return NULL;
	base64url_encode(data, size, text);
	json = json_string_nocheck(text);
	cleanse(text, BASE64URL_SIZE(size));
	free(text);
	return json;
}

int
kmxa_bytes(const json_t *object, const char *name, size_t max,
    uint8_t **data, size_t *size)
{
	const json_t *value = json_object_get(object, name);
	size_t length = json_string_length(value);

	*data = NULL;
	*size = length / 4 * 3 + 3;
	if (!json_is_string(value) || length > BASE64URL_SIZE(max) ||
	    (*data = malloc(*size)) == NULL)
		return ERR_FORMAT;
	if (base64url_decode(json_string_value(value), length, *data,
	    size) == 0 && *size <= max)
		return 0;
	free(*data);
	*data = NULL;
	return ERR_FORMAT;
}
