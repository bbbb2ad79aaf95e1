/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Works a TPM without pause and keeps its own account of what the TPM has
 * acknowledged: for a guest whose VM moves meanwhile (tests/guest/migrate-*).
 * One HMAC session, one loaded key and the saved context of a sealed object
 * live as long as the program does, a hash sequence for 32 rounds.
 * Prints round=N after each round, "# why" and "failed WHAT N" for each answer
 * that is not what the account says.
 *
 *	tpm-load TCTI ORDERS
 *
 * ends when a byte comes from the file ORDERS, and prints the account.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <tss2/tss2_esys.h>
#include <tss2/tss2_mu.h>
#include <tss2/tss2_rc.h>
#include <tss2/tss2_tctildr.h>

#define PCR 16
#define PCR_HANDLE ESYS_TR_PCR16
#define COUNTER_INDEX 0x1800010u
#define DATA_INDEX 0x1800011u
#define GUARDED_INDEX 0x1800012u
#define FAILURES_MAX 20

struct load {
	ESYS_CONTEXT *esys;
	ESYS_TR session, primary, counter, data, guarded, sequence;
	TPMS_CONTEXT *saved;		/* of the sealed object */
	EVP_MD_CTX *hash;		/* what the sequence should be */
	TPM2B_SENSITIVE_DATA secret;
	uint64_t round, counted, clock, time;
	uint32_t resets, restarts, wrong;
	uint8_t pcr[TPM2_SHA256_DIGEST_SIZE], stored[TPM2_SHA256_DIGEST_SIZE];
	unsigned int failed;
};

typedef bool step(struct load *l);

static const TPM2B_AUTH AUTH = { .size = 4, .buffer = "auth" };
static const TPM2B_AUTH WRONG = { .size = 4, .buffer = "fals" };
static const TPMT_SYM_DEF CIPHER = { .algorithm = TPM2_ALG_AES,
	.keyBits.aes = 128, .mode.aes = TPM2_ALG_CFB };

/* For each of a step's answers: whether it is what it should be. */
static bool
good(const char *what, TSS2_RC rc)
{
	if (rc == TSS2_RC_SUCCESS)
		return true;
	printf("# %s: 0x%x %s\n", what, rc, Tss2_RC_Decode(rc));
	return false;
}

static bool
same(const char *what, const void *got, const void *want, size_t size)
{
	const uint8_t *bytes = got;

	if (memcmp(got, want, size) == 0)
		return true;
	printf("# %s: not what it was:", what);
	for (size_t i = 0; i < size; i++)
		printf("%02x", bytes[i]);
	printf("\n");
	return false;
}

static bool
equal(const char *what, uint64_t got, uint64_t want)
{
	if (got == want)
		return true;
	printf("# %s: %llu, should be %llu\n", what, (unsigned long long)got,
	    (unsigned long long)want);
	return false;
}

static void
digest(const struct load *l, const char *purpose,
    uint8_t out[TPM2_SHA256_DIGEST_SIZE])
{
	char text[64];
	int n = snprintf(text, sizeof(text), "%s %llu", purpose,
	    (unsigned long long)l->round);

	EVP_Digest(text, (size_t)n, out, NULL, EVP_sha256(), NULL);
}

/* The session goes on from command to command; only those whose first
 * parameter is sized can encrypt it (TPM 2.0 Part 1, 21.2). */
static ESYS_TR
session(struct load *l, TPMA_SESSION more)
{
	Esys_TRSess_SetAttributes(l->esys, l->session,
	    TPMA_SESSION_CONTINUESESSION | more, 0xff);
	return l->session;
}

/* -- steps -- */

