/* SPDX-License-Identifier: BSD-3-Clause */
#include "vtpm/ek-ca.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/fdio.h"
#include "base/secret.h"
#include "nvram-crypt/crypto.h"
#include "nvram-crypt/native-dir.h"
#include "vtpm/der.h"
#include "vtpm/ek-ca-make.h"
#include "vtpm/x509.h"

#define FILE_SIZE_MAX 16384

struct ek_ca {
	OSSL_LIB_CTX *ctx;
	EVP_PKEY *key;
	X509 *issuing, *root;
	char path[PATH_MAX];		/* STATE_DIR/ca, for messages */
	struct native_owner owner;
	const char *crl_url;
};

/* Judged by whose it is and who may read it only where it is secret. */
static int
file_judge(const struct ek_ca *ca, const char *name, int fd, bool secret,
    off_t *size, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys(err, errno, "cannot examine %s/%s", ca->path,
		    name);
	if (!S_ISREG(st.st_mode) || st.st_size > FILE_SIZE_MAX)
		return err_set(err, ERR_FORMAT, "%s/%s is not a PEM file",
		    ca->path, name);
	if (secret && !native_owner_trusted(&ca->owner, st.st_uid))
		return err_set(err, ERR_REFUSED, "%s/%s belongs to user %u",
		    ca->path, name, (unsigned)st.st_uid);
	if (secret && (st.st_mode & (S_IRWXG | S_IRWXO)))
		return err_set(err, ERR_REFUSED, "others may read %s/%s (mode "
		    "%04o), the key that vouches for this host's TPMs: run "
		    "chmod 0600, and think of who has read it", ca->path, name,
		    (unsigned)st.st_mode & 07777);
	*size = st.st_size;
	return 0;
}

static int
file_read(const struct ek_ca *ca, int dirfd, const char *name, bool secret,
    struct secret **out, struct err *err)
{
	off_t size = 0;
	int fd, rc;

	*out = NULL;
	/* A FIFO or a terminal in its place must not hold us. */
	if ((fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC |
	    O_NONBLOCK | O_NOCTTY)) < 0)
		return err_sys(err, errno, "cannot open %s/%s", ca->path,
		    name);
	if ((rc = file_judge(ca, name, fd, secret, &size, err)) < 0)
		goto out;
	if ((*out = secret_new((size_t)size)) == NULL)
		rc = err_sys(err, errno, "cannot lock memory for %s/%s",
		    ca->path, name);
	else if (fdio_read(fd, secret_data(*out), (size_t)size) < 0)
		rc = err_sys(err, errno, "cannot read %s/%s", ca->path, name);
out:
	if (rc < 0) {
		secret_free(*out);
		*out = NULL;
	}
	close(fd);
	return rc;
}

static int
load_certificate(struct ek_ca *ca, int dirfd, const char *name, X509 **out,
    struct err *err)
{
	struct secret *pem = NULL;
	BIO *bio = NULL;
	X509 *x = NULL;
	int rc;

	if ((rc = file_read(ca, dirfd, name, false, &pem, err)) < 0)
		return rc;
	bio = BIO_new_mem_buf(secret_bytes(pem), (int)secret_size(pem));
	if (bio == NULL || (x = X509_new_ex(ca->ctx, NULL)) == NULL ||
	    PEM_read_bio_X509(bio, &x, NULL, NULL) == NULL) {
		X509_free(x);
		rc = crypto_error(err,
		    "cannot read a certificate of the EK CA");
		err_prefix(err, "%s/%s", ca->path, name);
	} else {
		*out = x;
	}
	BIO_free(bio);
	secret_free(pem);
	return rc;
}

static int
load_key(struct ek_ca *ca, int dirfd, struct err *err)
{
	struct secret *pem = NULL;
	BIO *bio = NULL;
	int rc;

	rc = file_read(ca, dirfd, EK_CA_ISSUING_KEY, true, &pem, err);
	if (rc < 0)
		return rc;
	bio = BIO_new_mem_buf(secret_bytes(pem), (int)secret_size(pem));
	/* "": a key that wants a passphrase fails instead of asking. */
	if (bio == NULL || (ca->key = PEM_read_bio_PrivateKey_ex(bio, NULL,
		NULL, (void *)(uintptr_t)"", ca->ctx, NULL)) == NULL) {
		rc = crypto_error(err, "cannot read the key of the EK CA");
		err_prefix(err, "%s/" EK_CA_ISSUING_KEY, ca->path);
	} else if (X509_check_private_key(ca->issuing, ca->key) != 1) {
		rc = err_set(err, ERR_FORMAT, "%s/" EK_CA_ISSUING_KEY " is "
		    "not the key of " EK_CA_ISSUING_CERT, ca->path);
	}
	BIO_free(bio);
	secret_free(pem);
	return rc;
}

