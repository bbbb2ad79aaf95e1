/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One of swtpm's blobs: a header {version u8, lowest version of a reader u8,
 * size of the header u16, flags u16, size of all u32} and sections {tag u16,
 * size u32, bytes}. Encrypted: AES-CBC, padded as in PKCS #7 to the size of
 * the key, and HMAC-SHA-256 under the same key over ciphertext and IV.
 */
#include <errno.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include "base/buf.h"
#include "migration/swtpm-state.h"
#include "nvram-crypt/crypto.h"
#include "nvram-crypt/nvram.h"

#define VERSION 2u
#define VERSION_MIN 1u
#define HEADER_SIZE 10u
#define SECTION_HEADER_SIZE 6u
#define FLAG_ENCRYPTED 0x01u
#define FLAG_MIGRATION 0x06u	/* a blob of the control channel */
#define FLAG_256BIT 0x08u
#define MAC_SIZE 32u
#define AES_BLOCK 16

enum tag { TAG_DATA = 1, TAG_ENCRYPTED = 2, TAG_HMAC = 3, TAG_IV = 6 };

struct bytes {
	const uint8_t *data;
	size_t size;
};

struct sections {
	struct bytes plain, encrypted, hmac, iv;
};

static int
check_header(struct buf *b, size_t size, uint16_t *flags, struct err *err)
{
	uint8_t version = 0, min_version = 0;
	uint16_t header_size = 0;
	uint32_t total = 0;

	buf_get_u8(b, &version);
	buf_get_u8(b, &min_version);
	buf_get_u16be(b, &header_size);
	buf_get_u16be(b, flags);
	buf_get_u32be(b, &total);
	if (!buf_ok(b) || header_size != HEADER_SIZE || total != size)
		return err_set(err, ERR_FORMAT, "this is not a state of "
		    "swtpm's, or it is cut short");
	if (version < VERSION || min_version > VERSION)
		return err_set(err, ERR_UNSUPPORTED, "swtpm's state is of "
		    "version %u; versions that can be read by one of %u are "
		    "known here", version, VERSION);
	if ((*flags & FLAG_MIGRATION) != 0)
		return err_set(err, ERR_UNSUPPORTED, "this is a blob from a "
		    "migration, not what swtpm keeps");
	return 0;
}

static int
read_sections(struct buf *b, struct sections *s, struct err *err)
{
	uint32_t size;
	uint16_t tag;
	struct bytes one;

	while (buf_left(b) > 0) {
		if (buf_get_u16be(b, &tag) < 0 || buf_get_u32be(b, &size) < 0 ||
		    buf_get_ref(b, &one.data, size) < 0)
			return err_set(err, ERR_FORMAT, "a section of swtpm's "
			    "state is cut short");
		one.size = size;
		if (tag == TAG_DATA)
			s->plain = one;
		else if (tag == TAG_ENCRYPTED)
			s->encrypted = one;
		else if (tag == TAG_HMAC)
			s->hmac = one;
		else if (tag == TAG_IV)
			s->iv = one;
	}
	return 0;
}

static int
make_mac(const struct secret *key, struct bytes data, struct bytes iv,
    uint8_t out[MAC_SIZE], struct err *err)
{
	struct secret *both = secret_new(data.size + iv.size);
	size_t n = 0;
	int rc = 0;

	if (both == NULL)
		return err_sys(err, errno, "cannot lock memory");
	memcpy(secret_data(both), data.data, data.size);
	if (iv.size > 0)
		memcpy(secret_data(both) + data.size, iv.data, iv.size);
	if (EVP_Q_mac(crypto_context(), "HMAC", NULL, "SHA256", NULL,
	    secret_bytes(key), secret_size(key), secret_bytes(both),
	    secret_size(both), out, MAC_SIZE, &n) == NULL || n != MAC_SIZE)
		rc = crypto_error(err, "HMAC");
	secret_free(both);
	return rc;
}