static bool
step_extend(struct load *l)
{
	TPML_DIGEST_VALUES values = { .count = 1 };
	TPML_PCR_SELECTION select = { .count = 1, .pcrSelections[0] = {
		.hash = TPM2_ALG_SHA256, .sizeofSelect = 3,
		.pcrSelect = { 0, 0, 1u << (PCR - 16) } } };
	uint8_t both[2 * TPM2_SHA256_DIGEST_SIZE];
	TPML_DIGEST *read = NULL;
	bool ok;

	values.digests[0].hashAlg = TPM2_ALG_SHA256;
	digest(l, "extend", values.digests[0].digest.sha256);
	if (!good("PCR_Extend", Esys_PCR_Extend(l->esys, PCR_HANDLE,
	    session(l, 0), ESYS_TR_NONE, ESYS_TR_NONE, &values)))
		return false;
	memcpy(both, l->pcr, sizeof(l->pcr));
	digest(l, "extend", both + sizeof(l->pcr));
	EVP_Digest(both, sizeof(both), l->pcr, NULL, EVP_sha256(), NULL);
	ok = good("PCR_Read", Esys_PCR_Read(l->esys, ESYS_TR_NONE,
	    ESYS_TR_NONE, ESYS_TR_NONE, &select, NULL, NULL, &read)) &&
	    equal("PCRs read", read->count, 1) &&
	    same("PCR", read->digests[0].buffer, l->pcr, sizeof(l->pcr));
	Esys_Free(read);
	return ok;
}

static bool
step_count(struct load *l)
{
	TPM2B_MAX_NV_BUFFER *read = NULL;
	uint64_t counter = 0;
	size_t at = 0;
	bool ok;

	if (!good("NV_Increment", Esys_NV_Increment(l->esys, l->counter,
	    l->counter, session(l, 0), ESYS_TR_NONE, ESYS_TR_NONE)))
		return false;
	ok = good("NV_Read", Esys_NV_Read(l->esys, l->counter, l->counter,
	    session(l, TPMA_SESSION_ENCRYPT), ESYS_TR_NONE, ESYS_TR_NONE, 8,
	    0, &read)) &&
	    good("its number", Tss2_MU_UINT64_Unmarshal(read->buffer,
	    read->size, &at, &counter)) &&
	    (l->counted == 0 || equal("counter", counter, l->counted + 1));
	l->counted = counter;
	Esys_Free(read);
	return ok;
}

/* What the round before wrote is read before it is written over. */
static bool
step_store(struct load *l)
{
	TPM2B_MAX_NV_BUFFER new = { .size = sizeof(l->stored) };
	TPM2B_MAX_NV_BUFFER *read = NULL;
	bool ok;

	ok = l->round == 1 || (good("NV_Read", Esys_NV_Read(l->esys, l->data,
	    l->data, session(l, TPMA_SESSION_ENCRYPT), ESYS_TR_NONE,
	    ESYS_TR_NONE, sizeof(l->stored), 0, &read)) &&
	    same("NV data", read->buffer, l->stored, sizeof(l->stored)));
	Esys_Free(read);
	digest(l, "store", new.buffer);
	ok &= good("NV_Write", Esys_NV_Write(l->esys, l->data, l->data,
	    session(l, TPMA_SESSION_DECRYPT), ESYS_TR_NONE, ESYS_TR_NONE, &new,
	    0));
	memcpy(l->stored, new.buffer, sizeof(l->stored));
	return ok;
}

/* And takes the object out of the TPM. */
static bool
unseal(struct load *l, ESYS_TR object)
{
	TPM2B_SENSITIVE_DATA *out = NULL;
	bool ok;

	ok = good("its auth", Esys_TR_SetAuth(l->esys, object, &AUTH)) &&
	    good("Unseal", Esys_Unseal(l->esys, object, session(l,
	    TPMA_SESSION_ENCRYPT), ESYS_TR_NONE, ESYS_TR_NONE, &out)) &&
	    equal("size of the secret", out->size, l->secret.size) &&
	    same("secret", out->buffer, l->secret.buffer, out->size);
	Esys_Free(out);
	return good("FlushContext", Esys_FlushContext(l->esys, object)) && ok;
}

/* libtpms has room for three objects: this one comes from a context that was
 * saved before the VM moved (TPM 2.0 Part 1, 30), the others stay. */
