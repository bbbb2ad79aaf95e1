/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The native protector: this host's own key opens it. Body: id of the host's
 * key (16), nonce, wrapped DEK, tag.
 */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "nvram-crypt/protector-wrap.h"

#define PURPOSE "vtpmd native protector"

static void
make_label(const struct native *n, struct protector *p)
{
	const uint8_t *id = native_key_id(n);
	char host[HOST_NAME_MAX + 1] = "";

	(void)gethostname(host, sizeof(host) - 1);
	snprintf(p->label, sizeof(p->label), "native key %02x%02x%02x%02x of "
	    "host %.32s", id[0], id[1], id[2], id[3], host);
}

static int
native_wrap(const struct protector_creds *creds,
    const struct protector_binding *binding, const struct secret *dek,
    struct protector *p, struct err *err)
{
	const struct secret *key;

	if (creds->native == NULL || native_key(creds->native) == NULL)
		return err_set(err, ERR_KEY,
		    "this host's native key is not open");
	key = native_key(creds->native);
	if (p->label[0] == '\0')
		make_label(creds->native, p);
	memcpy(p->body, native_key_id(creds->native), NATIVE_KEY_ID_SIZE);
	return protector_wrap(secret_bytes(key), secret_size(key), PURPOSE,
	    binding, dek, p, NATIVE_KEY_ID_SIZE, err);
}

static int
native_unwrap(const struct protector_creds *creds,
    const struct protector_binding *binding, const struct protector *p,
    struct secret **dek, struct err *err)
{
	const struct secret *key;

	*dek = NULL;
	if (creds->native == NULL || native_key(creds->native) == NULL)
		return err_set(err, ERR_KEY,
		    "this host's native key is not open");
	if (p->body_size < NATIVE_KEY_ID_SIZE ||
	    memcmp(p->body, native_key_id(creds->native),
	    NATIVE_KEY_ID_SIZE) != 0)
		return err_set(err, ERR_KEY,
		    "it was made by the native key of another host");
	key = native_key(creds->native);
	/* The key is the right one, so a tag that does not fit is damage. */
	return protector_unwrap(secret_bytes(key), secret_size(key), PURPOSE,
	    binding, p, NATIVE_KEY_ID_SIZE, dek, err);
}

const struct protector_ops protector_native_ops = {
	.kind = PROTECTOR_NATIVE,
	.name = "native",
	.wrap = native_wrap,
	.unwrap = native_unwrap,
};
