/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/kmip/node.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "trust-authority/kmip/clock.h"

static bool
port_is_good(const char *port)
{
	unsigned long n = 0;

	if (port[0] == '\0' || strlen(port) > 5)
		return false;
	for (const char *p = port; *p != '\0'; p++) {
		if (*p < '0' || *p > '9')
			return false;
		n = n * 10 + (unsigned long)(*p - '0');
	}
	return n > 0 && n <= UINT16_MAX;
}

int
node_parse(struct node *n, const char *text, struct err *err)
{
	const char *host = text, *end, *port = KMIP_PORT;

	if (strlen(text) >= sizeof(n->name))
		return err_set(err, ERR_USAGE, "the name of a KMS node is "
		    "longer than %zu bytes", sizeof(n->name) - 1);
	snprintf(n->name, sizeof(n->name), "%s", text);
	end = text + strcspn(text, ":");
	if (text[0] == '[') {
		host = text + 1;
		end = host + strcspn(host, "]");
		if (*end != ']' || (end[1] != '\0' && end[1] != ':'))
			return err_set(err, ERR_USAGE, "%s is not [IPv6 "
			    "address] or [IPv6 address]:port", text);
		if (end[1] == ':')
			port = end + 2;
	} else if (*end == ':') {
		port = end + 1;
	}
	if (end == host || !port_is_good(port))
		return err_set(err, ERR_USAGE, "%s is not host or host:port "
		    "(an IPv6 address goes into brackets)", text);
	snprintf(n->host, sizeof(n->host), "%.*s", (int)(end - host), host);
	snprintf(n->port, sizeof(n->port), "%s", port);
	return 0;
}

bool
node_claim(struct node *n)
{
	if (n->health != KMIP_DOWN)
		return true;
	if (n->probing || clock_ms() < n->next_try)
		return false;
	n->probing = true;
	return true;
}

void
node_unclaim(struct node *n)
{
	n->probing = false;
}

static bool
health_set(struct node *n, enum kmip_health health)
{
	if (n->health == health)
		return false;
	n->health = health;
	n->since = time(NULL);
	return true;
}

bool
node_succeeded(struct node *n)
{
	n->probing = false;
	n->failures = 0;
	n->answers++;
	n->answered = clock_ms();
	return health_set(n, KMIP_UP);
}

uint32_t
node_pause(uint32_t failures, uint32_t first, uint32_t max)
{
	uint64_t pause = first;
	uint32_t random = 0;

	for (uint32_t i = 1; i < failures && pause < max; i++)
		pause *= 2;
	if (pause > max)
		pause = max;
	/* Without randomness it is the shortest, not an error. */
	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) < 0)
		random = 0;
	return (uint32_t)(pause / 2 + (pause + 1) / 2 * random / UINT32_MAX);
}

/* Calls that were under way together fail together: that is one failure. */
bool
node_failed(struct node *n, const char *why, uint32_t first, uint32_t max)
{
	if (n->health == KMIP_DOWN && !n->probing)
		return false;
	n->probing = false;
	n->failures++;
	n->next_try = clock_ms() + node_pause(n->failures, first, max);
	/* It may come back as another build. */
	n->version = (struct kmip_version){ 0, 0 };
	snprintf(n->error, sizeof(n->error), "%s", why);
	return health_set(n, KMIP_DOWN);
}

struct connection *
node_take(struct node *n, uint32_t idle_ms,
    struct connection *stale[KEEP_MAX], size_t *stale_count)
{
	int64_t oldest = clock_ms() - idle_ms;
	size_t old = 0;

	*stale_count = 0;
	/* The oldest are in front. */
	while (old < n->rest_count && connection_used(n->rest[old]) < oldest)
		stale[(*stale_count)++] = n->rest[old++];
	n->rest_count -= old;
	for (size_t i = 0; i < n->rest_count; i++)
		n->rest[i] = n->rest[i + old];
	return n->rest_count > 0 ? n->rest[--n->rest_count] : NULL;
}

bool
node_give(struct node *n, struct connection *c, size_t keep)
{
	if (n->rest_count >= keep || n->rest_count >= KEEP_MAX)
		return false;
	n->rest[n->rest_count++] = c;
	return true;
}
