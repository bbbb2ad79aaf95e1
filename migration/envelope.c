/* SPDX-License-Identifier: BSD-3-Clause */
#include "migration/envelope.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "migration/envelope-header.h"

#define PERMANENT 1u		/* the kind with the name */
#define AAD_MAX (UUID_SIZE + ENVELOPE_SESSION_SIZE + 2 + ENVELOPE_ID_SIZE + \
	2 + ENVELOPE_PARAMS_MAX)

struct envelope_session {
	struct secret *key;
	struct envelope_header header;	/* what all of its blobs share */
	uint64_t sealed;		/* blobs */
};

/* What a wrapped key is bound to: so that none can be moved into an envelope
 * of another VM, session or protector. */
static size_t
wrap_aad(const struct envelope *e, const struct envelope_wrapped *w,
    uint8_t aad[AAD_MAX])
{
	struct buf b = buf_writer(aad, AAD_MAX);

	buf_put_bytes(&b, e->uuid, sizeof(e->uuid));
	buf_put_bytes(&b, e->session, sizeof(e->session));
	buf_put_u16be(&b, w->protector);
	buf_put_bytes(&b, w->id, sizeof(w->id));
	buf_put_tpm2b(&b, w->params, w->params_size);
	return b.pos;
}

static int
wrap(const struct envelope *e, const struct envelope_kek *kek,
    const struct secret *key, struct envelope_wrapped *w, struct err *err)
{
	uint8_t aad[AAD_MAX];
	struct xaes *x = NULL;
	int rc;

	w->protector = kek->protector;
	memcpy(w->id, kek->id, sizeof(w->id));
	memcpy(w->params, kek->params, kek->params_size);
	w->params_size = (uint16_t)kek->params_size;
	if ((rc = crypto_random(w->nonce, sizeof(w->nonce), err)) < 0 ||
	    (rc = xaes_new(&x, kek->key, err)) < 0)
		return rc;
	rc = xaes_seal(x, w->nonce, aad, wrap_aad(e, w, aad),
	    secret_bytes(key), ENVELOPE_KEY_SIZE, w->key, w->tag, err);
	xaes_free(x);
	return rc;
}

static int
unwrap(const struct envelope *e, const struct envelope_kek *kek,
    const struct envelope_wrapped *w, struct secret **key, struct err *err)
{
	uint8_t aad[AAD_MAX];
	struct xaes *x = NULL;
	int rc;

	if ((*key = secret_new(ENVELOPE_KEY_SIZE)) == NULL)
		return err_sys(err, errno, "cannot lock memory for a key");
	if ((rc = xaes_new(&x, kek->key, err)) == 0)
		rc = xaes_open(x, w->nonce, aad, wrap_aad(e, w, aad), w->key,
		    ENVELOPE_KEY_SIZE, secret_data(*key), w->tag, err);
	xaes_free(x);
	if (rc < 0) {
		secret_free(*key);
		*key = NULL;
	}
	return rc;
}

/* The AEAD is not key-committing (xaes.h), and there are several wrapped
 * copies of the key. */
static int
commit_to(const struct secret *key, const struct envelope *e,
    uint8_t commitment[SHA256_SIZE], struct err *err)
{
	return crypto_kbkdf(secret_bytes(key), ENVELOPE_KEY_SIZE,
	    "vtpmd envelope commitment", e->session, sizeof(e->session),
	    commitment, SHA256_SIZE, err);
}

static int
state_key(const struct secret *key, const struct envelope *e, struct xaes **x,
    struct err *err)
{
	struct secret *derived = secret_new(XAES_KEY_SIZE);
	uint8_t context[UUID_SIZE + ENVELOPE_SESSION_SIZE + 4];
	struct buf b = buf_writer(context, sizeof(context));
	int rc;

	*x = NULL;
	if (derived == NULL)
		return err_sys(err, errno, "cannot lock memory for a key");
	buf_put_bytes(&b, e->uuid, sizeof(e->uuid));
	buf_put_bytes(&b, e->session, sizeof(e->session));
	buf_put_u32be(&b, e->kind);
	if ((rc = crypto_kbkdf(secret_bytes(key), ENVELOPE_KEY_SIZE,
	    "vtpmd envelope state", context, sizeof(context),
	    secret_data(derived), XAES_KEY_SIZE, err)) == 0)
		rc = xaes_new(x, secret_bytes(derived), err);
	secret_free(derived);
	return rc;
}

int
envelope_session_new(struct envelope_session **out,
    const uint8_t uuid[UUID_SIZE], const struct envelope_kek *keks, size_t n,
    struct err *err)
{
	struct envelope_session *s = calloc(1, sizeof(*s));
	struct envelope *e;
	int rc;

