/* SPDX-License-Identifier: BSD-3-Clause */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "vtpm/journal.h"
#include "vtpm/tpm.h"

/* -- what a dead worker left, as a table -- */

static struct journal journal;

static void
sent_so_far(unsigned int size)
{
	atomic_store(&journal.sending, 0);
	journal.sendings[0].before = 0;
	journal.sendings[0].message.msg_len = size;
}

static enum journal_end
judge(uint64_t begun, uint64_t run, uint64_t answered, uint64_t captured,
    bool sent, uint8_t first_byte)
{
	atomic_store(&journal.begun, begun);
	atomic_store(&journal.run, run);
	atomic_store(&journal.answered, answered);
	atomic_store(&journal.captured, captured);
	journal.answer_size = 10;
	sent_so_far(sent ? 10 : 0);
	journal.command[0] = first_byte;
	return journal_judge(&journal);
}

Test(journal, judges_every_moment_of_a_command)
{
	/* Waiting for command 8. */
	cr_assert_eq(judge(7, 7, 7, 7, true, 0), JOURNAL_IDLE);
	/* Read, not counted yet. */
	cr_assert_eq(judge(7, 7, 7, 7, true, 0x80), JOURNAL_RETRY);
	/* Being run. */
	cr_assert_eq(judge(8, 7, 7, 7, true, 0x80), JOURNAL_RERUN);
	/* Run, and taken out of the buffer. */
	cr_assert_eq(judge(8, 7, 7, 7, true, 0), JOURNAL_RETRY);
	/* Stored and captured with it, still being run. */
	cr_assert_eq(judge(8, 7, 7, 8, true, 0x80), JOURNAL_RETRY);
	/* Run, and still there: the state before it is, too. */
	cr_assert_eq(judge(8, 8, 7, 7, false, 0x80), JOURNAL_RERUN);
	/* The same, and taken out. */
	cr_assert_eq(judge(8, 8, 7, 7, false, 0), JOURNAL_RETRY);
	/* Run and captured, not sent. */
	cr_assert_eq(judge(8, 8, 7, 8, false, 0), JOURNAL_ANSWER);
	/* Sent, not counted yet. */
	cr_assert_eq(judge(8, 8, 7, 7, true, 0), JOURNAL_LOST);
	cr_assert_eq(judge(8, 8, 7, 8, true, 0), JOURNAL_IDLE);
	/* Sent, not captured. */
	cr_assert_eq(judge(8, 8, 8, 7, true, 0), JOURNAL_LOST);
	/* Could not be captured, and the next one is there. */
	cr_assert_eq(judge(8, 8, 8, 7, true, 0x80), JOURNAL_LOST_PENDING);
	cr_assert_eq(judge(9, 8, 8, 7, true, 0x80), JOURNAL_LOST_PENDING);
}

/* Of a command that is taken out nothing is left that could be run again. */
Test(journal, a_command_is_whole_or_gone)
{
	static const uint8_t command[] = { 0x80, 1, 0, 0, 0, 20, 0, 0, 1,
		0x7e };

	judge(8, 7, 7, 7, true, 0x80);
	memcpy(journal.command, command, sizeof(command));
	cr_assert_eq(journal_judge(&journal), JOURNAL_RERUN);
	journal_take_out(&journal);
	cr_assert_eq(journal_judge(&journal), JOURNAL_RETRY);
}

Test(journal, part_of_an_answer_is_no_answer)
{
	judge(8, 8, 7, 8, false, 0);
	sent_so_far(9);
	cr_assert_eq(journal_judge(&journal), JOURNAL_ANSWER);
	sent_so_far(10);
	cr_assert_eq(journal_judge(&journal), JOURNAL_IDLE);
	/* In two messages; the first one's count stays where it is. */
	sent_so_far(4);
	journal.sendings[1].before = 4;
	journal.sendings[1].message.msg_len = 0;
	atomic_store(&journal.sending, 1);
	cr_assert_eq(journal_sent(&journal), 4);
	cr_assert_eq(journal_judge(&journal), JOURNAL_ANSWER);
	journal.sendings[1].message.msg_len = 6;
	cr_assert_eq(journal_judge(&journal), JOURNAL_IDLE);
}

