/* SPDX-License-Identifier: BSD-3-Clause */
/* Hostile clients of the control socket, beside a worker that keeps to the
 * protocol. monitor-between.h tells the input. */
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/monitor-between.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t connected[] = { STEP_CONNECT };
	struct buf before = buf_reader(connected, sizeof(connected));
	struct buf in = buf_reader(data, size);

	monitor_between(&in, &before, false);
	return 0;
}
