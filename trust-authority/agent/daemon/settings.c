/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/agent/daemon/settings.h"

#include <arpa/inet.h>
#include <string.h>
#include <unistd.h>

#include "trust-authority/agent/pcr-list.h"

/* The names of hosts, doc/authority-protocols.md. */
static int
set_name(void *into, const struct keyfile_key *key, const char *value,
    struct err *err)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "abcdefghijklmnopqrstuvwxyz0123456789._-";

	if (value[0] == '\0' || value[0] == '.' || value[0] == '-' ||
	    value[strspn(value, allowed)] != '\0')
		return err_set(err, ERR_USAGE, "%s is 1 to 64 of A-Z a-z 0-9 "
		    ". _ -, not beginning with a dot or a dash", key->name);
	return keyfile_set_text(into, key, value, err);
}

static int
set_urls(void *into, const struct keyfile_key *key, const char *value,
    struct err *err)
{
	struct urls *u = (struct urls *)(void *)((char *)into + key->at);

	memset(u, 0, sizeof(*u));
	for (;;) {
		size_t n;

		value += strspn(value, " \t");
		if ((n = strcspn(value, " \t")) == 0)
			break;
		if (n <= strlen("https://") || n >= SETTINGS_URL_MAX ||
		    strncmp(value, "https://", strlen("https://")) != 0 ||
		    value[n - 1] == '/')
			return err_set(err, ERR_USAGE, "%s has URLs as "
			    "https://HOST:PORT without a slash at the end, "
			    "with spaces between them", key->name);
		if (u->count == SETTINGS_URLS_MAX)
			return err_set(err, ERR_USAGE, "%s has more than %d "
			    "URLs", key->name, SETTINGS_URLS_MAX);
		memcpy(u->url[u->count++], value, n);
		value += n;
	}
	return u->count > 0 ? 0 :
	    err_set(err, ERR_USAGE, "%s is empty", key->name);
}

static int
set_pcrs(void *into, const struct keyfile_key *key, const char *value,
    struct err *err)
{
	struct pcr_set set;
	int rc;

	if ((rc = pcr_list_parse(value, &set, err)) < 0)
		return rc;
	/* IMA extends it with every file that is used for the first time. */
	for (size_t i = 0; i < set.count; i++)
		if (set.bank[i].mask & 1u << 10)
			return err_set(err, ERR_USAGE, "%s: PCR 10 is never "
			    "the same again, no key would open", key->name);
	memcpy((char *)into + key->at, &set, sizeof(set));
	return 0;
}

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

/* A path, or "none". */
static int
set_path_or_none(void *into, const struct keyfile_key *key,
    const char *value, struct err *err)
{
	if (strcmp(value, "none") != 0)
		return keyfile_set_path(into, key, value, err);
	*((char *)into + key->at) = '\0';
	return 0;
}

#define AT(field) offsetof(struct settings, field), \
	sizeof(((struct settings *)NULL)->field)
#define ANY 0, 0, false
#define NEEDED 0, 0, true

static const struct keyfile_key keys[] = {
	{ "agent", "name", set_name, AT(agent.name), ANY },
	{ "agent", "state_directory", keyfile_set_path, AT(agent.state), ANY },
	{ "agent", "socket", keyfile_set_path, AT(agent.socket), ANY },
	{ "authority", "ca", keyfile_set_path, AT(authority.ca), NEEDED },
	{ "authority", "attestd", set_urls, AT(authority.attestd), NEEDED },
	{ "authority", "kmxd", set_urls, AT(authority.kmxd), NEEDED },
	{ "authority", "timeout", keyfile_set_number, AT(authority.timeout),
	    1, 300, false },
	{ "authority", "retry", keyfile_set_number, AT(authority.retry),
	    1, 3600, false },
	{ "authority", "ek_intermediates", keyfile_set_path,
	    AT(authority.intermediates), ANY },
	{ "tpm", "helper", keyfile_set_path, AT(tpm.helper), ANY },
	{ "tpm", "tcti", keyfile_set_text, AT(tpm.tcti), ANY },
	{ "tpm", "ek", keyfile_set_text, AT(tpm.ek), ANY },
	{ "tpm", "ak", keyfile_set_text, AT(tpm.ak), ANY },
	{ "tpm", "event_log", set_path_or_none, AT(tpm.eventlog), ANY },
	{ "tpm", "ima_log", set_path_or_none, AT(tpm.ima_log), ANY },
	{ "tpm", "timeout", keyfile_set_number, AT(tpm.timeout), 1, 600,
	    false },
	{ "keys", "keep", keyfile_set_flag, AT(keys.keep), ANY },
	{ "keys", "prefetch", keyfile_set_flag, AT(keys.prefetch), ANY },
	{ "keys", "pcrs", set_pcrs, AT(keys.pcrs), ANY },
	{ "access", "all", keyfile_set_text, AT(access.all), ANY },
	{ "access", "create", keyfile_set_text, AT(access.create), ANY },
	{ "access", "file", keyfile_set_path, AT(access.file), ANY },
	{ "server", "address", set_address, AT(server.address), ANY },
	{ "server", "port", keyfile_set_number, AT(server.port), 0, 65535,
	    false },
};

static void
set_defaults(struct settings *s)
{
	struct err none = { 0 };

	memset(s, 0, sizeof(*s));
	strcpy(s->agent.state, LOCALSTATEDIR "/lib/vta-kmxa");
	strcpy(s->agent.socket, "/run/vta-kmxa/agent.sock");
	s->authority.timeout = 10;
	s->authority.retry = 300;
	strcpy(s->tpm.eventlog, HOST_EVENTLOG);
	strcpy(s->tpm.ima_log, HOST_IMA_LOG);
	s->tpm.timeout = 90;
	(void)pcr_list_parse("sha256:0,2,4,7", &s->keys.pcrs, &none);
	strcpy(s->server.address, "::");
	s->server.port = 7890;
}

/* The host's own name, up to its first dot. */
static int
default_name(struct settings *s, const char *file, struct err *err)
{
	struct keyfile_key key = { .name = "name", .at = offsetof(
	    struct settings, agent.name), .room = sizeof(s->agent.name) };
	char name[256] = "";

	if (gethostname(name, sizeof(name) - 1) < 0)
		name[0] = '\0';
	name[strcspn(name, ".")] = '\0';
	if (set_name(s, &key, name, NULL) == 0)
		return 0;
	return err_set(err, ERR_USAGE, "%s: section [agent] needs 'name': "
	    "this host's name '%.64s' cannot serve for it", file, name);
}

int
settings_read(const char *file, struct settings *s, struct err *err)
{
	int rc;

	set_defaults(s);
	/* Keeps what stands behind the common part. */
	if ((rc = authority_config_read(file, 0, keys,
	    sizeof(keys) / sizeof(keys[0]), s, err)) < 0)
		return rc;
	return s->agent.name[0] != '\0' ? 0 : default_name(s, file, err);
}

static const char *
or_null(const char *text)
{
	return text[0] != '\0' ? text : NULL;
}

void
settings_host_tpm(const struct settings *s, struct host_tpm *out)
{
	*out = (struct host_tpm){ .helper = or_null(s->tpm.helper),
		.tcti = or_null(s->tpm.tcti), .ek = or_null(s->tpm.ek),
		.ak = or_null(s->tpm.ak),
		.eventlog = or_null(s->tpm.eventlog),
		.ima_log = or_null(s->tpm.ima_log),
		.timeout_ms = (int)s->tpm.timeout * 1000 };
}
