/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The KMIP client for tests: options NAME=VALUE, then commands from standard
 * input, one a line, each answered by one line: "ok ..." or "error CODE TEXT".
 * Keys are never written, only the SHA-256 of one.
 *
 *	kmip-run node=127.0.0.1:5696 ca=ca.pem cert=c.pem key=k.pem
 *
 *	query | create NAME USAGE [ATTRIBUTE=VALUE] | activate ID | get ID
 *	wrapped ID WRAPPING-ID (whose key was the last got) | attributes ID
 *	locate NAME|- STATE [ATTRIBUTE=VALUE] | revoke ID CODE [MESSAGE]
 *	destroy ID | check | status | sleep MS | threads N ID | remains
 */
#include <fcntl.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "trust-authority/kmip/kmip.h"

#define THREADS_MAX 64
#define IDS_MAX 8

static struct kmip *kmip;
static struct secret *last;	/* the last key */
static uint8_t masked[KMIP_KEY_SIZE];	/* the same, so that it is not found */

static void
failed(const struct err *err)
{
	printf("error %s %s\n", err_name(err->code), err->text);
}

static void
said(int rc, const struct err *err)
{
	if (rc < 0)
		failed(err);
	else
		printf("ok\n");
}

static void
digest(const struct secret *s, char text[65])
{
	uint8_t md[32];
	unsigned int n = sizeof(md);

	EVP_Digest(secret_bytes(s), secret_size(s), md, &n, EVP_sha256(),
	    NULL);
	for (size_t i = 0; i < sizeof(md); i++)
		snprintf(text + 2 * i, 3, "%02x", md[i]);
}

static void
key_got(int rc, struct secret *key, const struct err *err)
{
	char text[65];

	if (rc < 0) {
		failed(err);
		return;
	}
	digest(key, text);
	secret_free(last);
	last = key;
	for (size_t i = 0; i < KMIP_KEY_SIZE; i++)
		masked[i] = secret_bytes(key)[i] ^ 0x5a;
	printf("ok %s\n", text);
}

static void
run_query(char *const *arg)
{
	struct kmip_info info;
	struct err err = { 0 };
	int rc = kmip_query(kmip, &info, &err);

	(void)arg;
	if (rc < 0)
		failed(&err);
	else
		printf("ok node=%s version=%u.%u complete=%d missing=%s "
		    "vendor=%s\n", info.node, info.version.major,
		    info.version.minor, info.complete, info.missing,
		    info.vendor);
}

static void
custom_set(struct kmip_key_spec *spec, char *text)
{
	char *value;

	if (text == NULL || (value = strchr(text, '=')) == NULL)
		return;
	*value++ = '\0';
	spec->custom[0] = (struct kmip_custom){ text, value };
	spec->custom_count = 1;
}

static uint32_t
number(const char *text)
{
	return text != NULL ? (uint32_t)strtoul(text, NULL, 0) : 0;
}

static void
run_create(char *const *arg)
{
	struct kmip_key_spec spec = { .name = arg[1], .usage = number(arg[2]) };
	char id[KMIP_TEXT_SIZE];
	struct err err = { 0 };

	custom_set(&spec, arg[2] != NULL ? arg[3] : NULL);
	if (kmip_create(kmip, &spec, id, &err) < 0)
		failed(&err);
	else
		printf("ok %s\n", id);
}

static void
run_activate(char *const *arg)
{
	struct err err = { 0 };

	said(kmip_activate(kmip, arg[1], &err), &err);
}

static void
run_destroy(char *const *arg)
{
	struct err err = { 0 };

	said(kmip_destroy(kmip, arg[1], &err), &err);
}

static void
run_revoke(char *const *arg)
{
	struct err err = { 0 };

	said(kmip_revoke(kmip, arg[1], (enum kmip_revocation)number(arg[2]),
	    arg[2] != NULL ? arg[3] : NULL, &err), &err);
}

static void
run_get(char *const *arg)
{
	struct secret *key = NULL;
	struct err err = { 0 };
	int rc = kmip_get(kmip, arg[1], &key, &err);

	key_got(rc, key, &err);
}

