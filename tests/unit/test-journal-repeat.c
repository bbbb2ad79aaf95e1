/* SPDX-License-Identifier: BSD-3-Clause */
/* A command is run again on the state before it, with libtpms: where that gives
 * the answer that was sent, the state is the one that was lost, bit for bit. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "vtpm/journal.h"
#include "vtpm/tpm.h"

#define PW_SESSION "00000009" "40000009" "0000" "00" "0000"
#define NONCE "0101010101010101" "0101010101010101"
#define ABC "0003" "616263"
#define DIGEST_8 "0505050505050505"
#define DIGEST DIGEST_8 DIGEST_8 DIGEST_8 DIGEST_8
/* Part 3: CreatePrimary in the null hierarchy, all but its public area. */
#define PRIMARY(size, public) "8002" size "00000131" "40000007" PW_SESSION \
	"0004" "0000" "0000" public "0000" "00000000"
#define EC_KEY PRIMARY("00000041", "0018" "0023" "000b" "00040472" "0000" \
	"0010" "0018" "000b" "0003" "0010" "0000" "0000")
#define HMAC_KEY PRIMARY("00000039", "0010" "0008" "000b" "00040472" "0000" \
	"0005" "000b" "0000")
/* A session of a type, without salt and unbound, SHA-256. */
#define SESSION(type) "80010000002b00000176" "40000007" "40000007" \
	"0010" NONCE "0000" type "0010" "000b"
/* HMAC key and authorisation value are empty: so may the HMAC be (Part 1,
 * 19.6.5). */
#define EXTEND_BY_SESSION "800200000051" "00000182" "00000010" \
	"00000019" "02000000" "0010" NONCE "01" "0000" "00000001" "000b" DIGEST
#define RANDOM "80010000000c0000017b0008"
#define GET_TIME "80020000002c0000014c" "4000000b" "40000007" \
	"00000012" "40000009" "0000" "00" "0000" "40000009" "0000" "00" "0000" \
	"0000" "0010"

static struct journal journal;
static uint64_t number;
static bool resuming;
static uint8_t *permanent;
static size_t permanent_size;

/* Both runs at the same time, unless it is moved. */
static time_t now = 1000;

int
clock_gettime(clockid_t id, struct timespec *t)
{
	int rc = (int)syscall(SYS_clock_gettime, id, t);

	*t = (struct timespec){ .tv_sec = now };
	return rc;
}

