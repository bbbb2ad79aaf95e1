/* SPDX-License-Identifier: BSD-3-Clause */
#include "nvram-crypt/native-key.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fdio.h"
#include "nvram-crypt/crypto.h"
#include "nvram-crypt/hostkey-run.h"
#include "nvram-crypt/native-leftover.h"

#define KEY_NAME "key"
#define KEY_TEMPORARY ".key."	/* and 16 hex digits */
#define KEY_MAGIC "VTPMHKEY"
#define KEY_MAGIC_SIZE 8
#define KEY_VERSION 1
#define KEY_HEADER_SIZE 32
#define KEY_FILE_MAX (KEY_HEADER_SIZE + HOSTKEY_BLOB_MAX)

/* The file's fields; body points into the file's bytes. */
struct key_file {
	uint16_t storage;
	uint8_t id[NATIVE_KEY_ID_SIZE];
	const uint8_t *body;
	size_t body_size;
};

/* One-way, so that the name of the key may be shown and stored beside it. */
static int
key_id(const struct secret *key, uint8_t id[NATIVE_KEY_ID_SIZE],
    struct err *err)
{
	return crypto_kbkdf(secret_bytes(key), secret_size(key),
	    "vtpmd native key id", NULL, 0, id, NATIVE_KEY_ID_SIZE, err);
}

static int
key_file_parse(struct buf *in, struct key_file *f, const char *path,
    struct err *err)
{
	const uint8_t *magic, *id;
	uint16_t version = 0;
	uint32_t size = 0;

	buf_get_ref(in, &magic, KEY_MAGIC_SIZE);
	buf_get_u16be(in, &version);
	buf_get_u16be(in, &f->storage);
	buf_get_ref(in, &id, NATIVE_KEY_ID_SIZE);
	buf_get_u32be(in, &size);
	if (!buf_ok(in) || memcmp(magic, KEY_MAGIC, KEY_MAGIC_SIZE) != 0)
		return err_set(err, ERR_FORMAT, "%s/key is not a native key: "
		    "restore it from a backup", path);
	if (version != KEY_VERSION)
		return err_set(err, ERR_UNSUPPORTED, "%s/key has format %u, "
		    "this version reads %u: a newer vtpmd wrote it", path,
		    version, KEY_VERSION);
	if (size != buf_left(in) || size > HOSTKEY_BLOB_MAX ||
	    (f->storage == NATIVE_STORAGE_FILE && size != NATIVE_KEY_SIZE))
		return err_set(err, ERR_FORMAT, "%s/key is damaged (its length "
		    "is wrong): restore it from a backup", path);
	if (f->storage != NATIVE_STORAGE_FILE &&
	    f->storage != NATIVE_STORAGE_TPM)
		return err_set(err, ERR_UNSUPPORTED, "%s/key is stored in a "
		    "way (%u) that this version does not know", path,
		    f->storage);
	memcpy(f->id, id, NATIVE_KEY_ID_SIZE);
	buf_get_ref(in, &f->body, size);
	f->body_size = size;
	return 0;
}

/* Opens the file if nobody but its owner may read it. */
static int
key_file_open(int dirfd, const char *path, const struct native_owner *owner,
    size_t *size, struct err *err)
{
	struct stat st;
	int fd, rc;

	/* O_NONBLOCK: a FIFO in its place must not hang us. */
	fd = openat(dirfd, KEY_NAME,
	    O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 && errno == ENOENT)
		return err_set(err, ERR_NOTFOUND, "there is no %s/key: this "
		    "host has no native key yet; vtpmctl create makes it",
		    path);
	if (fd < 0) {
		rc = err_sys(err, errno, "cannot open %s/key", path);
		if (errno == EACCES)
			err_append(err, " (run as its owner, or as root)");
		return rc;
	}
	if (fstat(fd, &st) < 0)
		rc = err_sys(err, errno, "cannot examine %s/key", path);
	else if (!S_ISREG(st.st_mode))
		rc = err_set(err, ERR_REFUSED, "%s/key is not a regular file",
		    path);
	else if (!native_owner_trusted(owner, st.st_uid))
		rc = err_set(err, ERR_REFUSED, "%s/key belongs to user %u, "
		    "whom this process has no reason to trust: chown it", path,
		    (unsigned)st.st_uid);
	else if (st.st_mode & (S_IRWXG | S_IRWXO))
		rc = err_set(err, ERR_REFUSED, "%s/key can be read or written "
		    "by others (mode %04o): run chmod 0600 on it and, if they "
		    "are not trusted, make a new key and rekey the VMs", path,
		    (unsigned)st.st_mode & 07777);
	else if (st.st_size < KEY_HEADER_SIZE || st.st_size > KEY_FILE_MAX)
		rc = err_set(err, ERR_FORMAT, "%s/key is damaged (%lld bytes): "
		    "restore it from a backup", path, (long long)st.st_size);
	else {
		*size = (size_t)st.st_size;
		return fd;
	}
	close(fd);
	return rc;
}

int
native_key_load(int dirfd, const char *path,
    const struct native_config *config, const struct native_owner *owner,
    struct native_key *key, struct err *err)
{
	struct secret *bytes = NULL, *k = NULL;
	uint8_t id[NATIVE_KEY_ID_SIZE];
	struct key_file f = { 0 };
	struct buf in;
	size_t size = 0;
	int fd = -1, rc;

