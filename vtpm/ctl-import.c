/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "migration/bundle.h"
#include "nvram-crypt/slot.h"
#include "vtpm/ctl-export.h"
#include "vtpm/ctl-receive.h"

static const char *key_file, *only_vm, *protector;
static struct ctl_import_swtpm swtpm;
static bool list_only, accept_restore;

/* -- what a bundle says of itself -- */

static json_t *
version_text(uint32_t v)
{
	char text[32];

	snprintf(text, sizeof(text), "%u.%u.%u", v >> 16 & 0xff,
	    v >> 8 & 0xff, v & 0xff);
	return json_string(text);
}

static json_t *
describe_bundle(const char *path, const struct bundle *b)
{
	const struct bundle_manifest *m = bundle_manifest(b);
	json_t *recipients = json_array(), *vms = json_array();

	for (size_t i = 0; i < m->n_recipients; i++)
		json_array_append_new(recipients,
		    ctl_json_text(m->recipients[i].label));
	for (size_t i = 0; i < m->n_vms; i++)
		json_array_append_new(vms, json_pack("{s:o, s:o, s:I, s:I, "
		    "s:o, s:I}", "uuid", ctl_json_uuid(m->vms[i].uuid),
		    "name", ctl_json_text(m->vms[i].name),
		    "created", (json_int_t)m->vms[i].created,
		    "epoch", (json_int_t)m->vms[i].epoch,
		    "state_version", version_text(m->vms[i].state_version),
		    "state_size", (json_int_t)m->vms[i].size));
	return json_pack("{s:o, s:b, s:o, s:o, s:o, s:o, s:o}",
	    "bundle", ctl_json_text(path),
	    "authenticated", bundle_unlocked(b),
	    "exported", ctl_json_time(m->exported),
	    "host", ctl_json_text(m->host),
	    "library_version", version_text(m->library_version),
	    "recipients", recipients, "vms", vms);
}

static void
print_bundle(const json_t *j)
{
	const json_t *list = json_object_get(j, "vms"), *one;

	printf("%s: bundle made %s on %s with libtpms %s\n",
	    ctl_text(j, "bundle"), ctl_text(j, "exported"),
	    ctl_text(j, "host"), ctl_text(j, "library_version"));
	if (!json_is_true(json_object_get(j, "authenticated")))
		printf("  NOT AUTHENTICATED: anybody who had the bundle can "
		    "have changed what follows\n");
	printf("For:\n");
	for (size_t i = 0; i < json_array_size(json_object_get(j,
	    "recipients")); i++)
		printf("  %s\n", json_string_value(json_array_get(
		    json_object_get(j, "recipients"), i)));
	printf("VMs:\n");
	for (size_t i = 0; i < json_array_size(list); i++) {
		one = json_array_get(list, i);
		printf("  %s %s epoch %lld, state of libtpms %s\n",
		    ctl_text(one, "uuid"), ctl_text(one, "name"),
		    (long long)ctl_number(one, "epoch"),
		    ctl_text(one, "state_version"));
	}
}

/* -- taking VMs out of it -- */

static int
receive_vm(struct ctl *ctl, const struct ctl_protector *p, struct bundle *b,
    size_t i, const char *path, json_t *results, struct err *err)
{
	const struct bundle_vm *vm = &bundle_manifest(b)->vms[i];
	struct freshness_claim claim = { .epoch = vm->epoch, .synced = true };
	struct ctl_arrival a = { .name = vm->name,
		.state_version = vm->state_version, .claim = &claim };
	static const uint32_t kinds[2] = { NVRAM_PERMANENT, NVRAM_VOLATILE };
	struct secret *state = NULL;
	uint64_t epoch = 0;
	int rc;

	memcpy(a.uuid, vm->uuid, UUID_SIZE);
	memcpy(claim.uuid, vm->uuid, UUID_SIZE);
	memcpy(claim.digest, vm->digest, sizeof(claim.digest));
	if ((rc = bundle_get(b, i, &state, err)) < 0)
		return rc;
	for (size_t k = 0; k < 2; k++) {
		struct nvram_record *r = &a.records[a.n_records];

		r->kind = kinds[k];
		if (slot_payload_get(secret_bytes(state), secret_size(state),
		    kinds[k], &r->data, &r->size) == 0)
			a.n_records++;
	}
	if (a.n_records == 0 || a.records[0].kind != NVRAM_PERMANENT)
		rc = err_set(err, ERR_FORMAT, "the bundle holds no permanent "
		    "state of this VM");
	else
		rc = ctl_receive(ctl, p, &a, path, accept_restore, &epoch,
		    err);
	if (rc == 0)
		json_array_append_new(results, ctl_received(&a, path, p,
		    epoch));
	secret_free(state);
	return rc;
}

