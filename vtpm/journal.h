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
 *   run       libtpms has run it; its answer lies in answer
 *   answered  the answer has been sent
 *   captured  captures[current], with its log run again, has the volatile
 *             state after it
 *
 * The one step that cannot be told from the counters is whether a worker that
 * was killed between run and answered has sent the answer. It is sent by
 * sendmmsg(2), which writes how much it has sent beside the message that it was
 * given, in the same system call: a worker that is killed meanwhile dies after
 * that, on its way out. The message lies in here too, on a page that the
 * monitor keeps in memory, so that nothing can come between.
 *
 * Between answered and captured a death would lose a change that the guest has
 * been told of. So a command that is to be captured is kept until it has been,
 * and a successor runs it again with the state before it: its change is the one
 * that was told if its answer is, byte for byte, the one that was sent.
 */
#ifndef VTPM_JOURNAL_H
#define VTPM_JOURNAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "vtpm/tpm.h"

/* Room for one answer; libtpms writes no more than it reads. */
#define JOURNAL_ANSWER_MAX (16u * 1024)
/* Room for one command more than libtpms takes, so that too long a one is seen
 * as such. */
#define JOURNAL_COMMAND (TPM_BUFFER_DEFAULT + 1)
/* libtpms 0.9 writes 9 kB, a full TPM (three objects, three sessions) under
 * 20. What does not fit is not captured. */
#define JOURNAL_CAPTURE (64u * 1024)

/* Commands since a capture that need only be run again to get where the TPM
 * is: TPM2_PCR_Extend, by far the most frequent of those that change volatile
 * state, in 0.4 us to a capture's 8 to 30. Of the log only pages that are
 * written take memory. */
#define JOURNAL_LOG_MAX 128
#define JOURNAL_LOG_COMMAND 128

struct journal_log {
	_Atomic uint32_t count;
	struct {
		uint64_t number;
		uint32_t size;
		uint8_t command[JOURNAL_LOG_COMMAND];
	} entries[JOURNAL_LOG_MAX];
};

/* An answer that goes out, or what is left of one that went out in part. */
struct journal_sending {
	struct mmsghdr message;	/* msg_len: the kernel's word */
	uint32_t before;	/* bytes sent by the messages before it */
};

struct journal_capture {
	struct tpm_progress progress;
	uint32_t size;
	uint64_t number;		/* captured, as of this capture: nothing
					 * can come between it and current */
	uint8_t state[JOURNAL_CAPTURE];
	struct journal_log log;
};

struct journal {
	_Atomic uint64_t begun, run, answered, captured;
	_Atomic uint32_t current;	/* which of captures */
	_Atomic uint32_t sending;	/* which of sendings */
	_Atomic uint64_t kept;		/* whose bytes are in kept_command */
	uint64_t drawn;			/* the last command that took random
					 * bytes and was not captured */
	struct journal_sending sendings[2];
	uint32_t answer_size;
	uint32_t command_size;
	uint8_t handed_out;		/* not 0: state has left by STORE_VOLATILE
					 * or GET_STATE, or came and has not been
					 * used */
	union {
		_Atomic uint64_t command_head;	/* 0: there is none */
		uint8_t command[JOURNAL_COMMAND];
	};
	uint8_t answer[JOURNAL_ANSWER_MAX];
	struct journal_capture captures[2];
	uint32_t kept_size;
	uint8_t kept_command[JOURNAL_COMMAND];
};

/* All that was written before is there when the counter says so. Who reads it
 * does so after the writer's death, or after a message from it: no more order
 * is needed, and a stronger one costs 10 ns each time. */
static inline void
journal_set(_Atomic uint64_t *counter, uint64_t value)
{
	atomic_store_explicit(counter, value, memory_order_release);
}

/* From here on a command that is found there is the next one. In one store:
 * whoever dies here leaves it whole or not at all, for half a command must not
 * be run again. */
static inline void
journal_take_out(struct journal *j)
{
	atomic_store_explicit(&j->command_head, 0, memory_order_release);
}

/* What became of the command that a dead worker was at. */
enum journal_end {
	JOURNAL_IDLE,		/* none, or answered, and all is captured */
	JOURNAL_ANSWER,		/* run and captured, but not answered: the answer
				 * that lies there is to be sent */
	JOURNAL_RERUN,		/* not answered, and still there: it can be run
				 * again, with the state before it, which is
				 * the captured one */
	JOURNAL_RETRY,		/* the same but for the command: TPM_RC_RETRY */
	JOURNAL_TOLD,		/* answered, its change was not captured, but it
				 * has been kept: it can be run again, with the
				 * state before it */
	JOURNAL_LOST,		/* answered, its change was not captured */
	JOURNAL_LOST_PENDING,	/* the same, and another one waits */
};

