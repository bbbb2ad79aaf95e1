/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * trust-authority/attest from the command line, for attest.test: each
 * subcommand is one of its steps on files. Exit status 0, or 1 and why.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trust-authority/attest/credential.h"
#include "trust-authority/attest/ek-cert.h"
#include "trust-authority/attest/judge.h"

struct file {
	uint8_t *data;
	size_t size;
};

static void
die(const struct err *err, const char *what)
{
	fprintf(stderr, "%s: %s\n", what, err != NULL ? err->text : "failed");
	exit(1);
}

static struct file
load(const char *path)
{
	size_t room = 1u << 20;
	struct file f = { malloc(room + 1), 0 };
	FILE *in = fopen(path, "rb");

	if (in == NULL || f.data == NULL)
		die(NULL, path);
	f.size = fread(f.data, 1, room, in);
	f.data[f.size] = '\0';
	fclose(in);
	return f;
}

static void
store(const char *path, const struct buf *b)
{
	FILE *out = fopen(path, "wb");

	if (out == NULL || !buf_ok(b) ||
	    fwrite(b->data, 1, b->pos, out) != b->pos || fclose(out) != 0)
		die(NULL, path);
}

static struct tpm_key *
key_load(const char *path)
{
	struct file f = load(path);
	struct tpm_key *key;
	struct err err = { 0 };

	if (tpm_key_read_2b(f.data, f.size, &key, &err) < 0)
		die(&err, path);
	free(f.data);
	return key;
}

static const struct hash_alg *
bank_of(const char *name)
{
	const struct hash_alg *alg = hash_by_name(name);

	if (alg == NULL)
		die(NULL, name);
	return alg;
}

/* LOG BANK: "PCR value" lines of the PCRs that the log extends. */
static int
show_eventlog(char **argv)
{
	struct file f = load(argv[0]);
	struct eventlog *log;
	struct pcr_bank bank;
	struct err err = { 0 };
	char hex[HASH_HEX_SIZE];

	if (eventlog_read(f.data, f.size, &log, &err) < 0 ||
	    eventlog_replay(log, bank_of(argv[1]), &bank, &err) < 0)
		die(&err, "eventlog");
	for (uint32_t i = 0; i < PCR_COUNT; i++) {
		if (!(bank.mask & 1u << i))
			continue;
		hash_hex(bank.value[i], bank.alg->size, hex);
		printf("%u %s\n", i, hex);
	}
	eventlog_free(log);
	free(f.data);
	return 0;
}

/* LOG BANK bank|sha1-padded PCR10: how many entries explain it. */
static int
show_ima(char **argv)
{
	struct file f = load(argv[0]);
	const struct hash_alg *bank = bank_of(argv[1]);
	enum ima_extend how = strcmp(argv[2], "bank") == 0 ? IMA_EXTEND_BANK :
	    IMA_EXTEND_SHA1_PADDED;
	uint8_t pcr[HASH_MAX];
	struct ima_log *log;
	struct err err = { 0 };
	size_t count;

	if (hash_unhex(argv[3], pcr, bank->size) < 0)
		die(NULL, argv[3]);
	if (ima_log_read(f.data, f.size, &log, &err) < 0 ||
	    ima_log_replay(log, bank, how, pcr, &count, &err) < 0)
		die(&err, "ima");
	printf("%zu of %zu\n", count, ima_log_count(log));
	ima_log_free(log);
	free(f.data);
	return 0;
}

/* EK AK SECRET OUT: as tpm2_makecredential writes it. */
static int
show_credential(char **argv)
{
	struct tpm_key *ek = key_load(argv[0]), *ak = key_load(argv[1]);
	struct file f = load(argv[2]);
	struct secret *secret = secret_from(f.data, f.size);
	struct credential c;
	struct err err = { 0 };
	uint8_t data[2048];
	struct buf out = buf_writer(data, sizeof(data));

	if (tpm_key_check_ek(ek, &err) < 0 || tpm_key_check_ak(ak, &err) < 0 ||
	    credential_make(ek, ak->name, ak->name_size, secret, &c,
	    &err) < 0)
		die(&err, "credential");
	buf_put_u32be(&out, 0xbadcc0de);
	buf_put_u32be(&out, 1);
	buf_put_bytes(&out, c.blob, c.blob_size);
	buf_put_bytes(&out, c.secret, c.secret_size);
	store(argv[3], &out);
	secret_free(secret);
	tpm_key_free(ek);
	tpm_key_free(ak);
	free(f.data);
	return 0;
}

/* EK CERTIFICATE CAS INTERMEDIATES: who made the TPM. */
static int
show_ek(char **argv)
{
	struct tpm_key *ek = key_load(argv[0]);
	struct file cert = load(argv[1]), cas = load(argv[2]);
	struct file helpers = load(argv[3]);
	struct ek_maker maker;
	struct err err = { 0 };
	struct ek_trust *trust = ek_trust_new(&err);

	if (ek_trust_add_pem(trust, (char *)cas.data, cas.size, &err) < 0 ||
	    ek_cert_verify(trust, cert.data, cert.size, helpers.size > 0 ?
	    (char *)helpers.data : NULL, ek, time(NULL), &maker, &err) < 0)
		die(&err, "ek");
	printf("%s %s %s\n", maker.manufacturer, maker.model, maker.version);
	ek_trust_free(trust);
	tpm_key_free(ek);
	free(cert.data);
	free(cas.data);
	free(helpers.data);
	return 0;
}

