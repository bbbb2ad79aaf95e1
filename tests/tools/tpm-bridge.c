/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * For tests: tpm2-tools on a running vtpmd, without QEMU between them, and
 * where there is no Python.
 *
 * tpm-bridge serve CTRL SOCKET: powers on the TPM of the vtpmd whose control
 * socket is CTRL, starts it, and passes commands from clients of SOCKET to it.
 * tpm-bridge pipe SOCKET: such a client on standard input and output, for
 * TPM2TOOLS_TCTI="cmd:tpm-bridge pipe SOCKET".
 */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fdio.h"
#include "vtpm/control.h"

#define HEAD_SIZE 10		/* TPM 2.0 Part 1, 18: tag, size, code */
#define PACKET_MAX 4096
#define TPM_CC_STARTUP 0x144

static int
unix_address(const char *path, struct sockaddr_un *a)
{
	*a = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(a->sun_path))
		return ERR_USAGE;
	memcpy(a->sun_path, path, strlen(path) + 1);
	return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static int
unix_connect(const char *path)
{
	struct sockaddr_un a;
	int fd = unix_address(path, &a);

	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
		return fd;
	close(fd);
	return ERR_SYSTEM;
}

static int
unix_listen(const char *path)
{
	struct sockaddr_un a;
	int fd = unix_address(path, &a);

	if (fd < 0 || (bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0 &&
	    listen(fd, 4) == 0))
		return fd;
	close(fd);
	return ERR_SYSTEM;
}

/* One command or response from one side to the other. */
static int
pass(int from, int to)
{
	uint8_t packet[PACKET_MAX];
	struct buf head;
	uint16_t tag;
	uint32_t size;
	int rc;

	if ((rc = fdio_read(from, packet, HEAD_SIZE)) < 0)
		return rc;
	head = buf_reader(packet, HEAD_SIZE);
	if (buf_get_u16be(&head, &tag) < 0 ||
	    buf_get_u32be(&head, &size) < 0 ||
	    size < HEAD_SIZE || size > sizeof(packet))
		return ERR_FORMAT;
	if ((rc = fdio_read(from, packet + HEAD_SIZE, size - HEAD_SIZE)) < 0)
		return rc;
	return fdio_write(to, packet, size);
}

static int
exchange(int in, int out, int tpm)
{
	int rc = pass(in, tpm);

	return rc < 0 ? rc : pass(tpm, out);
}

/* A request of one number and maybe an argument; the answer's TPM_RESULT. */
static int
control(int ctrl, uint32_t number, const uint32_t *argument, int fd)
{
	uint8_t request[8], answer[4];
	struct buf b = buf_writer(request, sizeof(request));
	struct buf a = buf_reader(answer, sizeof(answer));
	uint32_t result = 1;
	int rc;

	buf_put_u32be(&b, number);
	if (argument != NULL)
		buf_put_u32be(&b, *argument);
	if ((rc = fdio_send(ctrl, request, b.pos, fd)) < 0 ||
	    (rc = fdio_read(ctrl, answer, sizeof(answer))) < 0)
		return rc;
	buf_get_u32be(&a, &result);
	return result == 0 ? 0 : ERR_TPM;
}

/* TPM2_Startup(TPM_SU_CLEAR), Part 3, 9.3. */
static int
startup(int tpm)
{
	uint8_t packet[HEAD_SIZE + 2];
	struct buf b = buf_writer(packet, sizeof(packet));
	struct buf answer = buf_reader(packet, HEAD_SIZE);
	uint32_t size, code = 1;
	uint16_t tag;
	int rc;

	buf_put_u16be(&b, 0x8001);
	buf_put_u32be(&b, sizeof(packet));
	buf_put_u32be(&b, TPM_CC_STARTUP);
	buf_put_u16be(&b, 0);
	if ((rc = fdio_write(tpm, packet, sizeof(packet))) < 0 ||
	    (rc = fdio_read(tpm, packet, HEAD_SIZE)) < 0)
		return rc;
	buf_get_u16be(&answer, &tag);
	buf_get_u32be(&answer, &size);
	buf_get_u32be(&answer, &code);
	return code == 0 ? 0 : ERR_TPM;
}

static int
power_on(const char *path, int *tpm)
{
	const uint32_t flags = 0;
	int pair[2], rc, ctrl = unix_connect(path);

	if (ctrl < 0)
		return ctrl;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return ERR_SYSTEM;
	*tpm = pair[0];
	rc = control(ctrl, CMD_SET_DATAFD, NULL, pair[1]);
	close(pair[1]);
	/* The control connection stays open, as QEMU's does. */
	if (rc == 0)
		rc = control(ctrl, CMD_INIT, &flags, -1);
	return rc == 0 ? startup(*tpm) : rc;
}

static int
serve(const char *ctrl, const char *path)
{
	int tpm, listener, client, rc = power_on(ctrl, &tpm);

	if (rc < 0 || (rc = listener = unix_listen(path)) < 0)
		return rc;
	while ((client = accept(listener, NULL, NULL)) >= 0) {
		while (exchange(client, client, tpm) == 0)
			;
		close(client);
	}
	return ERR_SYSTEM;
}

static int
pipe_through(const char *path)
{
	int fd = unix_connect(path), rc = fd;

	while (rc >= 0)
		rc = exchange(STDIN_FILENO, STDOUT_FILENO, fd);
	return rc == ERR_CLOSED ? 0 : rc;
}

int
main(int argc, char **argv)
{
	int rc = ERR_USAGE;

	if (argc == 4 && strcmp(argv[1], "serve") == 0)
		rc = serve(argv[2], argv[3]);
	else if (argc == 3 && strcmp(argv[1], "pipe") == 0)
		rc = pipe_through(argv[2]);
	if (rc < 0)
		fprintf(stderr, "tpm-bridge: %s\n", err_name(rc));
	return rc < 0 ? err_exit_status(rc) : 0;
}
