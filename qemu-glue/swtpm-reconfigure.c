/* SPDX-License-Identifier: BSD-3-Clause */
#include <config.h>

#include "qemu-glue/swtpm-setup.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fdio.h"
#include "qemu-glue/argv.h"
#include "qemu-glue/ctrl-client.h"
#include "qemu-glue/swtpm-key.h"

#define PROGRAM "vtpmd"
#define ANSWER_MAX 4096
#define BANKS_MAX 16
#define SELECT_MAX 8	/* bytes of a bank's selection */

/* TPM 2.0 Part 2. */
enum { ST_NO_SESSIONS = 0x8001, ST_SESSIONS = 0x8002, CAP_PCRS = 5 };
enum { CC_PCR_ALLOCATE = 0x12b, CC_STARTUP = 0x144, CC_SHUTDOWN = 0x145,
	CC_GET_CAPABILITY = 0x17a };
#define RH_PLATFORM 0x4000000cu
#define RS_PW 0x40000009u

struct bank {
	uint16_t hash;
	uint8_t bytes;
	bool wanted;
};

struct session {
	int ctrl, tpm;
	pid_t vtpmd;
	uint8_t answer[ANSWER_MAX];
};

static const struct {
	const char *name;
	uint16_t hash;		/* TPM_ALG_ID, TCG Algorithm Registry */
} names[] = { { "sha1", 0x0004 }, { "sha256", 0x000b }, { "sha384", 0x000c },
	{ "sha512", 0x000d } };

static int
control(struct session *s, uint32_t command, const char *what,
    const void *body, size_t size, int fd, struct err *err)
{
	uint32_t result = 0;
	int rc = ctrl_call_plain(s->ctrl, command, body, size, fd, &result,
	    err);

	if (rc == 0 && result != 0)
		rc = err_set(err, ERR_TPM, "%s: vtpmd answers 0x%x", what,
		    result);
	return rc;
}

/* body: all of a command behind its header. *reply: the same of the answer. */
static int
tpm(struct session *s, uint16_t tag, uint32_t code, const struct buf *body,
    struct buf *reply, struct err *err)
{
	uint8_t command[512];
	struct buf b = buf_writer(command, sizeof(command));
	uint32_t size, result;

	buf_put_u16be(&b, tag);
	buf_put_u32be(&b, 10 + (uint32_t)body->pos);
	buf_put_u32be(&b, code);
	buf_put_bytes(&b, body->data, body->pos);
	if (!buf_ok(&b))
		return err_set(err, ERR_INTERNAL, "a command is too long");
	if (fdio_write(s->tpm, command, b.pos) < 0 ||
	    fdio_read(s->tpm, s->answer, 10) < 0)
		return err_set(err, ERR_CLOSED, "vtpmd has gone");
	b = buf_reader(s->answer, 10);
	buf_get_u16be(&b, &tag);
	buf_get_u32be(&b, &size);
	buf_get_u32be(&b, &result);
	if (size < 10 || size > sizeof(s->answer) ||
	    fdio_read(s->tpm, s->answer + 10, size - 10) < 0)
		return err_set(err, ERR_CLOSED, "vtpmd has gone");
	if (result != 0)
		return err_set(err, ERR_TPM, "the TPM answers command 0x%x "
		    "with 0x%x", code, result);
	*reply = buf_reader(s->answer + 10, size - 10);
	return 0;
}

/* TPM2_Startup or TPM2_Shutdown with TPM_SU_CLEAR. */
static int
simple(struct session *s, uint32_t code, struct err *err)
{
	uint8_t room[2];
	struct buf body = buf_writer(room, sizeof(room)), reply;

	buf_put_u16be(&body, 0);
	return tpm(s, ST_NO_SESSIONS, code, &body, &reply, err);
}

/* The banks that this TPM has: TPM2_GetCapability, Part 3, 30.2. */
static int
get_banks(struct session *s, struct bank banks[BANKS_MAX], size_t *n,
    struct err *err)
{
	uint8_t room[12], more, select[SELECT_MAX];
	struct buf body = buf_writer(room, sizeof(room)), reply;
	uint32_t cap = 0, count = 0;
	int rc;