/* A successor that dies before it has done its part leaves the same. */
Test(journal, resuming_can_be_repeated)
{
	judge(8, 7, 7, 7, true, 0x80);
	journal_resume(&journal, RESUME_RETRY);
	cr_assert_eq(journal_judge(&journal), JOURNAL_RETRY);
	judge(7, 7, 7, 7, true, 0x80);
	journal_resume(&journal, RESUME_RETRY);
	cr_assert_eq(journal_judge(&journal), JOURNAL_RETRY);
	cr_assert_eq(atomic_load(&journal.begun), 8);
	judge(8, 7, 7, 7, true, 0x80);
	journal_resume(&journal, RESUME_RERUN);
	cr_assert_eq(journal_judge(&journal), JOURNAL_RERUN);
	judge(8, 8, 7, 8, false, 0);
	journal_resume(&journal, RESUME_ANSWER);
	cr_assert_eq(journal_judge(&journal), JOURNAL_ANSWER);
	judge(9, 8, 8, 7, true, 0x80);
	journal.captures[journal.current].progress.powered = true;
	journal_resume(&journal, RESUME_FAILED_ANSWER);
	cr_assert_eq(journal_judge(&journal), JOURNAL_RETRY);
	cr_assert(!journal.captures[journal.current].progress.powered,
	    "lost state stays lost");
}

/* Told, not captured: what was kept is worth something only if it is that
 * command, and all before it was captured. */
Test(journal, judges_what_was_kept)
{
	atomic_store(&journal.kept, 8);
	cr_assert_eq(judge(8, 8, 8, 7, true, 0), JOURNAL_TOLD);
	cr_assert_eq(judge(8, 8, 7, 7, true, 0), JOURNAL_TOLD, "not counted");
	cr_assert_eq(judge(8, 8, 7, 7, false, 0), JOURNAL_RERUN, "not told");
	sent_so_far(1);
	cr_assert_eq(journal_judge(&journal), JOURNAL_RETRY, "told in part");
	cr_assert_eq(judge(8, 8, 8, 6, true, 0), JOURNAL_LOST, "nor 7");
	cr_assert_eq(judge(9, 9, 9, 8, true, 0), JOURNAL_LOST, "not kept");
	cr_assert_eq(judge(7, 7, 7, 6, true, 0), JOURNAL_LOST, "overwritten");
	cr_assert_eq(judge(8, 8, 8, 7, true, 0x80), JOURNAL_LOST_PENDING);
	cr_assert_eq(judge(9, 8, 8, 7, true, 0x80), JOURNAL_LOST_PENDING);
	judge(8, 8, 7, 7, true, 0);
	journal_resume(&journal, RESUME_REPEAT);
	cr_assert_eq(journal_judge(&journal), JOURNAL_TOLD, "still");
}

/* libtpms decrypts parameters in their place (Part 1, 21): what it has had its
 * hands on is not the command any more. */
Test(journal, what_is_run_again_is_as_it_came)
{
	static const uint8_t came[] = { 0x80, 2, 0, 0, 0, 14, 0, 0, 1, 0x37,
		1, 2, 3, 4 };

	judge(8, 8, 7, 7, false, 0);
	journal_keep(&journal, 8, came, sizeof(came));
	memset(journal.command, 0xee, sizeof(came));
	journal.command_size = 3;
	cr_assert_eq(journal_judge(&journal), JOURNAL_RERUN);
	journal_resume(&journal, RESUME_RERUN);
	cr_assert_eq(journal.command_size, sizeof(came));
	cr_assert_eq(memcmp(journal.command, came, sizeof(came)), 0);
	cr_assert_eq(atomic_load(&journal.run), 7, "it has not been run");
	cr_assert_eq(journal_judge(&journal), JOURNAL_RERUN, "still");
	/* What a worker that was taken over says of its size. */
	journal.kept_size = UINT32_MAX;
	journal_resume(&journal, RESUME_RERUN);
	cr_assert_eq(journal.command_size, sizeof(came));
	/* One that is given up is not to be run by the next worker. */
	journal_resume(&journal, RESUME_RETRY);
	cr_assert_eq(journal_judge(&journal), JOURNAL_RETRY);
}

Test(journal, knows_what_the_guest_was_told)
{
	judge(8, 7, 7, 7, true, 0x80);
	cr_assert(journal_is_untold(&journal));
	judge(8, 8, 7, 7, false, 0);
	cr_assert(journal_is_untold(&journal));
	sent_so_far(9);
	cr_assert(journal_is_untold(&journal), "in part");
	judge(8, 8, 7, 7, true, 0);
	cr_assert(!journal_is_untold(&journal), "and not counted");
	/* The next one was read, and not counted. */
	judge(8, 8, 8, 8, true, 0x80);
	cr_assert(!journal_is_untold(&journal));
}

/* Its answer is sent by the next worker, which takes another one after it. */
Test(journal, an_answer_is_not_followed_by_another)
{
	judge(8, 8, 7, 8, false, 0x80);
	cr_assert_eq(journal_judge(&journal), JOURNAL_ANSWER);
	journal_resume(&journal, RESUME_ANSWER);
	cr_assert_eq(journal_judge(&journal), JOURNAL_ANSWER, "still");
	cr_assert_eq(judge(8, 8, 8, 8, true, journal.command[0]),
	    JOURNAL_IDLE);
}

/* The capture is there and has not been counted: its command must not be run on
 * top of it. */