static int
run_cbc(const struct secret *key, bool encrypt, const uint8_t *iv,
    const uint8_t *in, size_t size, uint8_t *out, struct err *err)
{
	EVP_CIPHER *cipher = EVP_CIPHER_fetch(crypto_context(),
	    secret_size(key) == 32 ? "AES-256-CBC" : "AES-128-CBC", NULL);
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int n = 0, end = 0, rc = 0;

	if (cipher == NULL || ctx == NULL ||
	    EVP_CipherInit_ex2(ctx, cipher, secret_bytes(key), iv, encrypt,
	    NULL) != 1 || EVP_CIPHER_CTX_set_padding(ctx, 0) != 1 ||
	    EVP_CipherUpdate(ctx, out, &n, in, (int)size) != 1 ||
	    EVP_CipherFinal_ex(ctx, out + n, &end) != 1 ||
	    (size_t)n + (size_t)end != size)
		rc = crypto_error(err, "AES-CBC");
	EVP_CIPHER_CTX_free(ctx);
	EVP_CIPHER_free(cipher);
	return rc;
}

/* The MAC has said that the bytes are swtpm's by now. */
static int
drop_padding(struct secret *s, size_t unit, struct err *err)
{
	size_t size = secret_size(s);
	uint8_t pad = secret_bytes(s)[size - 1];

	if (pad == 0 || pad > unit || pad >= size)
		return err_set(err, ERR_FORMAT, "swtpm's state has a padding "
		    "that swtpm does not make");
	for (size_t i = size - pad; i < size; i++)
		if (secret_bytes(s)[i] != pad)
			return err_set(err, ERR_FORMAT, "swtpm's state has a "
			    "padding that swtpm does not make");
	secret_truncate(s, size - pad);
	return 0;
}

static int
decrypt(const struct sections *s, const struct secret *key,
    struct secret **state, struct err *err)
{
	uint8_t mac[MAC_SIZE], iv[AES_BLOCK] = { 0 };
	int rc;

	if (s->encrypted.size == 0 || s->encrypted.size % AES_BLOCK != 0 ||
	    s->encrypted.size > NVRAM_STATE_MAX || s->hmac.size != MAC_SIZE ||
	    (s->iv.size != 0 && s->iv.size != secret_size(key)))
		return err_set(err, ERR_FORMAT, "swtpm's state has sections "
		    "that swtpm does not make");
	if ((rc = make_mac(key, s->encrypted, s->iv, mac, err)) < 0)
		return rc;
	if (CRYPTO_memcmp(mac, s->hmac.data, MAC_SIZE) != 0)
		return err_set(err, ERR_KEY, "swtpm's key does not fit, or "
		    "its state was changed");
	if (s->iv.size != 0)
		memcpy(iv, s->iv.data, sizeof(iv));
	if ((*state = secret_new(s->encrypted.size)) == NULL)
		return err_sys(err, errno, "cannot lock memory for a state");
	rc = run_cbc(key, false, iv, s->encrypted.data, s->encrypted.size,
	    secret_data(*state), err);
	if (rc == 0)
		rc = drop_padding(*state, secret_size(key), err);
	if (rc < 0) {
		secret_free(*state);
		*state = NULL;
	}
	return rc;
}

static int
copy_plain(const struct sections *s, struct secret **state, struct err *err)
{
	if (s->plain.size == 0 || s->plain.size > NVRAM_STATE_MAX)
		return err_set(err, ERR_FORMAT, "swtpm's state is empty, or "
		    "larger than a TPM's can be");
	*state = secret_from(s->plain.data, s->plain.size);
	return *state != NULL ? 0 :
	    err_sys(err, errno, "cannot lock memory for a state");
}

int
swtpm_blob_decode(const uint8_t *bytes, size_t size,
    const struct swtpm_key *key, struct secret **state, struct err *err)
{
	struct buf b = buf_reader(bytes, size);
	struct sections s = { 0 };
	struct secret *k = NULL;
	uint16_t flags = 0;
	int rc;

	*state = NULL;
	if ((rc = crypto_init(err)) < 0 ||
	    (rc = check_header(&b, size, &flags, err)) < 0 ||
	    (rc = read_sections(&b, &s, err)) < 0)
		return rc;
	if ((flags & FLAG_ENCRYPTED) == 0)
		return key == NULL ? copy_plain(&s, state, err) :
		    err_set(err, ERR_REFUSED, "swtpm's state is not encrypted, "
		    "though a key was given for it: if that is right, leave "
		    "the key out");
	if (key == NULL)
		return err_set(err, ERR_KEY, "swtpm's state is encrypted: "
		    "give --swtpm-key what swtpm's --key gets");
	if ((rc = swtpm_key_get(key, (flags & FLAG_256BIT) != 0 ? 32 : 16, &k,
	    err)) == 0)
		rc = decrypt(&s, k, state, err);
	secret_free(k);
	return rc;
}