static int
load(void *ctx, enum tpm_state which, const uint8_t **data, size_t *size)
{
	const struct journal_capture *c = journal_current(&journal);

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

/* As worker.c does: what it answers lies in the journal. */
static void
run_bytes(const uint8_t *command, size_t size)
{
	const uint8_t *response;

	number++;
	journal_keep(&journal, number, command, size);
	tpm_process(command, size, &response, &size);
	cr_assert_leq(size, sizeof(journal.answer));
	memcpy(journal.answer, response, size);
	journal.answer_size = (uint32_t)size;
}

static void
run(const char *hex)
{
	uint8_t command[512];
	size_t size = unhex(hex, command);

	run_bytes(command, size);
	cr_assert(tpm_response_is_success(journal.answer, journal.answer_size),
	    "%s: rc 0x%02x%02x", hex, journal.answer[8], journal.answer[9]);
}

static void
capture(void)
{
	cr_assert_eq(journal_capture(&journal, number), 0);
}

static void
power_on(void)
{
	cr_assert_eq(tpm_setup(&storage), 0);
	cr_assert_eq(tpm_power_on(), 0);
	run("80010000000c000001440000");
	capture();
}

/* As another worker does. */
static void
come_back(void)
{
	tpm_power_off();
	resuming = true;
	cr_assert_eq(tpm_power_on(), 0);
	tpm_progress_set(&journal_current(&journal)->progress);
	cr_assert_eq(journal_replay(&journal), 0);
}

static void
state(uint8_t **bytes, size_t *size)
{
	cr_assert_eq(tpm_state_get(TPM_STATE_VOLATILE, bytes, size), 0);
}

/* The command that was just run dies with its worker. */
static void
repeats_last(const char *what)
{
	uint8_t *want = NULL, *got = NULL;
	size_t want_size = 0, got_size = 0;

	state(&want, &want_size);
	come_back();
	cr_assert_eq(journal_repeat(&journal), TPM_RC_SUCCESS,
	    "%s: another answer", what);
	state(&got, &got_size);
	cr_assert_eq(got_size, want_size);
	cr_assert_eq(memcmp(got, want, got_size), 0, "%s: another state", what);
	free(want);
	free(got);
	capture();
}

static void
repeats(const char *hex)
{
	run(hex);
	repeats_last(hex);
}

Test(journal_repeat, commands_without_chance)
{
	power_on();
	repeats("80020000001b0000013d00000010" PW_SESSION);	/* PCR_Reset */
	repeats("8002000000200000013c00000010" PW_SESSION ABC);	/* PCR_Event */
	repeats("80010000000e00000186" "0000" "000b");	/* HashSequenceStart */
	/* SequenceUpdate, SequenceComplete */
	repeats("8002000000200000015c80000000" PW_SESSION ABC);
	repeats("8002000000210000013e80000000" PW_SESSION "0000" "40000007");
	repeats(HMAC_KEY);
	repeats("80020000002200000155" "80000000" PW_SESSION ABC "000b");
	repeats("80010000000e00000165" "80000000");	/* FlushContext */
	repeats("80010000000c0000018e" "0003");		/* EC_Ephemeral */
}

/* The generator is captured with the rest: nonces come again. */
Test(journal_repeat, commands_that_draw_random_bytes)
{
	power_on();
	repeats(SESSION("01"));					/* policy */
	repeats("80010000001a0000017f" "03000000" "0000"
	    "00000001" "000b" "03000001");			/* PolicyPCR */
	/* PolicyCommandCode, PolicyRestart, FlushContext */
	repeats("8001000000120000016c" "03000000" "0000015e");
	repeats("80010000000e00000180" "03000000");
	repeats("80010000000e00000165" "03000000");
	repeats(SESSION("00"));					/* HMAC */
	repeats(EXTEND_BY_SESSION);
	repeats(EC_KEY);
}

/* A context is numbered and encrypted, and comes back under the same name. */
Test(journal_repeat, contexts)
{
	static const char *const handles[] = { "80000000", "02000000" };
	uint8_t load[2048];

	power_on();
	run(HMAC_KEY);
	run(SESSION("00"));
	capture();
	for (size_t i = 0; i < 2; i++) {
		char hex[64] = "80010000000e00000162";
		size_t size;

		repeats(strcat(hex, handles[i]));
		/* Its answer is the context that ContextLoad takes. */
		size = journal.answer_size;
		memcpy(load, journal.answer, size);
		unhex("00000161", load + 6);
		run_bytes(load, size);
		cr_assert(tpm_response_is_success(journal.answer,
		    journal.answer_size), "ContextLoad %zu", i);
		repeats_last("ContextLoad");
	}
}

/* An answer that was an error is told as well. */
Test(journal_repeat, errors)
{
	uint8_t flush[512];
	size_t size = unhex("80010000000e00000165" "80000000", flush);

	power_on();
	run_bytes(flush, size);
	cr_assert_not(tpm_response_is_success(journal.answer,
	    journal.answer_size));
	repeats_last("FlushContext of nothing");
}

/* What comes before it in the log counts. */
Test(journal_repeat, after_a_log)
{
	uint8_t extend[512];
	size_t size = unhex("800200000041" "00000182" "00000010" PW_SESSION
	    "00000001" "000b" DIGEST, extend);

	power_on();
	number++;
	cr_assert(journal_log_prepare(&journal, number, extend, size));
	number--;
	run_bytes(extend, size);
	journal_log_publish(&journal, number);
	cr_assert_not(journal_has_drawn(&journal));
	run("8002000000200000013c00000010" PW_SESSION ABC);
	repeats_last("PCR_Event after PCR_Extend");
}

static void
differs(void)
{
	come_back();
	cr_assert_eq(journal_repeat(&journal), TPM_RC_FAILURE);
}

Test(journal_repeat, another_answer_is_refused)
{
	power_on();
	/* Random bytes that the capture does not know of. */
	run(RANDOM);
	journal.drawn = number;
	cr_assert(journal_has_drawn(&journal));
	run(SESSION("00"));
	differs();
	capture();
	cr_assert_not(journal_has_drawn(&journal), "the capture knows");
	/* A clock. */
	run(GET_TIME);
	repeats_last("GetTime at the same time");
	run(GET_TIME);
	now++;
	differs();
	/* Random bytes that are not the TPM's: OpenSSL's, for ECDSA. */
	run(EC_KEY);
	capture();
	run("8002000000470000015d" "80000000" PW_SESSION "0020" DIGEST
	    "0010" "8024" "40000007" "0000");
	differs();
	/* A byte of the answer, its size, and sizes that cannot be. */
	capture();
	run(SESSION("01"));
	journal.answer[journal.answer_size - 1] ^= 1;
	differs();
	journal.answer[journal.answer_size - 1] ^= 1;
	journal.answer_size--;
	differs();
	journal.answer_size = UINT32_MAX;
	differs();
	journal.answer_size = JOURNAL_ANSWER_MAX;
	journal.kept_size = JOURNAL_COMMAND + 1;
	differs();
}

/* With fresh entropy the nonce is another one: nothing comes twice. */
Test(journal_repeat, a_stirred_generator_gives_other_bytes)
{
	power_on();
	run(SESSION("00"));
	come_back();
	cr_assert_eq(tpm_stir(), TPM_RC_SUCCESS);
	cr_assert_eq(journal_repeat(&journal), TPM_RC_FAILURE);
}

Test(journal_repeat, the_next_one_takes_its_place)
{
	uint8_t long_one[JOURNAL_COMMAND + 1] = { 0x80 };

	journal_keep(&journal, 3, (const uint8_t *)"abc", 3);
	cr_assert_eq(atomic_load(&journal.kept), 3);
	cr_assert_eq(memcmp(journal.kept_command, "abc", 3), 0);
	journal_keep(&journal, 4, (const uint8_t *)"de", 2);
	cr_assert_eq(atomic_load(&journal.kept), 4);
	cr_assert_eq(journal.kept_size, 2);
	journal_keep(&journal, 5, long_one, sizeof(long_one));
	cr_assert_eq(atomic_load(&journal.kept), 4, "5 has no room");
}

/* worker.c captures nothing after these, so that nothing must change, and only
 * the last one moves the generator (journal_has_drawn). */
Test(journal_repeat, what_counts_as_harmless_draws_nothing)
{
	static const char *const harmless[] = {
		"8001000000160000017a" "00000006" "00000100" "00000001",
		"80010000000a0000017c",
		"8001000000150000017d" ABC "000b" "40000007",
		"8001000000140000017e" "00000001" "000b" "03000001",
		"80010000000a00000181",
		"80010000000c00000178" "0003",
		"80010000000e00000173" "80000000",
		RANDOM,
	};
	size_t n = sizeof(harmless) / sizeof(*harmless);
	uint8_t *before, *after, bytes[512];
	size_t size;

	power_on();
	run(EC_KEY);
	for (size_t i = 0; i < n; i++) {
		bool random = i == n - 1;

		state(&before, &size);
		run(harmless[i]);
		cr_assert_eq(journal_trace_of(bytes, unhex(harmless[i], bytes)),
		    random ? JOURNAL_TRACE_RANDOM : JOURNAL_TRACE_NOTHING);
		state(&after, &size);
		cr_assert_eq(memcmp(before, after, size) != 0, random, "%s",
		    harmless[i]);
		free(before);
		free(after);
	}
}
