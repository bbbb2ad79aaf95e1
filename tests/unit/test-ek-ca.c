/* SPDX-License-Identifier: BSD-3-Clause */
/* Making the EK CA: once, whole, and the same for everyone. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/pem.h>

#include "vtpm/ek-ca.h"
#include "vtpm/x509.h"

#define RACERS 8

static char dir[64];
static struct native_config config = { .state_dir = dir,
	.owner = (uid_t)-1, .group = (gid_t)-1 };

static int
remove_entry(const char *path, const struct stat *st, int type,
    struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void
setup(void)
{
	snprintf(dir, sizeof(dir), "/tmp/vtpmd-test.XXXXXX");
	cr_assert_not_null(mkdtemp(dir));
}

static void
teardown(void)
{
	nftw(dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

TestSuite(ek_ca, .init = setup, .fini = teardown, .timeout = 60);

static void
write_file(const char *name, const char *text, mode_t mode)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/ca/%s", dir, name);
	f = fopen(path, "w");
	cr_assert_not_null(f);
	fputs(text, f);
	fclose(f);
	chmod(path, mode);
}

static int
entries(const char *sub)
{
	char path[128];
	struct dirent *e;
	int n = 0;
	DIR *d;

	snprintf(path, sizeof(path), "%s/%s", dir, sub);
	d = opendir(path);
	cr_assert_not_null(d);
	while ((e = readdir(d)) != NULL)
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

/* First users at once, each in its own process: all get one CA, and nothing
 * of the losers is left. */
Test(ek_ca, first_users_at_once)
{
	uint8_t ids[RACERS][X509_KEY_ID_SIZE];
	int go[2], answer[2];

	cr_assert_eq(pipe(go), 0);
	cr_assert_eq(pipe(answer), 0);
	for (int i = 0; i < RACERS; i++) {
		struct err err = { 0 };
		struct ek_ca *ca;
		char byte;

		if (fork() != 0)
			continue;
		close(go[1]);
		if (read(go[0], &byte, 1) != 0 ||
		    ek_ca_open(&ca, &config, true, &err) < 0 ||
		    x509_key_id(ek_ca_issuing(ca), ek_ca_context(ca), ids[0],
			&err) < 0 ||
		    write(answer[1], ids[0], sizeof(ids[0])) < 0)
			_exit(1);
		_exit(0);
	}
	close(go[1]);
	for (int i = 0; i < RACERS; i++) {
		int status;

		cr_assert_gt(wait(&status), 0);
		cr_assert_eq(status, 0);
		cr_assert_eq(read(answer[0], ids[i], sizeof(ids[i])),
		    X509_KEY_ID_SIZE);
		cr_assert_arr_eq(ids[i], ids[0], X509_KEY_ID_SIZE);
	}
	cr_assert_eq(entries("."), 1, "something is left of the losers");
	cr_assert_eq(entries("ca"), 4);
}

Test(ek_ca, is_kept)
{
	uint8_t first[X509_KEY_ID_SIZE], second[X509_KEY_ID_SIZE];
	struct err err = { 0 };
	struct ek_ca *ca;

	cr_assert_eq(ek_ca_open(&ca, &config, false, &err), ERR_NOTFOUND);
	cr_assert_eq(ek_ca_open(&ca, &config, true, &err), 0, "%s", err.text);
	x509_key_id(ek_ca_issuing(ca), ek_ca_context(ca), first, &err);
	ek_ca_free(ca);
	cr_assert_eq(ek_ca_open(&ca, &config, false, &err), 0);
	cr_assert_null(ek_ca_key(ca));
	x509_key_id(ek_ca_issuing(ca), ek_ca_context(ca), second, &err);
	cr_assert_arr_eq(first, second, sizeof(first));
	ek_ca_free(ca);
}

/* A crash before the rename leaves a directory of another name. */
Test(ek_ca, a_half_made_one_is_not_used)
{
	char path[128];
	struct err err = { 0 };
	struct ek_ca *ca;

	snprintf(path, sizeof(path), "%s/ca.new.0123456789abcdef", dir);
	cr_assert_eq(mkdir(path, 0700), 0);
	cr_assert_eq(ek_ca_open(&ca, &config, true, &err), 0, "%s", err.text);
	ek_ca_free(ca);
	cr_assert_eq(entries("ca"), 4);
}

/* Damage is an error, never a fresh CA. */
Test(ek_ca, damage)
{
	struct err err = { 0 };
	char path[128];
	struct ek_ca *ca;

	cr_assert_eq(ek_ca_open(&ca, &config, true, &err), 0);
	ek_ca_free(ca);
	write_file("root.pem", "-----BEGIN CERTIFICATE-----\n", 0644);
	cr_assert_eq(ek_ca_open(&ca, &config, true, &err), ERR_CRYPTO);
	cr_assert_not_null(strstr(err.text, "root.pem"));
	snprintf(path, sizeof(path), "%s/ca/root.pem", dir);
	unlink(path);
	cr_assert_eq(ek_ca_open(&ca, &config, true, &err), ERR_SYSTEM);
	cr_assert_eq(entries("ca"), 3);
}

/* The issuing key of somebody else, and one that everybody may read. */
Test(ek_ca, another_key)
{
	struct err err = { 0 };
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-384");
	char path[128];
	struct ek_ca *ca;
	FILE *f;

	cr_assert_eq(ek_ca_open(&ca, &config, true, &err), 0);
	ek_ca_free(ca);
	snprintf(path, sizeof(path), "%s/ca/issuing.key", dir);
	chmod(path, 0604);
	cr_assert_eq(ek_ca_open(&ca, &config, true, &err), ERR_REFUSED);
	f = fopen(path, "w");
	PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL);
	fclose(f);
	chmod(path, 0600);
	cr_assert_eq(ek_ca_open(&ca, &config, true, &err), ERR_FORMAT);
	EVP_PKEY_free(key);
}
