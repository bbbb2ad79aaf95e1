/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests for VMs and their keys. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "trust-authority/agent/daemon/keeper.h"
#include "trust-authority/agent/daemon/kmxd.h"
#include "trust-authority/agent/daemon/request.h"

#define NAME_ROOM 128
#define LABEL_ROOM 512
#define CERTIFICATE_MAX 8192

/* *answer is to be reset. */
static int
call(struct request *r, enum http_method method, const char *path,
    json_t *json, struct kmxd_answer *answer, struct err *err)
{
	struct kmxd_call c = { .method = method, .vm = r->q.uuid,
		.path = path, .json = json, .has_json = method == HTTP_POST };
	int rc = kmxd_call(r->k, &c, answer, err);

	r->fault = answer->fault;
	return rc;
}

/* An answer that is no good is the authority's fault. */
static int
blame(struct request *r, int rc)
{
	if (rc < 0 && r->fault == AGENT_FAULT_NONE)
		r->fault = AGENT_FAULT_AUTHORITY;
	return rc;
}

int
request_vm_create(struct request *r, struct err *err)
{
	char name[NAME_ROOM], group[NAME_ROOM], vm[UUID_TEXT_SIZE];
	struct kmxd_call c = { .method = HTTP_POST, .path = "/v1/vms",
		.has_json = true };
	struct kmxd_answer answer;
	int rc;

	if (!request_text(&r->q.name, name, sizeof(name)) ||
	    !request_text(&r->q.group, group, sizeof(group)))
		return err_set(err, ERR_USAGE, "the name of a VM or group has "
		    "at most %d bytes", NAME_ROOM - 1);
	uuid_format(r->q.uuid, vm);
	c.json = json_pack("{ss ss}", "vm", vm, "name", name);
	if (group[0] != '\0')
		(void)json_object_set_new(c.json, "group",
		    json_string(group));
	rc = kmxd_call(r->k, &c, &answer, err);
	r->fault = answer.fault;
	/* Of one whose answer was lost the next try finds it there. */
	if (rc == ERR_EXISTS && answer.http.maybe_done)
		rc = 0;
	kmxd_answer_reset(&answer);
	if (rc < 0)
		return rc;
	return access_record(r->k->access, r->peer.uid, r->q.uuid, err);
}

static int
take_made(struct request *r, const struct kmxd_answer *answer,
    struct err *err)
{
	const json_t *json = answer->http.json;
	const char *label = json_string_value(json_object_get(json, "label"));
	size_t size;

