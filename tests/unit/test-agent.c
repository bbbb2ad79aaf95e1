/* SPDX-License-Identifier: BSD-3-Clause */
/* trust-authority/agent without a TPM: files, lists, the transport key. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "trust-authority/agent/dek-store.h"
#include "trust-authority/agent/host-identity.h"
#include "trust-authority/agent/pcr-list.h"
#include "trust-authority/agent/transport-key.h"

static char top[] = "/tmp/vtpmd-agent.XXXXXX";
static char path[256];
static struct state_dir dir, keys;
static struct err err;

static void
setup(void)
{
	strcpy(top + sizeof(top) - 7, "XXXXXX");
	cr_assert_not_null(mkdtemp(top));
	snprintf(path, sizeof(path), "%s/state", top);
	cr_assert_eq(state_dir_open(&dir, path, &err), 0, "%s", err.text);
	cr_assert_eq(dek_store_open(&keys, &dir, &err), 0, "%s", err.text);
}

static void
teardown(void)
{
	char command[512];

	state_dir_close(&keys);
	state_dir_close(&dir);
	snprintf(command, sizeof(command), "rm -rf %s", top);
	cr_assert_eq(system(command), 0);
}

TestSuite(agent, .init = setup, .fini = teardown, .timeout = 30);

static mode_t
mode_of(const char *name)
{
	struct stat st;

	cr_assert_eq(fstatat(dir.fd, name, &st, AT_SYMLINK_NOFOLLOW), 0);
	return st.st_mode & 07777;
}

Test(agent, files_are_private_and_replaced_whole)
{
	uint8_t *data;
	size_t size;

	cr_assert_eq(mode_of("."), 0700);
	cr_assert_eq(mode_of("keys"), 0700);
	umask(0);
	cr_assert_eq(state_file_write(&dir, "ak", "first", 5, &err), 0);
	cr_assert_eq(state_file_write(&dir, "ak", "second", 6, &err), 0);
	cr_assert_eq(mode_of("ak"), 0600);
	cr_assert_eq(state_file_read(&dir, "ak", 6, &data, &size, &err), 0);
	cr_assert_eq(size, 6u);
	cr_assert_eq(memcmp(data, "second", 6), 0);
	free(data);
	cr_assert_eq(state_file_read(&dir, "ak", 5, &data, &size, &err),
	    ERR_FORMAT, "more than the most");
	cr_assert_eq(state_file_read(&dir, "no", 5, &data, &size, &err),
	    ERR_NOTFOUND);
	cr_assert_eq(state_file_remove(&dir, "ak", &err), 0);
	cr_assert_eq(state_file_remove(&dir, "ak", &err), 0);
}

Test(agent, files_of_others_are_refused)
{
	uint8_t *data;
	size_t size;

	cr_assert_eq(state_file_write(&dir, "ak", "x", 1, &err), 0);
	cr_assert_eq(fchmodat(dir.fd, "ak", 0640, 0), 0);
	cr_assert_eq(state_file_read(&dir, "ak", 5, &data, &size, &err),
	    ERR_REFUSED);
	cr_assert_eq(fchmodat(dir.fd, "ak", 0600, 0), 0);
	cr_assert_eq(symlinkat("ak", dir.fd, "link"), 0);
	cr_assert_eq(state_file_read(&dir, "link", 5, &data, &size, &err),
	    ERR_SYSTEM, "links are not followed");
	cr_assert_eq(mkfifoat(dir.fd, "fifo", 0600), 0);
	cr_assert_eq(state_file_read(&dir, "fifo", 5, &data, &size, &err),
	    ERR_FORMAT, "a FIFO neither blocks nor is one");
	if (geteuid() == 0) {
		cr_assert_eq(fchownat(dir.fd, "ak", 65534, 65534, 0), 0);
		cr_assert_eq(state_file_read(&dir, "ak", 5, &data, &size,
		    &err), ERR_REFUSED);
	}
}

Test(agent, directories_of_others_are_refused)
{
	struct state_dir d;

	cr_assert_eq(chmod(path, 0770), 0);
	cr_assert_eq(state_dir_open(&d, path, &err), ERR_REFUSED);
	cr_assert_eq(d.fd, -1);
	cr_assert_eq(chmod(path, 0755), 0);
	cr_assert_eq(state_dir_open(&d, path, &err), 0, "reading is harmless");
	state_dir_close(&d);
	if (geteuid() == 0) {
		cr_assert_eq(chown(path, 65534, 65534), 0);
		cr_assert_eq(state_dir_open(&d, path, &err), ERR_REFUSED);
	}
	cr_assert_eq(state_dir_open(&d, "relative", &err), ERR_USAGE);
	cr_assert_eq(state_dir_open(&d, "/nonexistent/x", &err), ERR_SYSTEM);
}

Test(agent, a_write_without_space_leaves_the_old_file)
{
	uint8_t *data;
	size_t size;

	cr_assert_eq(state_file_write(&dir, "ak", "good", 4, &err), 0);
	/* Nobody may make files there. */
	int ro = open("/proc/self", O_RDONLY | O_DIRECTORY);
	struct state_dir broken = { .fd = ro, .path = "/proc/self" };

	cr_assert_lt(state_file_write(&broken, "ak", "bad", 3, &err), 0);
	close(ro);
	cr_assert_eq(state_file_read(&dir, "ak", 9, &data, &size, &err), 0);
	cr_assert_eq(size, 4u);
	free(data);
}