	*out = NULL;
	if (s == NULL || n == 0 || n > ENVELOPE_PROTECTORS_MAX) {
		free(s);
		return err_set(err, ERR_INTERNAL, "no envelope can be made");
	}
	e = &s->header.e;
	memcpy(e->uuid, uuid, UUID_SIZE);
	if ((s->key = secret_new(ENVELOPE_KEY_SIZE)) == NULL) {
		rc = err_sys(err, errno, "cannot lock memory for a key");
		goto out;
	}
	s->header.version = ENVELOPE_VERSION;
	if ((rc = crypto_random(secret_data(s->key), ENVELOPE_KEY_SIZE,
	    err)) < 0 ||
	    (rc = crypto_random(e->session, sizeof(e->session), err)) < 0 ||
	    (rc = commit_to(s->key, e, s->header.commitment, err)) < 0)
		goto out;
	for (size_t i = 0; i < n; i++) {
		if ((rc = wrap(e, &keks[i], s->key, &s->header.wrapped[i],
		    err)) < 0)
			goto out;
		if (keks[i].protector != ENVELOPE_BY_FILE)
			s->header.version = ENVELOPE_VERSION_NAMED;
	}
	s->header.n_wrapped = n;
	*out = s;
	s = NULL;
out:
	envelope_session_free(s);
	return rc;
}

void
envelope_session_free(struct envelope_session *s)
{
	if (s == NULL)
		return;
	secret_free(s->key);
	free(s);
}

const uint8_t *
envelope_session_id(const struct envelope_session *s)
{
	return s->header.e.session;
}

/* What goes before the state: the length of a name, and the name. */
static size_t
put_name(uint8_t out[ENVELOPE_NAME_SIZE], const struct envelope_header *h)
{
	size_t n = h->e.kind == PERMANENT ? strnlen(h->e.name,
	    ENVELOPE_NAME_SIZE - 1) : 0;

	if (h->version != ENVELOPE_VERSION_NAMED)
		return 0;
	out[0] = (uint8_t)n;
	memcpy(out + 1, h->e.name, n);
	return n + 1;
}

int
envelope_seal(struct envelope_session *s, struct envelope *e,
    const void *state, size_t size, uint8_t **out, size_t *out_size,
    struct err *err)
{
	struct envelope_header h = s->header;
	size_t room = ENVELOPE_OVERHEAD_MAX + size, at, named;
	uint8_t *bytes = NULL, name[ENVELOPE_NAME_SIZE];
	struct xaes *x = NULL;
	struct buf b;
	int rc;

	*out = NULL;
	memcpy(e->uuid, h.e.uuid, sizeof(e->uuid));
	memcpy(e->session, h.e.session, sizeof(e->session));
	e->sequence = s->sealed + 1;
	h.e = *e;
	named = put_name(name, &h);
	h.state_size = (uint32_t)(named + size);
	if (size > ENVELOPE_STATE_MAX - named)
		return err_set(err, ERR_NOSPACE, "a state of %zu bytes is "
		    "larger than any", size);
	if ((bytes = malloc(room)) == NULL)
		return err_sys(err, ENOMEM, "cannot seal the state");
	b = buf_writer(bytes, room);
	if ((rc = crypto_random(h.nonce, sizeof(h.nonce), err)) < 0 ||
	    (rc = state_key(s->key, e, &x, err)) < 0)
		goto out;
	envelope_header_put(&b, &h);
	at = b.pos;
	buf_put_bytes(&b, name, named);
	if (!buf_ok(&b) || buf_left(&b) < size + XAES_TAG_SIZE) {
		rc = err_set(err, ERR_INTERNAL, "an envelope is too small");
		goto out;
	}
	/* Sealed in place, where name and state are together. */
	memcpy(bytes + b.pos, state, size);
	if ((rc = xaes_seal(x, h.nonce, bytes, at, bytes + at, named + size,
	    bytes + at, bytes + at + named + size, err)) < 0)
		goto out;
	*out_size = at + named + size + XAES_TAG_SIZE;
	*out = bytes;
	bytes = NULL;
	s->sealed++;
out:
	xaes_free(x);
	if (bytes != NULL)
		cleanse(bytes, room);
	free(bytes);
	return rc;
}

/* A recipient's parameters are those of the first where it has none. */
static void
share_params(const struct envelope_header *h, struct envelope_kek *by)
{
	if (by->protector != ENVELOPE_BY_RECIPIENT || by->params_size > 0)
		return;
	for (size_t i = 0; i < h->n_wrapped; i++) {
		const struct envelope_wrapped *w = &h->wrapped[i];

		if (w->protector != ENVELOPE_BY_RECIPIENT ||
		    w->params_size == 0)
			continue;
		by->params_size = w->params_size;
		memcpy(by->params, w->params, w->params_size);
		return;
	}
}