	if (kmxa_bytes(json, "wrapped", AGENT_WRAPPED_MAX,
	    &r->bytes[0], &size) < 0 || size == 0)
		return kmxd_broken(answer, "wrapped", err);
	r->count = 1;
	if (label == NULL || strlen(label) >= LABEL_ROOM)
		return kmxd_broken(answer, "label", err);
	if ((r->text = strdup(label)) == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	r->a.wrapped = (struct agent_bytes){ r->bytes[0], size };
	r->a.label = (struct agent_bytes){ (const uint8_t *)r->text,
		strlen(r->text) };
	return kmxd_key(answer, json, &r->key, err);
}

static void
give_key(struct request *r)
{
	r->a.key = (struct agent_bytes){ secret_bytes(r->key),
		secret_size(r->key) };
}

int
request_key_make(struct request *r, struct err *err)
{
	struct kmxd_answer answer;
	int rc;

	rc = call(r, HTTP_POST, "/keys", json_pack("{sb}", "new_kek",
	    r->q.new_kek), &answer, err);
	if (rc == 0 && (rc = blame(r, take_made(r, &answer, err))) == 0)
		give_key(r);
	kmxd_answer_reset(&answer);
	return rc;
}

/* Refused for this VM, for good: what is kept of it is not to be used in the
 * next outage either. */
static bool
is_final(const struct kmxd_answer *a)
{
	return !a->open && a->http.reply.status >= 400 &&
	    a->http.reply.status < 500 && (a->fault == AGENT_FAULT_GRANT ||
	    a->fault == AGENT_FAULT_KMS || a->http.reply.status == 404);
}

/* The KMS is behind kmxd: without it, kmxd itself decides nothing. */
static bool
may_serve_kept(const struct kmxd_answer *a)
{
	return a->open || (a->fault == AGENT_FAULT_KMS &&
	    a->http.reply.status >= 500);
}

static int
from_authority(struct request *r, const uint8_t hash[KEYS_HASH_SIZE],
    bool *kept, struct err *err)
{
	struct kmxd_answer answer;
	int rc;

	rc = call(r, HTTP_POST, "/keys/open", json_pack("{so}", "wrapped",
	    kmxa_json_bytes(r->q.wrapped.data, r->q.wrapped.size)), &answer,
	    err);
	if (rc == 0)
		rc = blame(r, kmxd_key(&answer, answer.http.json, &r->key,
		    err));
	else {
		*kept = may_serve_kept(&answer);
		if (is_final(&answer))
			keys_drop(r->k->keys, r->q.uuid);
	}
	kmxd_answer_reset(&answer);
	if (rc < 0)
		return rc;
	keys_put(r->k->keys, r->q.uuid, hash, r->key, true);
	keeper_wake(r->k);
	return 0;
}

static int
from_kept(struct request *r, const uint8_t hash[KEYS_HASH_SIZE],
    const struct err *down, struct err *err)
{
	struct err why = { 0 };
	char vm[UUID_TEXT_SIZE];
	int rc;

	rc = keys_get(r->k->keys, r->q.uuid, hash, &r->key, &why);
	/* Trust may have been lost while the TPM worked. */
	if (rc == 0 && !trust_is_refused(trust_state(r->k->trust))) {
		uuid_format(r->q.uuid, vm);
		log_event(LOG_LEVEL_WARNING, "agent.kept_key_used", "vm=%s "
		    "uid=%u error=\"%s\"", vm, (unsigned)r->peer.uid,
		    down->text);
		return 0;
	}
	return err_set(err, down->code, "%s; and here: %s", down->text,
	    why.text);
}

int
request_key_open(struct request *r, struct err *err)
{
	uint8_t hash[KEYS_HASH_SIZE];
	struct err down = { 0 };
	bool kept = false;
	int rc;

	if ((rc = keys_hash(r->q.wrapped.data, r->q.wrapped.size, hash,
	    err)) < 0)
		return rc;
	rc = from_authority(r, hash, &kept, &down);
	if (rc < 0 && kept && !r->slow)
		return REQUEST_SLOW;
	if (rc < 0 && kept)
		rc = from_kept(r, hash, &down, err);
	else if (rc < 0)
		(void)err_set(err, down.code, "%s", down.text);
	if (rc == 0)
		give_key(r);
	return rc;
}

int
request_vm_forget(struct request *r, struct err *err)
{
	struct kmxd_answer answer;
	int rc;

	rc = call(r, HTTP_DELETE, "", NULL, &answer, err);
	kmxd_answer_reset(&answer);
	if (rc < 0)
		return rc;
	keys_drop(r->k->keys, r->q.uuid);
	return access_forget(r->k->access, r->q.uuid, err);
}

static json_t *
eks_body(const struct request *r)
{
	json_t *list = json_array();

	for (size_t i = 0; i < r->q.n_certs; i++)
		(void)json_array_append_new(list, kmxa_json_bytes(
		    r->q.certs[i].data, r->q.certs[i].size));
	return json_pack("{so}", "eks", list);
}

/* A list of DER. */
static int
take_list(struct request *r, const struct kmxd_answer *answer,
    const char *name, struct agent_bytes *out, size_t *count,
    struct err *err)
{
	const json_t *list = json_object_get(answer->http.json, name);
	size_t n = json_array_size(list), size;
	json_t *one;
	int rc = 0;

	if (!json_is_array(list) || n > AGENT_CERTS_MAX)
		return kmxd_broken(answer, name, err);
	for (size_t i = 0; i < n && rc == 0; i++) {
		one = json_pack("{sO}", "der", json_array_get(list, i));
		rc = kmxa_bytes(one, "der", CERTIFICATE_MAX,
		    &r->bytes[r->count], &size);
		json_decref(one);
		if (rc == 0)
			out[i] = (struct agent_bytes){ r->bytes[r->count++],
				size };
	}
	*count = n;
	return rc < 0 ? kmxd_broken(answer, name, err) : 0;
}

int
request_ek_certify(struct request *r, struct err *err)
{
	struct kmxd_answer answer;
	int rc;

	if (r->q.n_certs == 0)
		return err_set(err, ERR_USAGE, "no EK to certify");
	rc = call(r, HTTP_POST, "/ek-certificates", eks_body(r), &answer,
	    err);
	if (rc == 0 && (rc = blame(r, take_list(r, &answer, "certificates",
	    r->a.certs, &r->a.n_certs, err))) == 0)
		rc = blame(r, take_list(r, &answer, "chain", r->a.chain,
		    &r->a.n_chain, err));
	kmxd_answer_reset(&answer);
	return rc;
}
