/* SPDX-License-Identifier: BSD-3-Clause */
/* vta-kmxa.conf(5). */
#ifndef AGENT_DAEMON_SETTINGS_H
#define AGENT_DAEMON_SETTINGS_H

#include <stdbool.h>

#include "trust-authority/agent/host-tpm.h"
#include "trust-authority/common/config.h"

#define SETTINGS_URLS_MAX 8
#define SETTINGS_URL_MAX 256

/* Of a service: several nodes, asked in turn. */
struct urls {
	size_t count;
	char url[SETTINGS_URLS_MAX][SETTINGS_URL_MAX];
};

struct settings {
	struct authority_config common;		/* [log] */
	struct {
		char name[65];			/* what the host calls itself */
		char state[PATH_MAX];
		char socket[PATH_MAX];
	} agent;
	struct {
		char ca[PATH_MAX];
		struct urls attestd, kmxd;
		long timeout;			/* seconds, of one call */
		long retry;			/* seconds, the longest pause */
		char intermediates[PATH_MAX];	/* of the EK's certificate */
	} authority;
	struct {
		char helper[PATH_MAX];
		char tcti[256], ek[32], ak[32];
		char eventlog[PATH_MAX], ima_log[PATH_MAX];
		long timeout;			/* seconds */
	} tpm;
	struct {
		bool keep, prefetch;
		struct pcr_set pcrs;		/* of kept keys */
	} keys;
	struct {
		char all[512], create[512];	/* users */
		char file[PATH_MAX];
	} access;
	struct {
		char address[64];
		long port;
	} server;
};

/* ERR_USAGE with file and line. */
int settings_read(const char *file, struct settings *s, struct err *err);
/* What host-tpm.h takes; points into s. */
void settings_host_tpm(const struct settings *s, struct host_tpm *out);

#endif
