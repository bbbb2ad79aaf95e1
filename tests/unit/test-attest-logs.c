/* SPDX-License-Identifier: BSD-3-Clause */
/* Event logs and IMA logs of real boots against the kernel's PCRs. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/attest-fixture.h"

static const char *const boots[] = {
	"crb-chain", "tis-kernel", "tis-off", "crb-ima1",
};
static const char *const banks[] = { "sha1", "sha256", "sha384" };

#define REFUSED(call, code, words) do { \
	struct err err = { 0 }; \
	cr_assert_eq((call), (code), "%s", err.text); \
	cr_assert(strstr(err.text, (words)) != NULL, "%s", err.text); \
} while (0)

/* All but PCR 10, which is the kernel's. */
Test(eventlog, replay_is_what_the_kernel_reads)
{
	for (size_t i = 0; i < 4; i++) {
		struct bytes b = golden_file(boots[i], "eventlog");
		struct eventlog *log;
		struct err err = { 0 };

		cr_assert_eq(eventlog_read(b.data, b.size, &log, &err), 0,
		    "%s", err.text);
		for (size_t k = 0; k < 3; k++) {
			const struct hash_alg *alg = hash_by_name(banks[k]);
			struct pcr_bank bank;
			uint8_t want[HASH_MAX];

			if (!golden_has_bank(boots[i], banks[k])) {
				cr_assert_eq(eventlog_replay(log, alg, &bank,
				    NULL), ERR_NOTFOUND);
				continue;
			}
			cr_assert_eq(eventlog_replay(log, alg, &bank, NULL),
			    0);
			cr_assert_eq(bank.mask & 0xff, 0xff);
			for (uint32_t n = 0; n <= 16; n++) {
				if (n == IMA_PCR)
					continue;
				golden_pcr(boots[i], banks[k], n, want);
				cr_assert_eq(memcmp(want, bank.value[n],
				    alg->size), 0, "%s %s %u", boots[i],
				    banks[k], n);
			}
		}
		eventlog_free(log);
		bytes_free(&b);
	}
}

/* A log that was cut is refused, or at an event's end is a shorter log. */
Test(eventlog, cut)
{
	struct bytes b = golden_file("tis-off", "eventlog");
	struct eventlog *log;
	size_t whole = 0;

	for (size_t n = 0; n < b.size; n++) {
		struct err err = { 0 };
		int rc = eventlog_read(b.data, n, &log, &err);

		cr_assert(rc == 0 || (rc == ERR_FORMAT && err.text[0]));
		if (rc == 0)
			whole++;
		eventlog_free(log);
	}
	cr_assert_eq(eventlog_read(b.data, b.size, &log, NULL), 0);
	/* After the header and after each event but the last. */
	cr_assert_eq(whole, eventlog_count(log));
	eventlog_free(log);
	bytes_free(&b);
}

Test(eventlog, damaged_headers)
{
	struct log_maker m;
	struct eventlog *log;

	log_begin(&m);
	m.data[4] = 8;
	REFUSED(eventlog_read(m.data, m.out.pos, &log, &err), ERR_FORMAT,
	    "begins with an event of type EV_S_CRTM_VERSION");
	log_begin(&m);
	m.data[32 + 14] = '2';
	REFUSED(eventlog_read(m.data, m.out.pos, &log, &err), ERR_FORMAT,
	    "Spec ID Event03");
	log_begin(&m);
	m.data[32 + 24] = 200;
	REFUSED(eventlog_read(m.data, m.out.pos, &log, &err), ERR_FORMAT,
	    "lists 200 algorithms");
	log_begin(&m);
	m.data[32 + 30] = 20;
	REFUSED(eventlog_read(m.data, m.out.pos, &log, &err), ERR_FORMAT,
	    "digests of algorithm 0x000b 20 bytes");
	log_begin(&m);
	log_separator(&m, 24);
	REFUSED(eventlog_read(m.data, m.out.pos, &log, &err), ERR_FORMAT,
	    "event 1 is for PCR 24");
	log_begin(&m);
	log_separator(&m, 0);
	m.data[65 + 8] = 2;
	REFUSED(eventlog_read(m.data, m.out.pos, &log, &err), ERR_FORMAT,
	    "event 1 has 2 digests");
	m.data[65 + 8] = 1;
	m.data[65 + 12] = 4;
	REFUSED(eventlog_read(m.data, m.out.pos, &log, &err), ERR_FORMAT,
	    "against its header");
}