static void
blob_put(uint8_t first, uint64_t epoch)
{
	struct dek_label label = { .vm = { first }, .epoch = epoch };
	uint8_t blob[64];
	struct buf w = buf_writer(blob, sizeof(blob));

	cr_assert_eq(dek_label_write(&label, &w), 0);
	cr_assert_eq(dek_store_put(&keys, label.vm, blob, w.pos, &err), 0);
}

Test(agent, keys_are_kept_listed_and_wiped)
{
	uint8_t (*vms)[UUID_SIZE], one[UUID_SIZE] = { 1 }, *blob;
	size_t count, size;

	blob_put(1, 7);
	blob_put(2, 8);
	cr_assert_eq(dek_store_get(&keys, one, &blob, &size, &err), 0);
	/* VTASEAL1, UUID, epoch: as doc/protocols.md has it. */
	cr_assert_eq(size, 32u);
	cr_assert_eq(memcmp(blob, "VTASEAL1\1", 9), 0);
	cr_assert_eq(blob[31], 7);
	free(blob);
	cr_assert_eq(dek_store_list(&keys, &vms, &count, &err), 0);
	cr_assert_eq(count, 2u);
	free(vms);
	cr_assert_eq(dek_store_remove(&keys, one, &err), 0);
	cr_assert_eq(dek_store_get(&keys, one, &blob, &size, &err),
	    ERR_NOTFOUND);
	/* What a writer that died left goes, too. */
	close(openat(keys.fd, ".x.0123", O_CREAT | O_WRONLY, 0600));
	cr_assert_eq(dek_store_wipe(&keys, &count, &err), 0);
	cr_assert_eq(count, 2u);
	cr_assert_eq(dek_store_list(&keys, &vms, &count, &err), 0);
	cr_assert_eq(count, 0u);
	free(vms);
}

Test(agent, a_key_under_another_vms_name_is_refused)
{
	uint8_t three[UUID_SIZE] = { 3 }, *blob;
	size_t size;

	blob_put(1, 7);
	cr_assert_eq(renameat(keys.fd, "01000000-0000-0000-0000-000000000000",
	    keys.fd, "03000000-0000-0000-0000-000000000000"), 0);
	cr_assert_eq(dek_store_get(&keys, three, &blob, &size, &err),
	    ERR_FORMAT);
	cr_assert_eq(state_file_write(&keys,
	    "03000000-0000-0000-0000-000000000000", "VTASEAL1", 8, &err), 0);
	cr_assert_eq(dek_store_get(&keys, three, &blob, &size, &err),
	    ERR_FORMAT, "cut short");
}

Test(agent, wiping_goes_on_after_a_failure)
{
	size_t count;

	blob_put(1, 7);
	cr_assert_eq(mkdirat(keys.fd, "a-directory", 0700), 0);
	blob_put(2, 7);
	cr_assert_lt(dek_store_wipe(&keys, &count, &err), 0);
	cr_assert_eq(count, 2u);
}

Test(agent, lists_of_pcrs)
{
	static const char *const bad[] = { "", "sha256", "sha256:", "md5:1",
		"sha256:24", "sha256:1,", "sha256:1,1", "sha256:1+",
		"sha256:1+sha256:2", "sha256:100", "sha256:1 ", ":1",
		"sha256:-1", "sha256:1+sha384", "sha256:0x1",
		"sha1:1+sha256:1+sha384:1+sha512:1+sha1:2" };
	struct pcr_set set;

	cr_assert_eq(pcr_list_parse("sha256:0,1,23+sha384:07", &set, &err), 0);
	cr_assert_eq(set.count, 2u);
	cr_assert_eq(set.bank[0].alg->id, 0x000b);
	cr_assert_eq(set.bank[0].mask, 0x800003u);
	cr_assert_eq(set.bank[1].alg->id, 0x000c);
	cr_assert_eq(set.bank[1].mask, 0x80u);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_assert_eq(pcr_list_parse(bad[i], &set, &err), ERR_USAGE,
		    "\"%s\" is refused", bad[i]);
}

