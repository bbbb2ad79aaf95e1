/* SPDX-License-Identifier: BSD-3-Clause */
#include <criterion/criterion.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fdio.h"

TestSuite(fdio, .timeout = 20);

static int pair[2];

static void
make_pair(void)
{
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
}

Test(fdio, read_goes_on_after_short_transfers, .init = make_pair)
{
	char got[10] = "";

	if (fork() == 0) {
		for (int i = 0; i < 10; i++) {
			if (write(pair[1], &"0123456789"[i], 1) != 1)
				_exit(1);
			usleep(1000);
		}
		_exit(0);
	}
	cr_assert_eq(fdio_read(pair[0], got, 10), 0);
	cr_assert_arr_eq(got, "0123456789", 10);
	wait(NULL);
}

Test(fdio, read_tells_an_early_end, .init = make_pair)
{
	char got[4];

	cr_assert_eq(write(pair[1], "abc", 3), 3);
	close(pair[1]);
	cr_assert_eq(fdio_read(pair[0], got, 4), ERR_CLOSED);
	cr_assert_eq(fdio_read(-1, got, 4), ERR_SYSTEM);
	cr_assert_eq(errno, EBADF);
	cr_assert_eq(fdio_read(-1, got, 0), 0);
}

static void
on_alarm(int sig)
{
	(void)sig;
}

/* A signal without SA_RESTART interrupts read and write in the middle. */
Test(fdio, goes_on_after_signals, .init = make_pair)
{
	static char big[1 << 20], back[1 << 20];
	struct sigaction sa = { .sa_handler = on_alarm };
	pid_t child, parent = getpid();
	int status;

	memset(big, 'x', sizeof(big));
	sigaction(SIGUSR1, &sa, NULL);
	if ((child = fork()) == 0) {
		for (int i = 0; i < 20; i++) {
			usleep(1000);
			kill(parent, SIGUSR1);
		}
		_exit(fdio_read(pair[1], back, sizeof(back)) < 0 ||
		    memcmp(back, big, sizeof(big)) != 0 ||
		    (usleep(5000), kill(parent, SIGUSR1)) < 0 ||
		    (usleep(5000), fdio_write(pair[1], "done", 4)) < 0);
	}
	cr_assert_eq(fdio_write(pair[0], big, sizeof(big)), 0);
	cr_assert_eq(fdio_read(pair[0], back, 4), 0);
	cr_assert_arr_eq(back, "done", 4);
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert_eq(status, 0);
}

Test(fdio, write_tells_errors)
{
	int full = open("/dev/full", O_WRONLY);

	cr_assert_eq(fdio_write(full, "x", 1), ERR_SYSTEM);
	cr_assert_eq(errno, ENOSPC);
	close(full);
}

static bool
same_file(int a, int b)
{
	struct stat x, y;

	return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_ino == y.st_ino &&
	    x.st_dev == y.st_dev;
}

Test(fdio, passes_a_descriptor, .init = make_pair)
{
	int null = open("/dev/null", O_RDONLY), got = -7;
	char data[8];

	cr_assert_eq(fdio_send(pair[0], "abcd", 4, null), 0);
	cr_assert_eq(fdio_recv(pair[1], data, sizeof(data), &got), 4);
	cr_assert_arr_eq(data, "abcd", 4);
	cr_assert_geq(got, 0);
	cr_assert_neq(got, null);
	cr_assert(same_file(got, null));
	cr_assert(fcntl(got, F_GETFD) & FD_CLOEXEC);
	close(got);
	cr_assert_eq(fdio_send(pair[0], "e", 1, -1), 0);
	cr_assert_eq(fdio_recv(pair[1], data, sizeof(data), &got), 1);
	cr_assert_eq(got, -1);
	close(pair[0]);
	cr_assert_eq(fdio_recv(pair[1], data, sizeof(data), &got), 0);
}

static int
count_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* A peer that sends more than one must not fill our table. */
Test(fdio, closes_surplus_descriptors, .init = make_pair)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(20 * sizeof(int))];
	} control = { 0 };
	char x = 0;
	struct iovec iov = { .iov_base = &x, .iov_len = 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control.room,
		.msg_controllen = sizeof(control.room) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	int before, got = -1, twenty[20];
	char data;

	for (int i = 0; i < 20; i++)
		twenty[i] = 2;
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(twenty));
	memcpy(CMSG_DATA(c), twenty, sizeof(twenty));
	cr_assert_eq(sendmsg(pair[0], &msg, 0), 1);
	before = count_fds();
	cr_assert_eq(fdio_recv(pair[1], &data, 1, &got), 1);
	cr_assert_geq(got, 0);
	cr_assert_eq(count_fds(), before + 1);
}

Test(fdio, a_closed_peer_raises_no_signal, .init = make_pair)
{
	signal(SIGPIPE, SIG_DFL);
	close(pair[1]);
	cr_assert_eq(fdio_send(pair[0], "x", 1, -1), ERR_CLOSED);
	cr_assert_eq(fdio_send(-1, "x", 1, -1), ERR_SYSTEM);
}