/* The capture that counts. Like all in here it was written by a worker that may
 * have been taken over: sizes are for the reader to check. */
const struct journal_capture *journal_current(const struct journal *j);

/* Of the answer under way, how many bytes have been sent. */
uint64_t journal_sent(const struct journal *j);
/* Whether a command was begun that the guest has no answer to. */
bool journal_is_untold(const struct journal *j);
/* Judges the journal of a dead worker. */
enum journal_end journal_judge(const struct journal *j);

/* What a new worker does first, by that judgement. */
enum resume {
	RESUME_QUIETLY,		/* captured state, nobody waits */
	RESUME_ANSWER,		/* captured state, what lies there is sent */
	RESUME_RERUN,		/* captured state, the command is run again */
	RESUME_RETRY,		/* captured state, TPM_RC_RETRY is sent */
	RESUME_FAILED,		/* failure mode until the next INIT */
	RESUME_FAILED_ANSWER,	/* the same, and TPM_RC_FAILURE is sent */
	RESUME_REPEAT,		/* captured state, what was kept is run again to
				 * the same answer, which is not sent; to
				 * another one: RESUME_FAILED */
};

/* Brings the counters in line with what a new worker is about to do, such that
 * journal_judge says the same again should that one die before it has. */
void journal_resume(struct journal *j, enum resume how);
/* Nothing is under way and nobody waits for an answer. */
void journal_settle(struct journal *j);

/* Worker: puts the answer to the command under way where a successor finds it;
 * -1 where it is too long. */
int journal_answer(struct journal *j, const uint8_t *response, size_t size);
/* Worker: sends what was put there and has not been sent; -1 when nobody takes
 * it. */
int journal_send(struct journal *j, int fd);
/* The journal of a TPM that comes from another one, for a new worker to resume:
 * what was captured there and the command that waits, if command_size is not 0.
 * ERR_FORMAT where that is too large. */
int journal_import(struct journal *j, const struct tpm_progress *progress,
    const uint8_t *state, size_t size, const uint8_t *command,
    size_t command_size);

/* Worker: keeps the bytes of command number until the next one is kept. Before
 * it is run, for libtpms may write to them. */
void journal_keep(struct journal *j, uint64_t number, const uint8_t *command,
    size_t size);
/* Worker: runs the kept command on a TPM that is where it was before it.
 * TPM_RC_SUCCESS only where it gives the answer that lies in answer. */
uint32_t journal_repeat(const struct journal *j);
/* Whether the captured state's random generator is not that of the TPM any
 * more, but has given random bytes since. */
bool journal_has_drawn(const struct journal *j);

/* Worker: captures the volatile state of the running TPM as that after command
 * number; 0 or a negative code, and then journal_judge will find it lost. */
int journal_capture(struct journal *j, uint64_t number);
/* Worker: the same in two steps, so that the first can overlap with waiting for
 * the disk; what was captured before stays until the second. */
int journal_capture_prepare(struct journal *j);
void journal_capture_publish(struct journal *j, uint64_t number);
/* Worker: instead of capturing, notes command number for running it again.
 * Before it is run, for libtpms may write to its bytes; false where there is no
 * room ... */
bool journal_log_prepare(struct journal *j, uint64_t number,
    const uint8_t *command, size_t size);
/* ... and once it has been run: from now on it counts. */
void journal_log_publish(struct journal *j, uint64_t number);
/* Worker: brings a TPM that was powered on with captures[current] to where it
 * was. A TPM_RESULT. */
uint32_t journal_replay(const struct journal *j);
/* Worker: as journal_capture for the state that there is after an order. */
void journal_capture_order(struct journal *j);
/* Worker: says that command number has changed nothing that is captured. */
void journal_unchanged(struct journal *j, uint64_t number);

/* What is to be captured of a command. */
enum journal_trace {
	JOURNAL_TRACE_NOTHING,	/* it leaves the volatile state as it was */
	JOURNAL_TRACE_RANDOM,	/* the same but for the random generator's */
	JOURNAL_TRACE_LOG,		/* it can be run again to the same effect */
	JOURNAL_TRACE_CAPTURE,	/* anything */
};

enum journal_trace journal_trace_of(const uint8_t *command, size_t size);

#endif
