/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/unit/agent-for-tests.h"

#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct agent_for_tests agent_for_tests;

#define REQUEST_HEAD 8		/* type, zero, id */

static size_t
put_blob(uint8_t *at, const void *data, size_t n)
{
	at[0] = (uint8_t)(n >> 8);
	at[1] = (uint8_t)n;
	memcpy(at + 2, data, n);
	return n + 2;
}

static size_t
answer_key_make(uint8_t *at, const uint8_t *request)
{
	static uint8_t wrapped[AGENT_WRAPPED_MAX + 8];
	size_t n = agent_for_tests.wrapped_size, size;

	memset(wrapped, 'W', sizeof(wrapped));
	if (n == 0) {
		n = strlen(AGENT_FOR_TESTS_WRAPPED);
		memcpy(wrapped, AGENT_FOR_TESTS_WRAPPED, n);
	}
	agent_for_tests.new_keks += request[REQUEST_HEAD + 16];
	size = put_blob(at, wrapped, n);
	memset(at + size, AGENT_FOR_TESTS_KEY, 32);
	size += 32;
	return size + put_blob(at + size, "authority tests, group g, KEK 1",
	    strlen("authority tests, group g, KEK 1"));
}

/* What follows the answer's head and result. */
static size_t
answer_fields(uint8_t *at, const uint8_t *request)
{
	switch (request[1]) {
	case 1:		/* HELLO */
		memcpy(at, "\0\1" "\0\0" "\0\0", 6);
		return 6;
	case 3:		/* KEY_MAKE */
		return answer_key_make(at, request);
	case 4:		/* KEY_OPEN */
		memset(at, AGENT_FOR_TESTS_KEY + agent_for_tests.other_key,
		    32);
		return 32;
	case 6:		/* ACQUIRE: the next epoch, synced, 60 seconds */
	case 17:	/* CLAIM */
	case 18:	/* RECLAIM */
		memcpy(at, request + REQUEST_HEAD + 16, 8);
		at[7]++;
		memcpy(at + 8, "\1" "\0\0\0\x3c", 5);
		return 13;
	case 10:	/* ATTACH */
		at[0] = 0;
		return 1;
	default:
		return 0;
	}
}

static void *
serve(void *arg)
{
	int sock = (int)(intptr_t)arg;
	uint8_t request[4096], answer[4096];

	while (recv(sock, request, sizeof(request), 0) > REQUEST_HEAD - 1) {
		bool refuse = agent_for_tests.refuse != 0 && request[1] != 1;
		uint32_t code = (uint32_t)agent_for_tests.refuse;
		size_t size = 12;

		memcpy(answer, request, REQUEST_HEAD);
		answer[0] = 0x80;
		if (request[1] != 1) {
			agent_for_tests.asked++;
			agent_for_tests.last_type = request[1];
		}
		memset(answer + 8, 0, 4);
		if (refuse) {
			for (int i = 0; i < 4; i++)
				answer[8 + i] = (uint8_t)(code >> (24 - 8 * i));
			answer[12] = AGENT_FAULT_POLICY;
			size += 1 + put_blob(answer + 13, "boot.efi", 8);
		} else {
			size += answer_fields(answer + 12, request);
		}
		if (send(sock, answer, size, MSG_NOSIGNAL) < 0)
			break;
	}
	close(sock);
	return NULL;
}

static int
connect_here(void *arg, bool wait, int *fd, struct err *err)
{
	pthread_t thread;
	int ends[2];

	(void)arg;
	(void)wait;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0 ||
	    pthread_create(&thread, NULL, serve,
	    (void *)(intptr_t)ends[1]) != 0)
		return err_set(err, ERR_CLOSED, "no agent for tests");
	pthread_detach(thread);
	*fd = ends[0];
	return 0;
}

struct agent *
agent_for_tests_new(void)
{
	struct agent *a;

	return agent_new(&a, connect_here, NULL, NULL) == 0 ? a : NULL;
}
