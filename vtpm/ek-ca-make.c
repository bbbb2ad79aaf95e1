/* SPDX-License-Identifier: BSD-3-Clause */
#include "vtpm/ek-ca-make.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/pem.h>

#include "base/fdio.h"
#include "nvram-crypt/crypto.h"
#include "nvram-crypt/native-leftover.h"
#include "vtpm/der.h"
#include "vtpm/x509.h"

#define TEMPORARY EK_CA_DIR ".new."	/* and 16 hex digits */

struct authority {
	EVP_PKEY *key;
	X509 *cert;
	uint8_t key_id[X509_KEY_ID_SIZE];
};

static const char *const file_names[] = { EK_CA_ROOT_KEY, EK_CA_ROOT_CERT,
	EK_CA_ISSUING_KEY, EK_CA_ISSUING_CERT };
#define N_FILES (sizeof(file_names) / sizeof(file_names[0]))

static void
authority_free(struct authority *a)
{
	EVP_PKEY_free(a->key);
	X509_free(a->cert);
}

/* The name carries the key's identifier, so that the CAs of two hosts are
 * two names, without telling guests what their host is called. */
static int
set_subject(struct authority *a, const char *role, struct err *err)
{
	X509_NAME *name = X509_get_subject_name(a->cert);
	char cn[64];

	snprintf(cn, sizeof(cn), "vtpmd EK %s CA %02x%02x%02x%02x", role,
	    a->key_id[0], a->key_id[1], a->key_id[2], a->key_id[3]);
	if (X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8,
		(const unsigned char *)cn, -1, -1, 0) != 1)
		return crypto_error(err, "cannot name the EK CA");
	return 0;
}

static int
add_extensions(struct authority *a, const struct authority *issuer,
    int path_length, struct err *err)
{
	uint8_t room[X509_KEY_ID_SIZE + 4];
	struct buf id = buf_writer(room, sizeof(room));
	int rc;

	der_bytes(&id, DER_OCTET_STRING, a->key_id, sizeof(a->key_id));
	rc = x509_add_basic_constraints(a->cert, true, path_length, err);
	if (rc == 0)
		rc = x509_add_key_usage(a->cert,
		    X509_KEY_CERT_SIGN | X509_CRL_SIGN, err);
	if (rc == 0)
		rc = x509_add_extension(a->cert, "2.5.29.14", false, &id, err);
	if (rc == 0)
		rc = x509_add_authority_key_id(a->cert, issuer->key_id, err);
	return rc;
}

/* EK certificates have no end (TCG EK Credential Profile, Validity), so these
 * have none either: a chain ends with its shortest part. */
static int
authority_make(struct authority *a, const struct authority *issuer,
    const char *role, int path_length, OSSL_LIB_CTX *ctx, struct err *err)
{
	int rc;

	if ((a->key = EVP_PKEY_Q_keygen(ctx, NULL, "EC", "P-384")) == NULL)
		return crypto_error(err, "cannot make a key for the EK CA");
	if ((rc = x509_begin(&a->cert, ctx, err)) < 0)
		return rc;
	if (X509_set_pubkey(a->cert, a->key) != 1)
		return crypto_error(err, "cannot put the key into the EK CA");
	if ((rc = x509_key_id(a->cert, ctx, a->key_id, err)) < 0 ||
	    (rc = set_subject(a, role, err)) < 0)
		return rc;
	if (X509_set_issuer_name(a->cert,
		X509_get_subject_name(issuer->cert)) != 1)
		return crypto_error(err, "cannot name the issuer of the EK CA");
	if ((rc = add_extensions(a, issuer, path_length, err)) < 0)
		return rc;
	return x509_sign(a->cert, issuer->key, ctx, err);
}

/* Writes what is in the BIO as a new file. */
static int
file_write(int dirfd, const char *name, mode_t mode, BIO *bio,
    const struct native_owner *owner, struct err *err)
{
	char *data;
	long size = BIO_get_mem_data(bio, &data);
	int fd = -1, rc = 0;

	fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW |
	    O_CLOEXEC, mode);
	if (fd < 0) {
		rc = err_sys(err, errno, "cannot make the EK CA's %s", name);
		goto out;
	}
	/* The umask may have taken bits away, and must not. */
	if (fchmod(fd, mode) < 0 || fdio_write(fd, data, (size_t)size) < 0 ||
	    fsync(fd) < 0) {
		rc = err_sys(err, errno, "cannot write the EK CA's %s", name);
		goto out;
	}
	rc = native_owner_give(owner, fd, name, err);
