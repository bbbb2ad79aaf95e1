/* SPDX-License-Identifier: BSD-3-Clause */
#include "vtpm/journal.h"

#include <string.h>

#include "base/err.h"

/* Was a command read into the buffer that begun does not count yet? The data
 * thread takes the last one out before it reads. */
static bool
command_taken(const struct journal *j)
{
	return atomic_load(&j->command_head) != 0;
}

const struct journal_capture *
journal_current(const struct journal *j)
{
	return &j->captures[atomic_load(&j->current) & 1];
}

uint64_t
journal_sent(const struct journal *j)
{
	const struct journal_sending *s =
	    &j->sendings[atomic_load(&j->sending) & 1];

	return (uint64_t)s->before + s->message.msg_len;
}

/* A worker may have died between a capture and counting it. */
static uint64_t
captured_so_far(const struct journal *j)
{
	uint64_t captured = atomic_load(&j->captured);
	uint64_t number = journal_current(j)->number;

	return number > captured ? number : captured;
}

bool
journal_has_drawn(const struct journal *j)
{
	return j->drawn > journal_current(j)->number;
}

/* The last command whose answer was sent, counted or not. */
static uint64_t
answered_so_far(const struct journal *j)
{
	uint64_t run = atomic_load(&j->run);
	uint64_t answered = atomic_load(&j->answered);

	return run > answered && journal_sent(j) >= j->answer_size ? run :
	    answered;
}

bool
journal_is_untold(const struct journal *j)
{
	return atomic_load(&j->begun) > answered_so_far(j);
}

/* Of a command that has been begun: are its bytes there, as they came? What
 * is not kept has no parameter that libtpms would decrypt in its place. And of
 * an answer that went out in part the rest must not be another's. */
static bool
can_be_run(const struct journal *j, uint64_t begun)
{
	if (begun == atomic_load(&j->run) && journal_sent(j) > 0)
		return false;
	return atomic_load(&j->kept) == begun || command_taken(j);
}

/* Of a command that has been answered: is it there, and was all before it
 * captured? */
static bool
is_kept(const struct journal *j, uint64_t number)
{
	return atomic_load(&j->kept) == number &&
	    captured_so_far(j) + 1 == number;
}

enum journal_end
journal_judge(const struct journal *j)
{
	uint64_t begun = atomic_load(&j->begun), run = atomic_load(&j->run);
	uint64_t answered = answered_so_far(j);
	uint64_t captured = captured_so_far(j);

	if (run > answered && captured >= run)
		return JOURNAL_ANSWER;
	if (captured < answered) {
		if (begun > answered || (begun == answered && command_taken(j)))
			return JOURNAL_LOST_PENDING;
		return is_kept(j, answered) ? JOURNAL_TOLD : JOURNAL_LOST;
	}
	/* What has been captured with its own effect must not happen twice. */
	if (begun > answered)
		return captured < begun && can_be_run(j, begun) ?
		    JOURNAL_RERUN : JOURNAL_RETRY;
	return command_taken(j) ? JOURNAL_RETRY : JOURNAL_IDLE;
}

void
journal_settle(struct journal *j)
{
	uint64_t begun = atomic_load(&j->begun);

	journal_take_out(j);
	journal_set(&j->captured, begun);
	journal_set(&j->answered, begun);
	journal_set(&j->run, begun);
}

/* Puts the command under way where a worker runs it from, as it came. Who dies
 * of this leaves it to be run again. */
static void
lay_ready(struct journal *j, uint64_t begun)
{
	if (atomic_load(&j->kept) == begun &&
	    j->kept_size <= sizeof(j->kept_command)) {
		memcpy(j->command, j->kept_command, j->kept_size);
		j->command_size = j->kept_size;
	}
	journal_set(&j->run, begun - 1);
}

void
journal_resume(struct journal *j, enum resume how)
{
	uint64_t begun = atomic_load(&j->begun);

	journal_set(&j->captured, captured_so_far(j));
	/* Whatever happens next, a TPM that has lost state stays off. */
	if (how == RESUME_FAILED || how == RESUME_FAILED_ANSWER)
		j->captures[atomic_load(&j->current) & 1].progress.powered = false;
	if (how == RESUME_RERUN)
		lay_ready(j, begun);
	if (how == RESUME_ANSWER)
		journal_take_out(j);
	if (how == RESUME_ANSWER || how == RESUME_RERUN || how == RESUME_REPEAT)
		return;
	if (how == RESUME_QUIETLY || how == RESUME_FAILED) {
		journal_settle(j);
		return;
	}
	if (begun == atomic_load(&j->answered))
		journal_set(&j->begun, ++begun);
	/* It is not to be run again. */
	journal_set(&j->kept, 0);
	journal_take_out(j);
	journal_set(&j->captured, begun - 1);
	journal_set(&j->answered, begun - 1);
	journal_set(&j->run, begun - 1);
}

int
journal_import(struct journal *j, const struct tpm_progress *progress,
    const uint8_t *state, size_t size, const uint8_t *command,
    size_t command_size)
{
	struct journal_capture *c = &j->captures[0];

	if (size > sizeof(c->state) || command_size > sizeof(j->command))
		return ERR_FORMAT;
	atomic_store(&j->current, 0);
	c->progress = *progress;
	c->size = (uint32_t)size;
	if (size > 0)
		memcpy(c->state, state, size);
	atomic_store(&c->log.count, 0);
	journal_settle(j);
	if (command_size == 0)
		return 0;
	memcpy(j->command, command, command_size);
	j->command_size = (uint32_t)command_size;
	atomic_fetch_add(&j->begun, 1);
	return 0;
}