Test(journal, a_capture_counts_before_its_counter)
{
	atomic_store(&journal.kept, 8);
	journal.captures[0].number = 8;
	cr_assert_eq(judge(8, 8, 8, 7, true, 0), JOURNAL_IDLE);
	cr_assert_eq(judge(8, 8, 7, 7, false, 0), JOURNAL_ANSWER);
	cr_assert_eq(judge(8, 7, 7, 7, true, 0x80), JOURNAL_RETRY);
	journal.captures[1].number = 7;
	atomic_store(&journal.current, 1);
	cr_assert_eq(judge(8, 8, 8, 7, true, 0), JOURNAL_TOLD);
	/* What comes after the death builds on it. */
	atomic_store(&journal.current, 0);
	judge(8, 8, 7, 7, false, 0);
	journal_resume(&journal, RESUME_ANSWER);
	cr_assert_eq(atomic_load(&journal.captured), 8);
	cr_assert_eq(journal_judge(&journal), JOURNAL_ANSWER);
}

/* -- with libtpms -- */

/* The volatile state has the clock in it: stands for libtpms while frozen. */
static bool frozen;
static time_t frozen_at = 1000;

int
clock_gettime(clockid_t id, struct timespec *t)
{
	int rc = (int)syscall(SYS_clock_gettime, id, t);

	if (frozen)
		*t = (struct timespec){ .tv_sec = frozen_at };
	return rc;
}

static uint8_t *permanent, *captured;
static size_t permanent_size, captured_size;
static bool resuming;

static int
load(void *ctx, enum tpm_state which, const uint8_t **data, size_t *size)
{
	const struct journal_capture *c = &journal.captures[journal.current];

	(void)ctx;
	if (which == TPM_STATE_PERMANENT && permanent != NULL) {
		*data = permanent;
		*size = permanent_size;
		return 0;
	}
	if (which == TPM_STATE_VOLATILE && resuming) {
		*data = c->state;
		*size = c->size;
		return 0;
	}
	return ERR_NOTFOUND;
}

static int
store(void *ctx, enum tpm_state which, const uint8_t *data, size_t size)
{
	(void)ctx;
	(void)which;
	permanent = realloc(permanent, size);
	memcpy(permanent, data, size);
	permanent_size = size;
	/* Manufacture stores before there is a TPM. */
	if (!tpm_powered())
		return 0;
	free(captured);
	cr_assert_eq(tpm_state_get(TPM_STATE_VOLATILE, &captured,
	    &captured_size), 0);
	return 0;
}

static const struct tpm_storage storage = { .load = load, .store = store,
	.may_manufacture = true };

static size_t
unhex(const char *hex, uint8_t *out)
{
	size_t n = strlen(hex) / 2;

	for (size_t i = 0; i < n; i++) {
		char two[3] = { hex[2 * i], hex[2 * i + 1], '\0' };

		out[i] = (uint8_t)strtoul(two, NULL, 16);
	}
	return n;
}

#define OWNER "40000001"
#define COUNTER "01500011"
#define BY_PASSWORD "00000009" "40000009" "0000" "00" "0000"
#define EXTEND_16 "800200000041" "00000182" "00000010" BY_PASSWORD \
	"00000001" "000b" \
	"0505050505050505050505050505050505050505050505050505050505050505"

static void
run(const char *hex)
{
	const uint8_t *response;
	uint8_t command[512];
	size_t size = unhex(hex, command);

	tpm_process(command, size, &response, &size);
	cr_assert(tpm_response_is_success(response, size), "%s", hex);
}

static void
power_on(void)
{
	cr_assert_eq(tpm_setup(&storage), 0);
	cr_assert_eq(tpm_power_on(), 0);
	run("80010000000c000001440000");
}

/* worker-orders.c captures while the monitor writes: true only if libtpms
 * stores last of all. */
Test(journal, the_state_is_final_when_libtpms_stores)
{
	static const char *const commands[] = {
		/* NV_DefineSpace of a counter, NV_Increment twice */
		"80020000002d0000012a" OWNER BY_PASSWORD "0000" "000e"
		    COUNTER "000b" "00060016" "0000" "0008",
		"80020000001f00000134" OWNER COUNTER BY_PASSWORD,
		"80020000001f00000134" OWNER COUNTER BY_PASSWORD,
		/* Clear, with the lockout's authorisation */
		"80020000001b00000126" "4000000c" BY_PASSWORD,
		/* Shutdown(STATE) */
		"80010000000c000001450001",
	};

	frozen = true;
	power_on();
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++) {
		uint8_t *after;
		size_t size;

		free(captured);
		captured = NULL;
		run(commands[i]);
		cr_assert_not_null(captured, "%s stores nothing", commands[i]);
		cr_assert_eq(tpm_state_get(TPM_STATE_VOLATILE, &after, &size),
		    0);
		cr_assert_eq(size, captured_size);
		cr_assert_eq(memcmp(after, captured, size), 0, "%s",
		    commands[i]);
		free(after);
	}
	frozen = false;
}