Test(agent, the_transport_key_is_p256_and_in_locked_memory)
{
	struct transport_key *a, *b;
	const uint8_t *der;
	char group[32] = "";
	EVP_PKEY *public;
	size_t size, used;

	/* OpenSSL's generators have their state there, too, from first use. */
	cr_assert_eq(transport_key_new(&a, &err), 0, "%s", err.text);
	transport_key_free(a);
	used = CRYPTO_secure_used();
	cr_assert_eq(transport_key_new(&a, &err), 0, "%s", err.text);
	cr_assert_geq(CRYPTO_secure_used(), used + 32,
	    "the private number is in the secure heap");
	der = transport_key_public(a, &size);
	cr_assert_not_null(public = d2i_PUBKEY(NULL, &der, (long)size));
	cr_assert_eq(EVP_PKEY_get_group_name(public, group, sizeof(group),
	    &size), 1);
	cr_assert_str_eq(group, "prime256v1");
	cr_assert_eq(EVP_PKEY_eq(public, transport_key_pkey(a)), 1);
	EVP_PKEY_free(public);
	cr_assert_eq(transport_key_new(&b, &err), 0);
	cr_assert_eq(EVP_PKEY_eq(transport_key_pkey(a), transport_key_pkey(b)),
	    0, "one for each token");
	transport_key_free(a);
	transport_key_free(b);
	cr_assert_eq(CRYPTO_secure_used(), used, "cleansed and given back");
}

/* A helper that is a shell script: what the agent makes of its end. */
static int
helper_answers(const char *script, int timeout_ms)
{
	struct host_tpm h = { .helper = path, .tcti = "none",
		.timeout_ms = timeout_ms };
	struct host_bytes none = { 0 };
	struct host_identity id;
	FILE *f;
	int rc;

	snprintf(path, sizeof(path), "%s/helper", top);
	cr_assert_not_null(f = fopen(path, "w"));
	fprintf(f, "#!/bin/sh\n%s\n", script);
	fclose(f);
	cr_assert_eq(chmod(path, 0700), 0);
	rc = host_tpm_identity(&h, none, &id, &err);
	if (rc == 0)
		host_identity_free(&id);
	return rc;
}

Test(agent, a_helper_that_fails_is_believed_by_its_status)
{
	static const struct {
		const char *script;
		int rc;
	} cases[] = {
		{ "echo 'vta-kmxa-tpm: why' >&2; exit 1", ERR_TPM },
		{ "echo 'vta-kmxa-tpm: why' >&2; exit 3", ERR_NOTFOUND },
		{ "echo 'vta-kmxa-tpm: why' >&2; exit 4", ERR_KEY },
		{ "echo 'vta-kmxa-tpm: why' >&2; exit 5", ERR_STALE },
		{ "echo 'vta-kmxa-tpm: why' >&2; exit 6", ERR_FORMAT },
		{ "echo 'vta-kmxa-tpm: why' >&2; exit 7", ERR_BUSY },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cr_assert_eq(helper_answers(cases[i].script, 9000),
		    cases[i].rc);
		cr_assert_str_eq(err.text, "why");
	}
	cr_assert_eq(helper_answers("kill -9 $$", 9000), ERR_TPM);
	cr_assert_eq(helper_answers("exit 0", 9000), ERR_INTERNAL);
	cr_assert_eq(helper_answers("head -c 20000 /dev/zero", 9000), ERR_TPM,
	    "too much");
	cr_assert_eq(helper_answers("head -c 64 /dev/urandom", 9000),
	    ERR_INTERNAL);
}

Test(agent, a_helper_that_hangs_is_ended)
{
	cr_assert_eq(helper_answers("exec sleep 100", 300), ERR_TPM);
	cr_assert_not_null(strstr(err.text, "did not finish"));
	snprintf(path, sizeof(path), "%s/nothing-there", top);
	struct host_tpm h = { .helper = path };
	struct host_identity id;

	cr_assert_eq(host_tpm_identity(&h, (struct host_bytes){ 0 }, &id,
	    &err), ERR_TPM);
	cr_assert_not_null(strstr(err.text, "install it"));
}
