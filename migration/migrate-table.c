/* SPDX-License-Identifier: BSD-3-Clause */
#include "migration/migrate-table.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "nvram-crypt/crypto.h"
#include "nvram-crypt/xaes.h"

#define NAME "migrate"
#define VERSION 1u
#define AREA_SIZE 8192u
#define AREAS 2u
#define HEADER_SIZE (8u + 4u + 8u)
#define PLAIN_SIZE (AREA_SIZE - HEADER_SIZE - XAES_NONCE_SIZE - XAES_TAG_SIZE)

static const uint8_t magic[8] = { 'V', 'T', 'P', 'M', 'M', 'K', 'E', 'Y' };

int
migrate_table_key(const struct native *n, struct secret **key,
    struct err *err)
{
	const struct secret *native = native_key(n);
	int rc;

	*key = NULL;
	if (native == NULL)
		return err_set(err, ERR_KEY, "this host's native key cannot "
		    "be used, and its migration key is under it");
	if ((*key = secret_new(MIGRATE_TABLE_KEY_SIZE)) == NULL)
		return err_sys(err, errno, "cannot lock memory for a key");
	rc = crypto_kbkdf(secret_bytes(native), secret_size(native),
	    "vtpmd migration keys", native_key_id(n), NATIVE_KEY_ID_SIZE,
	    secret_data(*key), MIGRATE_TABLE_KEY_SIZE, err);
	if (rc < 0) {
		secret_free(*key);
		*key = NULL;
	}
	return rc;
}

/* -- the file -- */

static int
open_table(const struct native *n, int flags, int *fd, struct err *err)
{
	int dir = native_directory_fd(n);
	struct stat st, above;

	*fd = openat(dir, NAME, flags | O_CREAT | O_CLOEXEC | O_NOFOLLOW |
	    O_NONBLOCK | O_NOCTTY, 0600);
	if (*fd < 0)
		return err_sys(err, errno, "cannot open STATE_DIR/native/"
		    NAME);
	/* What root makes is the service's, as all else there. */
	if (fstat(*fd, &st) == 0 && fstat(dir, &above) == 0 &&
	    S_ISREG(st.st_mode) && (st.st_mode & 077) == 0 &&
	    (st.st_uid == above.st_uid || geteuid() != 0 ||
	    fchown(*fd, above.st_uid, above.st_gid) == 0))
		return 0;
	close(*fd);
	*fd = -1;
	return err_set(err, ERR_REFUSED, "STATE_DIR/native/" NAME " is not a "
	    "file of its directory's owner alone: chown and chmod 0600 it");
}

int
migrate_table_open(const struct native *n, int *fd, struct err *err)
{
	return open_table(n, O_RDONLY, fd, err);
}

int
migrate_table_open_to_change(const struct native *n, int *fd,
    struct err *err)
{
	int rc;

	if ((rc = open_table(n, O_RDWR, fd, err)) < 0)
		return rc;
	if (flock(*fd, LOCK_EX) == 0)
		return 0;
	rc = err_sys(err, errno, "cannot lock STATE_DIR/native/" NAME);
	close(*fd);
	*fd = -1;
	return rc;
}

/* -- its bytes -- */

static int
get_peer(struct buf *b, struct migrate_peer *p, struct err *err)
{
	buf_get_bytes(b, p->point, sizeof(p->point));
	buf_get_bytes(b, p->uuid, sizeof(p->uuid));
	buf_get_u64be(b, &p->added);
	if (buf_get_bytes(b, p->host, sizeof(p->host)) < 0 ||
	    p->host[sizeof(p->host) - 1] != '\0')
		return err_set(err, ERR_FORMAT, "the table of migration keys "
		    "is not what a vtpmctl writes");
	return migrate_key_id(p->point, p->id, err);
}

