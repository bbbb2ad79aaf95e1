/* SPDX-License-Identifier: BSD-3-Clause */
/* Policies are read strictly; patterns let through what they say. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trust-authority/attest/command-pattern.h"
#include "trust-authority/attest/digest-set.h"
#include "trust-authority/attest/policy.h"

#define HEAD "{\"format\": 1, \"name\": \"n\", \"bank\": \"sha256\""
#define ZERO64 "00000000000000000000000000000000" \
	"00000000000000000000000000000000"
#define PCR0 ", \"pcrs\": {\"0\": [\"" ZERO64 "\"]}"

static void
refused(const char *json, int code, const char *words)
{
	struct policy *p;
	struct err err = { 0 };

	cr_assert_eq(policy_read(json, strlen(json), &p, &err), code,
	    "%s: %s", json, err.text);
	cr_assert(strstr(err.text, words) != NULL, "%s: %s", json, err.text);
	cr_assert(p == NULL);
}

Test(policy, smallest)
{
	static const char json[] = HEAD PCR0 "}";
	struct policy *p;
	struct err err = { 0 };

	cr_assert_eq(policy_read(json, strlen(json), &p, &err), 0, "%s",
	    err.text);
	cr_assert_str_eq(policy_name(p), "n");
	policy_free(p);
}

Test(policy, strict)
{
	refused("", ERR_FORMAT, "not JSON");
	refused("[]", ERR_FORMAT, "not an object");
	refused("{}", ERR_FORMAT, "format is missing");
	refused(HEAD "}", ERR_FORMAT, "would approve every boot");
	refused(HEAD ", \"event_log\": {}}", ERR_FORMAT, "every boot");
	refused(HEAD ", \"ima\": {\"digests\": []}}", ERR_FORMAT,
	    "every boot");
	refused(HEAD PCR0 ", \"pcr\": {}}", ERR_FORMAT, "pcr is not known");
	refused(HEAD PCR0 ", \"event_log\": {\"secureboot\": {}}}", ERR_FORMAT,
	    "event_log.secureboot is not known");
	refused(HEAD PCR0 ", \"event_log\": {\"secure_boot\": true}}",
	    ERR_FORMAT, "event_log.secure_boot must be an object");
	refused(HEAD PCR0 ", \"tpm\": {\"allow_resets\": 1}}", ERR_FORMAT,
	    "tpm.allow_resets must be true or false");
	refused(HEAD PCR0 ", \"ima\": {}}", ERR_FORMAT,
	    "ima.digests is missing");
	refused(HEAD PCR0 ", \"ima\": {\"digests\": [\"md5:00\"]}}",
	    ERR_FORMAT, "ima.digests[0] must be a digest");
	refused(HEAD PCR0 ", \"ima\": {\"digests\": [\"sha256:" ZERO64
	    "\"]}}", ERR_FORMAT, "zeros");
	refused(HEAD ", \"pcrs\": {\"24\": []}}", ERR_FORMAT,
	    "pcrs.24 is no PCR");
	refused(HEAD ", \"pcrs\": {\"07\": []}}", ERR_FORMAT, "is no PCR");
	refused(HEAD ", \"pcrs\": {\"7\": [\"00\"]}}", ERR_FORMAT,
	    "[0] must be a digest of the bank sha256, 64");
	refused(HEAD PCR0 ", \"event_log\": {\"boot_files\": "
	    "[{\"name\": \"a\", \"digest\": \"" ZERO64 "\", \"requird\": "
	    "true}]}}", ERR_FORMAT, "event_log.boot_files[0]");
	refused(HEAD PCR0 ", \"tpm\": {\"firmware\": [\"12\"]}}", ERR_FORMAT,
	    "16 hexadecimal digits");
	refused("{\"format\": 2, \"name\": \"n\", \"bank\": \"sha256\"" PCR0
	    "}", ERR_UNSUPPORTED, "format must be 1");
	refused("{\"format\": 1, \"name\": \"../n\", \"bank\": \"sha256\""
	    PCR0 "}", ERR_FORMAT, "name must be");
	refused("{\"format\": 1, \"name\": \"n\", \"bank\": \"sha1\"" PCR0
	    "}", ERR_FORMAT, "bank must be sha256");
	refused(HEAD PCR0 ", \"name\": \"m\"}", ERR_FORMAT, "duplicate");
	refused(HEAD PCR0 "} x", ERR_FORMAT, "not JSON");
}

Test(pattern, whole_words)
{
	cr_assert(command_matches("a b", "a b"));
	cr_assert(!command_matches("a b", "a b c"));
	cr_assert(!command_matches("a b c", "a b"));
	cr_assert(!command_matches("", "a"));
	cr_assert(command_matches("", ""));
	cr_assert(command_matches("/vmlinuz-* root=UUID=* ro",
	    "/vmlinuz-6.1.0-56 root=UUID=1234-ab ro"));
	cr_assert(!command_matches("/vmlinuz-* root=UUID=* ro",
	    "/vmlinuz-6.1.0-56 root=UUID=1 init=/bin/sh ro"));
	cr_assert(!command_matches("root=*", "root=a init=/bin/sh"));
	cr_assert(!command_matches("root=* ro", "root=\"a init=/bin/sh\" ro"));
	cr_assert(!command_matches("*", "a b"));
	cr_assert(command_matches("*", ""));
	cr_assert(command_matches("a*b*c", "aXbYbZc"));
	cr_assert(!command_matches("a*b*c", "aXcYb"));
	cr_assert(command_matches("x=* y=*1", "x=y=1 y=2211"));
	cr_assert(!command_matches("x=*", "x=a\tinit=/bin/sh"));
}

Test(digest_set, many)
{
	struct digest_set *set = digest_set_new();
	const struct hash_alg *sha256 = hash_by_name("sha256");
	uint8_t d[HASH_MAX], out[HASH_MAX];

	for (uint32_t i = 0; i < 20000; i++) {
		const struct hash_part part = { &i, sizeof(i) };

		/* Half of them twice. */
		cr_assert_eq(hash_digest(sha256, &part, 1, out, NULL), 0);
		cr_assert_eq(digest_set_add(set, sha256, out, NULL), 0);
		if (i % 2)
			cr_assert_eq(digest_set_add(set, sha256, out, NULL),
			    0);
	}
	cr_assert_eq(digest_set_count(set), 20000);
	for (uint32_t i = 0; i < 40000; i++) {
		const struct hash_part part = { &i, sizeof(i) };

		cr_assert_eq(hash_digest(sha256, &part, 1, out, NULL), 0);
		cr_assert_eq(digest_set_has(set, sha256, out), i < 20000);
	}
	/* The same bytes under another algorithm are another digest. */
	memset(d, 0x5a, sizeof(d));
	cr_assert_eq(digest_set_add(set, sha256, d, NULL), 0);
	cr_assert(!digest_set_has(set, hash_by_name("sha384"), d));
	cr_assert(!digest_set_has(set, hash_by_name("sha1"), d));
	memset(d, 0, sizeof(d));
	cr_assert(!digest_set_has(set, sha256, d));
	digest_set_free(set);
}
