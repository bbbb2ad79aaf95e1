/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a worker leaves behind when it dies: how far it had come with the
 * guest's commands, and the TPM's volatile state after the last of them. It
 * lies in memory that worker, supervisor and monitor share, so that a new worker
 * can go on where the old one stopped. doc/architecture.md, "A worker dies".
 *
 * Commands are numbered. The data thread moves the four counters in this
 * order, each after what it stands for has happened:
 *
 *   begun     the command has been taken from the data socket
 *   run       libtpms has run it; its answer lies at answer_at
 *   answered  the answer has been sent
 *   captured  captures[current], with its log run again, has the volatile
 *             state after it
 *
 * The one step that cannot be told from the counters is whether a worker that
 * was killed between run and answered has sent the answer. It is sent by
 * sendfile(2) out of a memory file, which moves the file's offset in the same
 * system call; the monitor holds the same open file and reads the offset.
 */
#ifndef VTPM_JOURNAL_H
#define VTPM_JOURNAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vtpm/tpm.h"

/* Answers lie here one behind the other; at the end it starts anew. */
#define JOURNAL_ANSWERS (16u * 1024)
/* Room for one command more than libtpms takes, so that too long a one is seen
 * as such. */
#define JOURNAL_COMMAND (TPM_BUFFER_DEFAULT + 1)
/* libtpms 0.9 writes 9 kB, a full TPM (three objects, three sessions) under
 * 20. What does not fit is not captured. */
#define JOURNAL_CAPTURE (64u * 1024)

/* Commands since a capture that need only be run again to get where the TPM
 * is: TPM2_PCR_Extend, by far the most frequent of those that change volatile
 * state, at a fraction of a capture's 30 us. */
#define JOURNAL_LOG_MAX 32
#define JOURNAL_LOG_COMMAND 128

struct journal_log {
	_Atomic uint32_t count;
	struct {
		uint64_t number;
		uint32_t size;
		uint8_t command[JOURNAL_LOG_COMMAND];
	} entries[JOURNAL_LOG_MAX];
};

struct journal_capture {
	struct tpm_progress progress;
	uint32_t size;
	uint8_t state[JOURNAL_CAPTURE];
	struct journal_log log;
};

struct journal {
	_Atomic uint64_t begun, run, answered, captured;
	_Atomic uint32_t current;	/* which of captures */
	uint32_t answer_at, answer_size;
	uint32_t command_size;
	uint8_t handed_out;		/* not 0: the volatile state has left by
					 * STORE_VOLATILE or GET_STATE */
	uint8_t command[JOURNAL_COMMAND];
	struct journal_capture captures[2];
};

/* What became of the command that a dead worker was at. */
enum journal_end {
	JOURNAL_IDLE,		/* none, or answered, and all is captured */
	JOURNAL_ANSWER,		/* run and captured, but not answered: the answer
				 * that lies there is to be sent */
	JOURNAL_RERUN,		/* not run to its end, and still there: it can be
				 * run again, with the state before it */
	JOURNAL_RETRY,		/* the same but for the command: TPM_RC_RETRY */
	JOURNAL_LOST,		/* answered, but its change was not captured */
	JOURNAL_LOST_PENDING,	/* the same, and another one waits */
};

/* The capture that counts. Like all in here it was written by a worker that may
 * have been taken over: sizes are for the reader to check. */
const struct journal_capture *journal_current(const struct journal *j);

/* Judges the journal of a dead worker; sent is the memory file's offset. */
enum journal_end journal_judge(const struct journal *j, uint64_t sent);

/* What a new worker does first, by that judgement. */
enum resume {
	RESUME_QUIETLY,		/* captured state, nobody waits */
	RESUME_ANSWER,		/* captured state, what lies there is sent */
	RESUME_RERUN,		/* captured state, the command is run again */
	RESUME_RETRY,		/* captured state, TPM_RC_RETRY is sent */
	RESUME_FAILED,		/* failure mode until the next INIT */
	RESUME_FAILED_ANSWER,	/* the same, and TPM_RC_FAILURE is sent */
};

/* Brings the counters in line with what a new worker is about to do, such that
 * journal_judge says the same again should that one die before it has. */
void journal_resume(struct journal *j, enum resume how);
/* Nothing is under way and nobody waits for an answer. */
void journal_settle(struct journal *j);

/* The journal of a TPM that comes from another one, for a new worker to resume:
 * what was captured there and the command that waits, if command_size is not 0.
 * ERR_FORMAT where that is too large. */
int journal_import(struct journal *j, const struct tpm_progress *progress,
    const uint8_t *state, size_t size, const uint8_t *command,
    size_t command_size);

/* Worker: captures the volatile state of the running TPM as that after command
 * number; 0 or a negative code, and then journal_judge will find it lost. */
int journal_capture(struct journal *j, uint64_t number);
/* Worker: the same in two steps, so that the first can overlap with waiting for
 * the disk; what was captured before stays until the second. */
int journal_capture_prepare(struct journal *j);
void journal_capture_publish(struct journal *j, uint64_t number);
/* Worker: instead of capturing, notes command number for running it again.
 * False where that is not possible. */
bool journal_log(struct journal *j, uint64_t number, const uint8_t *command,
    size_t size);
/* Worker: brings a TPM that was powered on with captures[current] to where it
 * was. A TPM_RESULT. */
uint32_t journal_replay(const struct journal *j);
/* Worker: as journal_capture for the state that there is after an order. */
void journal_capture_order(struct journal *j);
/* Worker: says that command number has changed nothing that is captured. */
void journal_unchanged(struct journal *j, uint64_t number);
/* Whether a command leaves the volatile state as it was. size is at least the
 * header's. */
bool journal_is_harmless(const uint8_t *command, size_t size);
/* Whether it can be run again to the same effect. */
bool journal_is_repeatable(const uint8_t *command, size_t size);

#endif
