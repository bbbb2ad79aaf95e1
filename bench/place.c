/* SPDX-License-Identifier: BSD-3-Clause */
#include "bench/place.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/secret.h"
#include "bench/https.h"
#include "trust-authority/attest/hash.h"
#include "trust-authority/common/http-tls.h"
#include "trust-authority/common/service.h"

#define LINE_MAX_SIZE 16384

static int
start_helper(struct place *p, int out[2], struct err *err)
{
	const char *top = getenv("top_srcdir");
	char program[PATH_MAX];
	int in[2], log;

	snprintf(program, sizeof(program), "%s/bench/authority.py",
	    top != NULL ? top : ".");
	if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0 ||
	    (p->pid = fork()) < 0)
		return err_sys(err, errno, "cannot start %s", program);
	if (p->pid == 0) {
		log = open("log", O_WRONLY | O_CREAT | O_APPEND, 0600);
		if (dup2(in[0], 0) < 0 || dup2(out[1], 1) < 0 || log < 0 ||
		    dup2(log, 2) < 0)
			_exit(127);
		execl(program, program, NULL);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	p->hold = in[1];
	return 0;
}

static int
read_line(int fd, char line[LINE_MAX_SIZE])
{
	FILE *f = fdopen(fd, "r");
	char *got = f != NULL ? fgets(line, LINE_MAX_SIZE, f) : NULL;

	if (f != NULL)
		fclose(f);
	return got != NULL ? 0 : ERR_CLOSED;
}

static int
read_file(const char *path, uint8_t **data, size_t *size, struct err *err)
{
	FILE *f = fopen(path, "re");
	long end;

	if (f == NULL || fseek(f, 0, SEEK_END) < 0 || (end = ftell(f)) < 0 ||
	    (*data = malloc((size_t)end + 1)) == NULL)
		return err_sys(err, errno, "cannot read %s", path);
	rewind(f);
	*size = fread(*data, 1, (size_t)end, f);
	fclose(f);
	return 0;
}

struct told {
	const char *ca, *cert, *key, *server_cert, *server_key, *store,
	    *sealing, *issuer, *group, *pcrs,
	    *eventlog, *ima, *config;
};

static int
take_json(struct place *p, json_t *json, struct told *t, struct err *err)
{
	int attestd, kmxd;

	if (json_unpack(json, "{si si si si ss ss ss ss ss ss ss ss ss ss "
	    "ss ss ss}", "attestd_port", &p->attestd_port, "kmxd_port",
	    &p->kmxd_port, "attestd_pid", &attestd, "kmxd_pid", &kmxd, "ca",
	    &t->ca, "server_cert", &t->server_cert, "server_key",
	    &t->server_key, "root_cert", &t->cert, "root_key", &t->key, "store",
	    &t->store, "sealing", &t->sealing, "issuer", &t->issuer, "group",
	    &t->group, "pcrs", &t->pcrs, "eventlog", &t->eventlog, "ima",
	    &t->ima, "config", &t->config) < 0)
		return err_set(err, ERR_FORMAT, "authority.py says something "
		    "else");
	p->attestd = attestd;
	p->kmxd = kmxd;
	snprintf(p->ca, sizeof(p->ca), "%s", t->ca);
	snprintf(p->root_cert, sizeof(p->root_cert), "%s", t->cert);
	snprintf(p->root_key, sizeof(p->root_key), "%s", t->key);
	snprintf(p->issuer, sizeof(p->issuer), "%s", t->issuer);
	snprintf(p->group, sizeof(p->group), "%s", t->group);
	snprintf(p->config, sizeof(p->config), "%s", t->config);
	snprintf(p->file, sizeof(p->file), "%s", t->store);
	if (strlen(t->pcrs) != sizeof(p->pcrs) * 2)
		return err_set(err, ERR_FORMAT, "not %d PCRs", PLACE_PCRS);
	for (size_t i = 0; i < PLACE_PCRS; i++) {
		char hex[2 * PLACE_PCR + 1];

		snprintf(hex, sizeof(hex), "%.64s", t->pcrs + 64 * i);
		(void)hash_unhex(hex, p->pcrs[i], PLACE_PCR);
	}
	return 0;
}

/* The same store and keys that the services have. */
static int
open_store(struct place *p, const struct told *t, struct err *err)
{
	const struct store_config config = { .kind = "sqlite",
		.file = t->store };
	const struct token_times times = { .period = 3600 * 168,
		.lifetime = 3600 };
	struct secret *sealing = NULL;
	int rc;

	if ((rc = service_sealing_key(t->sealing, &sealing, err)) == 0 &&
	    (rc = store_open(&config, &p->store, err)) == 0)
		rc = token_keys_refresh(p->store, sealing, &times, time(NULL),
		    &p->keys, err);
	secret_free(sealing);
	return rc;
}

int
place_start(struct place *p, struct err *err)
{
	char line[LINE_MAX_SIZE];
	json_t *json = NULL;
	struct told told;
	int out[2], rc;

	*p = (struct place){ .hold = -1 };
	if ((rc = start_helper(p, out, err)) < 0)
		return rc;
	if (read_line(out[0], line) < 0 ||
	    (json = json_loads(line, 0, NULL)) == NULL)
		return err_set(err, ERR_CLOSED, "the authority does not come "
		    "up");
	if ((rc = take_json(p, json, &told, err)) == 0 &&
	    (rc = read_file(told.eventlog, &p->eventlog, &p->eventlog_size,
	    err)) == 0 &&
	    (rc = read_file(told.ima, &p->ima, &p->ima_size, err)) == 0 &&
	    (rc = open_store(p, &told, err)) == 0 &&
	    (rc = https_context(p->ca, NULL, NULL, &p->host, err)) == 0)
		rc = https_context(p->ca, p->root_cert, p->root_key,
		    &p->admin, err);
	if (rc == 0)
		rc = http_tls_new(told.server_cert, told.server_key, p->ca,
		    &p->server, err);
	json_decref(json);
	return rc;
}

void
place_stop(struct place *p)
{
	if (p->hold >= 0)
		close(p->hold);
	if (p->pid > 0)
		waitpid(p->pid, NULL, 0);
	p->pid = 0;
	p->hold = -1;
	free(p->eventlog);
	free(p->ima);
	token_keys_free(p->keys);
	store_close(p->store);
	https_context_free(p->host);
	https_context_free(p->admin);
	https_context_free(p->server);
}

int
cpu_used(pid_t pid, double *us, struct err *err)
{
	struct timespec t;
	clockid_t id;

	if (clock_getcpuclockid(pid, &id) != 0 || clock_gettime(id, &t) < 0)
		return err_sys(err, errno, "cannot see what process %d has "
		    "used", (int)pid);
	*us = (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
	return 0;
}

int
resident_kb(pid_t pid, long *kb, struct err *err)
{
	char path[64], line[128];
	FILE *f;

	*kb = 0;
	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	if ((f = fopen(path, "re")) == NULL)
		return err_sys(err, errno, "cannot read %s", path);
	while (*kb == 0 && fgets(line, sizeof(line), f) != NULL)
		(void)sscanf(line, "VmRSS: %ld", kb);
	fclose(f);
	return *kb > 0 ? 0 : err_set(err, ERR_SYSTEM, "no memory in %s", path);
}