static int
file_in(const char *directory, const struct bundle_vm *vm, char **path,
    struct err *err)
{
	char uuid[UUID_TEXT_SIZE];

	uuid_format(vm->uuid, uuid);
	if (asprintf(path, "%s/%s.nvram", directory, uuid) >= 0)
		return 0;
	*path = NULL;
	return err_set(err, ERR_INTERNAL, "out of memory");
}

/* One that fails does not keep the others from coming; what has come already
 * fails with ERR_EXISTS when this is said again. */
static int
receive_all(struct ctl *ctl, const struct ctl_protector *p, struct bundle *b,
    json_t *results, json_t *failures, struct err *err)
{
	const struct bundle_manifest *m = bundle_manifest(b);
	int first = 0;

	for (size_t i = 0; i < m->n_vms; i++) {
		struct err why = { 0 };
		char *path = NULL;
		int rc;

		if ((rc = file_in(ctl->operands[1], &m->vms[i], &path,
		    &why)) == 0)
			rc = receive_vm(ctl, p, b, i, path, results, &why);
		if (rc < 0)
			json_array_append_new(failures, json_pack("{s:o, s:o}",
			    "uuid", ctl_json_uuid(m->vms[i].uuid),
			    "error", ctl_json_text(why.text)));
		if (rc < 0 && first == 0) {
			first = rc;
			*err = why;
		}
		ctl_progress(ctl, path != NULL ? path : "", i + 1, m->n_vms);
		free(path);
	}
	return first;
}

static int
find_vm(const struct bundle *b, size_t *i, struct err *err)
{
	const struct bundle_manifest *m = bundle_manifest(b);
	uint8_t uuid[UUID_SIZE];

	*i = 0;
	if (only_vm == NULL)
		return m->n_vms == 1 ? 0 : err_set(err, ERR_USAGE, "the "
		    "bundle holds %zu VMs: name a directory for all of them, "
		    "or one of them with --vm UUID", m->n_vms);
	if (uuid_parse(only_vm, uuid) < 0)
		return err_set(err, ERR_USAGE, "'%s' is not a UUID", only_vm);
	for (*i = 0; *i < m->n_vms; (*i)++)
		if (memcmp(m->vms[*i].uuid, uuid, UUID_SIZE) == 0)
			return 0;
	return err_set(err, ERR_NOTFOUND, "the bundle holds no VM %s",
	    only_vm);
}

static void
print_results(const json_t *j)
{
	const json_t *list = json_object_get(j, "vms"), *one;

	for (size_t i = 0; i < json_array_size(list); i++)
		ctl_print_received(json_array_get(list, i));
	list = json_object_get(j, "failed");
	for (size_t i = 0; i < json_array_size(list); i++) {
		one = json_array_get(list, i);
		printf("VM %s NOT imported: %s\n", ctl_text(one, "uuid"),
		    ctl_text(one, "error"));
	}
}

static int
receive(struct ctl *ctl, const struct ctl_protector *p, struct bundle *b,
    struct err *err)
{
	json_t *results = json_array(), *failures = json_array();
	char *path = NULL;
	struct stat st;
	bool into_directory;
	size_t i;
	int rc, printed;

	into_directory = stat(ctl->operands[1], &st) == 0 &&
	    S_ISDIR(st.st_mode);
	if (into_directory && only_vm == NULL) {
		rc = receive_all(ctl, p, b, results, failures, err);
	} else if ((rc = find_vm(b, &i, err)) == 0) {
		if (into_directory)
			rc = file_in(ctl->operands[1],
			    &bundle_manifest(b)->vms[i], &path, err);
		if (rc == 0)
			rc = receive_vm(ctl, p, b, i, into_directory ? path :
			    ctl->operands[1], results, err);
	}
	free(path);
	/* Of a directory's, what has come is told too. */
	if (rc < 0 && json_array_size(results) == 0) {
		json_decref(results);
		json_decref(failures);
		return rc;
	}
	printed = ctl_print(ctl, json_pack("{s:o, s:o}", "vms", results,
	    "failed", failures), print_results, rc == 0 ? err : NULL);
	return rc < 0 ? rc : printed;
}

static int
load_creds(struct ctl *ctl, struct bundle_key **key, struct err *err)
{
	int rc;

	*key = NULL;
	if ((rc = ctl_load_passphrase(ctl, err)) < 0)
		return rc;
	return key_file == NULL ? 0 : bundle_key_load(key, key_file,
	    ctl->passphrase, err);
}

