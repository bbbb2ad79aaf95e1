/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/agent/daemon/leases-ask.h"

#include <string.h>

#include "base/log.h"
#include "trust-authority/agent/daemon/kmxd.h"

static json_t *
body_of(const struct lease *leases, size_t count)
{
	char vm[UUID_TEXT_SIZE], instance[HASH_HEX_SIZE];
	json_t *list = json_array();

	for (size_t i = 0; i < count; i++) {
		uuid_format(leases[i].vm, vm);
		hash_hex(leases[i].instance, LEASES_INSTANCE_SIZE, instance);
		if (json_array_append_new(list, json_pack("{ss sI ss}", "vm",
		    vm, "epoch", (json_int_t)leases[i].epoch, "instance",
		    instance)) < 0) {
			json_decref(list);
			return NULL;
		}
	}
	return json_pack("{so}", "vms", list);
}

static int
ask(struct kmxa *k, const struct lease *leases, size_t count,
    struct kmxd_answer *answer, const json_t **list, uint32_t *seconds,
    struct err *err)
{
	json_int_t n;

	/* A host that has lost its trust still has running VMs. */
	struct kmxd_call call = { .method = HTTP_POST, .path = "/v1/leases",
		.json = body_of(leases, count), .has_json = true,
		.last_token = true };
	int rc;

	if ((rc = kmxd_call(k, &call, answer, err)) < 0)
		return rc;
	*list = json_object_get(answer->http.json, "vms");
	n = json_integer_value(json_object_get(answer->http.json,
	    "lease_seconds"));
	if (n <= 0 || n > 86400)
		return kmxd_broken(answer, "lease_seconds", err);
	*seconds = (uint32_t)n;
	return json_array_size(*list) == count ? 0 :
	    kmxd_broken(answer, "vms", err);
}

static const char *
text_of(const json_t *json, const char *name)
{
	const char *text = json_string_value(json_object_get(json, name));

	return text != NULL ? text : "";
}

/* The order is not promised, but kept as a rule. */
static const json_t *
find(const json_t *list, size_t likely, const uint8_t vm[UUID_SIZE])
{
	size_t n = json_array_size(list);
	char name[UUID_TEXT_SIZE];

	uuid_format(vm, name);
	for (size_t i = 0; i < n; i++) {
		const json_t *one = json_array_get(list, (likely + i) % n);

		if (strcmp(text_of(one, "vm"), name) == 0)
			return one;
	}
	return NULL;
}

static void
lose(struct kmxa *k, const struct lease *lease, const char *why)
{
	kmxa_vm_lock(k, lease->vm);
	leases_lost(k->leases, lease->vm, lease->epoch, lease->instance,
	    AGENT_FAULT_EPOCH, why);
	kmxa_vm_unlock(k, lease->vm);
}

int
leases_ask_some(struct kmxa *k, const struct lease *leases, size_t count,
    struct err *err)
{
	struct kmxd_answer answer;
	const json_t *list = NULL, *one;
	uint32_t seconds = 0;
	int rc = ask(k, leases, count, &answer, &list, &seconds, err);

	if (rc == 0)
		leases_set_seconds(k->leases, seconds);
	for (size_t i = 0; rc == 0 && i < count; i++) {
		one = find(list, i, leases[i].vm);
		if (strcmp(text_of(one, "state"), "lost") == 0)
			lose(k, &leases[i], text_of(one, "reason"));
		else if (strcmp(text_of(one, "state"), "unknown") == 0)
			log_event(LOG_LEVEL_WARNING, "agent.lease_unknown",
			    "vm=%s reason=\"%s\"", text_of(one, "vm"),
			    text_of(one, "reason"));
	}
	kmxd_answer_reset(&answer);
	return rc;
}

int
leases_ask_one(struct kmxa *k, struct lease *lease,
    enum agent_fault *fault, struct err *err)
{
	struct kmxd_answer answer;
	const json_t *list = NULL, *one;
	uint32_t seconds = lease->seconds;
	int rc = ask(k, lease, 1, &answer, &list, &seconds, err);

	lease->seconds = seconds;
	*fault = answer.fault;
	if (rc == 0 && strcmp(text_of(one = json_array_get(list, 0), "state"),
	    "lost") == 0) {
		*fault = AGENT_FAULT_EPOCH;
		rc = err_set(err, ERR_STALE, "%s", text_of(one, "reason"));
	}
	kmxd_answer_reset(&answer);
	return rc;
}
