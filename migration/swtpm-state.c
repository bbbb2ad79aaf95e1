/* SPDX-License-Identifier: BSD-3-Clause */
#include "migration/swtpm-state.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "migration/new-file.h"
#include "nvram-crypt/nvram.h"

#define PERMANENT "tpm2-00.permall"
#define VOLATILE "tpm2-00.volatilestate"
#define BLOB_MAX (NVRAM_STATE_MAX + 1024u)

/* swtpm_nvstore_linear.h, little-endian: "swtpmlin" as a number, version u8,
 * zero u8, size of the header u16, 15 x {offset, size of the data, size of the
 * section}; the first is permanent state, the second volatile. */
#define LINEAR_MAGIC 0x737774706d6c696eULL
#define LINEAR_VERSION 1u
#define LINEAR_HEADER_SIZE 192u

static int
join(char path[PATH_MAX], const char *directory, const char *name,
    struct err *err)
{
	int n = snprintf(path, PATH_MAX, "%s/%s", directory, name);

	return n >= 0 && n < PATH_MAX ? 0 :
	    err_set(err, ERR_USAGE, "%s is too long a path", directory);
}

/* -- reading -- */

static int
read_at(int fd, const char *path, void *out, size_t size, off_t offset,
    struct err *err)
{
	uint8_t *bytes = out;

	while (size > 0) {
		ssize_t n = pread(fd, bytes, size, offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, errno, "cannot read %s", path);
		if (n == 0)
			return err_set(err, ERR_FORMAT, "%s is cut short",
			    path);
		bytes += n;
		offset += n;
		size -= (size_t)n;
	}
	return 0;
}

static int
read_blob(int fd, const char *path, uint64_t offset, uint64_t size,
    const struct swtpm_key *key, struct secret **state, struct err *err)
{
	struct secret *blob;
	int rc;

	if (size == 0 || size > BLOB_MAX)
		return err_set(err, ERR_FORMAT, "%s: a TPM's state is not "
		    "%llu bytes long", path, (unsigned long long)size);
	if ((blob = secret_new((size_t)size)) == NULL)
		return err_sys(err, errno, "cannot lock memory for a state");
	rc = read_at(fd, path, secret_data(blob), (size_t)size, (off_t)offset,
	    err);
	if (rc == 0 && (rc = swtpm_blob_decode(secret_bytes(blob),
	    secret_size(blob), key, state, err)) < 0)
		err_prefix(err, "%s", path);
	secret_free(blob);
	return rc;
}

/* swtpm locks its .lock, or its file, for writing as long as it runs. */
static int
keep_away(int fd, const char *path, struct err *err)
{
	struct flock fl = { .l_type = F_RDLCK, .l_whence = SEEK_SET };

	if (fcntl(fd, F_OFD_SETLK, &fl) == 0)
		return 0;
	if (errno == EAGAIN || errno == EACCES)
		return err_set(err, ERR_BUSY, "swtpm runs with %s: stop the VM "
		    "first", path);
	return err_sys(err, errno, "cannot lock %s", path);
}

static int
read_file(const char *directory, const char *name,
    const struct swtpm_key *key, struct secret **state, struct err *err)
{
	char path[PATH_MAX];
	struct stat st;
	int fd, rc;

	if ((rc = join(path, directory, name, err)) < 0)
		return rc;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return errno == ENOENT ? err_set(err, ERR_NOTFOUND,
		    "swtpm keeps no TPM 2.0 in %s: there is no %s", directory,
		    name) : err_sys(err, errno, "cannot open %s", path);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		rc = err_set(err, ERR_FORMAT, "%s is not a file", path);
	else
		rc = read_blob(fd, path, 0, (uint64_t)st.st_size, key, state,
		    err);
	close(fd);
	return rc;
}

static int
read_directory(struct swtpm_states *s, const char *directory,
    const struct swtpm_key *key, struct err *err)
{
	struct err why = { 0 };
	char path[PATH_MAX];
	int rc;

	if ((rc = join(path, directory, ".lock", err)) < 0)
		return rc;
	s->lock = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (s->lock < 0 && errno != ENOENT)
		return err_sys(err, errno, "cannot open %s", path);
	if (s->lock >= 0 && (rc = keep_away(s->lock, directory, err)) < 0)
		return rc;
	if ((rc = read_file(directory, PERMANENT, key, &s->permanent,
	    err)) < 0)
		return rc;
	rc = read_file(directory, VOLATILE, key, &s->volatile_state, &why);
	if (rc == 0 || rc == ERR_NOTFOUND)
		return 0;
	*err = why;
	return rc;
}

static int
read_section(int fd, const char *path, struct buf *header,
    const struct swtpm_key *key, struct secret **state, struct err *err)
{
	uint32_t offset = 0, size = 0, section = 0;

	buf_get_u32le(header, &offset);
	buf_get_u32le(header, &size);
	buf_get_u32le(header, &section);
	if (!buf_ok(header) || size > section)
		return err_set(err, ERR_FORMAT, "%s: its header is damaged",
		    path);
	if (offset == 0)
		return ERR_NOTFOUND;
	return read_blob(fd, path, offset, size, key, state, err);
}

