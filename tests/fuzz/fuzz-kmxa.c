/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What vta-kmxa takes from its disk: records of kept keys. Input after
 * fail_begin's: a record, whose HMAC is put right here, as an attacker cannot
 * do; what is taken is written as the same bytes again. As it came it is
 * refused.
 */
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#include "tests/fuzz/fail.h"
#include "tests/fuzz/fuzz.h"
#include "trust-authority/agent/daemon/kept-record.h"

#define BODY (KEPT_RECORD_SIZE - 32)

static void
fuzz_record(const uint8_t *data, size_t size, const struct secret *mac)
{
	uint8_t record[KEPT_RECORD_SIZE], again[KEPT_RECORD_SIZE];
	struct kept_record r;
	struct err err = { 0 };

	FUZZ_ASSERT(kept_record_read(data, size, mac, &r, &err) < 0);
	if (size < BODY)
		return;
	memcpy(record, data, BODY);
	HMAC(EVP_sha256(), secret_bytes(mac), (int)secret_size(mac), record,
	    BODY, record + BODY, NULL);
	if (kept_record_read(record, sizeof(record), mac, &r, &err) < 0) {
		FUZZ_ASSERT(err.code == ERR_FORMAT);
		return;
	}
	FUZZ_ASSERT(kept_record_write(&r, mac, again, &err) == 0);
	/* But for the byte that counts nothing. */
	record[57] = 0;
	FUZZ_ASSERT(memcmp(record, again, BODY) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t key[DEK_SIZE] = { 1, 2, 3 };
	struct buf in = buf_reader(data, size);
	struct secret *mac;

	fail_begin(&in);
	mac = secret_from(key, sizeof(key));
	(void)fail_end();
	if (mac != NULL && buf_ok(&in))
		fuzz_record(data + in.pos, buf_left(&in), mac);
	secret_free(mac);
	return 0;
}
