/* SPDX-License-Identifier: BSD-3-Clause */
/* The authority protector and freshness record over an agent in this process
 * (agent-for-tests.h). */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "nvram-crypt/freshness-authority.h"
#include "nvram-crypt/freshness-instance.h"
#include "nvram-crypt/nvram.h"
#include "tests/unit/agent-for-tests.h"
#include "tests/unit/nvram-fixture.h"

static const struct protector_binding binding = { { 1 }, { 2 } };

struct setting {
	struct agent *agent;
	struct secret *dek;
	struct protector_creds creds;
	struct protector p;
};

static void
make(struct setting *s)
{
	uint8_t dek[DEK_SIZE];
	struct err err = { 0 };

	memset(s, 0, sizeof(*s));
	memset(&agent_for_tests, 0, sizeof(agent_for_tests));
	memset(dek, 0xd0, sizeof(dek));
	s->agent = agent_for_tests_new();
	s->dek = secret_from(dek, sizeof(dek));
	s->creds.agent = s->agent;
	cr_assert_eq(protector_make(protector_ops_by_name("authority"),
	    &s->creds, &binding, s->dek, &s->p, &err), 0, "%s", err.text);
}

static void
unmake(struct setting *s)
{
	agent_free(s->agent);
	secret_free(s->dek);
}

static int
open_it(struct setting *s, struct err *err)
{
	struct secret *dek = NULL;
	int rc = protector_ops_by_kind(PROTECTOR_AUTHORITY)->unwrap(&s->creds,
	    &binding, &s->p, &dek, err);

	if (rc == 0)
		cr_assert(secret_equal(dek, s->dek));
	secret_free(dek);
	return rc;
}

Test(authority, wraps_and_unwraps)
{
	struct setting s;

	make(&s);
	cr_assert_eq(s.p.kind, 3);
	cr_assert_str_eq(s.p.label, "authority tests, group g, KEK 1");
	/* Size of W, W, nonce 24, DEK 32, tag 16. */
	cr_assert_eq(s.p.body_size, 2 + strlen(AGENT_FOR_TESTS_WRAPPED) + 72);
	cr_assert_eq(memcmp(s.p.body + 2, AGENT_FOR_TESTS_WRAPPED,
	    strlen(AGENT_FOR_TESTS_WRAPPED)), 0);
	cr_assert_eq(open_it(&s, NULL), 0);
	unmake(&s);
}

Test(authority, a_label_of_ones_own_stays)
{
	struct setting s;

	make(&s);
	strcpy(s.p.label, "mine");
	cr_assert_eq(protector_ops_by_kind(PROTECTOR_AUTHORITY)->wrap(
	    &s.creds, &binding, s.dek, &s.p, NULL), 0);
	cr_assert_str_eq(s.p.label, "mine");
	unmake(&s);
}

Test(authority, every_bit_counts)
{
	struct setting s;

	make(&s);
	for (size_t i = 0; i < s.p.body_size; i++) {
		s.p.body[i] ^= 1;
		/* Changed W included: it is associated data. */
		cr_assert(open_it(&s, NULL) < 0, "byte %zu", i);
		s.p.body[i] ^= 1;
	}
	s.p.label[0] ^= 1;
	cr_assert_eq(open_it(&s, NULL), ERR_AUTH);
	s.p.label[0] ^= 1;
	s.p.body_size--;
	cr_assert_eq(open_it(&s, NULL), ERR_FORMAT);
	s.p.body_size = 1;
	cr_assert_eq(open_it(&s, NULL), ERR_FORMAT);
	unmake(&s);
}

Test(authority, another_key_is_not_taken)
{
	struct setting s;

	make(&s);
	agent_for_tests.other_key = true;
	cr_assert_eq(open_it(&s, NULL), ERR_AUTH);
	unmake(&s);
}

Test(authority, who_is_to_blame_is_told)
{
	struct setting s;
	struct err err = { 0 };

	make(&s);
	agent_for_tests.refuse = ERR_REFUSED;
	cr_assert_eq(open_it(&s, &err), ERR_REFUSED);
	cr_assert(strstr(err.text, "at fault: policy: boot.efi") != NULL, "%s",
	    err.text);
	cr_assert_eq(err.sys, 0);
	/* Not to be taken for a damaged file, or a key that does not fit. */
	for (int code = ERR_AUTH; code >= ERR_KEY; code--) {
		agent_for_tests.refuse = code;
		cr_assert_eq(open_it(&s, &err), ERR_REFUSED);
	}
	agent_for_tests.refuse = ERR_BUSY;
	cr_assert_eq(open_it(&s, &err), ERR_BUSY);
	s.creds.agent = NULL;
	cr_assert_eq(open_it(&s, &err), ERR_KEY);
	unmake(&s);
}

