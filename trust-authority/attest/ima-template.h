/* SPDX-License-Identifier: BSD-3-Clause */
/* What an entry of the IMA log consists of, template by template. */
#ifndef ATTEST_IMA_TEMPLATE_H
#define ATTEST_IMA_TEMPLATE_H

#include "trust-authority/attest/ima-log.h"

#define IMA_TEMPLATE_NAME_MAX 32

/* Reads what follows the template's name and fills in all but pcr and
 * violation. */
int ima_template_read(struct buf *in, const uint8_t *name, size_t name_size,
    struct ima_entry *entry, struct err *err);
/* The hash of the entry's template data, as it is extended. */
int ima_template_digest(const struct ima_entry *entry, struct hasher *h,
    uint8_t out[HASH_MAX], struct err *err);

#endif