static void
pcr_16(uint8_t digest[32])
{
	const uint8_t *response;
	uint8_t command[20];
	size_t size = unhex("8001000000140000017e00000001000b03000001",
	    command);

	tpm_process(command, size, &response, &size);
	cr_assert(tpm_response_is_success(response, size));
	memcpy(digest, response + size - 32, 32);
}

/* As another worker does. */
static void
come_back(void)
{
	tpm_power_off();
	resuming = true;
	cr_assert_eq(tpm_power_on(), 0);
	tpm_progress_set(&journal.captures[journal.current].progress);
	cr_assert_eq(journal_replay(&journal), 0);
}

static void
note(uint64_t number, const uint8_t *command, size_t size)
{
	cr_assert(journal_log_prepare(&journal, number, command, size));
	journal_log_publish(&journal, number);
	cr_assert_eq(atomic_load(&journal.captured), number);
}

Test(journal, a_log_is_run_again)
{
	uint8_t extend[512], before[32], after[32];
	size_t size = unhex(EXTEND_16, extend);

	power_on();
	cr_assert_eq(journal_capture(&journal, 1), 0);
	cr_assert_eq(journal_trace_of(extend, size), JOURNAL_TRACE_LOG);
	run(EXTEND_16);
	note(2, extend, size);
	run(EXTEND_16);
	cr_assert(!journal_log_prepare(&journal, 4, extend, size),
	    "3 is missing");
	note(3, extend, size);
	/* Prepared, and not run to its end. */
	cr_assert(journal_log_prepare(&journal, 4, extend, size));
	pcr_16(before);
	come_back();
	pcr_16(after);
	cr_assert_eq(memcmp(before, after, 32), 0);
}

Test(journal, a_full_log_asks_for_a_capture)
{
	uint8_t extend[512];
	size_t size = unhex(EXTEND_16, extend);

	power_on();
	cr_assert_eq(journal_capture(&journal, 0), 0);
	for (uint64_t i = 1; i <= JOURNAL_LOG_MAX; i++)
		note(i, extend, size);
	cr_assert(!journal_log_prepare(&journal, JOURNAL_LOG_MAX + 1, extend,
	    size));
	cr_assert_eq(journal_capture(&journal, JOURNAL_LOG_MAX + 1), 0);
	note(JOURNAL_LOG_MAX + 2, extend, size);
	cr_assert(!journal_log_prepare(&journal, JOURNAL_LOG_MAX + 3, extend,
	    JOURNAL_LOG_COMMAND + 1), "too long");
}

/* A command that stores is captured meanwhile: then its line is not needed, and
 * must not be run again on top. */
Test(journal, what_is_captured_is_not_logged_as_well)
{
	uint8_t extend[512], before[32], after[32];
	size_t size = unhex(EXTEND_16, extend);

	power_on();
	cr_assert_eq(journal_capture(&journal, 1), 0);
	cr_assert(journal_log_prepare(&journal, 2, extend, size));
	run(EXTEND_16);
	cr_assert_eq(journal_capture(&journal, 2), 0);
	journal_log_publish(&journal, 2);
	pcr_16(before);
	come_back();
	pcr_16(after);
	cr_assert_eq(memcmp(before, after, 32), 0);
}

Test(journal, only_plain_commands_are_harmless_or_repeatable)
{
	uint8_t c[512];
	size_t n = unhex("80010000000c0000017b0008", c);

	cr_assert_eq(journal_trace_of(c, n), JOURNAL_TRACE_RANDOM);
	c[9] = 0x81;	/* ReadClock */
	cr_assert_eq(journal_trace_of(c, n), JOURNAL_TRACE_NOTHING);
	c[9] = 0x7b;
	cr_assert_eq(journal_trace_of(c, 9), JOURNAL_TRACE_CAPTURE, "cut short");
	c[1] = 2;	/* GetRandom with a session rolls its nonces */
	cr_assert_eq(journal_trace_of(c, n), JOURNAL_TRACE_CAPTURE);
	n = unhex(EXTEND_16, c);
	cr_assert_eq(journal_trace_of(c, n), JOURNAL_TRACE_LOG);
	cr_assert_eq(journal_trace_of(c, 21), JOURNAL_TRACE_CAPTURE, "cut short");
	c[21] = 1;	/* another session than TPM_RS_PW */
	cr_assert_eq(journal_trace_of(c, n), JOURNAL_TRACE_CAPTURE);
	n = unhex("80010000000c000001440000", c);
	cr_assert_eq(journal_trace_of(c, n), JOURNAL_TRACE_CAPTURE, "Startup");
}
