/* SPDX-License-Identifier: BSD-3-Clause */
#include "bench/https.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEAD_MAX 8192
#define ANSWER_MAX (64 * 1024)
#define TIMEOUT 30

struct https {
	SSL *ssl;
	int fd;
	size_t size;
	char answer[ANSWER_MAX + 1];
};

static int
failed(struct err *err, const char *what)
{
	char text[256];

	ERR_error_string_n(ERR_peek_error(), text, sizeof(text));
	ERR_clear_error();
	return err_set(err, ERR_CLOSED, "cannot %s: %s", what, text);
}

int
https_context(const char *ca, const char *certificate, const char *key,
    SSL_CTX **out, struct err *err)
{
	*out = SSL_CTX_new(TLS_client_method());
	if (*out == NULL || SSL_CTX_load_verify_file(*out, ca) != 1 ||
	    (certificate != NULL && (SSL_CTX_use_certificate_file(*out,
	    certificate, SSL_FILETYPE_PEM) != 1 || SSL_CTX_use_PrivateKey_file(
	    *out, key, SSL_FILETYPE_PEM) != 1)))
		return failed(err, "set up TLS");
	SSL_CTX_set_verify(*out, SSL_VERIFY_PEER, NULL);
	return 0;
}

void
https_context_free(SSL_CTX *ctx)
{
	SSL_CTX_free(ctx);
}

static int
tcp_connect(int port, struct err *err)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	const struct timeval limit = { .tv_sec = TIMEOUT };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	if (fd < 0 || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one,
	    sizeof(one)) < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit,
	    sizeof(limit)) < 0 ||
	    connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0) {
		err_sys(err, errno, "cannot connect to port %d", port);
		if (fd >= 0)
			close(fd);
		return -1;
	}
	return fd;
}

int
https_connect(SSL_CTX *ctx, int port, struct https **out, struct err *err)
{
	struct https *h = malloc(sizeof(*h));
	int rc = 0;

	if (h == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	h->ssl = NULL;
	if ((h->fd = tcp_connect(port, err)) < 0)
		rc = ERR_CLOSED;
	else if ((h->ssl = SSL_new(ctx)) == NULL ||
	    SSL_set1_host(h->ssl, "localhost") != 1 ||
	    SSL_set_tlsext_host_name(h->ssl, "localhost") != 1 ||
	    SSL_set_fd(h->ssl, h->fd) != 1 || SSL_connect(h->ssl) != 1)
		rc = failed(err, "connect by TLS");
	if (rc < 0)
		https_close(h);
	else
		*out = h;
	return rc;
}

void
https_close(struct https *h)
{
	if (h == NULL)
		return;
	if (h->ssl != NULL)
		SSL_shutdown(h->ssl);
	SSL_free(h->ssl);
	if (h->fd >= 0)
		close(h->fd);
	free(h);
}

static int
send_request(struct https *h, const char *method, const char *path,
    const char *bearer, const char *body, struct err *err)
{
	size_t size = body != NULL ? strlen(body) : 0, n;
	char *text = malloc(HEAD_MAX + size);
	int rc = 0;

	if (text == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	n = (size_t)snprintf(text, HEAD_MAX, "%s %s HTTP/1.1\r\nHost: "
	    "localhost\r\n%s%s%s%sContent-Length: %zu\r\n\r\n", method, path,
	    bearer != NULL ? "Authorization: Bearer " : "",
	    bearer != NULL ? bearer : "", bearer != NULL ? "\r\n" : "",
	    body != NULL ? "Content-Type: application/json\r\n" : "", size);
	if (body != NULL)
		memcpy(text + n, body, size);
	if (SSL_write(h->ssl, text, (int)(n + size)) <= 0)
		rc = failed(err, "send a request");
	free(text);
	return rc;
}

/* Where the body begins, and how long it is; 0: the head is not all there. */
static size_t
head_end(struct https *h, size_t *length)
{
	char *end, *line;

	h->answer[h->size] = '\0';
	if ((end = strstr(h->answer, "\r\n\r\n")) == NULL)
		return 0;
	line = strcasestr(h->answer, "\r\nContent-Length:");
	*length = line != NULL && line < end ?
	    strtoul(line + 17, NULL, 10) : 0;
	return (size_t)(end - h->answer) + 4;
}

static int
read_answer(struct https *h, int *status, size_t *at, struct err *err)
{
	size_t length = 0;
	int n;

	h->size = 0;
	*at = 0;
	while ((*at = head_end(h, &length)) == 0 || h->size < *at + length) {
		if (h->size == ANSWER_MAX)
			return err_set(err, ERR_FORMAT, "a long answer");
		n = SSL_read(h->ssl, h->answer + h->size,
		    (int)(ANSWER_MAX - h->size));
		if (n <= 0)
			return failed(err, "read an answer");
		h->size += (size_t)n;
	}
	h->answer[h->size] = '\0';
	*status = (int)strtol(h->answer + 9, NULL, 10);
	return 0;
}

int
https_call(struct https *h, const char *method, const char *path,
    const char *bearer, const char *body, json_t **out, struct err *err)
{
	int status = 0, rc;
	size_t at;

	if (out != NULL)
		*out = NULL;
	if ((rc = send_request(h, method, path, bearer, body, err)) < 0 ||
	    (rc = read_answer(h, &status, &at, err)) < 0)
		return rc;
	if (status < 200 || status > 299)
		return err_set(err, ERR_REFUSED, "%s %s: %d %.200s", method,
		    path, status, h->answer + at);
	if (out != NULL)
		*out = json_loadb(h->answer + at, h->size - at, 0, NULL);
	return 0;
}
