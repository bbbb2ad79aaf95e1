/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/agent/daemon/status.h"

#include <config.h>
#include <stdlib.h>
#include <string.h>

#include "trust-authority/agent/daemon/keys.h"
#include "trust-authority/agent/daemon/leases.h"

struct filter {
	struct kmxa *k;
	uid_t uid;
};

static bool
may_have(void *arg, const uint8_t vm[UUID_SIZE])
{
	const struct filter *f = arg;

	return access_check(f->k->access, f->uid, vm, NULL) == 0;
}

static json_t *
urls_json(const struct urls *urls)
{
	json_t *list = json_array();

	for (size_t i = 0; i < urls->count; i++)
		(void)json_array_append_new(list, json_string(urls->url[i]));
	return list;
}

json_t *
status_json(struct kmxa *k, uid_t uid, size_t max)
{
	struct filter f = { k, uid };
	json_t *json = trust_json(k->trust), *vms;
	size_t memory, sealed, count;
	char *text;

	if (json == NULL)
		return NULL;
	keys_count(k->keys, &memory, &sealed);
	vms = leases_json(k->leases, may_have, &f, &count);
	(void)json_object_update_new(json, json_pack(
	    "{ss ss so so sb sb sI sI sI so}", "name",
	    k->settings.agent.name, "version", PACKAGE_VERSION, "attestd",
	    urls_json(&k->settings.authority.attestd), "kmxd",
	    urls_json(&k->settings.authority.kmxd), "attestd_up",
	    authority_is_up(k->authority, SERVICE_ATTESTD), "kmxd_up",
	    authority_is_up(k->authority, SERVICE_KMXD), "keys_in_memory",
	    (json_int_t)memory, "keys_kept", (json_int_t)sealed, "vm_count",
	    (json_int_t)count, "vms", vms));
	text = json_dumps(json, JSON_COMPACT);
	if (text != NULL && strlen(text) > max)
		(void)json_object_del(json, "vms");
	free(text);
	return json;
}

json_t *
status_verdict(struct kmxa *k)
{
	json_t *json = trust_json(k->trust), *out;

	out = json_pack("{sb sO* sO*}", "accepted", trust_state(k->trust) ==
	    TRUST_ATTESTED, "reason", json_object_get(json, "reason"),
	    "state", json_object_get(json, "state"));
	json_decref(json);
	return out;
}