/* PC Client Platform TPM Profile, 4.6.1; the value was computed by Python:
 * sha256(bytes(31) + b"\3" + sha256(bytes(4)).digest()). */
Test(eventlog, startup_locality)
{
	struct log_maker m;
	struct eventlog *log;
	struct pcr_bank bank;
	char hex[HASH_HEX_SIZE];

	log_begin(&m);
	log_event(&m, 0, EV_NO_ACTION, "StartupLocality\0\3", 17, NULL, 0);
	log_separator(&m, 0);
	cr_assert_eq(eventlog_read(m.data, m.out.pos, &log, NULL), 0);
	cr_assert_eq(eventlog_replay(log, hash_by_name("sha256"), &bank,
	    NULL), 0);
	hash_hex(bank.value[0], 32, hex);
	cr_assert_str_eq(hex, "50bd7d88f0414b40608f8ffc56fd4f32"
	    "01b5ed0644e36b8128d33624ebe0f053");
	hash_hex(bank.value[17], 32, hex);
	cr_assert_eq(strspn(hex, "f"), 64);
	eventlog_free(log);
	/* Too late. */
	log_event(&m, 0, EV_NO_ACTION, "StartupLocality\0\0", 17, NULL, 0);
	REFUSED(eventlog_read(m.data, m.out.pos, &log, &err), ERR_FORMAT,
	    "comes after measurements");
}

static struct event_claim
claim_of(struct log_maker *m)
{
	struct hasher *h = hasher_new(hash_by_name("sha256"), NULL);
	struct event_claim claim;
	struct eventlog *log;

	cr_assert_eq(eventlog_read(m->data, m->out.pos, &log, NULL), 0);
	cr_assert_eq(event_claim_read(log, eventlog_at(log,
	    eventlog_count(log) - 1), h, &claim, NULL), 0);
	eventlog_free(log);
	hasher_free(h);
	return claim;
}

/* GRUB's own digests, of a real boot. */
Test(claim, of_a_real_boot)
{
	static const struct {
		uint32_t pcr;
		enum claim_kind kind;
		bool checked;
		const char *text;
	} want[] = {
		{ 7, CLAIM_VARIABLE, true, "SecureBoot" },
		{ 7, CLAIM_VARIABLE, true, "dbx" },
		{ 7, CLAIM_VARIABLE, true, "db" },
		{ 4, CLAIM_ACTION, true,
		    "Calling EFI Application from Boot Option" },
		{ 4, CLAIM_LABEL, false, "\\EFI\\BOOT\\BOOTX64.EFI" },
		{ 4, CLAIM_LABEL, false, "\\EFI\\BOOT\\grubx64.efi" },
		{ 5, CLAIM_LABEL, true, "partition table, " },
		{ 8, CLAIM_KERNEL_COMMAND, true,
		    "/vmlinuz console=ttyS0 panic=-1 ima_policy=tcb" },
		{ 8, CLAIM_BOOT_COMMAND, true, "initrd /initramfs" },
		{ 9, CLAIM_LABEL, false, "/initramfs" },
		{ 0, CLAIM_SEPARATOR, true, "separator" },
		{ 14, CLAIM_LABEL, false, "MokList" },
	};
	struct bytes b = golden_file("crb-chain", "eventlog");
	struct hasher *h = hasher_new(hash_by_name("sha384"), NULL);
	bool found[sizeof(want) / sizeof(want[0])] = { false };
	struct eventlog *log;

	cr_assert_eq(eventlog_read(b.data, b.size, &log, NULL), 0);
	for (size_t i = 0; i < eventlog_count(log); i++) {
		const struct event *e = eventlog_at(log, i);
		struct event_claim c;

		cr_assert_eq(event_claim_read(log, e, h, &c, NULL), 0);
		for (size_t k = 0; k < sizeof(want) / sizeof(want[0]); k++)
			if (e->pcr == want[k].pcr && c.kind == want[k].kind &&
			    c.checked == want[k].checked &&
			    strstr(c.text.data, want[k].text) != NULL)
				found[k] = true;
		event_claim_free(&c);
	}
	for (size_t k = 0; k < sizeof(want) / sizeof(want[0]); k++)
		cr_assert(found[k], "%s", want[k].text);
	eventlog_free(log);
	hasher_free(h);
	bytes_free(&b);
}

