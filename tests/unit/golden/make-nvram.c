/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Writes the file that golden/nvram-N.bin is a copy of, and that
 * golden/read-nvram.py is asked to read: make-nvram FILE. With "authority",
 * golden/nvram-N-authority.bin, which has that protector too.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nvram-crypt/nvram.h"
#include "tests/unit/agent-for-tests.h"
#include "tests/unit/native-for-tests.h"

static const uint8_t uuid[UUID_SIZE] = { 0x11, 0x22, 0x33, 0x44, 0x55, 0x66,
	0x47, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff, 0x01 };
static const char permanent[] = "permanent state of the golden file";
static const char old[] = "the state before";
static const char passphrase[] = "golden words";

static int
fill(const char *path, const struct protector_creds *creds, struct err *err)
{
	struct nvram_record before = { NVRAM_PERMANENT, (const uint8_t *)old,
		sizeof(old) - 1 };
	struct nvram_record now[] = {
		{ NVRAM_PERMANENT, (const uint8_t *)permanent,
		    sizeof(permanent) - 1 },
		{ NVRAM_VOLATILE, (const uint8_t *)"volatile", 8 },
	};
	struct nvram_create_args args = { .path = path, .name = "golden",
		.state_version = 0x00090002,
		.protector = protector_ops_by_name("native"), .creds = creds,
		.records = &before, .n_records = 1, .slot_size = 8192 };
	struct nvram *nv = NULL;
	int rc;

	memcpy(args.uuid, uuid, sizeof(uuid));
	if ((rc = nvram_create(&args, err)) < 0 ||
	    (rc = nvram_open(&nv, path, true, err)) < 0)
		return rc;
	if ((rc = nvram_unlock(nv, creds, err)) == 0 &&
	    (rc = nvram_acquire(nv, NULL, false, err)) == 0 &&
	    (rc = nvram_protector_add(nv, protector_ops_by_name("passphrase"),
	    creds, "golden passphrase", err)) == 0 &&
	    (creds->agent == NULL || (rc = nvram_protector_add(nv,
	    protector_ops_by_name("authority"), creds, NULL, err)) == 0) &&
	    (rc = nvram_commit(nv, now, 2, err)) == 0)
		rc = nvram_release(nv, err);
	nvram_close(nv);
	return rc;
}

int
main(int argc, char **argv)
{
	struct native *native = native_for_tests(0x42, -1);
	struct secret *words = secret_from(passphrase,
	    sizeof(passphrase) - 1);
	struct protector_creds creds = { .native = native,
		.passphrase = words };
	struct err err = { 0 };
	int rc;

	if (argc != 2 && (argc != 3 || strcmp(argv[2], "authority") != 0)) {
		fprintf(stderr, "usage: make-nvram FILE [authority]\n");
		return 2;
	}
	if (argc == 3)
		creds.agent = agent_for_tests_new();
	if ((rc = fill(argv[1], &creds, &err)) < 0)
		fprintf(stderr, "make-nvram: %s\n", err.text);
	agent_free(creds.agent);
	native_for_tests_free(native);
	secret_free(words);
	return rc < 0;
}
