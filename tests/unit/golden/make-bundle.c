/* SPDX-License-Identifier: BSD-3-Clause */
/* Makes the golden bundle: make-bundle OUT KEY.pem... for those public keys and
 * the published passphrase. Each release's stays as it was made. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "migration/bundle.h"

#define FIRST "the permanent state of the first"
#define REST "and its volatile state"
#define SECOND "the permanent state of the second"

static int
add(struct bundle_writer *w, uint8_t n, const struct nvram_record *records,
    size_t n_records, struct err *err)
{
	struct bundle_vm vm = { .created = 1700000000, .epoch = 6u + n,
		.state_version = 0x000902 };

	memset(vm.uuid, 0x10 + n, sizeof(vm.uuid));
	memset(vm.digest, 0x20 + n, sizeof(vm.digest));
	snprintf(vm.name, sizeof(vm.name), "golden %u", n);
	return bundle_add(w, &vm, records, n_records, err);
}

static struct nvram_record
record(uint32_t kind, const char *text)
{
	return (struct nvram_record){ kind, (const uint8_t *)text,
		strlen(text) };
}

int
main(int argc, char **argv)
{
	static const char words[] = "correct horse battery staple";
	struct recipient *to[BUNDLE_RECIPIENTS_MAX];
	struct nvram_record one[2] = { record(NVRAM_PERMANENT, FIRST),
		record(NVRAM_VOLATILE, REST) };
	struct nvram_record two = record(NVRAM_PERMANENT, SECOND);
	struct bundle_writer *w = NULL;
	struct err err = { 0 };
	size_t n = 0;
	int rc;

	rc = recipient_from_passphrase(&to[n++], secret_from(words,
	    sizeof(words) - 1), &err);
	for (int i = 2; rc == 0 && i < argc && n < BUNDLE_RECIPIENTS_MAX; i++)
		rc = recipient_from_pem(&to[n++], argv[i], &err);
	if (rc == 0 && (rc = bundle_create(&w, argv[1], to, n, 2, 0x000902,
	    &err)) == 0 && (rc = add(w, 1, one, 2, &err)) == 0 &&
	    (rc = add(w, 2, &two, 1, &err)) == 0)
		rc = bundle_finish(w, &err);
	if (rc < 0)
		fprintf(stderr, "make-bundle: %s\n", err.text);
	bundle_writer_free(w);
	return rc < 0;
}