/* Data that the digest does not cover are a label, whatever they say. */
Test(claim, lies_are_not_checked)
{
	struct log_maker m;
	struct event_claim c;

	log_begin(&m);
	log_event(&m, 8, EV_IPL, "kernel_cmdline: quiet", 22, "init=/bin/sh",
	    12);
	c = claim_of(&m);
	cr_assert(!c.checked);
	event_claim_free(&c);
	log_begin(&m);
	log_event(&m, 4, EV_EFI_ACTION, "harmless", 8, "harmful", 7);
	c = claim_of(&m);
	cr_assert(!c.checked && c.kind == CLAIM_LABEL);
	event_claim_free(&c);
	log_begin(&m);
	log_event(&m, 4, EV_SEPARATOR, "\0\0\0\0", 4, "evil", 4);
	c = claim_of(&m);
	cr_assert(!c.checked && c.kind == CLAIM_LABEL);
	event_claim_free(&c);
	/* The firmware's error value. */
	log_begin(&m);
	log_event(&m, 4, EV_SEPARATOR, "why", 3, "\1\0\0\0", 4);
	c = claim_of(&m);
	cr_assert_eq(c.kind, CLAIM_SEPARATOR_ERROR);
	event_claim_free(&c);
}

/* systemd-stub: UTF-16 with its zero, measured as it stands. */
Test(claim, systemd_stub)
{
	static const char wide[] = "q\0u\0i\0e\0t\0\0";
	struct log_maker m;
	struct event_claim c;

	log_begin(&m);
	log_event(&m, 12, EV_IPL, wide, 12, NULL, 0);
	c = claim_of(&m);
	cr_assert(c.checked && c.kind == CLAIM_KERNEL_COMMAND);
	cr_assert_str_eq(c.text.data, "quiet");
	cr_assert(c.text.plain);
	event_claim_free(&c);
	/* A letter that only looks like one. */
	log_begin(&m);
	log_event(&m, 12, EV_IPL, "q\0\x56\x04\0", 6, NULL, 0);
	c = claim_of(&m);
	cr_assert_str_eq(c.text.data, "q\\u0456");
	cr_assert(!c.text.plain);
	event_claim_free(&c);
}

Test(ima, replay_is_what_the_kernel_reads)
{
	for (size_t i = 0; i < 4; i++) {
		struct bytes b = golden_file(boots[i], "ima");
		struct ima_log *log;
		struct err why = { 0 };
		uint8_t pcr[HASH_MAX];
		size_t count;

		cr_assert_eq(ima_log_read(b.data, b.size, &log, &why), 0,
		    "%s: %s", boots[i], why.text);
		for (size_t k = 0; k < 3; k++) {
			const struct hash_alg *alg = hash_by_name(banks[k]);
			/* The kernel had no SHA-384 when IMA began. */
			enum ima_extend how = k == 2 ? IMA_EXTEND_SHA1_PADDED :
			    IMA_EXTEND_BANK;

			if (!golden_has_bank(boots[i], banks[k]))
				continue;
			golden_pcr(boots[i], banks[k], IMA_PCR, pcr);
			cr_assert_eq(ima_log_replay(log, alg, how, pcr, &count,
			    &why), 0, "%s %s: %s", boots[i],
			    banks[k], why.text);
			cr_assert_eq(count, 4);
			pcr[0] ^= 1;
			REFUSED(ima_log_replay(log, alg, how, pcr,
			    &count, &err), ERR_REFUSED, "4 entries");
		}
		ima_log_free(log);
		bytes_free(&b);
	}
}

/* Each field against the kernel's own text of the same log. */
Test(ima, entries_are_the_kernels)
{
	for (size_t i = 0; i < 4; i++) {
		struct bytes b = golden_file(boots[i], "ima");
		struct bytes t = golden_file(boots[i], "ima.txt");
		char *rest = (char *)t.data, *line;
		struct ima_log *log;
		size_t n = 0;

		cr_assert_eq(ima_log_read(b.data, b.size, &log, NULL), 0);
		for (; (line = strsep(&rest, "\n")) != NULL && *line; n++) {
			const struct ima_entry *e = ima_log_at(log, n);
			char template[16], digest[160], path[80];
			char hex[HASH_HEX_SIZE], *at;
			unsigned int pcr;

			cr_assert_eq(sscanf(line, "%u %*s %15s %159s %79s",
			    &pcr, template, digest, path), 4);
			cr_assert_eq(e->pcr, pcr);
			cr_assert_str_eq(e->template_name, template);
			at = strrchr(digest, ':');
			hash_hex(e->digest, e->alg->size, hex);
			cr_assert_str_eq(hex, at == NULL ? digest : at + 1);
			cr_assert_eq(e->path_size, strlen(path));
			cr_assert_eq(memcmp(e->path, path, e->path_size), 0);
		}
		cr_assert_eq(n, ima_log_count(log));
		ima_log_free(log);
		bytes_free(&b);
		bytes_free(&t);
	}
}

