/* SPDX-License-Identifier: BSD-3-Clause */
#include "bench/wire.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fdio.h"
#include "vtpm/tpm.h"

/* TPM 2.0 Part 2, 6.5.2, 6.3, 7.4 and 13.4 */
#define CC_NV_DEFINE_SPACE 0x12a
#define CC_NV_INCREMENT 0x134
#define CC_NV_WRITE 0x137
#define CC_SELF_TEST 0x143
#define CC_STARTUP 0x144
#define CC_GET_RANDOM 0x17b
#define CC_PCR_READ 0x17e
#define CC_PCR_EXTEND 0x182
#define ALG_SHA256 0x000b
#define RS_PW 0x40000009
#define RH_OWNER 0x40000001
#define NV_AUTHREAD_AUTHWRITE_NO_DA 0x02040004
#define NT_COUNTER 0x10
#define SHA256_BYTES 32
#define PCR 10			/* the one that Linux's IMA extends */

/* qemu backends/tpm/tpm_ioctl.h */
#define CMD_INIT 2
#define CMD_GET_STATEBLOB 12
#define CMD_SET_STATEBLOB 13
#define INIT_DELETE_VOLATILE 1
#define CMD_STOP 14
#define CMD_SET_DATAFD 16
#define CMD_SET_BUFFERSIZE 17
#define STATE_DECRYPTED 1
#define TPM_NON_FATAL 0x800u	/* TPM 1.2 Part 2, 16 */
#define BLOB_PERMANENT 1
#define QEMU_BUFFER 3968

/* doc/migration-format.md, "Sealed blob" */
#define BLOB_SIZE_AT 80

struct buf
command_begin(struct command *c, uint16_t tag, uint32_t code)
{
	struct buf b = buf_writer(c->bytes, sizeof(c->bytes));

	buf_put_u16be(&b, tag);
	buf_put_u32be(&b, 0);
	buf_put_u32be(&b, code);
	return b;
}

void
command_end(struct command *c, struct buf *b)
{
	buf_patch_u32be(b, 2, (uint32_t)b->pos);
	c->size = b->pos;
}

void
put_password(struct buf *b)
{
	buf_put_u32be(b, 9);
	buf_put_u32be(b, RS_PW);
	buf_put_u16be(b, 0);
	buf_put_u8(b, 0);
	buf_put_u16be(b, 0);
}

void
put_pcr_selection(struct buf *b)
{
	uint8_t select[3] = { 0 };

	select[PCR / 8] = 1 << PCR % 8;
	buf_put_u32be(b, 1);
	buf_put_u16be(b, ALG_SHA256);
	buf_put_u8(b, sizeof(select));
	buf_put_bytes(b, select, sizeof(select));
}

void
command_startup(struct command *c)
{
	struct buf b = command_begin(c, TPM_ST_NO_SESSIONS, CC_STARTUP);

	buf_put_u16be(&b, 0);
	command_end(c, &b);
}

void
command_self_test(struct command *c)
{
	struct buf b = command_begin(c, TPM_ST_NO_SESSIONS, CC_SELF_TEST);

	buf_put_u8(&b, 1);
	command_end(c, &b);
}

void
command_get_random(struct command *c, uint16_t size)
{
	struct buf b = command_begin(c, TPM_ST_NO_SESSIONS, CC_GET_RANDOM);

	buf_put_u16be(&b, size);
	command_end(c, &b);
}

void
command_pcr_read(struct command *c)
{
	struct buf b = command_begin(c, TPM_ST_NO_SESSIONS, CC_PCR_READ);

	put_pcr_selection(&b);
	command_end(c, &b);
}

void
command_pcr_extend(struct command *c)
{
	struct buf b = command_begin(c, TPM_ST_SESSIONS, CC_PCR_EXTEND);

	buf_put_u32be(&b, PCR);
	put_password(&b);
	buf_put_u32be(&b, 1);
	buf_put_u16be(&b, ALG_SHA256);
	for (uint8_t i = 0; i < SHA256_BYTES; i++)
		buf_put_u8(&b, i);
	command_end(c, &b);
}

static void
define(struct command *c, uint32_t index, uint32_t attributes, uint16_t size)
{
	struct buf b = command_begin(c, TPM_ST_SESSIONS, CC_NV_DEFINE_SPACE);

	buf_put_u32be(&b, RH_OWNER);
	put_password(&b);
	buf_put_u16be(&b, 0);		/* the index's password */
	buf_put_u16be(&b, 14);		/* TPM2B_NV_PUBLIC */
	buf_put_u32be(&b, index);
	buf_put_u16be(&b, ALG_SHA256);
	buf_put_u32be(&b, attributes);
	buf_put_u16be(&b, 0);
	buf_put_u16be(&b, size);
	command_end(c, &b);
}

void
command_nv_define(struct command *c, uint32_t index, uint16_t size)
{
	define(c, index, NV_AUTHREAD_AUTHWRITE_NO_DA, size);
}