	if ((rc = fd = key_file_open(dirfd, path, owner, &size, err)) < 0)
		return rc;
	if ((bytes = secret_new(size)) == NULL) {
		rc = err_sys(err, errno, "cannot lock memory for %s/key "
		    "(raise the memlock limit)", path);
		goto out;
	}
	if ((rc = fdio_read(fd, secret_data(bytes), size)) < 0) {
		rc = err_sys(err, rc == ERR_SYSTEM ? errno : EIO,
		    "cannot read %s/key", path);
		goto out;
	}
	in = buf_reader(secret_bytes(bytes), size);
	if ((rc = key_file_parse(&in, &f, path, err)) < 0)
		goto out;
	if (f.storage == NATIVE_STORAGE_TPM) {
		rc = hostkey_unseal(config, f.body, f.body_size, &k, err);
		if (rc < 0) {
			err_prefix(err, "%s/key is sealed by the host's TPM",
			    path);
			goto out;
		}
	} else if ((k = secret_from(f.body, f.body_size)) == NULL) {
		rc = err_sys(err, errno, "cannot lock memory for a key");
		goto out;
	}
	if ((rc = key_id(k, id, err)) < 0)
		goto out;
	/* Tells a damaged key from one that merely fits no VM. */
	if (secret_size(k) != NATIVE_KEY_SIZE ||
	    memcmp(id, f.id, sizeof(id)) != 0) {
		rc = err_set(err, ERR_FORMAT, "%s/key is damaged (the key does "
		    "not match its id): restore it from a backup", path);
		goto out;
	}
	key->key = k;
	k = NULL;
	memcpy(key->id, id, sizeof(id));
	key->storage = f.storage;
out:
	close(fd);
	secret_free(bytes);
	secret_free(k);
	return rc;
}

/* The bytes of a new key's file; a secret, as they may hold the key. */
static int
key_file_make(const struct native_config *config, struct secret **out,
    struct err *err)
{
	struct secret *key = NULL, *file = NULL;
	uint8_t id[NATIVE_KEY_ID_SIZE], blob[HOSTKEY_BLOB_MAX];
	const uint8_t *body;
	size_t body_size = NATIVE_KEY_SIZE;
	struct buf w;
	int rc = 0;

	if ((key = secret_new(NATIVE_KEY_SIZE)) == NULL ||
	    (file = secret_new(KEY_FILE_MAX)) == NULL) {
		rc = err_sys(err, errno, "cannot lock memory for a key "
		    "(raise the memlock limit)");
		goto out;
	}
	if ((rc = crypto_random(secret_data(key), NATIVE_KEY_SIZE, err)) < 0 ||
	    (rc = key_id(key, id, err)) < 0)
		goto out;
	body = secret_bytes(key);
	if (config->seal_to_tpm) {
		if ((rc = hostkey_seal(config, key, blob, &body_size, err)) < 0)
			goto out;
		body = blob;
	}
	w = buf_writer(secret_data(file), secret_size(file));
	buf_put_bytes(&w, KEY_MAGIC, KEY_MAGIC_SIZE);
	buf_put_u16be(&w, KEY_VERSION);
	buf_put_u16be(&w, config->seal_to_tpm ? NATIVE_STORAGE_TPM :
	    NATIVE_STORAGE_FILE);
	buf_put_bytes(&w, id, sizeof(id));
	buf_put_u32be(&w, (uint32_t)body_size);
	buf_put_bytes(&w, body, body_size);
	if (!buf_ok(&w)) {
		rc = err_set(err, ERR_INTERNAL, "a native key outgrew its file");
		goto out;
	}
	secret_truncate(file, w.pos);
	*out = file;
	file = NULL;
out:
	secret_free(key);
	secret_free(file);
	return rc;
}

static void
leftover_remove(int dirfd, const char *name, int fd)
{
	(void)fd;
	(void)unlinkat(dirfd, name, 0);
}

/* What it holds is a key that was never used, or another name of the one that
 * is: either way the name alone has to go. */
void
native_key_clean(int dirfd, const struct native_owner *owner)
{
	native_leftovers_remove(dirfd, KEY_TEMPORARY, S_IFREG, owner,
	    leftover_remove);
}

int
native_key_create(int dirfd, const char *path,
    const struct native_config *config, const struct native_owner *owner,
    struct err *err)
{
	struct secret *file = NULL;
	char name[32] = "";
	uint64_t tag;
	int fd = -1, rc;

	if ((rc = key_file_make(config, &file, err)) < 0)
		return rc;
	if ((rc = crypto_random(&tag, sizeof(tag), err)) < 0)
		goto out;
	snprintf(name, sizeof(name), KEY_TEMPORARY "%016llx",
	    (unsigned long long)tag);
	fd = openat(dirfd, name,
	    O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0) {
		rc = err_sys(err, errno, "cannot make a file in %s", path);
		name[0] = '\0';
		goto out;
	}
	native_leftover_hold(fd);
	if ((rc = native_owner_give(owner, fd, path, err)) < 0)
		goto out;
	if (fchmod(fd, 0600) < 0 || fdio_write(fd, secret_bytes(file),
	    secret_size(file)) < 0 || fsync(fd) < 0) {
		rc = err_sys(err, errno, "cannot write the native key in %s",
		    path);
		goto out;
	}
	/* link() never replaces: of two first users one wins, and both then
	 * read the winner's. */
	if (linkat(dirfd, name, dirfd, KEY_NAME, 0) < 0) {
		rc = errno == EEXIST ? err_set(err, ERR_EXISTS,
		    "%s/key exists", path) : err_sys(err, errno,
		    "cannot put the native key in place in %s", path);
		goto out;
	}
	rc = 0;
out:
	if (name[0] != '\0')
		(void)unlinkat(dirfd, name, 0);
	/* Nothing may be encrypted under a key that a power cut can take. */
	if (rc == 0 && fsync(dirfd) < 0)
		rc = err_sys(err, errno, "cannot sync %s", path);
	if (fd >= 0)
		close(fd);
	secret_free(file);
	return rc;
}