/* A descriptor of STATE_DIR/ca, which is made first if it must be. */
static int
open_directory(struct ek_ca *ca, const struct native_config *config,
    bool make, struct err *err)
{
	int state_fd, fd, rc;

	state_fd = native_dir_open_state(config->state_dir, make, &ca->owner,
	    err);
	if (state_fd < 0)
		return state_fd;
	if (make)
		ek_ca_clean(state_fd, &ca->owner);
	fd = native_dir_open_below(state_fd, EK_CA_DIR, ca->path, false,
	    &ca->owner, err);
	if (fd == ERR_NOTFOUND && make) {
		rc = ek_ca_make(state_fd, config->state_dir, &ca->owner,
		    ca->ctx, err);
		fd = rc < 0 ? rc : native_dir_open_below(state_fd, EK_CA_DIR,
		    ca->path, false, &ca->owner, err);
	} else if (fd == ERR_NOTFOUND) {
		err_set(err, fd, "there is no EK CA %s: this host has issued "
		    "no certificates; vtpmctl create makes it", ca->path);
	}
	close(state_fd);
	return fd;
}

int
ek_ca_open(struct ek_ca **out, const struct native_config *config, bool sign,
    struct err *err)
{
	struct ek_ca *ca;
	int dirfd = -1, rc;

	if ((ca = calloc(1, sizeof(*ca))) == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	ca->owner = (struct native_owner){ .uid = config->owner,
		.gid = config->group };
	snprintf(ca->path, sizeof(ca->path), "%.4000s/" EK_CA_DIR,
	    config->state_dir);
	if ((rc = crypto_init(err)) < 0)
		goto out;
	ca->ctx = crypto_context();
	rc = dirfd = open_directory(ca, config, sign, err);
	if (rc >= 0)
		rc = load_certificate(ca, dirfd, EK_CA_ROOT_CERT, &ca->root,
		    err);
	if (rc >= 0)
		rc = load_certificate(ca, dirfd, EK_CA_ISSUING_CERT,
		    &ca->issuing, err);
	if (rc >= 0 && sign)
		rc = load_key(ca, dirfd, err);
	if (rc < 0)
		goto out;
	rc = 0;
	*out = ca;
	ca = NULL;
out:
	if (dirfd >= 0)
		close(dirfd);
	ek_ca_free(ca);
	return rc;
}

int
ek_ca_from(struct ek_ca **out, X509 *issuing, X509 *root, EVP_PKEY *key,
    struct err *err)
{
	struct ek_ca *ca = calloc(1, sizeof(*ca));
	int rc;

	if (ca == NULL) {
		X509_free(issuing);
		X509_free(root);
		EVP_PKEY_free(key);
		return err_set(err, ERR_INTERNAL, "out of memory");
	}
	ca->issuing = issuing;
	ca->root = root;
	ca->key = key;
	if ((rc = crypto_init(err)) < 0) {
		ek_ca_free(ca);
		return rc;
	}
	ca->ctx = crypto_context();
	*out = ca;
	return 0;
}

void
ek_ca_set_crl_url(struct ek_ca *ca, const char *url)
{
	ca->crl_url = url;
}

const char *
ek_ca_crl_url(const struct ek_ca *ca)
{
	return ca->crl_url;
}

int
ek_ca_put_issuer_id(const struct ek_ca *ca, struct buf *out, struct err *err)
{
	const ASN1_OCTET_STRING *own = X509_get0_subject_key_id(ca->issuing);
	uint8_t made[X509_KEY_ID_SIZE];
	size_t mark = der_mark(out);
	int rc;

	if (own != NULL) {
		der_bytes(out, DER_CONTEXT_PRIMITIVE(0),
		    ASN1_STRING_get0_data(own),
		    (size_t)ASN1_STRING_length(own));
	} else {
		rc = x509_key_id(ca->issuing, ca->ctx, made, err);
		if (rc < 0)
			return rc;
		der_bytes(out, DER_CONTEXT_PRIMITIVE(0), made, sizeof(made));
	}
	der_wrap(out, mark, DER_SEQUENCE);
	return 0;
}

void
ek_ca_free(struct ek_ca *ca)
{
	if (ca == NULL)
		return;
	EVP_PKEY_free(ca->key);
	X509_free(ca->issuing);
	X509_free(ca->root);
	free(ca);
}

OSSL_LIB_CTX *
ek_ca_context(const struct ek_ca *ca)
{
	return ca->ctx;
}

EVP_PKEY *
ek_ca_key(const struct ek_ca *ca)
{
	return ca->key;
}

X509 *
ek_ca_issuing(const struct ek_ca *ca)
{
	return ca->issuing;
}

X509 *
ek_ca_root(const struct ek_ca *ca)
{
	return ca->root;
}