static void
run_wrapped(char *const *arg)
{
	struct secret *key = NULL;
	struct err err = { 0 };
	int rc;

	if (last == NULL) {
		printf("error usage no key was got before\n");
		return;
	}
	rc = kmip_get_wrapped(kmip, arg[1], arg[2], last, &key, &err);
	key_got(rc, key, &err);
}

static void
run_attributes(char *const *arg)
{
	struct kmip_attributes a;
	struct err err = { 0 };

	if (kmip_get_attributes(kmip, arg[1], &a, &err) < 0)
		failed(&err);
	else
		printf("ok type=%u algorithm=%u length=%d usage=%u state=%s "
		    "initial=%lld activation=%lld name=%s\n", a.object_type,
		    a.algorithm, a.length, a.usage, kmip_state_name(a.state),
		    (long long)a.initial_date, (long long)a.activation_date,
		    a.name);
}

static void
run_locate(char *const *arg)
{
	struct kmip_key_spec spec = { 0 };
	char ids[IDS_MAX][KMIP_TEXT_SIZE];
	struct err err = { 0 };
	size_t count;

	if (arg[1] != NULL && strcmp(arg[1], "-") != 0)
		spec.name = arg[1];
	if (arg[1] != NULL) {
		spec.state = (enum kmip_state)number(arg[2]);
		custom_set(&spec, arg[2] != NULL ? arg[3] : NULL);
	}
	if (kmip_locate(kmip, &spec, ids, IDS_MAX, &count, &err) < 0) {
		failed(&err);
		return;
	}
	printf("ok %zu", count);
	for (size_t i = 0; i < count && i < IDS_MAX; i++)
		printf(" %s", ids[i]);
	printf("\n");
}

static void
run_check(char *const *arg)
{
	(void)arg;
	printf("ok %u\n", kmip_check(kmip));
}

static void
run_status(char *const *arg)
{
	static const char *const words[] = { "unknown", "up", "down" };
	struct kmip_node_status nodes[KMIP_NODES_MAX];
	size_t count = kmip_status(kmip, nodes, KMIP_NODES_MAX);

	(void)arg;
	printf("ok");
	for (size_t i = 0; i < count; i++)
		printf(" [%s %s version=%u.%u failures=%u next=%u "
		    "connections=%llu answers=%llu error=%s]", nodes[i].name,
		    words[nodes[i].health], nodes[i].version.major,
		    nodes[i].version.minor, nodes[i].failures,
		    nodes[i].next_try_ms,
		    (unsigned long long)nodes[i].connections,
		    (unsigned long long)nodes[i].answers, nodes[i].error);
	printf("\n");
}

static void
run_sleep(char *const *arg)
{
	uint32_t ms = number(arg[1]);
	struct timespec time = { ms / 1000, ms % 1000 * 1000000L };

	nanosleep(&time, NULL);
	printf("ok\n");
}

static void *
one_of_many(void *arg)
{
	struct secret *key = NULL;
	int rc = kmip_get(kmip, arg, &key, NULL);

	secret_free(key);
	return rc == 0 ? arg : NULL;
}

static void
run_threads(char *const *arg)
{
	pthread_t threads[THREADS_MAX];
	uint32_t count = number(arg[1]), good = 0;

	for (uint32_t i = 0; i < count && i < THREADS_MAX; i++)
		if (pthread_create(&threads[i], NULL, one_of_many,
		    arg[2]) != 0)
			abort();
	for (uint32_t i = 0; i < count && i < THREADS_MAX; i++) {
		void *result;

		pthread_join(threads[i], &result);
		good += result != NULL;
	}
	printf("ok %u\n", good);
}

/* Whether the last key's bytes are anywhere in this process's memory, once it
 * has been freed here; only its masked copy is left to compare with. */
static size_t
count_in(const uint8_t *data, size_t size)
{
	size_t found = 0, i, j;

	for (i = 0; i + KMIP_KEY_SIZE <= size; i++) {
		for (j = 0; j < KMIP_KEY_SIZE; j++)
			if ((data[i + j] ^ 0x5a) != masked[j])
				break;
		found += j == KMIP_KEY_SIZE;
	}
	return found;
}

