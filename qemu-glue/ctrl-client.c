/* SPDX-License-Identifier: BSD-3-Clause */
#include "qemu-glue/ctrl-client.h"

#include <errno.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fdio.h"
#include "base/secret.h"

int
ctrl_connect_unix(const char *path, struct err *err)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(a.sun_path))
		return err_set(err, ERR_USAGE, "the socket's path is longer "
		    "than %zu bytes", sizeof(a.sun_path) - 1);
	memcpy(a.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_sys(err, errno, "cannot make a socket");
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
		return fd;
	err_sys(err, errno, "Connect failed");
	close(fd);
	return ERR_SYSTEM;
}

int
ctrl_connect_tcp(const char *host, const char *port, struct err *err)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *found, *a;
	int fd = -1, error = 0, rc;

	if ((rc = getaddrinfo(host, port, &hints, &found)) != 0)
		return err_set(err, ERR_SYSTEM, "Could not resolve host '%s' "
		    "and port '%s': %s", host, port, gai_strerror(rc));
	for (a = found; a != NULL && fd < 0; a = a->ai_next) {
		fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fd >= 0 && connect(fd, a->ai_addr, a->ai_addrlen) == 0)
			break;
		error = errno;
		if (fd >= 0)
			close(fd);
		fd = -1;
	}
	freeaddrinfo(found);
	if (fd < 0)
		err_sys(err, error, "Could not connect to host '%s' on port "
		    "'%s' using TCP socket", host, port);
	return fd < 0 ? ERR_SYSTEM : fd;
}

static int
read_answer(int sock, uint8_t *answer, size_t room, size_t *size,
    struct err *err)
{
	*size = 0;
	while (*size < room) {
		ssize_t n = read(sock, answer + *size, room - *size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, errno, "cannot read the answer");
		if (n == 0 && *size < 4)
			return err_set(err, ERR_CLOSED, "the TPM has closed "
			    "the connection");
		if (n == 0)
			return 0;
		*size += (size_t)n;
		/* An error has nothing behind its number, but in
		 * GET_CAPABILITY's answer, where it is always 0. */
		if (*size >= 4 && memcmp(answer, "\0\0\0\0", 4) != 0)
			return 0;
	}
	return 0;
}

int
ctrl_call(int sock, uint32_t command, const void *body, size_t body_size,
    int fd, uint8_t *answer, size_t room, size_t *size, struct err *err)
{
	uint8_t *request = malloc(4 + body_size);
	struct buf b = buf_writer(request, 4 + body_size);
	int rc = 0;

	if (request == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	buf_put_u32be(&b, command);
	if (body_size > 0)
		buf_put_bytes(&b, body, body_size);
	/* In one piece: swtpm takes one read for a command. */
	if ((fd >= 0 && fdio_send(sock, request, b.pos, fd) < 0) ||
	    (fd < 0 && fdio_write(sock, request, b.pos) < 0))
		rc = err_sys(err, errno, "cannot send the command");
	cleanse(request, 4 + body_size);
	free(request);
	return rc < 0 ? rc : read_answer(sock, answer, room, size, err);
}

int
ctrl_call_plain(int sock, uint32_t command, const void *body,
    size_t body_size, int fd, uint32_t *result, struct err *err)
{
	uint8_t answer[4] = { 0 };
	struct buf b = buf_reader(answer, sizeof(answer));
	size_t size;
	int rc = ctrl_call(sock, command, body, body_size, fd, answer,
	    sizeof(answer), &size, err);

	if (rc == 0)
		buf_get_u32be(&b, result);
	return rc;
}

int
ctrl_read_on(int sock, uint8_t *data, size_t size, struct err *err)
{
	if (fdio_read(sock, data, size) == 0)
		return 0;
	return err_set(err, ERR_CLOSED, "the TPM has closed the connection "
	    "in the middle of an answer");
}
