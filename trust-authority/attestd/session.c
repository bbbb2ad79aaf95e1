/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/attestd/session.h"

#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "trust-authority/common/jwe.h"
#include "trust-authority/common/token-keys.h"

#define SESSION_TYP "vta-session"
#define SESSION_FORMAT 2

static void
put_text(struct buf *b, const char *text)
{
	buf_put_tpm2b(b, text, strlen(text));
}

static void
get_bytes(struct buf *b, uint8_t *out, size_t room, size_t *size)
{
	const uint8_t *data;

	if (buf_get_tpm2b(b, &data, size) < 0 || *size > room) {
		b->failed = true;
		return;
	}
	memcpy(out, data, *size);
}

static void
get_text(struct buf *b, char *out, size_t room)
{
	size_t size = 0;

	get_bytes(b, (uint8_t *)out, room - 1, &size);
	out[buf_ok(b) ? size : 0] = '\0';
}

static size_t
size_of(const struct session *s)
{
	return 1 + 8 + sizeof(s->nonce) + 1 + sizeof(s->secret_digest) + 2 +
	    strlen(s->host) + 1 + 2 + strlen(s->group) + 2 + s->ek_size + 2 +
	    s->ak_size + 2 + s->certificate_size + 8 + 8 + 2 +
	    strlen(s->agent_certificate);
}

int
session_seal(const struct secret *key, const struct session *s, char **out,
    struct err *err)
{
	size_t size = size_of(s);
	struct secret *payload = secret_new(size);
	struct buf b;
	int rc;

	if (payload == NULL)
		return err_sys(err, errno, "no locked memory for a session");
	b = buf_writer(secret_data(payload), size);
	buf_put_u8(&b, SESSION_FORMAT);
	buf_put_u64be(&b, (uint64_t)s->began);
	buf_put_bytes(&b, s->nonce, sizeof(s->nonce));
	buf_put_u8(&b, s->credential);
	buf_put_bytes(&b, s->secret_digest, sizeof(s->secret_digest));
	put_text(&b, s->host);
	buf_put_u8(&b, s->enroll);
	put_text(&b, s->group);
	buf_put_tpm2b(&b, s->ek, s->ek_size);
	buf_put_tpm2b(&b, s->ak, s->ak_size);
	buf_put_tpm2b(&b, s->certificate, s->certificate_size);
	buf_put_u64be(&b, s->capture);
	buf_put_u64be(&b, (uint64_t)s->agent_port);
	put_text(&b, s->agent_certificate);
	if (!buf_ok(&b) || buf_left(&b) != 0)
		rc = err_set(err, ERR_INTERNAL, "a session is not as large as "
		    "it should be");
	else
		rc = jwe_seal_shared(key, SESSION_TYP, payload, out, err);
	secret_free(payload);
	return rc;
}

static int
session_read(const struct secret *payload, struct session *s, struct err *err)
{
	struct buf b = buf_reader(secret_bytes(payload), secret_size(payload));
	uint8_t format = 0, credential = 0, enroll = 0;
	uint64_t began = 0, port = 0;

	memset(s, 0, sizeof(*s));
	buf_get_u8(&b, &format);
	buf_get_u64be(&b, &began);
	buf_get_bytes(&b, s->nonce, sizeof(s->nonce));
	buf_get_u8(&b, &credential);
	buf_get_bytes(&b, s->secret_digest, sizeof(s->secret_digest));
	get_text(&b, s->host, sizeof(s->host));
	buf_get_u8(&b, &enroll);
	get_text(&b, s->group, sizeof(s->group));
	get_bytes(&b, s->ek, sizeof(s->ek), &s->ek_size);
	get_bytes(&b, s->ak, sizeof(s->ak), &s->ak_size);
	get_bytes(&b, s->certificate, sizeof(s->certificate),
	    &s->certificate_size);
	buf_get_u64be(&b, &s->capture);
	buf_get_u64be(&b, &port);
	get_text(&b, s->agent_certificate, sizeof(s->agent_certificate));
	if (format != SESSION_FORMAT || !buf_ok(&b) || buf_left(&b) != 0)
		return err_set(err, ERR_UNSUPPORTED, "the session was begun "
		    "by another version of vta-attestd; attest again");
	s->began = (int64_t)began;
	s->credential = credential != 0;
	s->enroll = enroll != 0;
	s->agent_port = (int64_t)port;
	return 0;
}

int
session_open(const struct secret *key, const char *text, int64_t now,
    long seconds, struct session *s, struct err *err)
{
	struct secret *payload = NULL;
	int rc = jwe_open_shared(key, SESSION_TYP, text, &payload, err);

	if (rc < 0)
		return err_prefix(err, "the session was altered, or begun by "
		    "an authority with another sealing key");
	if ((rc = session_read(payload, s, err)) < 0)
		goto out;
	if (now - s->began > INT64_C(1000) * seconds)
		rc = err_set(err, ERR_STALE, "the session has expired: it was "
		    "begun %lld s ago, and %ld s are allowed ([attest] "
		    "session_seconds); attest again",
		    (long long)(now - s->began) / 1000, seconds);
	else if (s->began - now > INT64_C(1000) * TOKEN_SKEW)
		rc = err_set(err, ERR_STALE, "the session begins in the "
		    "future: the clocks of the authority's nodes differ");
out:
	secret_free(payload);
	return rc;
}
