/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/common/config.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

static int
set_address(void *into, const struct keyfile_key *key, const char *value,
    struct err *err)
{
	struct in6_addr room;

	if (inet_pton(AF_INET, value, &room) != 1 &&
	    inet_pton(AF_INET6, value, &room) != 1)
		return err_set(err, ERR_USAGE,
		    "%s is an IP address, as 192.0.2.1, 2001:db8::1 or ::",
		    key->name);
	return keyfile_set_text(into, key, value, err);
}

static int
set_kind(void *into, const struct keyfile_key *key, const char *value,
    struct err *err)
{
	if (strcmp(value, "sqlite") != 0 && strcmp(value, "etcd") != 0)
		return err_set(err, ERR_USAGE, "%s is 'sqlite' or 'etcd'",
		    key->name);
	return keyfile_set_text(into, key, value, err);
}

#define AT(field) offsetof(struct authority_config, field), \
	sizeof(((struct authority_config *)NULL)->field)
#define ANY 0, 0, false
#define NEEDED 0, 0, true

static const struct keyfile_key server_keys[] = {
	{ "server", "address", set_address, AT(server.address), ANY },
	{ "server", "port", keyfile_set_number, AT(server.port), 0, 65535,
	    false },
	{ "server", "certificate", keyfile_set_path, AT(server.certificate),
	    NEEDED },
	{ "server", "key", keyfile_set_path, AT(server.key), NEEDED },
	{ "server", "client_ca", keyfile_set_path, AT(server.client_ca), ANY },
	{ "server", "workers", keyfile_set_number, AT(server.workers), 1, 256,
	    false },
	{ "server", "connections", keyfile_set_number, AT(server.connections),
	    1, 1000000, false },
	{ "server", "connections_per_peer", keyfile_set_number,
	    AT(server.connections_per_peer), 1, 1000000, false },
	{ "server", "request_seconds", keyfile_set_number,
	    AT(server.request_seconds), 1, 600, false },
};

static const struct keyfile_key store_keys[] = {
	{ "store", "kind", set_kind, AT(store.kind), ANY },
	{ "store", "file", keyfile_set_path, AT(store.file), ANY },
	{ "store", "endpoints", keyfile_set_text, AT(store.endpoints), ANY },
	{ "store", "prefix", keyfile_set_text, AT(store.prefix), ANY },
	{ "store", "ca", keyfile_set_path, AT(store.ca), ANY },
	{ "store", "certificate", keyfile_set_path, AT(store.certificate),
	    ANY },
	{ "store", "key", keyfile_set_path, AT(store.key), ANY },
};

static const struct keyfile_key authority_keys[] = {
	{ "authority", "name", keyfile_set_text, AT(authority.name), NEEDED },
	{ "authority", "url", keyfile_set_text, AT(authority.url), NEEDED },
	{ "authority", "sealing_key", keyfile_set_path,
	    AT(authority.sealing_key), NEEDED },
};

static const struct keyfile_key log_keys[] = {
	{ "log", "target", keyfile_set_text, AT(log.target), ANY },
	{ "log", "level", keyfile_set_log_level, AT(log.level), ANY },
};

struct table {
	struct keyfile_key keys[KEYFILE_KEYS_MAX];
	size_t count;
};

static void
add(struct table *t, const struct keyfile_key *keys, size_t count)
{
	memcpy(t->keys + t->count, keys, count * sizeof(*keys));
	t->count += count;
}

static void
set_defaults(struct authority_config *c)
{
	memset(c, 0, sizeof(*c));
	memcpy(c->server.address, "::", sizeof("::"));
	c->server.port = -1;
	c->server.workers = 8;
	c->server.connections = 4096;
	c->server.connections_per_peer = 64;
	c->server.request_seconds = 20;
	memcpy(c->store.kind, "sqlite", sizeof("sqlite"));
	memcpy(c->store.prefix, "/vtpm", sizeof("/vtpm"));
	c->log.level = LOG_LEVEL_INFO;
}

/* What one kind of store needs and the other does not know. */
static int
check_store(const struct authority_config *c, const char *file,
    struct err *err)
{
	bool etcd = strcmp(c->store.kind, "etcd") == 0;
	bool tls = c->store.ca[0] != '\0' && c->store.certificate[0] != '\0' &&
	    c->store.key[0] != '\0';

	if (!etcd && c->store.file[0] == '\0')
		return err_set(err, ERR_USAGE,
		    "%s: section [store] needs 'file'", file);
	if (!etcd && c->store.endpoints[0] != '\0')
		return err_set(err, ERR_USAGE, "%s: section [store]: "
		    "'endpoints' is for kind = etcd", file);
	if (etcd && c->store.file[0] != '\0')
		return err_set(err, ERR_USAGE, "%s: section [store]: 'file' "
		    "is for kind = sqlite", file);
	if (etcd && (c->store.endpoints[0] == '\0' || !tls))
		return err_set(err, ERR_USAGE, "%s: section [store] needs "
		    "'endpoints', 'ca', 'certificate' and 'key' for etcd",
		    file);
	return 0;
}

int
authority_config_read(const char *file, unsigned int sections,
    const struct keyfile_key *own, size_t own_count, void *config,
    struct err *err)
{
	struct authority_config *c = config;
	struct table t = { .count = 0 };
	int rc;

	if (own_count > CONFIG_OWN_KEYS_MAX)
		return err_set(err, ERR_INTERNAL, "%zu keys are too many",
		    own_count);
	set_defaults(c);
	add(&t, log_keys, sizeof(log_keys) / sizeof(log_keys[0]));
	if (sections & CONFIG_SERVER)
		add(&t, server_keys,
		    sizeof(server_keys) / sizeof(server_keys[0]));
	if (sections & CONFIG_STORE)
		add(&t, store_keys, sizeof(store_keys) / sizeof(store_keys[0]));
	if (sections & CONFIG_AUTHORITY)
		add(&t, authority_keys,
		    sizeof(authority_keys) / sizeof(authority_keys[0]));
	if (own_count > 0)
		add(&t, own, own_count);
	rc = keyfile_read(file, true, t.keys, t.count, config, err);
	if (rc == 0 && sections & CONFIG_STORE)
		rc = check_store(c, file, err);
	return rc;
}
