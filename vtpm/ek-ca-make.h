/* SPDX-License-Identifier: BSD-3-Clause */
/* Making the EK CA's keys and certificates; used by ek-ca.c alone. */
#ifndef VTPM_EK_CA_MAKE_H
#define VTPM_EK_CA_MAKE_H

#include <openssl/crypto.h>

#include "base/err.h"
#include "nvram-crypt/native-dir.h"

#define EK_CA_DIR "ca"
#define EK_CA_ROOT_KEY "root.key"
#define EK_CA_ROOT_CERT "root.pem"
#define EK_CA_ISSUING_KEY "issuing.key"
#define EK_CA_ISSUING_CERT "issuing.pem"

/* Makes STATE_DIR/ca whole or not at all; where another process was first,
 * its CA stays. state_fd is STATE_DIR, path its name for messages. */
int ek_ca_make(int state_fd, const char *path,
    const struct native_owner *owner, OSSL_LIB_CTX *ctx, struct err *err);
/* Removes what makers that died have left beside it. */
void ek_ca_clean(int state_fd, const struct native_owner *owner);

#endif
