/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/kmip/connection.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/secret.h"
#include "trust-authority/kmip/clock.h"
#include "trust-authority/kmip/protocol.h"
#include "trust-authority/kmip/tls.h"
#include "trust-authority/kmip/ttlv.h"

struct connection {
	int fd;
	SSL *ssl;
	struct secret *answer;
	size_t answer_size;	/* bytes of it that came */
	int64_t used;
};

/* 0, or ERR_CLOSED when the time is over. */
static int
wait_for(int fd, short events, int64_t deadline)
{
	struct pollfd p = { .fd = fd, .events = events };
	int n;

	do {
		n = poll(&p, 1, clock_left(deadline));
	} while (n < 0 && errno == EINTR);
	return n > 0 ? 0 : ERR_CLOSED;
}

static int
connect_one(const struct addrinfo *to, int64_t deadline, int *out,
    struct err *err)
{
	socklen_t size = sizeof(int);
	int fd, one = 1, sys = 0;

	fd = socket(to->ai_family, to->ai_socktype | SOCK_NONBLOCK |
	    SOCK_CLOEXEC, to->ai_protocol);
	if (fd < 0)
		return err_sys(err, errno, "cannot make a socket");
	if (connect(fd, to->ai_addr, to->ai_addrlen) < 0) {
		sys = errno;
		if (sys == EINPROGRESS) {
			if (wait_for(fd, POLLOUT, deadline) < 0)
				sys = ETIMEDOUT;
			else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &sys,
			    &size) < 0)
				sys = errno;
		}
	}
	if (sys != 0) {
		close(fd);
		return err_set(err, ERR_CLOSED, "cannot connect: %s",
		    strerror(sys));
	}
	/* One small message each way. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	*out = fd;
	return 0;
}

/* Each address gets its part of the time, so that the first, which may be one
 * of a network that drops everything, does not use it up. */
static int
connect_any(const struct endpoint *to, int64_t deadline, int *out,
    struct err *err)
{
	struct addrinfo *all = NULL, *a;
	int count = 0, rc;

	rc = resolver_lookup(to->resolver, to->host, to->port, deadline, &all,
	    err);
	if (rc < 0)
		return rc;
	for (a = all; a != NULL; a = a->ai_next)
		count++;
	rc = ERR_CLOSED;
	for (a = all; a != NULL && rc < 0; a = a->ai_next, count--)
		rc = connect_one(a, clock_ms() + clock_left(deadline) / count,
		    out, err);
	freeaddrinfo(all);
	return rc;
}

/* After an SSL call that returned ret: waits until it can be called again, or
 * says why not. */
static int
tls_wait(struct connection *c, int ret, int64_t deadline, const char *what,
    struct err *err)
{
	int sys = errno;
	short events = POLLIN;

	switch (SSL_get_error(c->ssl, ret)) {
	case SSL_ERROR_WANT_WRITE:
		events = POLLOUT;
		/* FALLTHROUGH */
	case SSL_ERROR_WANT_READ:
		if (wait_for(c->fd, events, deadline) < 0)
			return err_set(err, ERR_CLOSED, "%s: no answer in "
			    "time", what);
		return 0;
	case SSL_ERROR_ZERO_RETURN:
		return err_set(err, ERR_CLOSED, "%s: the KMS closed the "
		    "connection", what);
	case SSL_ERROR_SYSCALL:
		ERR_clear_error();
		return err_set(err, ERR_CLOSED, "%s: %s", what, sys != 0 ?
		    strerror(sys) : "the KMS closed the connection");
	default:
		if (ERR_GET_LIB(ERR_peek_error()) == ERR_LIB_SSL &&
		    ERR_GET_REASON(ERR_peek_error()) ==
		    SSL_R_UNEXPECTED_EOF_WHILE_READING) {
			ERR_clear_error();
			return err_set(err, ERR_CLOSED, "%s: the KMS closed "
			    "the connection", what);
		}
		return tls_error(c->ssl, what, err);
	}
}

/* What SSL_get_error looks at must be of the next call alone. */
static void
tls_prepare(void)
{
	ERR_clear_error();
	errno = 0;
}

static int
handshake(struct connection *c, int64_t deadline, struct err *err)
{
	int ret, rc;

	for (;;) {
		tls_prepare();
		if ((ret = SSL_do_handshake(c->ssl)) == 1)
			break;
		rc = tls_wait(c, ret, deadline, "TLS handshake", err);
		if (rc < 0)
			return rc;
	}
	if (!tls_was_asked(c->ssl))
		return err_set(err, ERR_AUTH, "the KMS did not ask for a "
		    "client certificate, so anybody could read its keys: make "
		    "it require one");
	return 0;
}

int
connection_open(const struct endpoint *to, int64_t deadline,
    struct connection **out, struct err *err)
{
	struct connection *c = calloc(1, sizeof(*c));
	int rc;

