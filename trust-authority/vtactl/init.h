/* SPDX-License-Identifier: BSD-3-Clause */
/* What vtactl init was asked for, and its steps. */
#ifndef TRUST_AUTHORITY_VTACTL_INIT_H
#define TRUST_AUTHORITY_VTACTL_INIT_H

#include "trust-authority/common/store.h"
#include "trust-authority/vtactl/place.h"

#define INIT_CA_DAYS 3650
#define INIT_SERVICE_DAYS 825
#define INIT_ADMIN_DAYS 365
#define INIT_ADDRESSES_SIZE 2048

struct init {
	const char *dir, *name, *addresses, *admin, *state_dir, *user;
	struct {
		const char *urls, *prefix, *ca, *certificate, *key;
	} etcd;				/* urls NULL: SQLite */
	long attestd_port, kmxd_port;
	char store_file[4096];
	struct place place;
	struct identity ca, ek_ca, attestd, kmxd, administrator;
	char fingerprint[IDENTITY_FINGERPRINT_SIZE];
};

/* init-files.c: the configuration files into the place. */
int init_write_files(struct init *in, struct err *err);
/* "https://ADDRESS:PORT ..." for all of addresses. */
int init_urls(const struct init *in, long port, char *out, size_t room,
    struct err *err);

/* init-store.c: looks whether the store may be used, so that a mistake is
 * known before anything is made. */
int init_store_open(struct init *in, struct store **out, struct err *err);
/* The first administrator's record, and the first of the audit. */
int init_store_fill(struct init *in, struct store *store, struct err *err);
/* SQLite's files to the services' user, once the store is closed. */
int init_store_give(const struct init *in, struct err *err);

#endif