void
command_nv_define_counter(struct command *c, uint32_t index)
{
	define(c, index, NV_AUTHREAD_AUTHWRITE_NO_DA | NT_COUNTER, 8);
}

void
command_nv_increment(struct command *c, uint32_t index)
{
	struct buf b = command_begin(c, TPM_ST_SESSIONS, CC_NV_INCREMENT);

	buf_put_u32be(&b, index);
	buf_put_u32be(&b, index);
	put_password(&b);
	command_end(c, &b);
}

void
command_nv_write(struct command *c, uint32_t index, uint16_t size,
    uint8_t fill)
{
	struct buf b = command_begin(c, TPM_ST_SESSIONS, CC_NV_WRITE);

	buf_put_u32be(&b, index);
	buf_put_u32be(&b, index);
	put_password(&b);
	buf_put_u16be(&b, size);
	for (uint16_t i = 0; i < size; i++)
		buf_put_u8(&b, fill);
	buf_put_u16be(&b, 0);
	command_end(c, &b);
}

int
command_send(int fd, const struct command *c, struct err *err)
{
	if (fdio_write(fd, c->bytes, c->size) < 0)
		return err_set(err, ERR_CLOSED, "the TPM takes no command");
	return 0;
}

/* As QEMU reads: the header says how much is to come. */
int
answer_read(int fd, struct answer *a, struct err *err)
{
	uint32_t want = TPM_HEADER_SIZE;

	a->size = 0;
	while (a->size < want) {
		ssize_t n = read(fd, a->bytes + a->size, WIRE_MAX - a->size);
		struct buf b;

		if (n <= 0)
			return err_set(err, ERR_CLOSED,
			    "the TPM does not answer");
		a->size += (size_t)n;
		b = buf_reader(a->bytes, a->size);
		if (buf_get_bytes(&b, NULL, 2) == 0 &&
		    buf_get_u32be(&b, &want) == 0)
			(void)buf_get_u32be(&b, &a->rc);
		if (want > WIRE_MAX)
			return err_set(err, ERR_FORMAT,
			    "an answer of %u bytes", want);
	}
	return 0;
}

int
answer_check(const struct answer *a, struct err *err)
{
	if (a->rc != TPM_RC_SUCCESS)
		return err_set(err, ERR_TPM, "the TPM answers 0x%x", a->rc);
	return 0;
}

int
command_ask(int fd, const struct command *c, struct answer *a,
    struct err *err)
{
	int rc;

	if ((rc = command_send(fd, c, err)) < 0)
		return rc;
	return answer_read(fd, a, err);
}

int
command_run(int fd, const struct command *c, size_t *size, struct err *err)
{
	struct answer a;
	int rc;

	if ((rc = command_ask(fd, c, &a, err)) < 0 ||
	    (rc = answer_check(&a, err)) < 0)
		return rc;
	if (size != NULL)
		*size = a.size;
	return 0;
}

/* A control command of u32 parameters; an answer of n_answer u32, whatever it
 * says. */
static int
exchange(int ctrl, const uint32_t *request, size_t n_request,
    uint32_t *answer, size_t n_answer, struct err *err)
{
	uint8_t bytes[64];
	struct buf b = buf_writer(bytes, sizeof(bytes));

	for (size_t i = 0; i < n_request; i++)
		buf_put_u32be(&b, request[i]);
	if (!buf_ok(&b) || fdio_write(ctrl, bytes, b.pos) < 0 ||
	    fdio_read(ctrl, bytes, n_answer * 4) < 0)
		return err_set(err, ERR_CLOSED, "the control channel does not "
		    "answer command %u (see the log)", request[0]);
	b = buf_reader(bytes, n_answer * 4);
	for (size_t i = 0; i < n_answer; i++)
		buf_get_u32be(&b, &answer[i]);
	return 0;
}

/* The same, and ERR_TPM unless the answer is a success. */
static int
ask(int ctrl, const uint32_t *request, size_t n_request, uint32_t *answer,
    size_t n_answer, struct err *err)
{
	int rc = exchange(ctrl, request, n_request, answer, n_answer, err);

	if (rc < 0)
		return rc;
	if (answer[0] != 0)
		return err_set(err, ERR_TPM, "control command %u gives 0x%x",
		    request[0], answer[0]);
	return 0;
}

int
ctrl_init(int ctrl, struct err *err)
{
	uint32_t request[] = { CMD_INIT, 0 }, answer;

	return ask(ctrl, request, 2, &answer, 1, err);
}

int
ctrl_init_incoming(int ctrl, struct err *err)
{
	uint32_t request[] = { CMD_INIT, INIT_DELETE_VOLATILE }, answer;

	return ask(ctrl, request, 2, &answer, 1, err);
}

int
ctrl_stop(int ctrl, struct err *err)
{
	uint32_t request[] = { CMD_STOP }, answer;

	return ask(ctrl, request, 1, &answer, 1, err);
}

