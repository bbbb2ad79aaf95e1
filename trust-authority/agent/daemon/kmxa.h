/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Everything that the daemon has, for its threads: the loop of the socket, the
 * workers that do what it was asked, the attester, the keeper of leases and
 * kept keys, and HTTPS. Each part has its own lock, and none is held over a
 * call to the authority or the TPM, but the TPM's own.
 */
#ifndef AGENT_DAEMON_KMXA_H
#define AGENT_DAEMON_KMXA_H

#include <pthread.h>

#include "trust-authority/agent/daemon/access.h"
#include "trust-authority/agent/daemon/authority.h"
#include "trust-authority/agent/daemon/settings.h"
#include "trust-authority/agent/daemon/trust.h"
#include "trust-authority/agent/host-identity.h"

#define KMXA_VM_LOCKS 64

struct attester;
struct keeper;
struct keys;
struct leases;
struct http_work;
struct https;
struct sock;

struct kmxa {
	struct settings settings;
	struct state_dir state;
	struct {
		pthread_mutex_t lock;	/* a TPM does one thing at a time */
		struct host_tpm tpm;
		struct host_identity id;
		bool known;		/* id is there */
	} host;
	struct authority *authority;
	struct access *access;
	struct trust *trust;
	struct keys *keys;
	struct leases *leases;
	struct attester *attester;
	struct https *https;
	struct keeper *keeper;
	struct sock *sock;
	struct http_work *slow;		/* of requests that wait for the TPM */
	/* What is done about one VM is done in order. */
	pthread_mutex_t vm_lock[KMXA_VM_LOCKS];
};

/* The host's identity, made at the first start. With host.lock held. */
int kmxa_identity(struct kmxa *k, struct err *err);
/* Trust was lost: nothing that was kept stays. */
void kmxa_trust_lost(struct kmxa *k);
void kmxa_vm_lock(struct kmxa *k, const uint8_t vm[UUID_SIZE]);
void kmxa_vm_unlock(struct kmxa *k, const uint8_t vm[UUID_SIZE]);
/* base64url as a JSON string; NULL: no memory. */
json_t *kmxa_json_bytes(const void *data, size_t size);
/* Of a member that is base64url, malloc'ed. ERR_FORMAT: none, or more than
 * max. */
int kmxa_bytes(const json_t *object, const char *name, size_t max,
    uint8_t **data, size_t *size);

#endif
