/* SPDX-License-Identifier: BSD-3-Clause */
/* A small nvram file on a fault store, and a temporary directory. */
#ifndef TESTS_UNIT_NVRAM_FIXTURE_H
#define TESTS_UNIT_NVRAM_FIXTURE_H

#include <stdbool.h>

#include "nvram-crypt/nvram.h"
#include "tests/fault/fault-store.h"
#include "tests/unit/native-for-tests.h"

#define FIXTURE_SLOT_SIZE 8192u
#define FIXTURE_SB_SIZE 12288u
#define FIXTURE_FILE_SIZE (2 * FIXTURE_SB_SIZE + 2 * FIXTURE_SLOT_SIZE)
#define FIXTURE_STATE_SIZE 700u

extern const uint8_t fixture_uuid[UUID_SIZE];
extern char fixture_log[4096];	/* the last line or event logged */

struct fixture {
	char dir[64];		/* temporary; empty until fixture_dir */
	int records_fd;
	struct native *native;
	struct protector_creds creds;
	struct fault_store *store;
};

/* A file that holds state 0 (see fixture_commit), with a native protector. */
void fixture_make(struct fixture *fx);
/* A temporary directory with DIR/records; before fixture_make. */
void fixture_dir(struct fixture *fx);
void fixture_free(struct fixture *fx);

/* Opens and unlocks: 0 and *nv, or the code. */
int fixture_unlock(struct fixture *fx, struct nvram **nv);
/* And acquires without a freshness record; aborts the test on failure. */
struct nvram *fixture_acquire(struct fixture *fx);
/* Commits state n: two records filled with bytes that tell n. */
int fixture_commit(struct nvram *nv, unsigned int n);
/* The same with nvram_commit_unsynced. */
int fixture_commit_unsynced(struct nvram *nv, unsigned int n);
/* Which state this is, or -1 when it is none that fixture_commit wrote. */
int fixture_state(const struct nvram *nv);

#endif