Test(authority, sizes_of_the_wrapped_key)
{
	struct setting s;

	make(&s);
	agent_for_tests.wrapped_size = AGENT_WRAPPED_MAX;
	cr_assert_eq(protector_make(protector_ops_by_name("authority"),
	    &s.creds, &binding, s.dek, &s.p, NULL), 0);
	cr_assert_eq(s.p.body_size, 2 + AGENT_WRAPPED_MAX + 72);
	cr_assert_eq(open_it(&s, NULL), 0);
	agent_for_tests.wrapped_size = AGENT_WRAPPED_MAX + 1;
	cr_assert(protector_make(protector_ops_by_name("authority"),
	    &s.creds, &binding, s.dek, &s.p, NULL) < 0);
	unmake(&s);
}

/* A whole file. */

static struct nvram *
open_file(struct fixture *fx)
{
	struct nvram *nv;

	cr_assert_eq(fixture_unlock(fx, &nv), 0);
	return nv;
}

Test(authority, one_new_kek_for_a_rekey)
{
	struct fixture fx = { 0 };
	bool new_kek = true;
	struct nvram *nv;
	struct err err = { 0 };

	memset(&agent_for_tests, 0, sizeof(agent_for_tests));
	fixture_make(&fx);
	fx.creds.agent = agent_for_tests_new();
	nv = fixture_acquire(&fx);
	cr_assert_not(nvram_wants_authority(nv));
	for (int i = 0; i < 2; i++)
		cr_assert_eq(nvram_protector_add(nv,
		    protector_ops_by_name("authority"), &fx.creds, NULL, &err),
		    0, "%s", err.text);
	cr_assert(nvram_wants_authority(nv));
	cr_assert_eq(agent_for_tests.new_keks, 0);
	fx.creds.new_kek = &new_kek;
	cr_assert_eq(nvram_rekey(nv, true, &fx.creds, &err), 0, "%s",
	    err.text);
	cr_assert_eq(agent_for_tests.new_keks, 1);
	cr_assert_eq(nvram_release(nv, &err), 0);
	nvram_close(nv);
	nv = open_file(&fx);
	nvram_close(nv);
	agent_free(fx.creds.agent);
	fixture_free(&fx);
}

/* The keeper follows from the protectors, not from who opens. */
Test(authority, this_hosts_record_does_not_do)
{
	struct fixture fx = { 0 };
	struct freshness *f;
	struct nvram *nv;

	memset(&agent_for_tests, 0, sizeof(agent_for_tests));
	fixture_dir(&fx);
	fixture_make(&fx);
	fx.creds.agent = agent_for_tests_new();
	nv = fixture_acquire(&fx);
	cr_assert_eq(nvram_protector_add(nv,
	    protector_ops_by_name("authority"), &fx.creds, NULL, NULL), 0);
	cr_assert_eq(nvram_release(nv, NULL), 0);
	nvram_close(nv);
	nv = open_file(&fx);
	cr_assert_eq(freshness_native(&f, fx.native, NULL), 0);
	cr_assert_eq(nvram_acquire(nv, f, false, NULL), ERR_REFUSED);
	freshness_free(f);
	nvram_close(nv);
	agent_free(fx.creds.agent);
	fixture_free(&fx);
}

/* The record. */

static int
count_asked(uint16_t type)
{
	/* The thread notes what it answered before the answer is here. */
	return agent_for_tests.last_type == type;
}

Test(authority, record)
{
	char dir[] = "/tmp/vtpmd-test.XXXXXX", path[128];
	const struct native_config config = { .state_dir = mkdtemp(dir),
		.owner = (uid_t)-1 };
	struct agent *a = agent_for_tests_new();
	struct freshness_claim c = { .epoch = 5 };
	struct freshness_grant grant;
	struct freshness *f, *second;
	struct err err = { 0 };

	memset(&agent_for_tests, 0, sizeof(agent_for_tests));
	cr_assert_eq(freshness_authority(&f, a, &config, NULL), 0);
	cr_assert_eq(freshness_authority(&second, a, &config, NULL), 0);
	cr_assert(freshness_is_authority(f));
	cr_assert_eq(freshness_acquire(f, &c, false, &grant, &err), 0, "%s",
	    err.text);
	cr_assert(grant.epoch == 6 && grant.synced);
	cr_assert_eq(freshness_acquire(second, &c, false, &grant, &err),
	    ERR_BUSY);
	cr_assert_eq(freshness_confirm(f, &err), 0);
	cr_assert(count_asked(AGENT_CONFIRM));
	cr_assert_eq(freshness_release(f, c.digest, true, &err), 0);
	cr_assert(count_asked(AGENT_RELEASE));
	/* One that ends without a word: what it wrote may be in memory only. */
	cr_assert_eq(freshness_acquire(f, &c, false, &grant, &err), 0);
	cr_assert(grant.synced);
	freshness_free(f);
	cr_assert_eq(freshness_acquire(second, &c, false, &grant, &err), 0);
	cr_assert_not(grant.synced);
	agent_for_tests.refuse = ERR_STALE;
	cr_assert_eq(freshness_confirm(second, &err), ERR_STALE);
	freshness_free(second);
	agent_free(a);
	snprintf(path, sizeof(path), "%s/authority/"
	    "00000000-0000-0000-0000-000000000000", dir);
	cr_assert_eq(unlink(path), 0);
	snprintf(path, sizeof(path), "%s/authority", dir);
	cr_assert_eq(rmdir(path), 0);
	cr_assert_eq(rmdir(dir), 0);
}

