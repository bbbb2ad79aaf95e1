/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/kmip/kmip.h"

#include <errno.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "trust-authority/kmip/clock.h"
#include "trust-authority/kmip/message.h"
#include "trust-authority/kmip/pool.h"
#include "trust-authority/kmip/protocol.h"
#include "trust-authority/kmip/tls.h"

static void
default_set(uint32_t *v, uint32_t value)
{
	if (*v == 0)
		*v = value;
}

static int
config_set(struct kmip *k, const struct kmip_config *config, struct err *err)
{
	struct kmip_config *c = &k->config;

	*c = *config;
	if (c->node_count == 0 || c->node_count > KMIP_NODES_MAX)
		return err_set(err, ERR_USAGE, "a KMS has 1 to %d nodes, not "
		    "%zu", KMIP_NODES_MAX, c->node_count);
	if (c->ca_file == NULL || c->cert_file == NULL || c->key_file == NULL)
		return err_set(err, ERR_USAGE, "a KMS needs a CA certificate, "
		    "and for us a certificate and its private key");
	if (c->version_max.major == 0)
		c->version_max = (struct kmip_version){ 2, 0 };
	if (version_compare(c->version_max,
	    (struct kmip_version){ 1, 1 }) < 0)
		return err_set(err, ERR_USAGE, "KMIP %u.%u is below 1.1",
		    c->version_max.major, c->version_max.minor);
	if (c->server_name != NULL &&
	    strlen(c->server_name) >= sizeof(k->server_name))
		return err_set(err, ERR_USAGE, "the KMS's server name is too "
		    "long");
	default_set(&c->connect_timeout_ms, 3000);
	default_set(&c->answer_timeout_ms, 5000);
	default_set(&c->call_timeout_ms, 12000);
	default_set(&c->idle_timeout_ms, 60000);
	default_set(&c->check_interval_ms, 10000);
	default_set(&c->backoff_first_ms, 500);
	default_set(&c->backoff_max_ms, 30000);
	default_set(&c->keep, 4);
	return 0;
}

static int
nodes_set(struct kmip *k, const struct kmip_config *config, struct err *err)
{
	int rc;

	if (config->server_name != NULL)
		snprintf(k->server_name, sizeof(k->server_name), "%s",
		    config->server_name);
	for (size_t i = 0; i < config->node_count; i++) {
		struct node *n = &k->nodes[i];

		if ((rc = node_parse(n, config->nodes[i], err)) < 0)
			return rc;
		n->to = (struct endpoint){ .host = n->host, .port = n->port,
			.tls = k->tls, .certificate_name =
			    config->server_name != NULL ? k->server_name :
			    n->host };
		n->since = time(NULL);
		k->count++;
		if ((n->to.resolver = resolver_new()) == NULL)
			return err_sys(err, ENOMEM, "cannot make a KMIP "
			    "client");
	}
	return 0;
}

/* libssl writes with write(2), and a node may go away at any time. */
static void
sigpipe_ignore(void)
{
	struct sigaction now;

	if (sigaction(SIGPIPE, NULL, &now) == 0 && now.sa_handler == SIG_DFL)
		(void)signal(SIGPIPE, SIG_IGN);
}

int
kmip_new(const struct kmip_config *config, struct kmip **out, struct err *err)
{
	struct kmip *k = calloc(1, sizeof(*k));
	int rc;

	if (k == NULL)
		return err_sys(err, ENOMEM, "cannot make a KMIP client");
	pthread_mutex_init(&k->lock, NULL);
	if ((rc = config_set(k, config, err)) < 0 ||
	    (rc = tls_context_new(config, &k->tls, err)) < 0 ||
	    (rc = nodes_set(k, config, err)) < 0)
		goto out;
	sigpipe_ignore();
	*out = k;
	k = NULL;
out:
	kmip_free(k);
	return rc;
}

void
kmip_free(struct kmip *k)
{
	if (k == NULL)
		return;
	for (size_t i = 0; i < k->count; i++) {
		struct node *n = &k->nodes[i];

		while (n->rest_count > 0)
			connection_close(n->rest[--n->rest_count]);
		resolver_free(n->to.resolver);
	}
	SSL_CTX_free(k->tls);
	pthread_mutex_destroy(&k->lock);
	free(k);
}

