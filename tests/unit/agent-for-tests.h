/* SPDX-License-Identifier: BSD-3-Clause */
/* An agent in a thread of this process, with one VM key: K is 32 bytes of
 * 0x61 and its wrapped form AGENT_FOR_TESTS_WRAPPED. It speaks the wire by
 * hand, so that the codec is not tested against itself. */
#ifndef TESTS_UNIT_AGENT_FOR_TESTS_H
#define TESTS_UNIT_AGENT_FOR_TESTS_H

#include "nvram-crypt/agent.h"

#define AGENT_FOR_TESTS_KEY 0x61
#define AGENT_FOR_TESTS_WRAPPED "the wrapped key of the tests"

/* How it answers from now on; for all agents of the process. */
struct agent_for_tests {
	int32_t refuse;		/* the code of each answer but HELLO's, or 0 */
	bool other_key;		/* KEY_OPEN gives another key */
	size_t wrapped_size;	/* of KEY_MAKE's; 0: as above */
	unsigned int asked;	/* requests so far */
	unsigned int new_keks;	/* of these, for a new KEK */
	uint16_t last_type;
};
extern struct agent_for_tests agent_for_tests;

/* Ends with agent_free. NULL where a thread cannot be made. */
struct agent *agent_for_tests_new(void);

#endif
