/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * trust-authority/agent from the command line, for agent.test: it does with the
 * host's TPM what vta-kmxa does, one step each time. Exit status as of our
 * programs, so that a test sees which error it was.
 *
 *	agent-run [-h HELPER] [-t TCTI] [-e EK] [-a AK] [-l EVENTLOG] [-i IMA]
 *	    [-m TIMEOUT_MS] STATE_DIR COMMAND ARGUMENT...
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "trust-authority/agent/dek-store.h"
#include "trust-authority/agent/host-identity.h"
#include "trust-authority/agent/pcr-list.h"
#include "trust-authority/agent/transport-key.h"

static struct host_tpm tpm;
static struct state_dir state;

static void
die(const struct err *err)
{
	fprintf(stderr, "%s: %s\n", err_name(err->code), err->text);
	exit(err_exit_status(err->code));
}

static void
die_on(int rc, const struct err *err)
{
	if (rc < 0)
		die(err);
}

static uint8_t *
load(const char *path, size_t *size)
{
	uint8_t *data = malloc(1u << 20);
	FILE *in = fopen(path, "rb");

	if (in == NULL || data == NULL) {
		perror(path);
		exit(99);
	}
	*size = fread(data, 1, 1u << 20, in);
	fclose(in);
	return data;
}

static void
store(const char *path, const void *data, size_t size)
{
	FILE *out = fopen(path, "wb");

	if (out == NULL || fwrite(data, 1, size, out) != size ||
	    fclose(out) != 0) {
		perror(path);
		exit(99);
	}
}

static struct host_identity
identity_open(void)
{
	struct host_identity id;
	struct err err = { 0 };
	bool made;

	die_on(host_identity_open(&tpm, &state, &id, &made, &err), &err);
	return id;
}

static void
identity_show(struct host_identity *id, bool made)
{
	printf("ek %s\ncertificate %zu\nmade %d\n", id->ek_name,
	    id->certificate.size, made);
	host_identity_free(id);
}

/* [PREFIX]: PREFIX.ek.pub, .ek.crt, .ak.pub as TPM2B_PUBLIC. */
static void
identity_store(const struct host_identity *id, const char *prefix)
{
	const struct host_bytes *area[] = { &id->ek, &id->ak };
	static const char *const names[] = { "ek.pub", "ak.pub" };
	uint8_t bytes[2048];
	char path[4096];

	for (size_t i = 0; i < 2; i++) {
		struct buf w = buf_writer(bytes, sizeof(bytes));

		buf_put_tpm2b(&w, area[i]->data, area[i]->size);
		snprintf(path, sizeof(path), "%s.%s", prefix, names[i]);
		store(path, bytes, w.pos);
	}
	snprintf(path, sizeof(path), "%s.ek.crt", prefix);
	store(path, id->certificate.data, id->certificate.size);
}

static int
run_identity(char **argv)
{
	struct host_identity id;
	struct err err = { 0 };
	bool made;

	die_on(host_identity_open(&tpm, &state, &id, &made, &err), &err);
	identity_store(&id, argv[0]);
	identity_show(&id, made);
	return 0;
}

static int
run_renew(char **argv)
{
	struct host_identity id;
	struct err err = { 0 };

	die_on(host_identity_renew(&tpm, &state, &id, &err), &err);
	identity_store(&id, argv[0]);
	identity_show(&id, true);
	return 0;
}

/* CREDENTIAL OUT: the former as tpm2_makecredential writes it. */
static int
run_activate(char **argv)
{
	struct host_identity id = identity_open();
	struct credential c = { 0 };
	struct secret *secret;
	struct err err = { 0 };
	const uint8_t *part;
	size_t size, n;
	uint8_t *file = load(argv[0], &size);
	struct buf in = buf_reader(file + 8, size - 8);

	buf_get_tpm2b(&in, &part, &n);
	c.blob_size = in.pos;
	memcpy(c.blob, file + 8, c.blob_size);
	c.secret_size = buf_left(&in);
	memcpy(c.secret, in.data + in.pos, c.secret_size);
	die_on(host_tpm_activate(&tpm, id.ak_blob, &c, &secret, &err), &err);
	store(argv[1], secret_bytes(secret), secret_size(secret));
	secret_free(secret);
	host_identity_free(&id);
	free(file);
	return 0;
}

/* NONCE PCRS OUT TRANSPORT: evidence, and the transport key that was made. */
static int
run_evidence(char **argv)
{
	struct host_identity id = identity_open();
	uint8_t binding[QUOTE_BINDING_SIZE], *message;
	struct transport_key *key;
	struct pcr_set pcrs;
	struct err err = { 0 };
	const uint8_t *public;
	size_t nonce_size, public_size, size;
	uint8_t *nonce = load(argv[0], &nonce_size);

	die_on(pcr_list_parse(argv[1], &pcrs, &err), &err);
	die_on(transport_key_new(&key, &err), &err);
	public = transport_key_public(key, &public_size);
	die_on(quote_binding(nonce, nonce_size, public, public_size, binding,
	    &err), &err);
	die_on(host_tpm_evidence(&tpm, id.ak_blob, binding, &pcrs, &message,
	    &size, &err), &err);
	store(argv[2], message, size);
	store(argv[3], public, public_size);
	transport_key_free(key);
	host_identity_free(&id);
	free(message);
	free(nonce);
	return 0;
}