static void
run_remains(char *const *arg)
{
	bool keep = arg[1] != NULL;	/* for the test of this test */
	FILE *maps = fopen("/proc/self/maps", "re");
	int mem = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	uint8_t *copy = NULL;
	unsigned long from, to;
	size_t found = 0;
	char line[512], access[8];

	if (!keep) {
		secret_free(last);
		last = NULL;
	}
	if (maps == NULL || mem < 0)
		abort();
	while (fgets(line, sizeof(line), maps) != NULL) {
		if (sscanf(line, "%lx-%lx %7s", &from, &to, access) != 3 ||
		    strncmp(access, "rw", 2) != 0 || to - from > 64ul << 20)
			continue;
		if ((copy = malloc(to - from)) == NULL)
			abort();
		if (pread(mem, copy, to - from, (off_t)from) ==
		    (ssize_t)(to - from))
			found += count_in(copy, to - from);
		cleanse(copy, to - from);
		free(copy);
	}
	fclose(maps);
	close(mem);
	printf("ok %zu\n", found);
}

static const struct {
	const char *name;
	int arguments;
	void (*run)(char *const *arg);
} commands[] = {
	{ "query", 0, run_query }, { "create", 2, run_create },
	{ "activate", 1, run_activate }, { "get", 1, run_get },
	{ "wrapped", 2, run_wrapped }, { "attributes", 1, run_attributes },
	{ "locate", 2, run_locate }, { "revoke", 2, run_revoke },
	{ "destroy", 1, run_destroy }, { "check", 0, run_check },
	{ "status", 0, run_status }, { "sleep", 1, run_sleep },
	{ "threads", 2, run_threads }, { "remains", 0, run_remains },
};

static void
run_line(char *line)
{
	char *arg[6] = { NULL }, *rest = line;
	int n = 0;

	while (n < 5 && (arg[n] = strtok_r(NULL, " \n", &rest)) != NULL)
		n++;
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (n > 0 && strcmp(commands[i].name, arg[0]) == 0 &&
		    n > commands[i].arguments) {
			commands[i].run(arg);
			return;
		}
	printf("error usage unknown command\n");
}

static void
option(struct kmip_config *c, const char **nodes, const char *name,
    const char *value)
{
	const struct {
		const char *name;
		uint32_t *number;
	} numbers[] = {
		{ "connect", &c->connect_timeout_ms },
		{ "answer", &c->answer_timeout_ms },
		{ "call", &c->call_timeout_ms },
		{ "idle", &c->idle_timeout_ms },
		{ "interval", &c->check_interval_ms },
		{ "first", &c->backoff_first_ms },
		{ "max", &c->backoff_max_ms }, { "keep", &c->keep },
	};
	unsigned int major, minor;

	if (strcmp(name, "node") == 0)
		nodes[c->node_count++] = value;
	else if (strcmp(name, "ca") == 0)
		c->ca_file = value;
	else if (strcmp(name, "cert") == 0)
		c->cert_file = value;
	else if (strcmp(name, "key") == 0)
		c->key_file = value;
	else if (strcmp(name, "server") == 0)
		c->server_name = value;
	else if (strcmp(name, "ciphers") == 0)
		c->ciphers = value;
	else if (strcmp(name, "version") == 0 &&
	    sscanf(value, "%u.%u", &major, &minor) == 2)
		c->version_max = (struct kmip_version){ (uint8_t)major,
			(uint8_t)minor };
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (strcmp(numbers[i].name, name) == 0)
			*numbers[i].number = number(value);
}

int
main(int argc, char **argv)
{
	const char *nodes[KMIP_NODES_MAX + 2] = { NULL };
	struct kmip_config config = { .nodes = nodes };
	struct err err = { 0 };
	char line[1024];

	for (int i = 1; i < argc; i++) {
		char *value = strchr(argv[i], '=');

		if (value == NULL || config.node_count > KMIP_NODES_MAX)
			return 2;
		*value++ = '\0';
		option(&config, nodes, argv[i], value);
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (kmip_new(&config, &kmip, &err) < 0) {
		failed(&err);
		return 1;
	}
	printf("ok ready\n");
	while (fgets(line, sizeof(line), stdin) != NULL)
		run_line(line);
	secret_free(last);
	kmip_free(kmip);
	return 0;
}