	if (c == NULL)
		return err_sys(err, ENOMEM, "cannot make a connection");
	c->fd = -1;
	if ((c->answer = secret_new(ANSWER_MAX)) == NULL) {
		rc = err_sys(err, errno, "cannot lock %d bytes of memory for "
		    "answers (raise the memlock limit)", ANSWER_MAX);
		goto out;
	}
	if ((rc = connect_any(to, deadline, &c->fd, err)) < 0 ||
	    (rc = tls_new(to->tls, c->fd, to->certificate_name, &c->ssl,
	    err)) < 0 || (rc = handshake(c, deadline, err)) < 0)
		goto out;
	c->used = clock_ms();
	*out = c;
	c = NULL;
out:
	connection_close(c);
	return rc;
}

void
connection_close(struct connection *c)
{
	if (c == NULL)
		return;
	if (c->ssl != NULL) {
		/* Says goodbye if that can be done at once. */
		if (SSL_is_init_finished(c->ssl))
			(void)SSL_shutdown(c->ssl);
		SSL_free(c->ssl);
		ERR_clear_error();
	}
	if (c->fd >= 0)
		close(c->fd);
	secret_free(c->answer);
	free(c);
}

/* Readable is not bad by itself: a TLS 1.3 server sends session tickets. */
bool
connection_is_alive(struct connection *c)
{
	bool alive;
	uint8_t byte;
	int ret;

	tls_prepare();
	ret = SSL_peek(c->ssl, &byte, 1);
	alive = ret <= 0 && SSL_get_error(c->ssl, ret) == SSL_ERROR_WANT_READ;
	ERR_clear_error();
	return alive;
}

int64_t
connection_used(const struct connection *c)
{
	return c->used;
}

void
connection_forget(struct connection *c)
{
	cleanse(secret_data(c->answer), c->answer_size);
	c->answer_size = 0;
}

static int
send_all(struct connection *c, const void *data, size_t size,
    int64_t deadline, struct err *err)
{
	size_t sent;
	int ret, rc;

	/* Without SSL_MODE_ENABLE_PARTIAL_WRITE it is all or nothing. */
	for (;;) {
		tls_prepare();
		if ((ret = SSL_write_ex(c->ssl, data, size, &sent)) == 1)
			return 0;
		rc = tls_wait(c, ret, deadline, "sending the request", err);
		if (rc < 0)
			return rc;
	}
}

/* Until size bytes of the answer are there. A byte now and then does not stretch
 * the time: when that is over, nothing is waited for any more. */
static int
receive(struct connection *c, size_t size, int64_t deadline, struct err *err)
{
	uint8_t *data = secret_data(c->answer);
	size_t got;
	int ret, rc;

	while (c->answer_size < size) {
		tls_prepare();
		ret = SSL_read_ex(c->ssl, data + c->answer_size,
		    size - c->answer_size, &got);
		if (ret == 1) {
			c->answer_size += got;
			continue;
		}
		rc = tls_wait(c, ret, deadline, "waiting for the answer", err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* The first eight bytes say how long it is. They are the peer's whom TLS has
 * authenticated, and are believed up to ANSWER_MAX. */
static int
answer_length(const struct connection *c, size_t *size, struct err *err)
{
	struct buf in = buf_reader(secret_bytes(c->answer), TTLV_HEADER_SIZE);
	uint32_t tag_type, length;

	(void)buf_get_u32be(&in, &tag_type);
	(void)buf_get_u32be(&in, &length);
	if (tag_type != ((uint32_t)TAG_RESPONSE_MESSAGE << 8 |
	    TTLV_STRUCTURE))
		return err_set(err, ERR_FORMAT, "malformed answer: it does "
		    "not begin as a KMIP response");
	if (length % 8 != 0 || length > ANSWER_MAX - TTLV_HEADER_SIZE)
		return err_set(err, ERR_FORMAT, "malformed answer: a length "
		    "of %u bytes (at most %d, a multiple of 8)", length,
		    ANSWER_MAX - TTLV_HEADER_SIZE);
	*size = TTLV_HEADER_SIZE + length;
	return 0;
}

int
connection_exchange(struct connection *c, const void *request,
    size_t request_size, int64_t deadline, const uint8_t **answer,
    size_t *answer_size, bool *begun, struct err *err)
{
	size_t size = 0;
	int rc;

	connection_forget(c);
	*begun = false;
	if ((rc = send_all(c, request, request_size, deadline, err)) < 0)
		return rc;
	if ((rc = receive(c, TTLV_HEADER_SIZE, deadline, err)) == 0 &&
	    (rc = answer_length(c, &size, err)) == 0)
		rc = receive(c, size, deadline, err);
	*begun = c->answer_size > 0;
	if (rc < 0) {
		connection_forget(c);
		return rc;
	}
	c->used = clock_ms();
	*answer = secret_bytes(c->answer);
	*answer_size = size;
	return 0;
}