/* A length that an answer may have; the rest is for the KMS to judge. */
static int
text_check(const char *what, const char *text, struct err *err)
{
	if (text == NULL || text[0] == '\0')
		return err_set(err, ERR_USAGE, "%s is missing", what);
	if (strlen(text) >= KMIP_TEXT_SIZE)
		return err_set(err, ERR_USAGE, "%s is longer than %d bytes",
		    what, KMIP_TEXT_SIZE - 1);
	return 0;
}

static int
id_check(const char *id, struct err *err)
{
	return text_check("a key's Unique Identifier", id, err);
}

static int
spec_check(const struct kmip_key_spec *spec, struct err *err)
{
	int rc;

	if (spec->name != NULL &&
	    (rc = text_check("a key's name", spec->name, err)) < 0)
		return rc;
	if (spec->custom_count > KMIP_CUSTOM_MAX)
		return err_set(err, ERR_USAGE, "more than %d attributes",
		    KMIP_CUSTOM_MAX);
	for (size_t i = 0; i < spec->custom_count; i++)
		if ((rc = text_check("an attribute's name",
		    spec->custom[i].name, err)) < 0 ||
		    (rc = text_check("an attribute's value",
		    spec->custom[i].value, err)) < 0)
			return rc;
	return 0;
}

int
kmip_query(struct kmip *k, struct kmip_info *info, struct err *err)
{
	struct call call;
	int rc;

	memset(info, 0, sizeof(*info));
	rc = pool_call(k, &operation_query, NULL, info, &call, err);
	if (rc < 0)
		return rc;
	memcpy(info->node, call.node->name, sizeof(info->node));
	info->version = call.version;
	return 0;
}

int
kmip_create(struct kmip *k, const struct kmip_key_spec *spec,
    char id[KMIP_TEXT_SIZE], struct err *err)
{
	struct call call;
	int rc;

	if ((rc = spec_check(spec, err)) < 0)
		return rc;
	return pool_call(k, &operation_create, spec, id, &call, err);
}

/* An operation that was sent twice, because the answer to the first got lost,
 * is refused where the first was done. Then the key is as it should be. */
static bool
is_in_state(struct kmip *k, const char *id, enum kmip_state a,
    enum kmip_state b)
{
	struct kmip_attributes attributes;

	return kmip_get_attributes(k, id, &attributes, NULL) == 0 &&
	    (attributes.state == a || attributes.state == b);
}

int
kmip_activate(struct kmip *k, const char *id, struct err *err)
{
	struct call call;
	int rc;

	if ((rc = id_check(id, err)) < 0)
		return rc;
	rc = pool_call(k, &operation_activate, id, NULL, &call, err);
	if (rc == ERR_REFUSED && call.maybe_done &&
	    is_in_state(k, id, KMIP_ACTIVE, KMIP_ACTIVE))
		rc = 0;
	return rc;
}

int
kmip_revoke(struct kmip *k, const char *id, enum kmip_revocation why,
    const char *message, struct err *err)
{
	struct revoke_request r = { id, why, message, time(NULL) };
	struct call call;
	int rc;

	if ((rc = id_check(id, err)) < 0 || (message != NULL &&
	    (rc = text_check("a message", message, err)) < 0))
		return rc;
	rc = pool_call(k, &operation_revoke, &r, NULL, &call, err);
	if (rc == ERR_REFUSED && call.maybe_done &&
	    is_in_state(k, id, KMIP_DEACTIVATED, KMIP_COMPROMISED))
		rc = 0;
	return rc;
}

int
kmip_destroy(struct kmip *k, const char *id, struct err *err)
{
	struct call call;
	int rc;

	if ((rc = id_check(id, err)) < 0)
		return rc;
	rc = pool_call(k, &operation_destroy, id, NULL, &call, err);
	if (rc == ERR_NOTFOUND && call.maybe_done)
		rc = 0;
	return rc;
}

