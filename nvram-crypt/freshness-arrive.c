/* SPDX-License-Identifier: BSD-3-Clause */
/* The host's record of a VM that comes without its file. */
#include <inttypes.h>
#include <string.h>

#include "nvram-crypt/freshness-file.h"

int
freshness_record_fd(const struct native *n, const uint8_t uuid[UUID_SIZE],
    bool make, uint64_t epoch, int *fd, struct err *err)
{
	struct freshness_record r = { .state = FRESHNESS_CLEAN,
		.generation = 1, .epoch = epoch };
	int rc = freshness_file_open(n, uuid, fd, err);

	if (rc != ERR_NOTFOUND || !make)
		return rc;
	memcpy(r.uuid, uuid, UUID_SIZE);
	if ((rc = freshness_file_make(n, &r, err)) < 0)
		return rc;
	return freshness_file_open(n, uuid, fd, err);
}

int
freshness_record_judge(int fd, const uint8_t uuid[UUID_SIZE], uint64_t epoch,
    uint64_t *last, struct err *err)
{
	struct freshness_record r;
	int rc;

	*last = 0;
	if ((rc = freshness_file_lock(fd, uuid, err)) < 0 ||
	    (rc = freshness_file_read(fd, uuid, &r, err)) < 0)
		return rc;
	*last = r.epoch;
	if (epoch > r.epoch)
		return 0;
	return err_set(err, ERR_STALE, "it is not later than what this host "
	    "has had of the VM: it was taken at epoch %" PRIu64 ", and the "
	    "VM's record here is at %" PRIu64, epoch, r.epoch);
}
