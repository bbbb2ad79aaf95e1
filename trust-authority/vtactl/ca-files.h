/* SPDX-License-Identifier: BSD-3-Clause */
/* The authority's CA with its key, where that is. */
#ifndef TRUST_AUTHORITY_VTACTL_CA_FILES_H
#define TRUST_AUTHORITY_VTACTL_CA_FILES_H

#include "trust-authority/vtactl/identity.h"
#include "trust-authority/vtactl/vtactl.h"

/* The directory of the configuration's ca. */
void ca_files_dir(const struct vtactl *v, char *out, size_t room);
/* key NULL: private/ca.key beside the certificate. */
int ca_files_load(struct vtactl *v, const char *key, struct identity *ca,
    struct err *err);

#endif