int
ctrl_get_blob(int ctrl, uint32_t kind, struct state_blob *blob,
    struct err *err)
{
	uint32_t request[] = { CMD_GET_STATEBLOB, STATE_DECRYPTED, kind, 0 };
	uint32_t answer[4];
	int rc;

	if ((rc = exchange(ctrl, request, 4, answer, 4, err)) < 0)
		return rc;
	/* To QEMU this bit means that there is none, as swtpm says of what a
	 * TPM 2.0 has not. */
	if (answer[0] != 0 && (answer[0] & TPM_NON_FATAL) == 0)
		return err_set(err, ERR_TPM, "GET_STATEBLOB gives 0x%x",
		    answer[0]);
	blob->flags = answer[1];
	blob->size = answer[3];
	if (answer[2] != answer[3] || blob->size > sizeof(blob->bytes))
		return err_set(err, ERR_FORMAT, "a state blob came in pieces");
	if (blob->size > 0 &&
	    fdio_read(ctrl, blob->bytes, blob->size) < 0)
		return err_set(err, ERR_CLOSED, "a state blob is cut short");
	return 0;
}

int
ctrl_set_blob(int ctrl, uint32_t kind, const struct state_blob *blob,
    struct err *err)
{
	uint8_t head[16], answer[4];
	struct buf b = buf_writer(head, sizeof(head));

	buf_put_u32be(&b, CMD_SET_STATEBLOB);
	buf_put_u32be(&b, blob->flags);
	buf_put_u32be(&b, kind);
	buf_put_u32be(&b, (uint32_t)blob->size);
	/* In two writes, as QEMU does. */
	if (fdio_write(ctrl, head, sizeof(head)) < 0 ||
	    fdio_write(ctrl, blob->bytes, blob->size) < 0 ||
	    fdio_read(ctrl, answer, sizeof(answer)) < 0)
		return err_set(err, ERR_CLOSED, "SET_STATEBLOB failed");
	if (memcmp(answer, "\0\0\0\0", sizeof(answer)) != 0)
		return err_set(err, ERR_TPM, "the state blob is refused, see "
		    "the log");
	return 0;
}

int
blob_plain_size(const struct state_blob *blob, size_t *size, struct err *err)
{
	struct buf b = buf_reader(blob->bytes, blob->size);
	uint32_t n = 0;

	if (buf_get_bytes(&b, NULL, BLOB_SIZE_AT) < 0 ||
	    buf_get_u32be(&b, &n) < 0 || n > blob->size)
		return err_set(err, ERR_FORMAT, "not a sealed state blob");
	*size = n;
	return 0;
}

int
ctrl_data_fd(int ctrl, int *data, struct err *err)
{
	static const uint8_t request[] = { 0, 0, 0, CMD_SET_DATAFD };
	uint8_t answer[4];
	int pair[2];

	*data = -1;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_set(err, ERR_SYSTEM, "cannot make a socket pair");
	if (fdio_send(ctrl, request, sizeof(request), pair[1]) < 0 ||
	    fdio_read(ctrl, answer, sizeof(answer)) < 0 ||
	    memcmp(answer, "\0\0\0\0", sizeof(answer)) != 0) {
		close(pair[0]);
		close(pair[1]);
		return err_set(err, ERR_CLOSED, "SET_DATAFD failed");
	}
	close(pair[1]);
	*data = pair[0];
	return 0;
}

static int
stop_and_size(int ctrl, uint32_t size, struct err *err)
{
	uint32_t stop[] = { CMD_STOP }, set[] = { CMD_SET_BUFFERSIZE, size };
	uint32_t answer[4];
	int rc;

	if ((rc = ask(ctrl, stop, 1, answer, 1, err)) < 0)
		return rc;
	return ask(ctrl, set, 2, answer, 4, err);
}

int
ctrl_reset(int ctrl, struct err *err)
{
	int rc;

	if ((rc = stop_and_size(ctrl, 0, err)) < 0 ||
	    (rc = stop_and_size(ctrl, QEMU_BUFFER, err)) < 0)
		return rc;
	return ctrl_init(ctrl, err);
}

int
ctrl_state_size(int ctrl, size_t *size, struct err *err)
{
	uint32_t request[] = { CMD_GET_STATEBLOB, STATE_DECRYPTED,
		BLOB_PERMANENT, 0 };
	uint32_t answer[4];
	uint8_t bytes[512];
	size_t left;
	int rc;

	if ((rc = ask(ctrl, request, 4, answer, 4, err)) < 0)
		return rc;
	*size = answer[2];
	for (left = answer[3]; left > 0;) {
		size_t n = left < sizeof(bytes) ? left : sizeof(bytes);

		if (fdio_read(ctrl, bytes, n) < 0)
			return err_set(err, ERR_CLOSED,
			    "a state blob is cut short");
		left -= n;
	}
	return 0;
}
