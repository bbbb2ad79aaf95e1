/* SPDX-License-Identifier: BSD-3-Clause */
/* Between the parts of windows-check. */
#ifndef VTPM_WINDOWS_INTERNAL_H
#define VTPM_WINDOWS_INTERNAL_H

#include "vtpm/windows-check.h"

/* What doc/windows.md calls its sources. */
#define SOURCE_PROFILE "HLK TPM V2.0 Command and Signal Profile"
#define SOURCE_DEVICE "Device.TrustedPlatformModule.TPM20.Features"
#define SOURCE_EKCERT "Device.TrustedPlatformModule.TPM20.EKCert"
#define SOURCE_SYSTEM "System.Fundamentals.TPM20.TPM20"
#define SOURCE_PTP "TCG PC Client Platform TPM Profile"
#define SOURCE_FUNDAMENTALS "Microsoft, TPM fundamentals"
#define SOURCE_READY "Microsoft, Win32_Tpm::IsReadyInformation"
#define SOURCE_PROVISIONING "TCG TPM v2.0 Provisioning Guidance 7.5.1"
#define SOURCE_EVENT "Microsoft, TPM-WMI event 1040"
#define SOURCE_LIBTPMS "libtpms issue 217"

/* Adds a check; remedy is kept only where the verdict is not WINDOWS_OK. */
void windows_add(struct windows_report *r, enum windows_verdict verdict,
    const char *name, const char *source, const char *remedy,
    const char *found, ...) __attribute__((format(printf, 6, 7)));

#define TPM_ALG_SHA256_ID 0x000bu

/* TPMA_PERMANENT, Part 2, 8.6 */
#define OWNER_AUTH_SET 0x00000001u
#define ENDORSEMENT_AUTH_SET 0x00000002u
#define LOCKOUT_AUTH_SET 0x00000004u
#define DISABLE_CLEAR 0x00000100u
#define IN_LOCKOUT 0x00000200u

/* What each part asks. An error is one of asking, not a shortfall. */
int windows_able(struct windows_report *r, struct err *err);
int windows_state(struct windows_report *r, uint32_t permanent,
    struct err *err);
int windows_room(struct windows_report *r, struct err *err);
int windows_keys(struct windows_report *r, uint32_t permanent,
    struct err *err);

#endif
