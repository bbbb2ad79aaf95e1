/* SPDX-License-Identifier: BSD-3-Clause */
/* The worker's answers, sent such that it is known after its death. */
#include "vtpm/journal.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

int
journal_answer(struct journal *j, const uint8_t *response, size_t size)
{
	if (size > sizeof(j->answer))
		return -1;
	memcpy(j->answer, response, size);
	j->answer_size = (uint32_t)size;
	j->sendings[0].before = 0;
	j->sendings[0].message.msg_len = 0;
	atomic_store_explicit(&j->sending, 0, memory_order_release);
	journal_set(&j->run, atomic_load(&j->begun));
	return 0;
}

/* Where the count of the next message stands. After one that took a part only,
 * that count stays as it is until the next one stands on it. */
static struct mmsghdr *
next_message(struct journal *j, uint64_t sent)
{
	uint32_t which = atomic_load(&j->sending) & 1;
	struct journal_sending *s = &j->sendings[which];

	if (s->message.msg_len == 0)
		return &s->message;
	s = &j->sendings[which ^ 1];
	s->before = (uint32_t)sent;
	s->message.msg_len = 0;
	atomic_store_explicit(&j->sending, which ^ 1, memory_order_release);
	return &s->message;
}

int
journal_send(struct journal *j, int fd)
{
	uint64_t sent;

	while ((sent = journal_sent(j)) < j->answer_size) {
		struct iovec rest = { j->answer + sent,
			j->answer_size - sent };
		struct pollfd p = { .fd = fd, .events = POLLOUT };
		struct mmsghdr *m = next_message(j, sent);

		m->msg_hdr = (struct msghdr){ .msg_iov = &rest,
			.msg_iovlen = 1 };
		/* In a process with two threads glibc's sendmmsg costs two
		 * atomic exchanges more: it is a point of pthread_cancel, which
		 * nobody here uses. */
		if (syscall(SYS_sendmmsg, fd, m, 1, MSG_NOSIGNAL) == 1)
			continue;
		if (errno == EAGAIN)
			poll(&p, 1, -1);
		else if (errno != EINTR)
			return -1;
	}
	journal_set(&j->answered, atomic_load(&j->run));
	return 0;
}