static void
remove_instance(const char *dir)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/authority/"
	    "00000000-0000-0000-0000-000000000000", dir);
	cr_assert_eq(unlink(path), 0);
	snprintf(path, sizeof(path), "%s/authority", dir);
	cr_assert_eq(rmdir(path), 0);
	cr_assert_eq(rmdir(dir), 0);
}

/* Offered, left and taken back; the other side of the host has it meanwhile. */
Test(authority, handed_over)
{
	char dir[] = "/tmp/vtpmd-test.XXXXXX";
	const struct native_config config = { .state_dir = mkdtemp(dir),
		.owner = (uid_t)-1 };
	const struct freshness_handover h = { .session = "a session",
		.synced = true };
	struct agent *a = agent_for_tests_new(), *b = agent_for_tests_new();
	struct freshness_claim c = { .epoch = 5 };
	struct freshness_grant grant;
	struct freshness *f, *other;
	struct err err = { 0 };

	memset(&agent_for_tests, 0, sizeof(agent_for_tests));
	cr_assert_eq(freshness_authority(&f, a, &config, NULL), 0);
	cr_assert_eq(freshness_authority(&other, b, &config, NULL), 0);
	cr_assert_eq(freshness_prepare(other, &c, &err), 0, "%s", err.text);
	cr_assert_eq(freshness_offer(f, &h, &err), ERR_INTERNAL, "not owned");
	cr_assert_eq(freshness_acquire(f, &c, false, &grant, &err), 0);
	cr_assert_eq(freshness_offer(f, &h, &err), 0, "%s", err.text);
	cr_assert(count_asked(AGENT_OFFER));
	cr_assert_eq(freshness_take_up(other, &c, h.session, false, &grant,
	    &err), ERR_BUSY, "it is still held on this host");
	cr_assert_eq(freshness_let_go(f), 0);
	cr_assert_eq(freshness_take_up(other, &c, h.session, false, &grant,
	    &err), 0, "%s", err.text);
	cr_assert(count_asked(AGENT_CLAIM) || count_asked(AGENT_ATTACH));
	cr_assert(grant.epoch == 6 && grant.synced && grant.pending);
	cr_assert_eq(freshness_take_up(f, &c, h.session, true, &grant, &err),
	    ERR_BUSY);
	cr_assert_eq(freshness_let_go(other), 0);
	cr_assert_eq(freshness_take_up(f, &c, h.session, true, &grant, &err),
	    0, "%s", err.text);
	cr_assert_eq(freshness_let_go(f), 0);
	agent_for_tests.refuse = ERR_STALE;
	cr_assert_eq(freshness_take_up(f, &c, h.session, true, &grant, &err),
	    ERR_STALE);
	cr_assert_eq(freshness_end_loan(f, c.digest, true, &err), 0,
	    "somebody else has it: no failure");
	agent_for_tests.refuse = 0;
	c.epoch = 0xff;		/* + 1 wraps there */
	cr_assert_eq(freshness_take_up(f, &c, h.session, true, &grant, &err),
	    ERR_STALE, "never an epoch that goes back");
	freshness_free(f);
	freshness_free(other);
	agent_free(a);
	agent_free(b);
	remove_instance(dir);
}