int
kmip_get(struct kmip *k, const char *id, struct secret **key, struct err *err)
{
	struct get_request r = { .id = id };
	struct call call;
	int rc;

	*key = NULL;
	if ((rc = id_check(id, err)) < 0)
		return rc;
	return pool_call(k, &operation_get, &r, key, &call, err);
}

int
kmip_get_wrapped(struct kmip *k, const char *id, const char *wrapping_id,
    const struct secret *wrapping_key, struct secret **key, struct err *err)
{
	struct get_request r = { .id = id, .wrapping_id = wrapping_id,
		.wrapping_key = wrapping_key, .libctx = k->config.libctx };
	struct call call;
	int rc;

	*key = NULL;
	if ((rc = id_check(id, err)) < 0 ||
	    (rc = id_check(wrapping_id, err)) < 0)
		return rc;
	if (secret_size(wrapping_key) != KMIP_KEY_SIZE)
		return err_set(err, ERR_USAGE, "the wrapping key has %zu "
		    "bytes, AES-256 has %d", secret_size(wrapping_key),
		    KMIP_KEY_SIZE);
	return pool_call(k, &operation_get, &r, key, &call, err);
}

int
kmip_get_attributes(struct kmip *k, const char *id,
    struct kmip_attributes *attributes, struct err *err)
{
	struct call call;
	int rc;

	if ((rc = id_check(id, err)) < 0)
		return rc;
	return pool_call(k, &operation_get_attributes, id, attributes, &call,
	    err);
}

int
kmip_locate(struct kmip *k, const struct kmip_key_spec *spec,
    char (*ids)[KMIP_TEXT_SIZE], size_t max, size_t *count, struct err *err)
{
	struct locate_request r = { spec, max };
	struct locate_answer answer = { ids, max, 0 };
	struct call call;
	int rc;

	*count = 0;
	if (max == 0 || max > INT32_MAX)
		return err_set(err, ERR_USAGE, "room for at least one "
		    "identifier is needed");
	if ((rc = spec_check(spec, err)) < 0)
		return rc;
	rc = pool_call(k, &operation_locate, &r, &answer, &call, err);
	if (rc == 0)
		*count = answer.count;
	return rc;
}

/* When node i is to be tried next. */
static int64_t
due_at(const struct kmip *k, size_t i)
{
	const struct node *n = &k->nodes[i];

	if (n->health == KMIP_UNKNOWN)
		return 0;
	return n->health == KMIP_DOWN ? n->next_try :
	    n->answered + k->config.check_interval_ms;
}

uint32_t
kmip_check(struct kmip *k)
{
	int64_t next = clock_ms() + k->config.check_interval_ms, when;
	bool due;

	for (size_t i = 0; i < k->count; i++) {
		pthread_mutex_lock(&k->lock);
		due = due_at(k, i) <= clock_ms() && node_claim(&k->nodes[i]);
		pthread_mutex_unlock(&k->lock);
		if (due)
			pool_probe(k, i);
	}
	for (size_t i = 0; i < k->count; i++) {
		pthread_mutex_lock(&k->lock);
		when = due_at(k, i);
		pthread_mutex_unlock(&k->lock);
		if (when < next)
			next = when;
	}
	/* One is due already where a call is just trying it. */
	return next > clock_ms() ? (uint32_t)clock_left(next) :
	    k->config.backoff_first_ms;
}

size_t
kmip_status(struct kmip *k, struct kmip_node_status *nodes, size_t max)
{
	pthread_mutex_lock(&k->lock);
	for (size_t i = 0; i < k->count && i < max; i++) {
		const struct node *n = &k->nodes[i];
		struct kmip_node_status *s = &nodes[i];

		memset(s, 0, sizeof(*s));
		memcpy(s->name, n->name, sizeof(s->name));
		s->health = n->health;
		s->version = n->version;
		s->since = n->since;
		s->failures = n->failures;
		if (n->health == KMIP_DOWN)
			s->next_try_ms = (uint32_t)clock_left(n->next_try);
		s->connections = n->connections;
		s->answers = n->answers;
		memcpy(s->error, n->error, sizeof(s->error));
	}
	pthread_mutex_unlock(&k->lock);
	return k->count;
}