static int
decode(const struct secret *plain, struct migrate_table *t, struct err *err)
{
	struct buf b = buf_reader(secret_bytes(plain), secret_size(plain));
	const uint8_t *d = NULL;
	uint32_t has_key = 0, n = 0;
	int rc;

	buf_get_u32be(&b, &has_key);
	buf_get_u64be(&b, &t->made);
	buf_get_ref(&b, &d, MIGRATE_PRIVATE_SIZE);
	buf_get_bytes(&b, t->point, sizeof(t->point));
	if (buf_get_u32be(&b, &n) < 0 || n > MIGRATE_PEERS_MAX)
		return err_set(err, ERR_FORMAT, "the table of migration keys "
		    "is not what a vtpmctl writes");
	if (has_key != 0 && (t->private = secret_from(d,
	    MIGRATE_PRIVATE_SIZE)) == NULL)
		return err_sys(err, errno, "cannot lock memory for a key");
	if ((rc = migrate_key_id(t->point, t->id, err)) < 0)
		return rc;
	for (uint32_t i = 0; i < n; i++)
		if ((rc = get_peer(&b, &t->peers[i], err)) < 0)
			return rc;
	t->n_peers = n;
	return 0;
}

static int
encode(const struct migrate_table *t, struct secret *plain, struct err *err)
{
	struct buf b = buf_writer(secret_data(plain), secret_size(plain));

	buf_put_u32be(&b, t->private != NULL);
	buf_put_u64be(&b, t->made);
	if (t->private != NULL)
		buf_put_bytes(&b, secret_bytes(t->private),
		    MIGRATE_PRIVATE_SIZE);
	else
		buf_put_zero(&b, MIGRATE_PRIVATE_SIZE);
	buf_put_bytes(&b, t->point, sizeof(t->point));
	buf_put_u32be(&b, (uint32_t)t->n_peers);
	for (size_t i = 0; i < t->n_peers; i++) {
		const struct migrate_peer *p = &t->peers[i];

		buf_put_bytes(&b, p->point, sizeof(p->point));
		buf_put_bytes(&b, p->uuid, sizeof(p->uuid));
		buf_put_u64be(&b, p->added);
		buf_put_bytes(&b, p->host, sizeof(p->host));
	}
	buf_put_zero(&b, buf_left(&b));
	return buf_ok(&b) ? 0 : err_set(err, ERR_INTERNAL, "the table of "
	    "migration keys has outgrown its file");
}

/* Opens the area into plain. ERR_AUTH: it is not whole, or not ours. */
static int
open_area(const uint8_t area[AREA_SIZE], const struct secret *key,
    struct secret *plain, uint64_t *generation, struct err *err)
{
	struct buf b = buf_reader(area, AREA_SIZE);
	const uint8_t *start, *nonce, *sealed, *tag;
	struct xaes *x = NULL;
	uint32_t version = 0;
	int rc;

	buf_get_ref(&b, &start, sizeof(magic));
	buf_get_u32be(&b, &version);
	buf_get_u64be(&b, generation);
	buf_get_ref(&b, &nonce, XAES_NONCE_SIZE);
	buf_get_ref(&b, &sealed, PLAIN_SIZE);
	if (buf_get_ref(&b, &tag, XAES_TAG_SIZE) < 0 ||
	    memcmp(start, magic, sizeof(magic)) != 0 || version != VERSION)
		return ERR_AUTH;
	if ((rc = xaes_new(&x, secret_bytes(key), err)) < 0)
		return rc;
	rc = xaes_open(x, nonce, area, HEADER_SIZE, sealed, PLAIN_SIZE,
	    secret_data(plain), tag, err);
	xaes_free(x);
	return rc;
}

/* A write may be under way in one of the two. */
static int
read_areas(int fd, uint8_t *areas, bool *empty, struct err *err)
{
	ssize_t n = pread(fd, areas, AREAS * AREA_SIZE, 0);

	if (n < 0)
		return err_sys(err, errno, "cannot read STATE_DIR/native/"
		    NAME);
	memset(areas + n, 0, AREAS * AREA_SIZE - (size_t)n);
	*empty = n == 0;
	return 0;
}

