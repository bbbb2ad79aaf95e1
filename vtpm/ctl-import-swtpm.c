/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <string.h>

#include "migration/swtpm-state.h"
#include "vtpm/ctl-receive.h"
#include "vtpm/tpm.h"

static void
print(const json_t *one)
{
	ctl_print_received(one);
	printf("The copy that swtpm has must not be used any more: remove "
	    "%s\n", ctl_text(one, "from"));
}

static int
receive(struct ctl *ctl, const struct ctl_protector *p,
    const struct ctl_import_swtpm *args, const struct swtpm_states *s,
    struct err *err)
{
	/* Which libtpms wrote it is not said. This one takes it, or the import
	 * fails, and from the first change on it is this one that wrote. */
	struct ctl_arrival a = { .name = args->name,
		.state_version = tpm_library_version(), .n_records = 1 };
	uint64_t epoch;
	json_t *result;
	int rc;

	if ((rc = ctl_parse_vm(args->uuid, args->name, a.uuid, err)) < 0)
		return rc;
	a.records[0] = (struct nvram_record){ NVRAM_PERMANENT,
		secret_bytes(s->permanent), secret_size(s->permanent) };
	if (s->volatile_state != NULL)
		a.records[a.n_records++] = (struct nvram_record){
			NVRAM_VOLATILE, secret_bytes(s->volatile_state),
			secret_size(s->volatile_state) };
	if ((rc = ctl_receive(ctl, p, &a, ctl->operands[0], false, &epoch,
	    err)) < 0)
		return rc;
	result = ctl_received(&a, ctl->operands[0], p, epoch);
	json_object_set_new(result, "from", ctl_json_text(args->source));
	return ctl_print(ctl, result, print, err);
}

int
ctl_import_swtpm(struct ctl *ctl, const struct ctl_protector *p,
    const struct ctl_import_swtpm *args, struct err *err)
{
	struct swtpm_states states = { .lock = -1 };
	struct swtpm_key *key = NULL;
	int rc = 0;

	if (args->key != NULL)
		rc = swtpm_key_parse(&key, args->key, err);
	if (rc == 0 && (rc = swtpm_state_read(&states, args->source, key,
	    err)) == 0)
		rc = receive(ctl, p, args, &states, err);
	swtpm_states_free(&states);
	swtpm_key_free(key);
	return rc;
}
