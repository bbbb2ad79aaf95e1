/* SPDX-License-Identifier: BSD-3-Clause */
/* The nodes of one KMS: which of them an operation goes to, and to which next
 * when that one fails. */
#ifndef TRUST_AUTHORITY_KMIP_POOL_H
#define TRUST_AUTHORITY_KMIP_POOL_H

#include <pthread.h>

#include "trust-authority/kmip/node.h"
#include "trust-authority/kmip/operations.h"

struct kmip {
	pthread_mutex_t lock;	/* of the nodes' fields that change */
	struct kmip_config config;	/* defaults filled in; its pointers are
					 * not valid after kmip_new */
	char server_name[KMIP_TEXT_SIZE];
	SSL_CTX *tls;
	struct node nodes[KMIP_NODES_MAX];
	size_t count;
};

/* What a call came to, beside its code. */
struct call {
	/* An earlier try may have done it already. */
	bool maybe_done;
	const struct node *node;	/* that answered; NULL for none */
	struct kmip_version version;
};

/* Runs op on the first node that works. The err says which. */
int pool_call(struct kmip *k, const struct operation *op, const void *in,
    void *out, struct call *call, struct err *err);

/* Tries node i whether it is well, once. */
void pool_probe(struct kmip *k, size_t i);

#endif
