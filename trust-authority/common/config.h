/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the configuration files of vta-attestd, vta-kmxd, vta-kmxa and vtactl
 * have in common. A program puts struct authority_config first into its own
 * struct, its own keys into a table of its own (base/keyfile.h), and reads
 * both at once.
 */
#ifndef TRUST_AUTHORITY_COMMON_CONFIG_H
#define TRUST_AUTHORITY_COMMON_CONFIG_H

#include <limits.h>

#include "base/keyfile.h"
#include "base/log.h"

#define CONFIG_OWN_KEYS_MAX 32

/* Which of the common sections a program has. */
enum {
	CONFIG_SERVER = 1,	/* [server]: it listens */
	CONFIG_STORE = 2,	/* [store]: it keeps state */
	CONFIG_AUTHORITY = 4,	/* [authority]: it is one of its services */
};

struct authority_config {
	struct {
		char address[64];	/* an IP address */
		long port;		/* 0: any; -1: not given */
		char certificate[PATH_MAX], key[PATH_MAX];	/* PEM */
		char client_ca[PATH_MAX];	/* PEM; empty: none asked */
		long workers;
		long connections;		/* at a time, in all */
		long connections_per_peer;	/* by address */
		long request_seconds;		/* to come in, to go out */
	} server;
	struct {
		char kind[16];		/* sqlite or etcd */
		char file[PATH_MAX];	/* sqlite */
		char endpoints[512];	/* etcd: URLs with spaces between */
		char prefix[64];
		char ca[PATH_MAX], certificate[PATH_MAX], key[PATH_MAX];
	} store;
	struct {
		char name[65];		/* as the nvram files' labels say it */
		char url[256];		/* iss of its tokens */
		char sealing_key[PATH_MAX];	/* service_sealing_key */
	} authority;
	struct {
		char target[PATH_MAX];	/* base/log.h */
		enum log_level level;
	} log;
};

/* Reads file, which must exist, into config, a struct that begins with struct
 * authority_config, whose other fields the caller has set to their defaults.
 * sections: CONFIG_*. [log] is always there. ERR_USAGE with file and line. */
int authority_config_read(const char *file, unsigned int sections,
    const struct keyfile_key *own, size_t own_count, void *config,
    struct err *err);

#endif
