/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/common/http-listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static unsigned int
port_of(int fd)
{
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} a;
	socklen_t size = sizeof(a);

	memset(&a, 0, sizeof(a));
	(void)getsockname(fd, &a.any, &size);
	return ntohs(a.any.sa_family == AF_INET ? a.v4.sin_port :
	    a.v6.sin6_port);
}

/* IPv4 too on "::". What is accepted has TCP_NODELAY from here: without it an
 * answer waits for the peer's delayed acknowledgement. */
int
http_listen(const char *address, unsigned int port, int *out,
    unsigned int *out_port, struct err *err)
{
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6,
		.sin6_port = htons((uint16_t)port) };
	struct sockaddr_in v4 = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)port) };
	int one = 1, zero = 0, fd, rc;
	bool is_v4;

	if (address == NULL)
		address = "::";
	is_v4 = inet_pton(AF_INET, address, &v4.sin_addr) == 1;
	if (!is_v4 && inet_pton(AF_INET6, address, &v6.sin6_addr) != 1)
		return err_set(err, ERR_USAGE, "%s is not an IP address",
		    address);
	fd = socket(is_v4 ? AF_INET : AF_INET6,
	    SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_sys(err, errno, "cannot make a socket");
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (!is_v4)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero,
		    sizeof(zero));
	rc = is_v4 ? bind(fd, (struct sockaddr *)&v4, sizeof(v4)) :
	    bind(fd, (struct sockaddr *)&v6, sizeof(v6));
	if (rc < 0 || listen(fd, 1024) < 0) {
		rc = err_sys(err, errno, "cannot listen on %s port %u",
		    address, port);
		close(fd);
		return rc;
	}
	*out = fd;
	*out_port = port_of(fd);
	return 0;
}