	buf_put_u32be(&body, CAP_PCRS);
	buf_put_u32be(&body, 0);
	buf_put_u32be(&body, BANKS_MAX);
	if ((rc = tpm(s, ST_NO_SESSIONS, CC_GET_CAPABILITY, &body, &reply,
	    err)) < 0)
		return rc;
	buf_get_u8(&reply, &more);
	buf_get_u32be(&reply, &cap);
	buf_get_u32be(&reply, &count);
	if (!buf_ok(&reply) || cap != CAP_PCRS || count > BANKS_MAX)
		return err_set(err, ERR_FORMAT, "the TPM does not tell its "
		    "PCR banks");
	for (*n = 0; *n < count; (*n)++) {
		banks[*n] = (struct bank){ 0 };
		buf_get_u16be(&reply, &banks[*n].hash);
		buf_get_u8(&reply, &banks[*n].bytes);
		if (banks[*n].bytes > SELECT_MAX)
			return err_set(err, ERR_FORMAT, "the TPM has too many "
			    "PCRs");
		buf_get_bytes(&reply, select, banks[*n].bytes);
	}
	return buf_ok(&reply) ? 0 : err_set(err, ERR_FORMAT, "the TPM's answer "
	    "is cut short");
}

static bool
is_listed(const char *list, uint16_t hash)
{
	if (strcmp(list, "-") == 0)
		return true;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		size_t size = strlen(names[i].name);

		if (names[i].hash != hash)
			continue;
		for (const char *at = list; *at != '\0';
		    at += strcspn(at, ","), at += *at == ',')
			if (strncmp(at, names[i].name, size) == 0 &&
			    (at[size] == ',' || at[size] == '\0'))
				return true;
	}
	return false;
}

/* As swtpm_setup: what it does not know is left out, if anything is left. */
static int
choose(struct bank *banks, size_t n, const char *list, struct err *err)
{
	bool any = false;

	for (size_t i = 0; i < n; i++)
		any |= banks[i].wanted = is_listed(list, banks[i].hash);
	return any ? 0 : err_set(err, ERR_USAGE, "No PCR banks could be "
	    "allocated. None of the selected algorithms are supported.");
}

/* TPM2_PCR_Allocate, Part 3, 22.5; platformAuth is empty after a start. */
static int
allocate(struct session *s, const struct bank *banks, size_t n,
    struct err *err)
{
	static const uint8_t all[SELECT_MAX] = { 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff, 0xff, 0xff };
	uint8_t room[256], done = 0;
	struct buf body = buf_writer(room, sizeof(room)), reply;
	int rc;

	buf_put_u32be(&body, RH_PLATFORM);
	buf_put_u32be(&body, 9);	/* one session: a password */
	buf_put_u32be(&body, RS_PW);
	buf_put_u16be(&body, 0);
	buf_put_u8(&body, 0);
	buf_put_u16be(&body, 0);
	buf_put_u32be(&body, (uint32_t)n);
	for (size_t i = 0; i < n; i++) {
		buf_put_u16be(&body, banks[i].hash);
		buf_put_u8(&body, banks[i].bytes);
		if (banks[i].wanted)
			buf_put_bytes(&body, all, banks[i].bytes);
		else
			buf_put_zero(&body, banks[i].bytes);
	}
	if (!buf_ok(&body))
		return err_set(err, ERR_INTERNAL, "too many PCR banks");
	if ((rc = tpm(s, ST_SESSIONS, CC_PCR_ALLOCATE, &body, &reply,
	    err)) < 0)
		return rc;
	buf_get_bytes(&reply, NULL, 4);	/* parameters' size */
	buf_get_u8(&reply, &done);
	return done == 1 ? 0 : err_set(err, ERR_TPM, "the TPM does not "
	    "allocate these PCR banks");
}