static bool
step_unseal(struct load *l)
{
	ESYS_TR object;

	return good("ContextLoad", Esys_ContextLoad(l->esys, l->saved,
	    &object)) && unseal(l, object);
}

static bool
seal(struct load *l, ESYS_TR *object)
{
	static const TPM2B_PUBLIC template = { .publicArea = {
		.type = TPM2_ALG_KEYEDHASH, .nameAlg = TPM2_ALG_SHA256,
		.objectAttributes = TPMA_OBJECT_USERWITHAUTH |
		    TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
		    TPMA_OBJECT_NODA,
		.parameters.keyedHashDetail.scheme.scheme = TPM2_ALG_NULL } };
	TPM2B_SENSITIVE_CREATE sensitive = { .sensitive.userAuth = AUTH };
	TPM2B_DATA outside = { 0 };
	TPML_PCR_SELECTION none = { 0 };
	TPM2B_PRIVATE *private = NULL;
	TPM2B_PUBLIC *public = NULL;
	bool ok;

	sensitive.sensitive.data = l->secret;
	ok = good("Create", Esys_Create(l->esys, l->primary, session(l,
	    TPMA_SESSION_DECRYPT), ESYS_TR_NONE, ESYS_TR_NONE, &sensitive,
	    &template, &outside, &none, &private, &public, NULL, NULL,
	    NULL)) &&
	    good("Load", Esys_Load(l->esys, l->primary, session(l, 0),
	    ESYS_TR_NONE, ESYS_TR_NONE, private, public, object));
	Esys_Free(private);
	Esys_Free(public);
	return ok;
}

static bool
step_seal(struct load *l)
{
	ESYS_TR object;

	return l->round % 8 != 4 || (seal(l, &object) && unseal(l, object));
}

static bool
begin_sequence(struct load *l)
{
	return good("HashSequenceStart", Esys_HashSequenceStart(l->esys,
	    ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &AUTH, TPM2_ALG_SHA256,
	    &l->sequence)) &&
	    good("its auth", Esys_TR_SetAuth(l->esys, l->sequence, &AUTH)) &&
	    EVP_DigestInit_ex(l->hash, EVP_sha256(), NULL) == 1;
}

/* One sequence goes over many rounds. */
static bool
step_sequence(struct load *l)
{
	TPM2B_MAX_BUFFER part = { .size = 100 };
	uint8_t want[TPM2_SHA256_DIGEST_SIZE];
	TPM2B_DIGEST *got = NULL;
	bool ok;

	digest(l, "sequence", part.buffer);
	EVP_DigestUpdate(l->hash, part.buffer, part.size);
	if (l->round % 32 != 0)
		return good("SequenceUpdate", Esys_SequenceUpdate(l->esys,
		    l->sequence, session(l, TPMA_SESSION_DECRYPT),
		    ESYS_TR_NONE, ESYS_TR_NONE, &part));
	EVP_DigestFinal_ex(l->hash, want, NULL);
	ok = good("SequenceComplete", Esys_SequenceComplete(l->esys,
	    l->sequence, session(l, TPMA_SESSION_DECRYPT), ESYS_TR_NONE,
	    ESYS_TR_NONE, &part, ESYS_TR_RH_NULL, &got, NULL)) &&
	    same("sequence", got->buffer, want, sizeof(want));
	Esys_Free(got);
	return begin_sequence(l) && ok;
}

/* Part 1, 36.3: Clock and Time go on, nothing was reset. */
static bool
step_clock(struct load *l)
{
	TPMS_TIME_INFO *now = NULL;
	TPMS_CLOCK_INFO *clock;
	bool ok;

	if (!good("ReadClock", Esys_ReadClock(l->esys, ESYS_TR_NONE,
	    ESYS_TR_NONE, ESYS_TR_NONE, &now)))
		return false;
	clock = &now->clockInfo;
	if (l->round == 1) {
		l->resets = clock->resetCount;
		l->restarts = clock->restartCount;
	}
	ok = equal("resetCount", clock->resetCount, l->resets) &
	    equal("restartCount", clock->restartCount, l->restarts);
	if (clock->clock < l->clock || now->time < l->time) {
		printf("# the clock goes back: %llu %llu, was %llu %llu\n",
		    (unsigned long long)clock->clock,
		    (unsigned long long)now->time,
		    (unsigned long long)l->clock, (unsigned long long)l->time);
		ok = false;
	}
	l->clock = clock->clock;
	l->time = now->time;
	Esys_Free(now);
	return ok;
}