static struct dek_label
label_of(char **argv)
{
	struct dek_label label;
	struct err err = { 0 };

	if (uuid_parse(argv[0], label.vm) < 0) {
		err_set(&err, ERR_USAGE, "%s is no UUID", argv[0]);
		die(&err);
	}
	label.epoch = strtoull(argv[1], NULL, 10);
	return label;
}

static struct state_dir
keys_open(void)
{
	struct state_dir keys;
	struct err err = { 0 };

	die_on(dek_store_open(&keys, &state, &err), &err);
	return keys;
}

/* UUID EPOCH PCRS, the key on standard input. */
static int
run_seal(char **argv)
{
	struct host_identity id = identity_open();
	struct dek_label label = label_of(argv);
	struct state_dir keys = keys_open();
	uint8_t blob[DEK_BLOB_MAX];
	struct pcr_set pcrs;
	struct err err = { 0 };
	struct secret *key = secret_read_fd(0, DEK_SIZE, &err);
	size_t size;

	if (key == NULL)
		die(&err);
	die_on(pcr_list_parse(argv[2], &pcrs, &err), &err);
	die_on(host_tpm_seal(&tpm, id.ak_blob, &label, &pcrs, key, blob, &size,
	    &err), &err);
	die_on(dek_store_put(&keys, label.vm, blob, size, &err), &err);
	state_dir_close(&keys);
	secret_free(key);
	host_identity_free(&id);
	return 0;
}

/* UUID EPOCH: the key to standard output. */
static int
run_unseal(char **argv)
{
	struct dek_label label = label_of(argv);
	struct state_dir keys = keys_open();
	struct host_bytes blob;
	struct secret *key;
	struct err err = { 0 };
	uint8_t *data;

	die_on(dek_store_get(&keys, label.vm, &data, &blob.size, &err), &err);
	blob.data = data;
	die_on(host_tpm_unseal(&tpm, blob, &label, &key, &err), &err);
	fwrite(secret_bytes(key), 1, secret_size(key), stdout);
	state_dir_close(&keys);
	secret_free(key);
	free(data);
	return 0;
}

static int
run_list(char **argv)
{
	struct state_dir keys = keys_open();
	uint8_t (*vms)[UUID_SIZE];
	char text[UUID_TEXT_SIZE];
	struct err err = { 0 };
	size_t count;

	(void)argv;
	die_on(dek_store_list(&keys, &vms, &count, &err), &err);
	for (size_t i = 0; i < count; i++) {
		uuid_format(vms[i], text);
		puts(text);
	}
	free(vms);
	state_dir_close(&keys);
	return 0;
}

static int
run_wipe(char **argv)
{
	struct state_dir keys = keys_open();
	struct err err = { 0 };
	size_t count;

	(void)argv;
	die_on(dek_store_wipe(&keys, &count, &err), &err);
	printf("%zu\n", count);
	state_dir_close(&keys);
	return 0;
}

static const struct {
	const char *name;
	int arguments;
	int (*run)(char **argv);
} commands[] = {
	{ "identity", 1, run_identity },
	{ "renew", 1, run_renew },
	{ "activate", 2, run_activate },
	{ "evidence", 4, run_evidence },
	{ "seal", 3, run_seal },
	{ "unseal", 2, run_unseal },
	{ "list", 0, run_list },
	{ "wipe", 0, run_wipe },
};

static void
option(int c)
{
	switch (c) {
	case 'h':
		tpm.helper = optarg;
		break;
	case 't':
		tpm.tcti = optarg;
		break;
	case 'e':
		tpm.ek = optarg;
		break;
	case 'a':
		tpm.ak = optarg;
		break;
	case 'l':
		tpm.eventlog = optarg;
		break;
	case 'i':
		tpm.ima_log = optarg;
		break;
	case 'm':
		tpm.timeout_ms = atoi(optarg);
		break;
	default:
		exit(2);
	}
}

int
main(int argc, char **argv)
{
	struct err err = { 0 };
	int c, rc = 2;

	while ((c = getopt(argc, argv, "+h:t:e:a:l:i:m:")) != -1)
		option(c);
	argc -= optind;
	argv += optind;
	if (argc < 2)
		return 2;
	die_on(state_dir_open(&state, argv[0], &err), &err);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(commands[i].name, argv[1]) == 0 &&
		    argc == 2 + commands[i].arguments)
			rc = commands[i].run(argv + 2);
	state_dir_close(&state);
	return rc;
}
