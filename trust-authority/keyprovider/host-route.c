/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/keyprovider/host-route.h"

#include <stdlib.h>
#include <string.h>

#include "trust-authority/common/base64url.h"
#include "trust-authority/common/jwe.h"

#define KEY_TYP "vtpm-key"

int
host_answer(const struct http_request *request, struct http_answer *answer,
    int rc, struct err *err)
{
	struct http_peer peer = request->peer;
	int status;

	/* The KMS has lost a key: not what a host has asked for by mistake. */
	if (rc == ERR_NOTFOUND && answer->fault != NULL &&
	    strcmp(answer->fault, "kms") == 0)
		rc = err_as(err, ERR_CLOSED);
	status = http_status_of(rc);
	if (rc >= 0 || answer->fault == NULL ||
	    (strcmp(answer->fault, "kms") != 0 &&
	    strcmp(answer->fault, "epoch") != 0))
		return rc;
	if (rc == ERR_BUSY && strcmp(answer->fault, "epoch") == 0)
		status = 409;
	peer.certified = true;
	http_answer_problem(answer, status, &peer, err);
	return 0;
}

int
host_seal(const struct bearer *b, const struct secret *key, json_t **out,
    struct err *err)
{
	char *text = NULL;
	int rc = jwe_seal(b->claims.transport, KEY_TYP, key, &text, err);

	if (rc == 0 && (*out = json_string(text)) == NULL)
		rc = err_set(err, ERR_SYSTEM, "no memory for an answer");
	free(text);
	return rc;
}

json_t *
bytes_json(const void *data, size_t size)
{
	char *text = malloc(BASE64URL_SIZE(size) + 1);
	json_t *json = NULL;

	if (text != NULL) {
		base64url_encode(data, size, text);
		json = json_string(text);
	}
	free(text);
	return json;
}