/* The session's key from the first protector that is ours. */
static int
find_key(const struct envelope_header *h, envelope_find *find, void *arg,
    struct envelope_kek *by, struct secret **key, struct err *err)
{
	int rc;

	for (size_t i = 0; i < h->n_wrapped; i++) {
		const struct envelope_wrapped *w = &h->wrapped[i];

		memset(by, 0, sizeof(*by));
		by->protector = w->protector;
		by->params_size = w->params_size;
		memcpy(by->id, w->id, sizeof(by->id));
		memcpy(by->params, w->params, w->params_size);
		share_params(h, by);
		rc = find(arg, by, err);
		if (rc == ERR_NOTFOUND)
			continue;
		if (rc == 0)
			rc = unwrap(&h->e, by, w, key, err);
		if (rc == ERR_AUTH)
			return err_set(err, rc, "it was changed on the way");
		return rc;
	}
	return err_set(err, ERR_KEY, "it is not sealed for this host: neither "
	    "under the nvram file's key nor for a key that waits for it here");
}

static int
check_commitment(const struct envelope_header *h, const struct secret *key,
    struct err *err)
{
	uint8_t commitment[SHA256_SIZE];
	int rc;

	if ((rc = commit_to(key, &h->e, commitment, err)) < 0)
		return rc;
	if (memcmp(commitment, h->commitment, sizeof(commitment)) != 0)
		return err_set(err, ERR_AUTH, "it was changed on the way");
	return 0;
}

/* Takes the name from before the state, which is authentic. */
static int
split_name(const struct envelope_header *h, struct secret *plain,
    struct envelope *e, struct err *err)
{
	struct buf b = buf_reader(secret_bytes(plain), secret_size(plain));
	uint8_t n = 0;

	if (h->version != ENVELOPE_VERSION_NAMED)
		return 0;
	if (buf_get_u8(&b, &n) < 0 || n >= sizeof(e->name) ||
	    buf_get_bytes(&b, e->name, n) < 0)
		return err_set(err, ERR_FORMAT, "the VM's name in it is too "
		    "long");
	memmove(secret_data(plain), secret_bytes(plain) + b.pos, buf_left(&b));
	secret_truncate(plain, buf_left(&b));
	return 0;
}

/* *b stands at the state; all before it is authenticated with it. */
static int
open_state(struct buf *b, const struct envelope_header *h,
    const struct secret *key, struct secret **state, struct err *err)
{
	const uint8_t *in = b->data + b->pos;
	struct secret *out = NULL;
	struct xaes *x = NULL;
	int rc;

	if ((rc = state_key(key, &h->e, &x, err)) < 0)
		return rc;
	if ((out = secret_new(h->state_size)) == NULL) {
		rc = err_sys(err, errno, "cannot lock memory for the state");
		goto out;
	}
	rc = xaes_open(x, h->nonce, b->data, b->pos, in, h->state_size,
	    secret_data(out), in + h->state_size, err);
	if (rc == ERR_AUTH)
		err_set(err, rc, "it was changed on the way");
	if (rc < 0)
		goto out;
	*state = out;
	out = NULL;
out:
	secret_free(out);
	xaes_free(x);
	return rc;
}

int
envelope_uuid(const void *bytes, size_t size, uint8_t uuid[UUID_SIZE],
    struct err *err)
{
	struct buf b = buf_reader(bytes, size);
	struct envelope_header h;
	int rc = envelope_header_get(&b, &h, err);

	if (rc == 0)
		memcpy(uuid, h.e.uuid, UUID_SIZE);
	return rc;
}

int
envelope_open(const void *bytes, size_t size, const uint8_t uuid[UUID_SIZE],
    envelope_find *find, void *arg, struct envelope *e,
    struct envelope_kek *by, struct secret **state, struct err *err)
{
	struct buf b = buf_reader(bytes, size);
	char theirs[UUID_TEXT_SIZE];
	struct envelope_header h;
	struct secret *key = NULL;
	int rc;

	*state = NULL;
	memset(e, 0, sizeof(*e));
	if ((rc = envelope_header_get(&b, &h, err)) < 0)
		return rc;
	if (memcmp(h.e.uuid, uuid, UUID_SIZE) != 0) {
		uuid_format(h.e.uuid, theirs);
		return err_set(err, ERR_REFUSED, "it is of another VM, %s",
		    theirs);
	}
	if ((rc = find_key(&h, find, arg, by, &key, err)) < 0 ||
	    (rc = check_commitment(&h, key, err)) < 0 ||
	    (rc = open_state(&b, &h, key, state, err)) < 0 ||
	    (rc = split_name(&h, *state, &h.e, err)) < 0)
		goto out;
	*e = h.e;
out:
	if (rc < 0) {
		secret_free(*state);
		*state = NULL;
	}
	secret_free(key);
	cleanse(by->key, sizeof(by->key));
	return rc;
}