/* Wrong authorisations are counted, and none is forgotten (Part 1, 19.8.1). */
static bool
step_lockout(struct load *l)
{
	TPMS_CAPABILITY_DATA *got = NULL;
	TPM2B_MAX_NV_BUFFER *read = NULL;
	TSS2_RC rc;
	bool ok;

	if (l->round % 16 == 1) {
		Esys_TR_SetAuth(l->esys, l->guarded, &WRONG);
		rc = Esys_NV_Read(l->esys, l->guarded, l->guarded,
		    ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, 8, 0, &read);
		Esys_Free(read);
		if (!equal("a wrong authorisation", rc, TPM2_RC_S |
		    TPM2_RC_1 | TPM2_RC_AUTH_FAIL))
			return false;
		l->wrong++;
	}
	ok = good("GetCapability", Esys_GetCapability(l->esys, ESYS_TR_NONE,
	    ESYS_TR_NONE, ESYS_TR_NONE, TPM2_CAP_TPM_PROPERTIES,
	    TPM2_PT_LOCKOUT_COUNTER, 1, NULL, &got)) &&
	    equal("lockout counter",
	    got->data.tpmProperties.tpmProperty[0].value, l->wrong);
	Esys_Free(got);
	return ok;
}

/* -- what the steps need -- */

static bool
define(struct load *l, uint32_t index, TPMA_NV attributes, uint16_t size,
    ESYS_TR *handle)
{
	TPM2B_NV_PUBLIC public = { .nvPublic = { .nvIndex = index,
		.nameAlg = TPM2_ALG_SHA256, .dataSize = size,
		.attributes = TPMA_NV_AUTHREAD | TPMA_NV_AUTHWRITE |
		    TPMA_NV_OWNERREAD | attributes } };

	return good("NV_DefineSpace", Esys_NV_DefineSpace(l->esys,
	    ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
	    &AUTH, &public, handle));
}

static bool
make_primary(struct load *l)
{
	static const TPM2B_PUBLIC template = { .publicArea = {
		.type = TPM2_ALG_ECC, .nameAlg = TPM2_ALG_SHA256,
		.objectAttributes = TPMA_OBJECT_USERWITHAUTH |
		    TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT |
		    TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
		    TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_NODA,
		.parameters.eccDetail = {
			.symmetric = { .algorithm = TPM2_ALG_AES,
			    .keyBits.aes = 128, .mode.aes = TPM2_ALG_CFB },
			.scheme.scheme = TPM2_ALG_NULL,
			.curveID = TPM2_ECC_NIST_P256,
			.kdf.scheme = TPM2_ALG_NULL } } };
	TPM2B_SENSITIVE_CREATE sensitive = { .sensitive.userAuth = AUTH };
	TPM2B_DATA outside = { 0 };
	TPML_PCR_SELECTION none = { 0 };

	return good("CreatePrimary", Esys_CreatePrimary(l->esys,
	    ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
	    &sensitive, &template, &outside, &none, &l->primary, NULL, NULL,
	    NULL, NULL)) &&
	    good("its auth", Esys_TR_SetAuth(l->esys, l->primary, &AUTH));
}

static bool
begin_session(struct load *l)
{
	return good("StartAuthSession", Esys_StartAuthSession(l->esys,
	    l->primary, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
	    ESYS_TR_NONE, NULL, TPM2_SE_HMAC, &CIPHER, TPM2_ALG_SHA256,
	    &l->session));
}

