/* SPDX-License-Identifier: BSD-3-Clause */
/* What vtpmctl's ways of exporting share. */
#ifndef VTPM_CTL_EXPORT_H
#define VTPM_CTL_EXPORT_H

#include "vtpm/vtpmctl.h"

/* A stopped VM's state, until ctl_export_close, which is called whether or not
 * ctl_export_open succeeds. */
struct ctl_export {
	struct ctl ctl;
	struct nvram *nv;
	struct nvram_record records[2];
	size_t n_records;
};
int ctl_export_open(const struct ctl *ctl, const char *file,
    struct ctl_export *e, struct err *err);
void ctl_export_close(struct ctl_export *e);

/* "WHAT: 3 of 50" to standard error, where there are several. */
void ctl_progress(const struct ctl *ctl, const char *what, size_t done,
    size_t all);

/* ctl-export-swtpm.c: operand 0's state to directory. key may be NULL. */
int ctl_export_swtpm(struct ctl *ctl, const char *directory, const char *key,
    bool decrypt, struct err *err);

#endif
