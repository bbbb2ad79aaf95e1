/* SPDX-License-Identifier: BSD-3-Clause */
/* The record of kind vm-epoch. */
#ifndef TRUST_AUTHORITY_KEYPROVIDER_EPOCH_RECORD_H
#define TRUST_AUTHORITY_KEYPROVIDER_EPOCH_RECORD_H

#include "trust-authority/keyprovider/epoch.h"
#include "trust-authority/keyprovider/record.h"

#define EPOCH_KIND "vm-epoch"

/* ERR_NOTFOUND: none was registered. */
int epoch_load(struct store *store, const char *vm, struct epoch_record *r,
    uint64_t *version, struct err *err);
/* Of json, which is the record of vm. */
int epoch_read(const json_t *json, const char *vm, struct epoch_record *r,
    struct err *err);
/* NULL: no memory. */
json_t *epoch_json(const struct epoch_record *r);
/* Free it. */
char *epoch_text(const struct epoch_record *r);

#endif
