/* SPDX-License-Identifier: BSD-3-Clause */
/* A worker that somebody has taken over must not move the monitor: messages,
 * sizes and shared memory are the input's. monitor-between.h tells it. */
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/monitor-between.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* A client gives INIT, which the worker says has worked. */
	static const uint8_t powered[] = { STEP_CONNECT,
		STEP_BYTES, 0, 0, 8, 0, 0, 0, 2, 0, 0, 0, 0,
		STEP_NEED, 1, 0, 0, 0, 1, 0, 0, 0, 0,
		STEP_ANSWER, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 };
	struct buf before = buf_reader(powered, sizeof(powered));
	struct buf in = buf_reader(data, size);

	monitor_between(&in, &before, true);
	return 0;
}
