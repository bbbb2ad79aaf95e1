/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "trust-authority/common/jwe.h"
#include "trust-authority/keyprovider/kms.h"

#define KEY_TYP "vtpm-kms-key"

struct wire {
	json_t *nodes;
	char ca[KMS_PEM_MAX], certificate[KMS_PEM_MAX];
	char key[2 * KMS_PEM_MAX];
	char server_name[KMS_NODE_MAX];
	bool is_default;
};

static const struct field fields[] = {
	{ "nodes", FIELD_JSON, FIELD_JSON_AT(struct wire, nodes),
	    FIELD_NEEDED },
	{ "ca", FIELD_TEXT, FIELD_AT(struct wire, ca),
	    FIELD_NEEDED | FIELD_LINES },
	{ "certificate", FIELD_TEXT, FIELD_AT(struct wire, certificate),
	    FIELD_NEEDED | FIELD_LINES },
	{ "key", FIELD_TEXT, FIELD_AT(struct wire, key),
	    FIELD_NEEDED | FIELD_LINES },
	{ "server_name", FIELD_TEXT, FIELD_AT(struct wire, server_name),
	    FIELD_MAY_BE_EMPTY },
	{ "default", FIELD_FLAG, FIELD_AT(struct wire, is_default), 0 },
};

static int
read_nodes(const json_t *list, struct kms_record *r, int code,
    struct err *err)
{
	const json_t *item;
	size_t i;

	if (!json_is_array(list) || json_array_size(list) < 1 ||
	    json_array_size(list) > KMIP_NODES_MAX)
		return err_set(err, code, "\"nodes\" is a list of 1 to %d "
		    "addresses, as kms.example:5696", KMIP_NODES_MAX);
	json_array_foreach(list, i, item) {
		const char *text = json_string_value(item);

		if (text == NULL || text[0] == '\0' ||
		    strlen(text) >= KMS_NODE_MAX)
			return err_set(err, code, "a node is a text as "
			    "kms.example:5696");
		memcpy(r->nodes[i], text, strlen(text) + 1);
		r->node_count = i + 1;
	}
	return 0;
}

int
kms_record_read(const json_t *json, const char *name,
    const struct secret *sealing, struct kms_record *r, struct err *err)
{
	int code = sealing != NULL ? ERR_FORMAT : ERR_USAGE, rc;
	struct wire *w = calloc(1, sizeof(*w));
	char what[NAME_MAX_SIZE + 16];

	*r = (struct kms_record){ 0 };
	if (w == NULL)
		return err_sys(err, errno, "no memory");
	snprintf(what, sizeof(what), sealing != NULL ? "the record kms/%.64s" :
	    "the body", name);
	snprintf(r->name, sizeof(r->name), "%s", name);
	if ((rc = fields_read(json, fields, FIELDS_COUNT(fields), w, code,
	    what, err)) < 0 ||
	    (rc = read_nodes(w->nodes, r, code, err)) < 0)
		goto out;
	memcpy(r->ca, w->ca, sizeof(r->ca));
	memcpy(r->certificate, w->certificate, sizeof(r->certificate));
	memcpy(r->server_name, w->server_name, sizeof(r->server_name));
	r->is_default = w->is_default;
	if (sealing != NULL)
		rc = jwe_open_shared(sealing, KEY_TYP, w->key, &r->key, err);
	else if ((r->key = secret_from(w->key, strlen(w->key))) == NULL)
		rc = err_sys(err, errno, "cannot lock memory for a key");
	if (rc < 0 && sealing != NULL)
		err_prefix(err, "the key of the KMS %s (is it another sealing "
		    "key?)", name);
out:
	cleanse(w->key, sizeof(w->key));
	free(w);
	if (rc < 0)
		kms_record_reset(r);
	return rc;
}

void
kms_record_reset(struct kms_record *r)
{
	secret_free(r->key);
	*r = (struct kms_record){ 0 };
}

json_t *
kms_record_json(const struct kms_record *r, const struct secret *sealing,
    struct err *err)
{
	json_t *nodes = json_array(), *json;
	char *key = NULL;

	for (size_t i = 0; i < r->node_count; i++)
		json_array_append_new(nodes, json_string(r->nodes[i]));
	if (sealing != NULL && jwe_seal_shared(sealing, KEY_TYP, r->key, &key,
	    err) < 0) {
		json_decref(nodes);
		return NULL;
	}
	json = json_pack("{so ss ss ss sb ss*}", "nodes", nodes, "ca", r->ca,
	    "certificate", r->certificate, "server_name", r->server_name,
	    "default", r->is_default, "key", key);
	free(key);
	if (json == NULL)
		err_set(err, ERR_SYSTEM, "no memory for a record");
	return json;
}

/* A file without a name, whose pages are locked while it is there: libkmip
 * reads its PEM from files. */
struct shown {
	int fd;
	void *map;
	size_t size;
	char path[32];
};

static int
show(struct shown *s, const void *data, size_t size, struct err *err)
{
	s->fd = memfd_create("kms", MFD_CLOEXEC);
	s->map = MAP_FAILED;
	s->size = size;
	if (s->fd < 0 || ftruncate(s->fd, (off_t)size) < 0 ||
	    (s->map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED,
	    s->fd, 0)) == MAP_FAILED || mlock(s->map, size) < 0)
		return err_sys(err, errno, "cannot lock memory for the KMS's "
		    "certificates (LimitMEMLOCK=)");
	memcpy(s->map, data, size);
	snprintf(s->path, sizeof(s->path), "/proc/self/fd/%d", s->fd);
	return 0;
}

static void
hide(struct shown *s)
{
	if (s->map != NULL && s->map != MAP_FAILED) {
		cleanse(s->map, s->size);
		munmap(s->map, s->size);
	}
	if (s->fd >= 0)
		close(s->fd);
}

int
kms_connect(const struct kms_record *r, size_t node, struct kmip **out,
    struct err *err)
{
	const char *nodes[KMIP_NODES_MAX];
	struct kmip_config config = { .nodes = nodes, .no_reach_events = true };
	struct shown ca = { .fd = -1 }, cert = { .fd = -1 };
	struct shown key = { .fd = -1 };
	int rc;

	for (size_t i = 0; i < r->node_count; i++)
		if (node == KMS_ALL_NODES || node == i)
			nodes[config.node_count++] = r->nodes[i];
	if ((rc = show(&ca, r->ca, strlen(r->ca), err)) < 0 ||
	    (rc = show(&cert, r->certificate, strlen(r->certificate),
	    err)) < 0 || (rc = show(&key, secret_bytes(r->key),
	    secret_size(r->key), err)) < 0)
		goto out;
	config.ca_file = ca.path;
	config.cert_file = cert.path;
	config.key_file = key.path;
	config.server_name = r->server_name[0] != '\0' ? r->server_name :
	    NULL;
	config.call_timeout_ms = 8000;
	config.answer_timeout_ms = 3000;
	config.connect_timeout_ms = 2000;
	rc = kmip_new(&config, out, err);
out:
	hide(&ca);
	hide(&cert);
	hide(&key);
	return rc < 0 ? err_prefix(err, "the KMS %s", r->name) : 0;
}