static bool
begin(struct load *l)
{
	TPM2B_DIGEST *random = NULL;
	ESYS_TR sealed;

	if (!good("PCR_Reset", Esys_PCR_Reset(l->esys, PCR_HANDLE,
	    ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE)) ||
	    !good("DictionaryAttackParameters",
	    Esys_DictionaryAttackParameters(l->esys, ESYS_TR_RH_LOCKOUT,
	    ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, 100000, 1000000,
	    1000)) ||
	    !define(l, COUNTER_INDEX, TPMA_NV_NO_DA |
	    (TPM2_NT_COUNTER << TPMA_NV_TPM2_NT_SHIFT), 8, &l->counter) ||
	    !define(l, DATA_INDEX, TPMA_NV_NO_DA, sizeof(l->stored),
	    &l->data) ||
	    !define(l, GUARDED_INDEX, 0, 8, &l->guarded) ||
	    !good("GetRandom", Esys_GetRandom(l->esys, ESYS_TR_NONE,
	    ESYS_TR_NONE, ESYS_TR_NONE, TPM2_SHA256_DIGEST_SIZE, &random)))
		return false;
	l->secret.size = random->size;
	memcpy(l->secret.buffer, random->buffer, random->size);
	Esys_Free(random);
	return make_primary(l) && begin_session(l) && seal(l, &sealed) &&
	    good("ContextSave", Esys_ContextSave(l->esys, sealed,
	    &l->saved)) &&
	    good("FlushContext", Esys_FlushContext(l->esys, sealed)) &&
	    begin_sequence(l);
}

static void
work(struct load *l, int orders)
{
	static const struct {
		const char *name;
		step *run;
	} steps[] = {
		{ "extend", step_extend }, { "count", step_count },
		{ "store", step_store }, { "unseal", step_unseal },
		{ "seal", step_seal }, { "sequence", step_sequence },
		{ "clock", step_clock }, { "lockout", step_lockout },
	};
	struct pollfd end = { .fd = orders, .events = POLLIN };
	char byte;

	while (l->failed < FAILURES_MAX &&
	    (poll(&end, 1, 0) <= 0 || read(orders, &byte, 1) != 1)) {
		l->round++;
		for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
			if (steps[i].run(l))
				continue;
			printf("failed %s %llu\n", steps[i].name,
			    (unsigned long long)l->round);
			l->failed++;
		}
		printf("round=%llu\n", (unsigned long long)l->round);
	}
}

static void
account(struct load *l)
{
	if (!good("SelfTest", Esys_SelfTest(l->esys, ESYS_TR_NONE,
	    ESYS_TR_NONE, ESYS_TR_NONE, TPM2_YES)))
		l->failed++;
	printf("rounds=%llu\ncounted=%llu\nwrong=%u\nfailures=%u\nstored=",
	    (unsigned long long)l->round, (unsigned long long)l->counted,
	    l->wrong, l->failed);
	for (size_t i = 0; i < sizeof(l->stored); i++)
		printf("%02x", l->stored[i]);
	printf("\n");
}

int
main(int argc, char **argv)
{
	struct load l = { .hash = EVP_MD_CTX_new() };
	TSS2_TCTI_CONTEXT *tcti = NULL;
	int orders, rc = 1;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc != 3 || l.hash == NULL) {
		fprintf(stderr, "usage: tpm-load TCTI ORDERS\n");
		goto out;
	}
	if ((orders = open(argv[2], O_RDONLY | O_NONBLOCK)) < 0) {
		printf("failed %s: %s\n", argv[2], strerror(errno));
		goto out;
	}
	if (!good("TCTI", Tss2_TctiLdr_Initialize(argv[1], &tcti)) ||
	    !good("ESAPI", Esys_Initialize(&l.esys, tcti, NULL)) ||
	    !begin(&l)) {
		printf("failed begin\n");
		goto out;
	}
	work(&l, orders);
	account(&l);
	rc = l.failed == 0 ? 0 : 1;
out:
	Esys_Free(l.saved);
	if (l.esys != NULL)
		Esys_Finalize(&l.esys);
	Tss2_TctiLdr_Finalize(&tcti);
	EVP_MD_CTX_free(l.hash);
	return rc;
}