/* NONCE TRANSPORT-KEY: the qualifying data, in hexadecimal. */
static int
show_binding(char **argv)
{
	struct file nonce = load(argv[0]), key = load(argv[1]);
	uint8_t binding[QUOTE_BINDING_SIZE];
	char hex[HASH_HEX_SIZE];
	struct err err = { 0 };

	if (quote_binding(nonce.data, nonce.size, key.data, key.size, binding,
	    &err) < 0)
		die(&err, "binding");
	hash_hex(binding, sizeof(binding), hex);
	puts(hex);
	free(nonce.data);
	free(key.data);
	return 0;
}

/* OUT ATTEST SIGNATURE PCRS EVENTLOG IMA, the last two may be "-". */
static int
show_evidence(char **argv)
{
	struct file f[5] = { { NULL, 0 } };
	struct evidence ev = { 0 };
	struct buf out;

	for (size_t i = 0; i < 5; i++)
		if (strcmp(argv[1 + i], "-") != 0)
			f[i] = load(argv[1 + i]);
	ev.quote = (struct quote_parts){ f[0].data, f[1].data, f[2].data,
		f[0].size, f[1].size, f[2].size };
	ev.eventlog = f[3].data;
	ev.eventlog_size = f[3].size;
	ev.ima_log = f[4].data;
	ev.ima_log_size = f[4].size;
	out = buf_writer(malloc(evidence_size(&ev)), evidence_size(&ev));
	if (out.data == NULL || evidence_write(&ev, &out) < 0)
		die(NULL, argv[0]);
	store(argv[0], &out);
	free(out.data);
	for (size_t i = 0; i < 5; i++)
		free(f[i].data);
	return 0;
}

/* Keeps the bytes that the attestation points into. */
static struct attestation *
attest(char **argv, struct file *f)
{
	struct tpm_key *ak = key_load(argv[1]), *ek = key_load(argv[2]);
	uint8_t binding[QUOTE_BINDING_SIZE];
	struct attestation *a;
	struct evidence ev;
	struct err err = { 0 };

	*f = load(argv[0]);
	if (hash_unhex(argv[3], binding, sizeof(binding)) < 0)
		die(NULL, argv[3]);
	if (evidence_read(f->data, f->size, &ev, &err) < 0 ||
	    attestation_verify(&ev, ak, ek, binding, &a, &err) < 0)
		die(&err, "evidence");
	tpm_key_free(ak);
	tpm_key_free(ek);
	return a;
}

/* EVIDENCE AK EK BINDING NAME BANK: a policy. */
static int
show_capture(char **argv)
{
	struct file f;
	struct attestation *a = attest(argv, &f);
	struct err err = { 0 };
	char *json;

	if (policy_capture(a, argv[4], bank_of(argv[5]),
	    attestation_ima_log(a) != NULL, &json, &err) < 0)
		die(&err, "capture");
	puts(json);
	free(json);
	attestation_free(a);
	free(f.data);
	return 0;
}

/* EVIDENCE AK EK BINDING POLICY: the verdict. */
static int
show_judge(char **argv)
{
	struct file f, text = load(argv[4]);
	struct attestation *a = attest(argv, &f);
	const struct policy *list[1];
	struct policy *policy;
	struct verdict *v;
	struct err err = { 0 };
	bool good;

	if (policy_read((char *)text.data, text.size, &policy, &err) < 0)
		die(&err, argv[4]);
	list[0] = policy;
	if (judge(a, list, 1, NULL, &v, &err) < 0)
		die(&err, "judge");
	json_dumpf(verdict_json(v), stdout, JSON_INDENT(1));
	good = verdict_accepted(v);
	verdict_free(v);
	policy_free(policy);
	attestation_free(a);
	free(f.data);
	free(text.data);
	return good ? 0 : 1;
}

static const struct {
	const char *name;
	int arguments;
	int (*run)(char **argv);
} commands[] = {
	{ "binding", 2, show_binding },
	{ "capture", 6, show_capture },
	{ "credential", 4, show_credential },
	{ "ek", 4, show_ek },
	{ "eventlog", 2, show_eventlog },
	{ "evidence", 6, show_evidence },
	{ "ima", 4, show_ima },
	{ "judge", 5, show_judge },
};

int
main(int argc, char **argv)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (argc > 1 && strcmp(commands[i].name, argv[1]) == 0 &&
		    argc == 2 + commands[i].arguments)
			return commands[i].run(argv + 2);
	fprintf(stderr, "usage: attest-show COMMAND FILE...\n");
	return 2;
}