/* The kernel computed them, in each of the four boots. */
Test(ima, boot_aggregate)
{
	for (size_t i = 0; i < 4; i++) {
		struct bytes b = golden_file(boots[i], "ima");
		uint8_t want[HASH_MAX];
		struct pcr_set set = { .count = 1 };
		const struct ima_entry *e;
		struct ima_log *log;

		cr_assert_eq(ima_log_read(b.data, b.size, &log, NULL), 0);
		e = ima_log_at(log, 0);
		cr_assert(ima_is_boot_aggregate(e));
		set.bank[0].alg = e->alg;
		set.bank[0].mask = 0x3ff;
		for (uint32_t n = 0; n < 10; n++)
			golden_pcr(boots[i], e->alg->name, n,
			    set.bank[0].value[n]);
		cr_assert_eq(ima_boot_aggregate(&set, e->alg, want, NULL), 0);
		cr_assert_eq(memcmp(want, e->digest, e->alg->size), 0, "%s",
		    boots[i]);
		set.bank[0].mask = 0x7e;
		REFUSED(ima_boot_aggregate(&set, e->alg, want, &err),
		    ERR_NOTFOUND, "not quoted");
		ima_log_free(log);
		bytes_free(&b);
	}
}

Test(ima, cut)
{
	struct bytes b = golden_file("crb-chain", "ima");
	struct ima_log *log;
	size_t whole = 0;

	for (size_t n = 0; n < b.size; n++) {
		int rc = ima_log_read(b.data, n, &log, NULL);

		cr_assert(rc == 0 || rc == ERR_FORMAT);
		if (rc == 0)
			whole++;
		ima_log_free(log);
	}
	cr_assert_eq(whole, 4);
	/* The template's name, "ima-sig", is another. */
	b.data[34] = 'x';
	REFUSED(ima_log_read(b.data, b.size, &log, &err), ERR_UNSUPPORTED,
	    "entry 0 of the IMA log: is of a template");
	bytes_free(&b);
}

/* Before 5.8 the kernel filled SHA-1 digests up with zeros, and a violation is
 * all ones: computed with the kernel's SHA-1 template digests of ima.txt. */
Test(ima, sha1_padded_and_violations)
{
	struct bytes b = golden_file("crb-chain", "ima");
	struct hasher *h = hasher_new(hash_by_name("sha256"), NULL);
	uint8_t pcr[HASH_MAX] = { 0 }, digest[HASH_MAX];
	struct ima_log *log;
	size_t count;

	memset(digest, 0, sizeof(digest));
	memcpy(digest, b.data + 4, 20);
	hasher_extend(h, pcr, digest, NULL);
	cr_assert_eq(ima_log_read(b.data, b.size, &log, NULL), 0);
	cr_assert_eq(ima_log_replay(log, hash_by_name("sha256"),
	    IMA_EXTEND_SHA1_PADDED, pcr, &count, NULL), 0);
	cr_assert_eq(count, 1);
	cr_assert_eq(ima_log_replay(log, hash_by_name("sha256"),
	    IMA_EXTEND_BANK, pcr, &count, NULL), ERR_REFUSED);
	ima_log_free(log);

	memset(b.data + 4, 0, 20);
	cr_assert_eq(ima_log_read(b.data, b.size, &log, NULL), 0);
	cr_assert(ima_log_at(log, 0)->violation);
	memset(pcr, 0, sizeof(pcr));
	memset(digest, 0xff, sizeof(digest));
	hasher_extend(h, pcr, digest, NULL);
	cr_assert_eq(ima_log_replay(log, hash_by_name("sha256"),
	    IMA_EXTEND_BANK, pcr, &count, NULL), 0);
	cr_assert_eq(count, 1);
	ima_log_free(log);
	hasher_free(h);
	bytes_free(&b);
}
