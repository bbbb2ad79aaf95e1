/* SPDX-License-Identifier: BSD-3-Clause */
/* Answers of a worker that is killed while it sends them: what the journal says
 * of them is what has come out at the other end. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "vtpm/journal.h"

#define KILLS 150

static struct journal *
journal_shared(void)
{
	struct journal *j = mmap(NULL, sizeof(*j), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	cr_assert_neq(j, MAP_FAILED);
	return j;
}

/* A byte of an endless stream; answers are cut from it one after another. */
static uint8_t
nth(uint64_t n)
{
	return (uint8_t)(n ^ n >> 8 ^ n >> 16);
}

static int
answer_one(struct journal *j, int fd, size_t size)
{
	static uint8_t bytes[JOURNAL_ANSWER_MAX];
	uint64_t begun = atomic_load(&j->begun);

	for (size_t i = 0; i < size; i++)
		bytes[i] = nth(begun * size + i);
	journal_set(&j->begun, begun + 1);
	return journal_answer(j, bytes, size) < 0 ? -1 : journal_send(j, fd);
}

static pid_t
worker(struct journal *j, int fd, size_t size)
{
	pid_t pid = fork();

	if (pid == 0) {
		while (answer_one(j, fd, size) == 0)
			;
		_exit(1);
	}
	cr_assert_gt(pid, 0);
	return pid;
}

/* Takes what there is; checks that it is the stream. */
static uint64_t
take(int fd, uint64_t at)
{
	uint8_t bytes[4096];
	ssize_t n;

	while ((n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
		for (ssize_t i = 0; i < n; i++, at++)
			cr_assert_eq(bytes[i], nth(at), "byte %llu",
			    (unsigned long long)at);
	return at;
}

static uint64_t
take_for(int fd, uint64_t at, long us)
{
	struct timespec now, start;

	clock_gettime(CLOCK_MONOTONIC, &start);
	do {
		at = take(fd, at);
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while ((now.tv_sec - start.tv_sec) * 1000000 +
	    (now.tv_nsec - start.tv_nsec) / 1000 < us);
	return at;
}

static void
kill_at_any_moment(size_t size, int flags, int room)
{
	struct journal *j = journal_shared();
	unsigned int in_part = 0;
	uint64_t at = 0, said;
	int pair[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	cr_assert_eq(fcntl(pair[1], F_SETFL, flags), 0);
	cr_assert_eq(setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &room,
	    sizeof(room)), 0);
	srandom(1);
	for (int i = 0; i < KILLS; i++) {
		pid_t pid = worker(j, pair[1], size);

		at = take_for(pair[0], at, 200 + random() % 1500);
		kill(pid, SIGKILL);
		cr_assert_eq(waitpid(pid, NULL, 0), pid);
		at = take(pair[0], at);
		said = atomic_load(&j->answered) * size;
		if (atomic_load(&j->run) > atomic_load(&j->answered)) {
			said += journal_sent(j);
			in_part += journal_sent(j) % size != 0;
		}
		cr_assert_eq(at, said, "after kill %d: %llu came, %llu said",
		    i, (unsigned long long)at, (unsigned long long)said);
		/* As a successor does: what is left, or from the start. */
		if (atomic_load(&j->run) > atomic_load(&j->answered)) {
			while (journal_sent(j) < size) {
				uint64_t before = journal_sent(j);

				fcntl(pair[1], F_SETFL, flags | O_NONBLOCK);
				(void)send(pair[1], j->answer + before,
				    size - before, 0);
				at = take(pair[0], at);
				j->sendings[atomic_load(&j->sending) & 1].before
				    += (uint32_t)(at - said);
				said = at;
				fcntl(pair[1], F_SETFL, flags);
			}
			journal_set(&j->answered, atomic_load(&j->run));
		}
		journal_set(&j->begun, atomic_load(&j->answered));
		journal_set(&j->run, atomic_load(&j->answered));
	}
	cr_assert(flags == 0 || in_part > 0, "no answer went out in part");
	/* How many depends on how busy the machine is. */
	cr_assert_gt(atomic_load(&j->answered), 0);
}

Test(journal_answer, a_killed_worker_leaves_word, .timeout = 60)
{
	kill_at_any_moment(62, 0, 1 << 17);
}

/* Answers larger than the socket's room, which go out in several parts. */
Test(journal_answer, a_worker_killed_between_parts_leaves_word,
    .timeout = 60)
{
	kill_at_any_moment(JOURNAL_ANSWER_MAX, O_NONBLOCK, 1);
}

Test(journal_answer, too_long_a_one_is_refused)
{
	struct journal *j = journal_shared();

	cr_assert_eq(answer_one(j, -1, JOURNAL_ANSWER_MAX), -1, "no socket");
	cr_assert_eq(atomic_load(&j->run), 1);
	cr_assert_eq(atomic_load(&j->answered), 0);
	cr_assert_eq(journal_answer(j, j->command, JOURNAL_ANSWER_MAX + 1),
	    -1);
	cr_assert_eq(atomic_load(&j->run), 1);
}