out:
	if (fd >= 0)
		close(fd);
	return rc;
}

static int
authority_write(int dirfd, const struct authority *a, const char *key_name,
    const char *cert_name, const struct native_owner *owner, struct err *err)
{
	/* BIO_s_secmem cleanses the key when it is freed. */
	BIO *key = BIO_new(BIO_s_secmem()), *cert = BIO_new(BIO_s_mem());
	int rc;

	if (key == NULL || cert == NULL ||
	    PEM_write_bio_PKCS8PrivateKey(key, a->key, NULL, NULL, 0, NULL,
		NULL) != 1 || PEM_write_bio_X509(cert, a->cert) != 1) {
		rc = crypto_error(err, "cannot encode the EK CA");
		goto out;
	}
	rc = file_write(dirfd, key_name, 0600, key, owner, err);
	if (rc == 0)
		rc = file_write(dirfd, cert_name, 0644, cert, owner, err);
out:
	BIO_free(key);
	BIO_free(cert);
	return rc;
}

static void
directory_remove(int state_fd, const char *name, int fd)
{
	for (size_t i = 0; i < N_FILES; i++)
		(void)unlinkat(fd, file_names[i], 0);
	(void)unlinkat(state_fd, name, AT_REMOVEDIR);
}

/* All four files in a directory of a name of its own, which a rename then
 * makes the CA: it fails where another process's CA, never empty, is there. */
static int
directory_fill(int state_fd, const char *path,
    const struct native_owner *owner, const struct authority *root,
    const struct authority *issuing, struct err *err)
{
	char name[32];
	uint64_t id;
	int fd, rc;

	if (getrandom(&id, sizeof(id), 0) != (ssize_t)sizeof(id))
		return err_sys(err, errno, "cannot get random bytes");
	snprintf(name, sizeof(name), TEMPORARY "%016llx",
	    (unsigned long long)id);
	fd = native_dir_open_below(state_fd, name, path, true, owner, err);
	if (fd < 0)
		return fd;
	native_leftover_hold(fd);
	rc = authority_write(fd, root, EK_CA_ROOT_KEY, EK_CA_ROOT_CERT, owner,
	    err);
	if (rc == 0)
		rc = authority_write(fd, issuing, EK_CA_ISSUING_KEY,
		    EK_CA_ISSUING_CERT, owner, err);
	if (rc == 0 && fsync(fd) < 0)
		rc = err_sys(err, errno, "cannot sync %s", path);
	if (rc == 0 && renameat(state_fd, name, state_fd, EK_CA_DIR) < 0) {
		if (errno != ENOTEMPTY && errno != EEXIST)
			rc = err_sys(err, errno, "cannot put the EK CA in "
			    "place as %s/" EK_CA_DIR, path);
		directory_remove(state_fd, name, fd);
	} else if (rc < 0) {
		directory_remove(state_fd, name, fd);
	} else if (fsync(state_fd) < 0) {
		rc = err_sys(err, errno, "cannot sync %s", path);
	}
	close(fd);
	return rc;
}

void
ek_ca_clean(int state_fd, const struct native_owner *owner)
{
	native_leftovers_remove(state_fd, TEMPORARY, S_IFDIR, owner,
	    directory_remove);
}

int
ek_ca_make(int state_fd, const char *path, const struct native_owner *owner,
    OSSL_LIB_CTX *ctx, struct err *err)
{
	struct authority root = { 0 }, issuing = { 0 };
	int rc;

	rc = authority_make(&root, &root, "Root", 1, ctx, err);
	if (rc == 0)
		rc = authority_make(&issuing, &root, "Issuing", 0, ctx, err);
	if (rc == 0)
		rc = directory_fill(state_fd, path, owner, &root, &issuing,
		    err);
	authority_free(&root);
	authority_free(&issuing);
	return rc;
}