static int
from_bundle(struct ctl *ctl, const struct ctl_protector *p, struct err *err)
{
	struct bundle_creds creds = { 0 };
	struct bundle_key *key = NULL;
	struct bundle *b = NULL;
	int rc;

	if ((rc = bundle_open(&b, ctl->operands[0], err)) < 0 ||
	    (rc = load_creds(ctl, &key, err)) < 0)
		goto out;
	creds.key = key;
	creds.passphrase = ctl->passphrase;
	if (!list_only || key != NULL || ctl->passphrase != NULL)
		rc = bundle_unlock(b, &creds, err);
	if (rc < 0)
		goto out;
	rc = list_only ? ctl_print(ctl, describe_bundle(ctl->operands[0], b),
	    print_bundle, err) : receive(ctl, p, b, err);
out:
	bundle_key_free(key);
	bundle_close(b);
	return rc;
}

static int
check_usage(const struct ctl *ctl, struct err *err)
{
	size_t wanted = list_only || swtpm.source != NULL ? 1 : 2;

	if (swtpm.source != NULL && (list_only || key_file != NULL ||
	    only_vm != NULL || accept_restore))
		return err_set(err, ERR_USAGE, "--from-swtpm does not go with "
		    "--list, --key, --vm and --accept-restore");
	if (swtpm.source == NULL && (swtpm.key != NULL || swtpm.uuid != NULL ||
	    swtpm.name != NULL))
		return err_set(err, ERR_USAGE, "--swtpm-key, --uuid and "
		    "--name belong to --from-swtpm");
	if (ctl->n_given == wanted)
		return 0;
	return err_set(err, ERR_USAGE, "usage: vtpmctl import [OPTIONS] "
	    "BUNDLE FILE|DIR, import --list BUNDLE, or import --from-swtpm "
	    "DIR|FILE FILE; try vtpmctl import --help");
}

static int
run(struct ctl *ctl, struct err *err)
{
	struct ctl_protector p = { 0 };
	int rc;

	if ((rc = check_usage(ctl, err)) < 0)
		return rc;
	if (!list_only && (rc = ctl_parse_protector(protector != NULL ?
	    protector : "native", &p, err)) < 0)
		return rc;
	rc = swtpm.source != NULL ? ctl_import_swtpm(ctl, &p, &swtpm, err) :
	    from_bundle(ctl, &p, err);
	secret_free(p.secret);
	return rc;
}

static const struct ctl_option options[] = {
	{ "key", "FILE", "the recipient's private key, PEM; --passphrase-fd "
	    "opens it if it is encrypted", &key_file, NULL },
	{ "protector", "PROTECTOR", "who can open the new file: native "
	    "(default), passphrase:fd=N, authority[:GROUP]", &protector,
	    NULL },
	{ "vm", "UUID", "this one of several", &only_vm, NULL },
	{ "list", NULL, "show what the bundle says is inside; needs no key",
	    NULL, &list_only },
	{ "accept-restore", NULL, "take an older state than this host knows "
	    "of, on purpose", NULL, &accept_restore },
	{ "from-swtpm", "DIR|FILE", "take what swtpm keeps there (its "
	    "backends dir and file)", &swtpm.source, NULL },
	{ "swtpm-key", "SPEC", "as for swtpm --key", &swtpm.key, NULL },
	{ "uuid", "UUID", "of swtpm's VM (default: a random one)",
	    &swtpm.uuid, NULL },
	{ "name", "NAME", "of swtpm's VM, for people", &swtpm.name, NULL },
	{ 0 },
};

const struct ctl_command ctl_import = {
	.name = "import",
	.operands = "BUNDLE FILE",
	.n_operands = 2,
	.operands_optional = true,
	.summary = "Make an nvram file of what came in a bundle",
	.details = "The file is new, whole or not there at all, and what the "
	    "record of freshness knows of the\nVM decides whether the bundle "
	    "may be taken: an older one is refused. A bundle is opened\nwith "
	    "--key, or by the passphrase of --passphrase-fd. If FILE is a "
	    "directory, every VM comes\ninto it, as UUID.nvram.\n"
	    "With --from-swtpm there is no BUNDLE; swtpm must not run. "
	    "--swtpm-key takes what swtpm's\n--key does: file=F or fd=N with "
	    "format=hex|binary, pwdfile=F or pwdfd=N with\n"
	    "kdf=pbkdf2|sha512, and mode=aes-cbc|aes-256-cbc.\n",
	.options = options,
	.run = run,
};