static int
power_on(struct session *s, struct err *err)
{
	static const uint8_t no_flags[4];
	int rc = control(s, CTRL_INIT, "INIT", no_flags, sizeof(no_flags), -1,
	    err);

	return rc < 0 ? rc : simple(s, CC_STARTUP, err);
}

/* It takes hold with the next start, which shows that the file has it. */
static int
reconfigure(struct session *s, const char *list, struct err *err)
{
	struct bank banks[BANKS_MAX];
	size_t n = 0;
	int rc;

	if ((rc = power_on(s, err)) < 0 ||
	    (rc = get_banks(s, banks, &n, err)) < 0 ||
	    (rc = choose(banks, n, list, err)) < 0 ||
	    (rc = allocate(s, banks, n, err)) < 0 ||
	    (rc = simple(s, CC_SHUTDOWN, err)) < 0 ||
	    (rc = control(s, CTRL_STOP, "STOP", NULL, 0, -1, err)) < 0 ||
	    (rc = power_on(s, err)) < 0)
		return rc;
	return simple(s, CC_SHUTDOWN, err);
}

static _Noreturn void
execute(const struct swtpm_store *store, int client, int passphrase)
{
	struct argv a = { 0 };

	argv_add(&a, PROGRAM);
	argv_add(&a, "--nvram");
	argv_add(&a, store->nvram);
	argv_add(&a, "--client-fd");
	argv_addf(&a, "%d", client);
	argv_add(&a, "--log-level");
	argv_add(&a, "warning");
	if (passphrase >= 0) {
		argv_add(&a, "--passphrase-fd");
		argv_addf(&a, "%d", passphrase);
	}
	if (store->config != NULL) {
		argv_add(&a, "--config");
		argv_add(&a, store->config);
	}
	if (geteuid() == 0) {
		argv_add(&a, "--user");
		argv_add(&a, "root");
	}
	if (a.failed)
		_exit(127);
	execvp(PROGRAM, a.words);
	execv(BINDIR "/" PROGRAM, a.words);
	fprintf(stderr, "cannot execute " PROGRAM ": %s\n", strerror(errno));
	_exit(127);
}

static int
start(struct session *s, const struct swtpm_store *store, int passphrase,
    struct err *err)
{
	int ctrl[2], data[2], rc;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, ctrl) < 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, data) < 0 ||
	    (s->vtpmd = fork()) < 0)
		return err_sys(err, errno, "cannot run " PROGRAM);
	if (s->vtpmd == 0) {
		close(ctrl[0]);
		execute(store, ctrl[1], passphrase);
	}
	close(ctrl[1]);
	s->ctrl = ctrl[0];
	s->tpm = data[0];
	rc = control(s, CTRL_SET_DATAFD, "SET_DATAFD", NULL, 0, data[1], err);
	close(data[1]);
	return rc;
}

int
setup_reconfigure(const struct swtpm_store *store, const char *banks,
    const struct secret *passphrase, struct err *err)
{
	struct session s = { .ctrl = -1, .tpm = -1 };
	struct err ignored = { 0 };
	int fd = -1, status = 0, rc = 0;

	if (passphrase != NULL)
		rc = swtpm_key_descriptor(passphrase, &fd, err);
	if (rc == 0)
		rc = start(&s, store, fd, err);
	if (rc == 0)
		rc = reconfigure(&s, banks, err);
	if (s.ctrl >= 0) {
		(void)control(&s, CTRL_SHUTDOWN, "SHUTDOWN", NULL, 0, -1,
		    rc < 0 ? &ignored : err);
		close(s.ctrl);
		close(s.tpm);
	}
	if (fd >= 0)
		close(fd);
	while (s.vtpmd > 0 && waitpid(s.vtpmd, &status, 0) < 0)
		if (errno != EINTR)
			return err_sys(err, errno, "cannot wait for " PROGRAM);
	if (rc == 0 && status != 0)
		rc = err_set(err, ERR_SYSTEM, PROGRAM " has failed");
	return rc;
}
