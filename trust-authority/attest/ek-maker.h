/* SPDX-License-Identifier: BSD-3-Clause */
/* The TPM's maker in an EK certificate. */
#ifndef ATTEST_EK_MAKER_H
#define ATTEST_EK_MAKER_H

#include <openssl/types.h>

#include "trust-authority/attest/ek-cert.h"

/* From a certificate that was verified; printable ASCII alone. */
void ek_maker_read(X509 *cert, struct ek_maker *maker);

#endif
