/* SPDX-License-Identifier: BSD-3-Clause */
/* Whole reads and writes on descriptors, and passing them over Unix sockets. */
#ifndef BASE_FDIO_H
#define BASE_FDIO_H

#include <stddef.h>
#include <sys/types.h>

/* All of size bytes, going on after EINTR and short transfers. 0;
 * ERR_CLOSED at end of file before the last byte; ERR_SYSTEM with errno. */
int fdio_read(int fd, void *data, size_t size);
int fdio_write(int fd, const void *data, size_t size);

/* One recvmsg/sendmsg. *fd is the descriptor that came along (close-on-exec)
 * or -1; any more than one are closed. Returns bytes, 0 at end of file, or a
 * negative code. send takes fd = -1 for none, and never raises SIGPIPE. */
ssize_t fdio_recv(int sock, void *data, size_t size, int *fd);
int fdio_send(int sock, const void *data, size_t size, int fd);

#endif
