/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "migration/bundle.h"
#include "migration/note.h"
#include "vtpm/ctl-export.h"
#include "vtpm/tpm.h"

static const char *to, *to_swtpm, *swtpm_key;
static bool decrypt;

/* -- recipients -- */

static int
make_recipient(const char *text, struct recipient **r, struct err *err)
{
	static const char words[] = "passphrase";
	struct ctl_protector p;
	int rc;

	/* A passphrase itself is refused, and not repeated. */
	if (strncmp(text, words, sizeof(words) - 1) != 0 ||
	    (text[sizeof(words) - 1] != ':' && text[sizeof(words) - 1] != '\0'))
		return recipient_from_pem(r, text, err);
	if ((rc = ctl_parse_protector(text, &p, err)) < 0)
		return rc;
	return recipient_from_passphrase(r, p.secret, err);
}

static int
parse_recipients(struct recipient **list, size_t *n, struct err *err)
{
	char *copy = strdup(to), *rest = copy, *one;
	int rc = 0;

	if (copy == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	while (rc == 0 && (one = strsep(&rest, ",")) != NULL) {
		if (*n == BUNDLE_RECIPIENTS_MAX)
			rc = err_set(err, ERR_USAGE, "a bundle has at most %u "
			    "recipients", BUNDLE_RECIPIENTS_MAX);
		else if ((rc = make_recipient(one, &list[*n], err)) == 0)
			(*n)++;
	}
	free(copy);
	return rc;
}

/* --passphrase-fd opens the files; without --to it is also what opens the
 * bundle. */
static int
passphrase_recipient(const struct ctl *ctl, struct recipient **list,
    size_t *n, struct err *err)
{
	struct secret *copy;
	int rc;

	if (ctl->passphrase == NULL)
		return err_set(err, ERR_USAGE, "say who is to open the "
		    "bundle: --to RECIPIENT.pem, or --passphrase-fd N");
	copy = secret_from(secret_bytes(ctl->passphrase),
	    secret_size(ctl->passphrase));
	if (copy == NULL)
		return err_set(err, ERR_SYSTEM, "cannot lock memory for a "
		    "passphrase");
	if ((rc = recipient_from_passphrase(&list[0], copy, err)) == 0)
		*n = 1;
	return rc;
}

/* -- one file -- */

/* With keys and records of its own, which are gone after it. */
static int
lend(const struct ctl *ctl, const char *file, struct ctl *one,
    struct err *err)
{
	*one = (struct ctl){ .config_file = ctl->config_file,
		.state_dir = ctl->state_dir };
	one->operands[0] = file;
	if (ctl->passphrase == NULL)
		return 0;
	one->passphrase = secret_from(secret_bytes(ctl->passphrase),
	    secret_size(ctl->passphrase));
	return one->passphrase != NULL ? 0 : err_set(err, ERR_SYSTEM,
	    "cannot lock memory for a passphrase");
}

/* Opened, and closed again, as a vtpmd does: so nobody runs it, the state is
 * the latest, and what the bundle says of it is what the record says. */
static int
settle(struct ctl *one, struct nvram **nv, struct err *err)
{
	int rc = ctl_open_to_change(one, false, nv, err);

	return rc < 0 ? rc : nvram_release(*nv, err);
}

/* What it held is where it has moved to. */
static int
check_here(const struct nvram *nv, const char *file, struct err *err)
{
	const uint8_t *data;
	struct note note;
	size_t size;
	int rc;

	if (nvram_get(nv, NVRAM_MIGRATION, &data, &size, NULL) < 0)
		return 0;
	if ((rc = note_decode(data, size, &note, err)) < 0 ||
	    note.what != NOTE_SENT)
		return rc;
	return err_set(err, ERR_STALE, "%s: the VM has moved to a host that "
	    "does not share this file: export it there, or take it back with "
	    "vtpmctl accept-restore", file);
}

int
ctl_export_open(const struct ctl *ctl, const char *file,
    struct ctl_export *e, struct err *err)
{
	int rc;

	memset(e, 0, sizeof(*e));
	if ((rc = lend(ctl, file, &e->ctl, err)) < 0 ||
	    (rc = settle(&e->ctl, &e->nv, err)) < 0 ||
	    (rc = check_here(e->nv, file, err)) < 0)
		return rc;
	e->records[0].kind = NVRAM_PERMANENT;
	if ((rc = nvram_get(e->nv, NVRAM_PERMANENT, &e->records[0].data,
	    &e->records[0].size, err)) < 0)
		return rc;
	e->n_records = 1;
	e->records[1].kind = NVRAM_VOLATILE;
	if (nvram_get(e->nv, NVRAM_VOLATILE, &e->records[1].data,
	    &e->records[1].size, NULL) == 0)
		e->n_records = 2;
	return 0;
}

void
ctl_export_close(struct ctl_export *e)
{
	nvram_close(e->nv);
	ctl_reset(&e->ctl);
}

static json_t *
describe(const struct ctl_export *e, const char *file)
{
	const struct nvram_header *h = nvram_header(e->nv);

	return json_pack("{s:o, s:o, s:o, s:I, s:b}",
	    "file", ctl_json_text(file), "uuid", ctl_json_uuid(h->uuid),
	    "name", ctl_json_text(h->name), "epoch", (json_int_t)h->epoch,
	    "running", e->n_records > 1);
}

static int
add(const struct ctl *ctl, struct bundle_writer *w, const char *file,
    json_t *list, struct err *err)
{
	struct freshness_claim claim;
	struct bundle_vm vm = { 0 };
	const struct nvram_header *h;
	struct ctl_export e;
	int rc;

	if ((rc = ctl_export_open(ctl, file, &e, err)) < 0)
		goto out;
	h = nvram_header(e.nv);
	nvram_claim(e.nv, &claim);
	memcpy(vm.uuid, h->uuid, sizeof(vm.uuid));
	memcpy(vm.name, h->name, sizeof(vm.name));
	vm.created = h->created;
	vm.epoch = claim.epoch;
	memcpy(vm.digest, claim.digest, sizeof(vm.digest));
	vm.state_version = h->state_version;
	if ((rc = bundle_add(w, &vm, e.records, e.n_records, err)) == 0)
		json_array_append_new(list, describe(&e, file));
out:
	ctl_export_close(&e);
	return rc;
}

void
ctl_progress(const struct ctl *ctl, const char *what, size_t done,
    size_t all)
{
	if (all > 1 && !ctl->json)
		fprintf(stderr, "vtpmctl: %s: %zu of %zu\n", what, done, all);
}

static void
print(const json_t *result)
{
	const json_t *list = json_object_get(result, "vms"), *vm;

	printf("%s: %zu VM%s for", ctl_text(result, "bundle"),
	    json_array_size(list), json_array_size(list) == 1 ? "" : "s");
	for (size_t i = 0; i < json_array_size(json_object_get(result,
	    "recipients")); i++)
		printf("%s %s", i > 0 ? "," : "", json_string_value(
		    json_array_get(json_object_get(result, "recipients"), i)));
	printf("\n");
	for (size_t i = 0; i < json_array_size(list); i++) {
		vm = json_array_get(list, i);
		printf("  %s %s epoch %lld, from %s\n", ctl_text(vm, "uuid"),
		    ctl_text(vm, "name"), (long long)ctl_number(vm, "epoch"),
		    ctl_text(vm, "file"));
	}
}

static json_t *
name_recipients(const char *path)
{
	json_t *list = json_array();
	const struct bundle_manifest *m;
	struct bundle *b = NULL;

	if (bundle_open(&b, path, NULL) < 0)
		return list;
	m = bundle_manifest(b);
	for (size_t i = 0; i < m->n_recipients; i++)
		json_array_append_new(list,
		    ctl_json_text(m->recipients[i].label));
	bundle_close(b);
	return list;
}

static int
write_bundle(const struct ctl *ctl, struct recipient *const *recipients,
    size_t n_recipients, json_t *list, struct err *err)
{
	size_t n = ctl->n_given - 1;
	struct bundle_writer *w;
	int rc;

	rc = bundle_create(&w, ctl->operands[n], recipients, n_recipients, n,
	    tpm_library_version(), err);
	for (size_t i = 0; rc == 0 && i < n; i++)
		if ((rc = add(ctl, w, ctl->operands[i], list, err)) == 0)
			ctl_progress(ctl, ctl->operands[i], i + 1, n);
	if (rc == 0)
		rc = bundle_finish(w, err);
	bundle_writer_free(w);
	return rc;
}

static int
to_bundle(struct ctl *ctl, struct err *err)
{
	struct recipient *recipients[BUNDLE_RECIPIENTS_MAX] = { NULL };
	const char *out = ctl->operands[ctl->n_given - 1];
	json_t *list = json_array();
	size_t n = 0;
	int rc;

	rc = to != NULL ? parse_recipients(recipients, &n, err) :
	    passphrase_recipient(ctl, recipients, &n, err);
	if (rc == 0)
		rc = write_bundle(ctl, recipients, n, list, err);
	for (size_t i = 0; i < n; i++)
		recipient_free(recipients[i]);
	if (rc < 0) {
		json_decref(list);
		return rc;
	}
	return ctl_print(ctl, json_pack("{s:o, s:o, s:o}", "bundle",
	    ctl_json_text(out), "recipients", name_recipients(out), "vms",
	    list), print, err);
}

static int
run(struct ctl *ctl, struct err *err)
{
	int rc;

	if ((rc = ctl_load_passphrase(ctl, err)) < 0)
		return rc;
	if (to_swtpm != NULL) {
		if (to != NULL || ctl->n_given != 1)
			return err_set(err, ERR_USAGE, "--to-swtpm DIR is "
			    "followed by one FILE");
		return ctl_export_swtpm(ctl, to_swtpm, swtpm_key, decrypt,
		    err);
	}
	if (decrypt || swtpm_key != NULL)
		return err_set(err, ERR_USAGE, "--decrypt and --swtpm-key "
		    "belong to --to-swtpm: a bundle is always encrypted");
	if (ctl->n_given < 2)
		return err_set(err, ERR_USAGE, "usage: vtpmctl export "
		    "[OPTIONS] FILE... BUNDLE; try vtpmctl export --help");
	return to_bundle(ctl, err);
}

static const struct ctl_option options[] = {
	{ "to", "WHO", "who can open the bundle: a file with a public key, or "
	    "passphrase:fd=N; several with commas", &to, NULL },
	{ "to-swtpm", "DIR", "write FILE's state to DIR for swtpm, instead "
	    "of a bundle", &to_swtpm, NULL },
	{ "decrypt", NULL, "say that you know that this takes the state out "
	    "of its protection", NULL, &decrypt },
	{ "swtpm-key", "SPEC", "encrypt it as swtpm --key SPEC does",
	    &swtpm_key, NULL },
	{ 0 },
};

const struct ctl_command ctl_export = {
	.name = "export",
	.operands = "FILE... BUNDLE",
	.n_operands = 2,
	.operands_optional = true,
	.operands_many = true,
	.summary = "Put stopped VMs into a bundle, to be moved by hand",
	.details = "The bundle is a new file, sealed to public keys (PEM; EC "
	    "P-256 or P-384, RSA of 3072\nbits or more) or to a passphrase: "
	    "that of --passphrase-fd where there is no --to.\nThe FILEs stay, "
	    "but only one of the two may go on: destroy them once the bundle "
	    "has\nbeen imported.\n"
	    "With --to-swtpm DIR --decrypt, FILE's state is written to DIR as "
	    "swtpm keeps it.\n",
	.options = options,
	.run = run,
};