/* By one who has no file, with an instance that somebody else has opened. */
Test(authority, given_back)
{
	char dir[] = "/tmp/vtpmd-test.XXXXXX";
	const struct native_config config = { .state_dir = mkdtemp(dir),
		.owner = (uid_t)-1 };
	const uint8_t session[FRESHNESS_SESSION_SIZE] = "a session";
	struct agent *a = agent_for_tests_new();
	struct freshness_claim c = { .epoch = 5 };
	struct freshness_grant grant;
	struct err err = { 0 };
	struct freshness *f;
	int at, fd;

	memset(&agent_for_tests, 0, sizeof(agent_for_tests));
	cr_assert_eq(freshness_authority(&f, a, &config, NULL), 0);
	cr_assert_eq(freshness_authority_give_back(f, 5, session, &err), 0);
	cr_assert_not(count_asked(AGENT_OFFER), "there is nothing to give");
	cr_assert_eq(freshness_instance_directory(&config, &at, &err), 0);
	cr_assert_eq(freshness_instance_open(at, c.uuid, &fd, &err), 0);
	freshness_authority_expect(f, fd);
	cr_assert_eq(freshness_take_up(f, &c, session, false, &grant, &err), 0,
	    "%s", err.text);
	cr_assert_eq(grant.epoch, 6);
	cr_assert_eq(freshness_authority_give_back(f, 5, session, &err), 0,
	    "%s", err.text);
	cr_assert(count_asked(AGENT_OFFER));
	cr_assert_eq(freshness_confirm(f, &err), ERR_INTERNAL,
	    "it is not owned any more");
	close(at);
	freshness_free(f);
	agent_free(a);
	remove_instance(dir);
}

/* It follows from K, and not from the wrapped one; nobody is asked twice. */
Test(authority, key_of_a_move)
{
	struct authority_move made = { 0 }, had = { 0 };
	struct agent_bytes wrapped;
	struct setting s;
	unsigned int asked;
	uint8_t w[2] = { 0 };

	make(&s);
	s.creds.move = &made;
	cr_assert_eq(protector_ops_by_kind(PROTECTOR_AUTHORITY)->wrap(
	    &s.creds, &binding, s.dek, &s.p, NULL), 0);
	s.creds.move = &had;
	cr_assert_eq(open_it(&s, NULL), 0);
	cr_assert_eq(secret_size(had.key), AUTHORITY_MOVE_SIZE);
	cr_assert(secret_equal(made.key, had.key));
	cr_assert_eq(authority_wrapped(&s.p, &wrapped, NULL), 0);
	asked = agent_for_tests.asked;
	cr_assert_eq(authority_move_get(&had, NULL, binding.uuid, &wrapped,
	    1000, NULL), 0, "it is there");
	cr_assert_eq(agent_for_tests.asked, asked);
	authority_move_reset(&had);
	cr_assert_eq(authority_move_get(&had, NULL, binding.uuid, &wrapped,
	    1000, NULL), ERR_KEY, "nobody to ask");
	agent_for_tests.refuse = ERR_KEY;
	cr_assert_eq(authority_move_get(&had, s.agent, binding.uuid, &wrapped,
	    1000, NULL), ERR_REFUSED);
	cr_assert_null(had.key);
	agent_for_tests.refuse = 0;
	cr_assert_eq(authority_move_get(&had, s.agent, binding.uuid, &wrapped,
	    5000, NULL), 0);
	cr_assert(secret_equal(made.key, had.key));
	agent_for_tests.other_key = true;
	wrapped = (struct agent_bytes){ w, sizeof(w) };
	cr_assert_eq(authority_move_get(&had, s.agent, binding.uuid, &wrapped,
	    5000, NULL), 0);
	cr_assert_not(secret_equal(made.key, had.key), "another K, another");
	authority_move_reset(&made);
	authority_move_reset(&had);
	s.creds.move = NULL;
	unmake(&s);
}

/* The grant is the authority's, but never one that goes back. */
Test(authority, an_epoch_that_is_none)
{
	char dir[] = "/tmp/vtpmd-test.XXXXXX", path[128];
	const struct native_config config = { .state_dir = mkdtemp(dir),
		.owner = (uid_t)-1 };
	struct agent *a = agent_for_tests_new();
	struct freshness_claim c = { .epoch = 0xff };	/* + 1 wraps there */
	struct freshness_grant grant;
	struct freshness *f;
	struct err err = { 0 };

	memset(&agent_for_tests, 0, sizeof(agent_for_tests));
	cr_assert_eq(freshness_authority(&f, a, &config, NULL), 0);
	cr_assert_eq(freshness_acquire(f, &c, false, &grant, &err), ERR_STALE);
	cr_assert(strstr(err.text, "grants epoch 0") != NULL, "%s", err.text);
	freshness_free(f);
	agent_free(a);
	snprintf(path, sizeof(path), "%s/authority/"
	    "00000000-0000-0000-0000-000000000000", dir);
	cr_assert_eq(unlink(path), 0);
	snprintf(path, sizeof(path), "%s/authority", dir);
	cr_assert_eq(rmdir(path), 0);
	cr_assert_eq(rmdir(dir), 0);
}
