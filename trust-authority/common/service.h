/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What vta-attestd and vta-kmxd do alike: options, configuration, locked
 * memory, the store, the HTTPS server, signals, readiness, the roles of
 * administrators. A program is a table (struct service_program) and
 * a struct of its own that begins with struct service.
 *
 *   NAME [--config FILE] [--check-config] [--help] [--version]
 *
 * It stays in the foreground. SIGTERM and SIGINT end it after what was begun,
 * SIGHUP reads the TLS certificates anew. When it serves it logs
 * "NAME VERSION listens on ADDRESS port N" and tells the service manager.
 */
#ifndef TRUST_AUTHORITY_COMMON_SERVICE_H
#define TRUST_AUTHORITY_COMMON_SERVICE_H

#include "base/secret.h"
#include "trust-authority/common/change.h"
#include "trust-authority/common/config.h"
#include "trust-authority/common/http-client.h"

#define SERVICE_SEALING_SIZE 32

/* First in the program's own struct; filled before its start is called. */
struct service {
	struct store *store;
	struct secret *sealing;	/* the key that is not in the store */
	const struct authority_config *config;
};

struct service_program {
	const char *name;		/* "vta-attestd" */
	const char *summary;		/* for --help, a line */
	unsigned int default_port;
	const struct keyfile_key *keys;	/* its own, of its own sections */
	size_t key_count;
	/* Begins with struct authority_config; defaults of its own keys are
	 * set. */
	void *config;
	/* What the tables cannot say; NULL: nothing. Also by --check-config. */
	int (*check)(void *config, struct err *err);

	void *service;			/* begins with struct service */
	int (*start)(void *service, struct err *err);
	/* After the last request, also where start has failed. */
	void (*stop)(void *service);
	/* In a thread of its own, first at once, then every tick_seconds;
	 * NULL: none. */
	void (*tick)(void *service);
	unsigned int tick_seconds;
	/* ctx of their handlers is `service`. */
	const struct http_route *routes;
	size_t route_count;
};

/* main's result. */
int service_main(const struct service_program *program, int argc,
    char **argv);

/* The sealing key's file: 64 hexadecimal digits and a newline, readable by its
 * owner (and group) alone. All services of an authority have the same. */
int service_sealing_key(const char *file, struct secret **out,
    struct err *err);
/* A key for one purpose, of the sealing key: HKDF-SHA256 (RFC 5869) with
 * purpose as info. */
int service_derive(const struct secret *sealing, const char *purpose,
    struct secret **out, struct err *err);

#endif
