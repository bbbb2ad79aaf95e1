/* SPDX-License-Identifier: BSD-3-Clause */
/* A state that comes from elsewhere becomes an nvram file of this host; what
 * vtpmctl's ways of importing share. */
#ifndef VTPM_CTL_RECEIVE_H
#define VTPM_CTL_RECEIVE_H

#include "base/uuid.h"
#include "vtpm/vtpmctl.h"

struct ctl_arrival {
	uint8_t uuid[UUID_SIZE];
	const char *name;		/* may be NULL */
	uint32_t state_version;
	struct nvram_record records[2];
	size_t n_records;
	/* What its file claimed where it came from; NULL: it had no epochs,
	 * and the VM must be new here. */
	const struct freshness_claim *claim;
};

/* ctl-trial.c: ERR_TPM where libtpms does not take it. */
int ctl_try_state(const struct ctl_arrival *a, struct err *err);

/* Makes the file with p as its first protector, and the record of freshness say
 * that it is the latest: all of it, or nothing. ERR_STALE where the record
 * knows of a later state, unless accept; ERR_EXISTS where path is there.
 * *epoch is the file's. For any number of arrivals with the same ctl and p. */
int ctl_receive(struct ctl *ctl, const struct ctl_protector *p,
    const struct ctl_arrival *a, const char *path, bool accept,
    uint64_t *epoch, struct err *err);

/* A VM of ctl-import.c's result, and all of it. */
json_t *ctl_received(const struct ctl_arrival *a, const char *path,
    const struct ctl_protector *p, uint64_t epoch);
void ctl_print_received(const json_t *one);

/* ctl-import-swtpm.c: the operand FILE of what swtpm keeps in source. */
struct ctl_import_swtpm {
	const char *source, *key, *uuid, *name;
};
int ctl_import_swtpm(struct ctl *ctl, const struct ctl_protector *p,
    const struct ctl_import_swtpm *args, struct err *err);

#endif
