/* SPDX-License-Identifier: BSD-3-Clause */
/* One request, and what does it. */
#ifndef AGENT_DAEMON_REQUEST_H
#define AGENT_DAEMON_REQUEST_H

#include "trust-authority/agent/daemon/keys.h"
#include "trust-authority/agent/daemon/sock.h"

/* Returned by one that has to wait for the host's TPM: to be called again, with
 * slow set, where it keeps only such from working. */
#define REQUEST_SLOW 1

struct request {
	struct kmxa *k;
	struct sock_peer peer;
	struct agent_message q;		/* points into data */
	bool slow;
	bool quiet;			/* its failure is not logged */

	/* What the answer points to; released after it was written. */
	struct agent_message a;
	struct secret *key;
	char *text;
	uint8_t *bytes[2 * AGENT_CERTS_MAX + 1];
	size_t count;			/* of bytes */
	enum agent_fault fault;		/* with an error */

	size_t size;
	uint8_t data[];
};

/* 0 and r->a, REQUEST_SLOW, or an error and r->fault. */
typedef int request_fn(struct request *r, struct err *err);

/* request-keys.c */
request_fn request_vm_create, request_key_make, request_key_open;
request_fn request_vm_forget, request_ek_certify;
/* request-owner.c */
request_fn request_register, request_acquire, request_confirm;
request_fn request_release, request_check, request_attach;
request_fn request_offer, request_claim, request_reclaim;
/* request-host.c */
request_fn request_hello, request_status, request_attest;
request_fn request_host_export;

/* The text of a message with its NUL; false: longer than the room. */
bool request_text(const struct agent_bytes *text, char *out, size_t room);

#endif