static void
put_section(struct buf *b, enum tag tag, const void *data, size_t size)
{
	buf_put_u16be(b, (uint16_t)tag);
	buf_put_u32be(b, (uint32_t)size);
	buf_put_bytes(b, data, size);
}

static void
put_header(struct buf *b, uint16_t flags, size_t total)
{
	buf_put_u8(b, VERSION);
	buf_put_u8(b, VERSION_MIN);
	buf_put_u16be(b, HEADER_SIZE);
	buf_put_u16be(b, flags);
	buf_put_u32be(b, (uint32_t)total);
}

static int
new_blob(size_t total, struct secret **blob, struct buf *b, struct err *err)
{
	if ((*blob = secret_new(total)) == NULL)
		return err_sys(err, errno, "cannot lock memory for a state");
	*b = buf_writer(secret_data(*blob), total);
	return 0;
}

static int
encode_plain(const uint8_t *state, size_t size, struct secret **blob,
    struct err *err)
{
	size_t total = HEADER_SIZE + SECTION_HEADER_SIZE + size;
	struct buf b;
	int rc;

	if ((rc = new_blob(total, blob, &b, err)) < 0)
		return rc;
	put_header(&b, 0, total);
	put_section(&b, TAG_DATA, state, size);
	return 0;
}

static int
encode_encrypted(const uint8_t *state, size_t size, const struct secret *key,
    struct secret **blob, struct err *err)
{
	size_t unit = secret_size(key), padded = size + unit - size % unit;
	size_t total = HEADER_SIZE + 3 * SECTION_HEADER_SIZE + padded +
	    MAC_SIZE + unit;
	struct secret *work = secret_new(padded);
	uint8_t iv[32], mac[MAC_SIZE];
	struct bytes data = { .size = padded }, of_iv = { iv, unit };
	struct buf b;
	int rc;

	if (work == NULL)
		return err_sys(err, errno, "cannot lock memory for a state");
	memcpy(secret_data(work), state, size);
	memset(secret_data(work) + size, (int)(padded - size), padded - size);
	data.data = secret_bytes(work);
	if ((rc = crypto_random(iv, sizeof(iv), err)) < 0 ||
	    (rc = run_cbc(key, true, iv, data.data, padded, secret_data(work),
	    err)) < 0 || (rc = make_mac(key, data, of_iv, mac, err)) < 0 ||
	    (rc = new_blob(total, blob, &b, err)) < 0)
		goto out;
	put_header(&b, FLAG_ENCRYPTED | (unit == 32 ? FLAG_256BIT : 0), total);
	put_section(&b, TAG_ENCRYPTED, data.data, padded);
	put_section(&b, TAG_HMAC, mac, sizeof(mac));
	put_section(&b, TAG_IV, iv, unit);
out:
	secret_free(work);
	return rc;
}

int
swtpm_blob_encode(const uint8_t *state, size_t size,
    const struct swtpm_key *key, struct secret **blob, struct err *err)
{
	struct secret *k = NULL;
	int rc;

	*blob = NULL;
	if ((rc = crypto_init(err)) < 0)
		return rc;
	if (key == NULL)
		return encode_plain(state, size, blob, err);
	/* aes-cbc, that is 128 bits, is swtpm's own default. */
	rc = swtpm_key_get(key, swtpm_key_size(key) != 0 ?
	    swtpm_key_size(key) : 16, &k, err);
	if (rc == 0)
		rc = encode_encrypted(state, size, k, blob, err);
	secret_free(k);
	return rc;
}
