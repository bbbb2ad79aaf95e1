/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The platform certificate: which VM the TPM of an EK certificate belongs to.
 *
 * TCG Platform Certificate Profile v1.1 knows attribute certificates (RFC
 * 5755; credential type 2.23.133.8.2, tcg-kp-PlatformAttributeCertificate)
 * that point at the EK certificate; a public key certificate
 * (2.23.133.8.4) came with v2 and certifies a key of the platform's own, which
 * a VM does not have. swtpm_setup writes a public key certificate of the EK
 * under the attribute certificate's OID, which is neither. So this is an
 * attribute certificate: holder is the EK certificate's issuer and serial
 * number, platformSerial the VM's UUID.
 *
 * The VM's name is not in it: names change, and need not be told to guests.
 */
#ifndef VTPM_PLATFORM_CERT_H
#define VTPM_PLATFORM_CERT_H

#include <stdint.h>

#include "base/uuid.h"
#include "vtpm/ek-cert.h"

int platform_cert_make(struct ek_ca *ca, const struct ek_cert *ek,
    const uint8_t uuid[UUID_SIZE], struct ek_cert *out, struct err *err);

#endif
