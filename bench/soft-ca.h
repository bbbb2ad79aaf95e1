/* SPDX-License-Identifier: BSD-3-Clause */
/* EK certificates as makers of TPMs issue them (TCG EK Credential Profile). */
#ifndef BENCH_SOFT_CA_H
#define BENCH_SOFT_CA_H

#include "bench/soft-host.h"

/* NULL: OpenSSL cannot. rsa: what kind of key it is. */
X509 *soft_ca_certify(const struct soft_ca *ca, EVP_PKEY *key, bool rsa);

#endif