static int
read_linear(struct swtpm_states *s, const char *path,
    const struct swtpm_key *key, struct err *err)
{
	uint8_t bytes[LINEAR_HEADER_SIZE], version = 0;
	struct buf b = buf_reader(bytes, sizeof(bytes));
	uint16_t header_size = 0;
	uint64_t magic = 0;
	int rc;

	if ((rc = keep_away(s->lock, path, err)) < 0 ||
	    (rc = read_at(s->lock, path, bytes, sizeof(bytes), 0, err)) < 0)
		return rc;
	buf_get_u64le(&b, &magic);
	buf_get_u8(&b, &version);
	buf_get_bytes(&b, NULL, 1);
	buf_get_u16le(&b, &header_size);
	if (magic != LINEAR_MAGIC)
		return err_set(err, ERR_FORMAT, "%s is not a file of swtpm's "
		    "backend file://", path);
	if (version != LINEAR_VERSION || header_size != LINEAR_HEADER_SIZE)
		return err_set(err, ERR_UNSUPPORTED, "%s is of version %u of "
		    "swtpm's file; %u is known here", path, version,
		    LINEAR_VERSION);
	rc = read_section(s->lock, path, &b, key, &s->permanent, err);
	if (rc == ERR_NOTFOUND)
		return err_set(err, rc, "swtpm keeps no TPM 2.0 in %s", path);
	if (rc < 0)
		return rc;
	rc = read_section(s->lock, path, &b, key, &s->volatile_state, err);
	return rc == ERR_NOTFOUND ? 0 : rc;
}

int
swtpm_state_read(struct swtpm_states *s, const char *path,
    const struct swtpm_key *key, struct err *err)
{
	struct stat st;
	int rc;

	*s = (struct swtpm_states){ .lock = -1 };
	if (stat(path, &st) < 0)
		return errno == ENOENT ? err_set(err, ERR_NOTFOUND,
		    "there is no %s", path) :
		    err_sys(err, errno, "cannot look at %s", path);
	if (S_ISDIR(st.st_mode)) {
		rc = read_directory(s, path, key, err);
	} else {
		s->lock = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY |
		    O_NONBLOCK);
		rc = s->lock >= 0 ? read_linear(s, path, key, err) :
		    err_sys(err, errno, "cannot open %s", path);
	}
	if (rc < 0)
		swtpm_states_free(s);
	return rc;
}

void
swtpm_states_free(struct swtpm_states *s)
{
	secret_free(s->permanent);
	secret_free(s->volatile_state);
	if (s->lock >= 0)
		close(s->lock);
	*s = (struct swtpm_states){ .lock = -1 };
}

/* -- writing -- */

static int
write_blob(const char *path, const uint8_t *state, size_t size,
    const struct swtpm_key *key, struct err *err)
{
	struct secret *blob = NULL;
	struct new_file *f = NULL;
	int rc;

	if ((rc = swtpm_blob_encode(state, size, key, &blob, err)) == 0 &&
	    (rc = new_file_open(&f, path, err)) == 0 &&
	    (rc = new_file_write(f, secret_bytes(blob), secret_size(blob), 0,
	    err)) == 0)
		rc = new_file_finish(f, err);
	new_file_free(f);
	secret_free(blob);
	return rc;
}

/* A volatile state that is already there would be taken for this TPM's. */
static int
check_free(const char *path, struct err *err)
{
	struct stat st;

	return lstat(path, &st) < 0 ? 0 :
	    err_set(err, ERR_EXISTS, "%s exists already", path);
}

int
swtpm_state_write(const char *directory, const uint8_t *permanent,
    size_t permanent_size, const uint8_t *volatile_state,
    size_t volatile_size, const struct swtpm_key *key, struct err *err)
{
	char permall[PATH_MAX], rest[PATH_MAX];
	int rc;

	if (mkdir(directory, 0700) < 0 && errno != EEXIST)
		return err_sys(err, errno, "cannot make %s", directory);
	if ((rc = join(permall, directory, PERMANENT, err)) < 0 ||
	    (rc = join(rest, directory, VOLATILE, err)) < 0 ||
	    (rc = check_free(permall, err)) < 0 ||
	    (rc = check_free(rest, err)) < 0)
		return rc;
	if (volatile_size > 0 && (rc = write_blob(rest, volatile_state,
	    volatile_size, key, err)) < 0)
		return rc;
	/* The permanent state last: without it swtpm makes a new TPM, but there
	 * is none yet that this would replace. */
	rc = write_blob(permall, permanent, permanent_size, key, err);
	if (rc < 0 && volatile_size > 0)
		(void)unlink(rest);
	return rc;
}
