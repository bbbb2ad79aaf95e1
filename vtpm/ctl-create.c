/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "vtpm/manufacture.h"
#include "vtpm/tpm.h"
#include "vtpm/vtpmctl.h"

static const char *vm_uuid, *vm_name, *banks, *protector, *eks, *srk;

static const struct ctl_option options[] = {
	{ "uuid", "UUID", "of the VM (default: a random one)", &vm_uuid,
	    NULL },
	{ "name", "NAME", "of the VM, for people", &vm_name, NULL },
	{ "protector", "PROTECTOR", "who can open the file: native (default), "
	    "passphrase:fd=N, authority[:GROUP]", &protector, NULL },
	{ "pcr-banks", "LIST", "active banks: sha1, sha256 (default), sha384, "
	    "sha512", &banks, NULL },
	{ "ek", "LIST", "endorsement keys: rsa2048, rsa3072, p384, p256 (default "
	    "rsa2048,p384), or none", &eks, NULL },
	{ "srk", "KEY", "storage root key: rsa2048 (default), p256 or none", &srk,
	    NULL },
	{ 0 },
};

static int
check_name(const char *name, struct err *err)
{
	json_t *json;

	if (name == NULL)
		return 0;
	/* It is shown to people, by us and by others. */
	for (const char *c = name; *c != '\0'; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			return err_set(err, ERR_USAGE,
			    "the name has a control character in it");
	if ((json = json_string(name)) == NULL)
		return err_set(err, ERR_USAGE, "the name is not UTF-8");
	json_decref(json);
	if (strlen(name) >= NVRAM_NAME_SIZE)
		return err_set(err, ERR_USAGE, "the name is longer than %d "
		    "bytes", NVRAM_NAME_SIZE - 1);
	return 0;
}

int
ctl_parse_vm(const char *uuid_text, const char *name,
    uint8_t uuid[UUID_SIZE], struct err *err)
{
	int rc;

	if ((rc = check_name(name, err)) < 0)
		return rc;
	if (uuid_text == NULL && (rc = uuid_generate(uuid)) < 0)
		return err_set(err, rc, "cannot make a random UUID");
	if (uuid_text != NULL && uuid_parse(uuid_text, uuid) < 0)
		return err_set(err, ERR_USAGE, "'%s' is not a UUID as in "
		    "6ba7b810-9dad-41d1-80b4-00c04fd430c8", uuid_text);
	return 0;
}

static int
parse_plan(struct manufacture_plan *plan, struct err *err)
{
	int rc;

	memset(plan, 0, sizeof(*plan));
	if ((rc = ctl_parse_vm(vm_uuid, vm_name, plan->uuid, err)) < 0)
		return rc;
	rc = manufacture_parse_banks(plan, banks != NULL ? banks : "sha256",
	    err);
	if (rc == 0)
		rc = manufacture_parse_eks(plan,
		    eks != NULL ? eks : "rsa2048,p384", err);
	if (rc == 0)
		rc = manufacture_parse_srk(plan,
		    srk != NULL ? srk : "rsa2048", err);
	return rc;
}

static json_t *
describe(const char *path, const struct manufacture_plan *plan,
    const struct protector_ops *ops, const struct nvram_record *record)
{
	json_t *bank_list = json_array(), *ek_list = json_array(), *srk_made;
	char handle[16], index[16];

	for (size_t i = 0; i < plan->n_banks; i++)
		json_array_append_new(bank_list, json_string(
		    manufacture_bank_name(plan->banks[i])));
	for (size_t i = 0; i < plan->n_eks; i++) {
		snprintf(handle, sizeof(handle), "0x%08x",
		    plan->eks[i]->handle);
		snprintf(index, sizeof(index), "0x%08x",
		    plan->eks[i]->cert_index);
		json_array_append_new(ek_list, json_pack("{s:s, s:s, s:s}",
		    "key", plan->eks[i]->name, "handle", handle,
		    "certificate", index));
	}
	srk_made = json_null();
	if (plan->srk != NULL) {
		snprintf(handle, sizeof(handle), "0x%08x", plan->srk->handle);
		srk_made = json_pack("{s:s, s:s}", "key", plan->srk->name,
		    "handle", handle);
	}
	return json_pack("{s:o, s:o, s:s, s:s, s:o, s:o, s:o, s:I}",
	    "file", ctl_json_text(path), "uuid", ctl_json_uuid(plan->uuid),
	    "name", vm_name != NULL ? vm_name : "", "protector", ops->name,
	    "pcr_banks", bank_list, "eks", ek_list,
	    "srk", srk_made,
	    "state_size", (json_int_t)record->size);
}

static void
print_names(const json_t *list, const char *key)
{
	const json_t *item;

	for (size_t i = 0; i < json_array_size(list); i++) {
		item = json_array_get(list, i);
		printf("%s%s", i > 0 ? ", " : "", key != NULL ?
		    ctl_text(item, key) : json_string_value(item));
	}
	printf("\n");
}

static void
print(const json_t *c)
{
	printf("%s: TPM 2.0 made for VM %s%s%s\n", ctl_text(c, "file"),
	    ctl_text(c, "uuid"), ctl_text(c, "name")[0] != '\0' ? " " : "",
	    ctl_text(c, "name"));
	printf("  opened by  %s\n  PCR banks  ", ctl_text(c, "protector"));
	print_names(json_object_get(c, "pcr_banks"), NULL);
	printf("  EKs        ");
	print_names(json_object_get(c, "eks"), "key");
	printf("  SRK        %s\n", json_is_null(json_object_get(c, "srk")) ?
	    "" : ctl_text(json_object_get(c, "srk"), "key"));
}

static int
make_state(struct ctl *ctl, const struct manufacture_plan *plan,
    struct secret **state, struct err *err)
{
	struct native_config native = config_native(&ctl->config);
	struct ek_ca *ca = NULL;
	int rc;

	if (plan->certify != NULL || plan->n_eks == 0)
		return manufacture(plan, NULL, state, err);
	if ((rc = ek_ca_open(&ca, &native, true, err)) < 0)
		return rc;
	rc = manufacture(plan, ca, state, err);
	ek_ca_free(ca);
	return rc;
}

static int
create(struct ctl *ctl, const struct manufacture_plan *plan,
    const struct protector_ops *ops, const struct secret *passphrase,
    bool *made, struct err *err)
{
	const struct protector_creds creds = { .native = ctl->native,
		.passphrase = passphrase, .agent = ctl->agent };
	struct nvram_record record = { .kind = NVRAM_PERMANENT };
	struct nvram_create_args args = { .path = ctl->operands[0],
		.name = vm_name, .state_version = tpm_library_version(),
		.protector = ops, .creds = &creds, .records = &record,
		.n_records = 1, .freshness = ctl->freshness };
	struct secret *state = NULL;
	int rc;

	memcpy(args.uuid, plan->uuid, UUID_SIZE);
	if ((rc = make_state(ctl, plan, &state, err)) < 0)
		return rc;
	record.data = secret_bytes(state);
	record.size = secret_size(state);
	rc = nvram_create(&args, err);
	*made = rc == 0;
	if (rc == 0)
		rc = ctl_print(ctl, describe(args.path, plan, ops, &record),
		    print, err);
	secret_free(state);
	return rc;
}

/* The VM first at the authority, its file last: whatever fails, nothing is
 * left. */
static int
create_at_authority(struct ctl *ctl, struct manufacture_plan *plan,
    const struct ctl_protector *p, struct err *err)
{
	bool made = false;
	int rc;

	if ((rc = ctl_load_config(ctl, err)) < 0 ||
	    (rc = ctl_use_authority(ctl, err)) < 0 ||
	    (rc = ctl_authority_create(ctl, plan->uuid, vm_name, p->group,
	    err)) < 0)
		return rc;
	ctl_authority_certify(ctl, plan);
	rc = create(ctl, plan, p->ops, NULL, &made, err);
	if (!made)
		ctl_authority_undo(ctl, plan->uuid);
	return rc;
}

static int
create_here(struct ctl *ctl, const struct manufacture_plan *plan,
    const struct ctl_protector *p, struct err *err)
{
	bool made;
	int rc = p->secret != NULL ? ctl_load_records(ctl, err) :
	    ctl_load_host(ctl, true, err);

	return rc < 0 ? rc : create(ctl, plan, p->ops, p->secret, &made, err);
}

static int
run(struct ctl *ctl, struct err *err)
{
	struct ctl_protector p;
	struct manufacture_plan plan;
	struct stat st;
	int rc;

	if (ctl->passphrase_fd != NULL)
		return err_set(err, ERR_USAGE, "a new file's passphrase comes "
		    "with --protector passphrase:fd=N");
	if ((rc = parse_plan(&plan, err)) < 0)
		return rc;
	/* nvram_create never replaces a file; this only saves the work. */
	if (lstat(ctl->operands[0], &st) == 0)
		return err_set(err, ERR_EXISTS, "%s exists already",
		    ctl->operands[0]);
	if ((rc = ctl_parse_protector(protector != NULL ? protector : "native",
	    &p, err)) < 0)
		return rc;
	rc = p.ops->kind == PROTECTOR_AUTHORITY ?
	    create_at_authority(ctl, &plan, &p, err) :
	    create_here(ctl, &plan, &p, err);
	secret_free(p.secret);
	return rc;
}

const struct ctl_command ctl_create = {
	.name = "create",
	.operands = "FILE",
	.n_operands = 1,
	.summary = "Make a new TPM 2.0 in a new nvram file",
	.details = "Endorsement keys with certificates of this host's CA "
	    "(made on first use), platform\ncertificate, storage root key. "
	    "Never replaces a file.\n"
	    "With authority[:GROUP] the trust authority keeps the key, gives "
	    "it to the hosts of the\ngroup (default: this host's), keeps "
	    "the record of which copy is the latest, and\ncertifies the EKs; "
	    "there is no platform certificate then.\n",
	.options = options,
	.run = run,
};
