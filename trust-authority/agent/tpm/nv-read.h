/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef AGENT_TPM_NV_READ_H
#define AGENT_TPM_NV_READ_H

#include "nvram-crypt/hostkey/hosttpm.h"

/* All of an NV index, by its own empty password or the owner's, as its
 * attributes allow. *size 0 where there is no such index. */
int nv_read(struct hosttpm *t, TPMI_RH_NV_INDEX index, uint8_t *data,
    size_t room, size_t *size, struct err *err);

#endif