int
migrate_table_read(int fd, const struct secret *key, struct migrate_table *t,
    struct err *err)
{
	uint8_t areas[AREAS * AREA_SIZE];
	struct secret *plain = NULL;
	bool empty = false, found = false;
	int rc;

	memset(t, 0, sizeof(*t));
	if ((rc = read_areas(fd, areas, &empty, err)) < 0 || empty)
		return rc;
	if ((plain = secret_new(PLAIN_SIZE)) == NULL)
		return err_sys(err, errno, "cannot lock memory for keys");
	for (size_t i = 0; i < AREAS && rc == 0; i++) {
		struct err why = { 0 };
		uint64_t generation = 0;

		if (open_area(areas + i * AREA_SIZE, key, plain, &generation,
		    &why) < 0 || (found && generation < t->generation))
			continue;
		migrate_table_reset(t);
		if ((rc = decode(plain, t, err)) == 0) {
			t->generation = generation;
			found = true;
		}
	}
	if (rc == 0 && !found)
		rc = err_set(err, ERR_AUTH, "STATE_DIR/native/" NAME " is "
		    "damaged, or of another native key: remove it, and make "
		    "the migration keys anew");
	if (rc < 0)
		migrate_table_reset(t);
	secret_free(plain);
	return rc;
}

static int
seal_area(const struct migrate_table *t, const struct secret *key,
    uint8_t area[AREA_SIZE], struct err *err)
{
	struct buf b = buf_writer(area, AREA_SIZE);
	struct secret *plain = NULL;
	struct xaes *x = NULL;
	uint8_t *nonce;
	int rc;

	buf_put_bytes(&b, magic, sizeof(magic));
	buf_put_u32be(&b, VERSION);
	buf_put_u64be(&b, t->generation);
	nonce = area + b.pos;
	if ((plain = secret_new(PLAIN_SIZE)) == NULL)
		return err_sys(err, errno, "cannot lock memory for keys");
	if ((rc = encode(t, plain, err)) == 0 &&
	    (rc = crypto_random(nonce, XAES_NONCE_SIZE, err)) == 0 &&
	    (rc = xaes_new(&x, secret_bytes(key), err)) == 0)
		rc = xaes_seal(x, nonce, area, HEADER_SIZE,
		    secret_bytes(plain), PLAIN_SIZE, nonce + XAES_NONCE_SIZE,
		    area + AREA_SIZE - XAES_TAG_SIZE, err);
	xaes_free(x);
	secret_free(plain);
	return rc;
}

int
migrate_table_write(int fd, const struct secret *key, struct migrate_table *t,
    struct err *err)
{
	uint8_t area[AREA_SIZE];
	ssize_t n;
	int rc;

	t->generation++;
	if ((rc = seal_area(t, key, area, err)) < 0)
		return rc;
	n = pwrite(fd, area, sizeof(area),
	    (off_t)(t->generation % AREAS) * (off_t)sizeof(area));
	if (n >= 0 && (size_t)n != sizeof(area)) {
		errno = ENOSPC;
		n = -1;
	}
	if (n < 0 || fsync(fd) < 0)
		return err_sys(err, errno, "cannot write STATE_DIR/native/"
		    NAME);
	return 0;
}

void
migrate_table_reset(struct migrate_table *t)
{
	secret_free(t->private);
	memset(t, 0, sizeof(*t));
}

bool
migrate_peer_serves(const struct migrate_peer *p,
    const uint8_t uuid[UUID_SIZE])
{
	static const uint8_t all[UUID_SIZE];

	return memcmp(p->uuid, all, UUID_SIZE) == 0 ||
	    memcmp(p->uuid, uuid, UUID_SIZE) == 0;
}
