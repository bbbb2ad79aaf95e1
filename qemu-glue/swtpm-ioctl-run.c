/* SPDX-License-Identifier: BSD-3-Clause */
#include "qemu-glue/swtpm-ioctl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fdio.h"
#include "base/secret.h"
#include "qemu-glue/ctrl-client.h"

/* No TPM's state is longer; vtpmd takes no more. */
#define BLOB_MAX (256u * 1024)
#define HASH_CHUNK 4096u
#define STATE_FLAG_DECRYPTED 1u

static int
plain(int sock, uint32_t command, const char *name, const void *body,
    size_t size, struct err *err)
{
	uint32_t result;
	int rc = ctrl_call_plain(sock, command, body, size, -1, &result, err);

	if (rc == 0 && result != 0)
		rc = err_set(err, ERR_TPM, "TPM result from PTM_%s: 0x%x",
		    name, result);
	return rc;
}

/* A command with answers behind the result, as words. */
static int
ask(int sock, uint32_t command, const char *name, const void *body,
    size_t body_size, uint32_t *words, size_t n, struct err *err)
{
	uint8_t answer[32];
	struct buf b;
	size_t size;
	int rc;

	if ((rc = ctrl_call(sock, command, body, body_size, -1, answer, 4 * n,
	    &size, err)) < 0)
		return rc;
	b = buf_reader(answer, size);
	for (size_t i = 0; i < n && buf_left(&b) >= 4; i++)
		buf_get_u32be(&b, &words[i]);
	if (words[0] != 0)
		return err_set(err, ERR_TPM, "TPM result from PTM_%s: 0x%x",
		    name, words[0]);
	return size == 4 * n ? 0 : err_set(err, ERR_FORMAT, "the answer to "
	    "PTM_%s is cut short", name);
}

static int
parse_number(const char *text, unsigned long max, const char *what,
    uint32_t *number, struct err *err)
{
	unsigned long n;
	char *end;

	errno = 0;
	n = strtoul(text, &end, 0);
	if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 ||
	    n > max)
		return err_set(err, ERR_USAGE, "%s", what);
	*number = (uint32_t)n;
	return 0;
}

static int
run_capability(int sock, const struct request *r, struct err *err)
{
	uint32_t words[2] = { 0 };
	int rc = ask(sock, CTRL_GET_CAPABILITY, "GET_CAPABILITY", NULL, 0,
	    words, 2, err);

	(void)r;
	if (rc == 0)
		printf("ptm capability is 0x%x\n", words[1]);
	return rc;
}

static int
run_config(int sock, const struct request *r, struct err *err)
{
	uint32_t words[2] = { 0 };
	int rc = ask(sock, CTRL_GET_CONFIG, "GET_CONFIG", NULL, 0, words, 2,
	    err);

	(void)r;
	if (rc == 0)
		printf("ptm configuration flags: 0x%x\n", words[1]);
	return rc;
}

static int
run_init(int sock, const struct request *r, struct err *err)
{
	/* PTM_INIT_FLAG_DELETE_VOLATILE */
	static const uint8_t flags[] = { 0, 0, 0, 1 };

	(void)r;
	return plain(sock, CTRL_INIT, "INIT", flags, sizeof(flags), err);
}

static int
run_stop(int sock, const struct request *r, struct err *err)
{
	(void)r;
	return plain(sock, CTRL_STOP, "STOP", NULL, 0, err);
}

static int
run_shutdown(int sock, const struct request *r, struct err *err)
{
	(void)r;
	return plain(sock, CTRL_SHUTDOWN, "SHUTDOWN", NULL, 0, err);
}

static int
run_established(int sock, const struct request *r, struct err *err)
{
	uint32_t words[2] = { 0 };
	int rc = ask(sock, CTRL_GET_TPMESTABLISHED, "GET_TPMESTABLISHED",
	    NULL, 0, words, 2, err);

	(void)r;
	if (rc == 0)
		printf("tpmEstablished is %u\n", words[1] >> 24);
	return rc;
}

static int
run_locality(int sock, const struct request *r, struct err *err)
{
	uint8_t body[4] = { 0 };
	uint32_t locality;
	int rc = parse_number(r->argument, 4,
	    "Locality outside valid range of [0..4].", &locality, err);

	if (rc < 0)
		return rc;
	body[0] = (uint8_t)locality;
	return r->command == 'l' ? plain(sock, CTRL_SET_LOCALITY,
	    "SET_LOCALITY", body, sizeof(body), err) :
	    plain(sock, CTRL_RESET_TPMESTABLISHED, "RESET_TPMESTABLISHED",
	    body, sizeof(body), err);
}

static int
run_store_volatile(int sock, const struct request *r, struct err *err)
{
	(void)r;
	return plain(sock, CTRL_STORE_VOLATILE, "STORE_VOLATILE", NULL, 0,
	    err);
}

static int
run_cancel(int sock, const struct request *r, struct err *err)
{
	(void)r;
	return plain(sock, CTRL_CANCEL_TPM_CMD, "CANCEL_TPM_CMD", NULL, 0,
	    err);
}

static int
hash_piece(int sock, const void *data, size_t size, struct err *err)
{
	uint8_t body[4 + HASH_CHUNK];
	struct buf b = buf_writer(body, sizeof(body));

	buf_put_u32be(&b, (uint32_t)size);
	buf_put_bytes(&b, data, size);
	return plain(sock, CTRL_HASH_DATA, "HASH_DATA", body, b.pos, err);
}

static int
hash_input(int sock, struct err *err)
{
	uint8_t data[HASH_CHUNK];
	ssize_t n;
	int rc = 0;

	while (rc == 0 && (n = read(STDIN_FILENO, data, sizeof(data))) != 0) {
		if (n > 0)
			rc = hash_piece(sock, data, (size_t)n, err);
		else if (errno != EINTR)
			rc = err_sys(err, errno, "cannot read standard input");
	}
	return rc;
}

static int
run_hash(int sock, const struct request *r, struct err *err)
{
	const char *at = r->argument;
	size_t left = strlen(at), n;
	int rc = plain(sock, CTRL_HASH_START, "HASH_START", NULL, 0, err);

	if (rc == 0 && strcmp(at, "-") == 0)
		rc = hash_input(sock, err);
	else
		for (; rc == 0 && left > 0; at += n, left -= n) {
			n = left < HASH_CHUNK ? left : HASH_CHUNK;
			rc = hash_piece(sock, at, n, err);
		}
	return rc < 0 ? rc : plain(sock, CTRL_HASH_END, "HASH_END", NULL, 0,
	    err);
}

static int
state_type(const char *name, uint32_t *type, struct err *err)
{
	static const char *const names[] = { "permanent", "volatile",
		"savestate" };

	for (uint32_t i = 0; i < 3; i++)
		if (strcmp(names[i], name) == 0) {
			*type = i + 1;
			return 0;
		}
	return err_set(err, ERR_USAGE, "Unknown TPM state type '%s'", name);
}

/* One piece of a blob, into the file. *offset goes on; *total is its size. */
static int
save_piece(int sock, uint32_t type, int fd, uint32_t *offset, uint32_t *total,
    struct err *err)
{
	uint8_t body[12], *data = NULL;
	struct buf b = buf_writer(body, sizeof(body));
	uint32_t words[4] = { 0 };
	int rc;

	buf_put_u32be(&b, STATE_FLAG_DECRYPTED);
	buf_put_u32be(&b, type);
	buf_put_u32be(&b, *offset);
	if ((rc = ask(sock, CTRL_GET_STATEBLOB, "GET_STATEBLOB", body,
	    sizeof(body), words, 4, err)) < 0)
		return rc;
	*total = words[2];
	if (words[3] > BLOB_MAX || words[3] > *total - *offset)
		return err_set(err, ERR_FORMAT, "the TPM sends a state blob "
		    "of %u bytes of %u", words[3], *total);
	if (words[3] == 0 && *offset < *total)
		return err_set(err, ERR_FORMAT, "the state blob is cut short");
	if (words[3] == 0)
		return 0;
	if ((data = malloc(words[3])) == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	if ((rc = ctrl_read_on(sock, data, words[3], err)) == 0 &&
	    fdio_write(fd, data, words[3]) < 0)
		rc = err_sys(err, errno, "Could not write to file");
	*offset += words[3];
	cleanse(data, words[3]);
	free(data);
	return rc;
}

static int
run_save(int sock, const struct request *r, struct err *err)
{
	uint32_t type = 0, offset = 0, total = 0;
	int fd, rc;

	if ((rc = state_type(r->type, &type, err)) < 0)
		return rc;
	fd = open(r->file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(err, errno, "Could not open file %s for "
		    "writing", r->file);
	do
		rc = save_piece(sock, type, fd, &offset, &total, err);
	while (rc == 0 && offset < total);
	if (close(fd) < 0 && rc == 0)
		rc = err_sys(err, errno, "Could not write to file %s",
		    r->file);
	if (rc < 0)
		unlink(r->file);
	return rc;
}

static int
read_blob(const char *path, uint8_t **body, size_t *size, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc = 0;
	struct stat st;

	*body = NULL;
	if (fd < 0 || fstat(fd, &st) < 0)
		rc = err_sys(err, errno, "Could not open file %s for reading",
		    path);
	else if (st.st_size < 0 || st.st_size > BLOB_MAX)
		rc = err_set(err, ERR_FORMAT, "%s is larger than any state",
		    path);
	else if ((*body = malloc(12 + (size_t)st.st_size)) == NULL)
		rc = err_set(err, ERR_INTERNAL, "out of memory");
	else if (fdio_read(fd, *body + 12, (size_t)st.st_size) < 0)
		rc = err_sys(err, errno, "cannot read %s", path);
	else
		*size = (size_t)st.st_size;
	if (fd >= 0)
		close(fd);
	return rc;
}

static int
run_load(int sock, const struct request *r, struct err *err)
{
	uint8_t *body = NULL;
	uint32_t type = 0;
	struct buf b;
	size_t size = 0;
	int rc;

	if ((rc = state_type(r->type, &type, err)) == 0 &&
	    (rc = read_blob(r->file, &body, &size, err)) == 0) {
		b = buf_writer(body, 12);
		/* What it is shows in the blob itself. */
		buf_put_u32be(&b, 0);
		buf_put_u32be(&b, type);
		buf_put_u32be(&b, (uint32_t)size);
		rc = plain(sock, CTRL_SET_STATEBLOB, "SET_STATEBLOB", body,
		    12 + size, err);
		cleanse(body, 12 + size);
	}
	free(body);
	return rc;
}

static int
run_buffersize(int sock, const struct request *r, struct err *err)
{
	uint32_t words[4] = { 0 }, wanted;
	uint8_t body[4];
	struct buf b = buf_writer(body, sizeof(body));
	int rc = parse_number(r->argument, UINT32_MAX,
	    "The buffersize is not a number.", &wanted, err);

	if (rc < 0)
		return rc;
	buf_put_u32be(&b, wanted);
	if ((rc = ask(sock, CTRL_SET_BUFFERSIZE, "SET_BUFFERSIZE", body,
	    sizeof(body), words, 4, err)) == 0)
		printf("TPM buffersize: %u\nminimum size  : %u\n"
		    "maximum size  : %u\n", words[1], words[2], words[3]);
	return rc;
}

static int
run_info(int sock, const struct request *r, struct err *err)
{
	/* flags, offset and a word of padding, as swtpm's has */
	uint8_t body[16] = { 0 };
	struct buf b = buf_writer(body, sizeof(body));
	uint32_t words[3] = { 0 }, flags;
	char *text;
	int rc;

	if ((rc = parse_number(r->argument, UINT32_MAX,
	    "The flags are not a number.", &flags, err)) < 0)
		return rc;
	buf_put_u64be(&b, flags);
	if ((rc = ask(sock, CTRL_GET_INFO, "GET_INFO", body, sizeof(body),
	    words, 3, err)) < 0)
		return rc;
	if (words[2] > BLOB_MAX || (text = malloc(words[2] + 1)) == NULL)
		return err_set(err, ERR_FORMAT, "the TPM says too much of "
		    "itself");
	text[words[2]] = '\0';
	if ((rc = ctrl_read_on(sock, (uint8_t *)text, words[2], err)) == 0)
		printf("%s\n", text);
	free(text);
	return rc;
}

static int
run_lock_storage(int sock, const struct request *r, struct err *err)
{
	uint32_t tries;
	uint8_t body[4];
	struct buf b = buf_writer(body, sizeof(body));
	int rc = parse_number(r->argument, UINT32_MAX,
	    "The number of tries is not one.", &tries, err);

	buf_put_u32be(&b, rc < 0 ? 0 : tries);
	return rc < 0 ? rc : plain(sock, CTRL_LOCK_STORAGE, "LOCK_STORAGE",
	    body, sizeof(body), err);
}

static const struct {
	int option;
	int (*run)(int sock, const struct request *r, struct err *err);
} commands[] = {
	{ 'c', run_capability }, { 'g', run_config }, { 'i', run_init },
	{ OPT_STOP, run_stop }, { 's', run_shutdown },
	{ 'e', run_established }, { 'l', run_locality },
	{ 'r', run_locality }, { 'v', run_store_volatile },
	{ 'C', run_cancel }, { 'h', run_hash }, { OPT_SAVE, run_save },
	{ OPT_LOAD, run_load }, { 'b', run_buffersize },
	{ OPT_INFO, run_info }, { OPT_LOCK_STORAGE, run_lock_storage },
};
#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

int
ioctl_run(int sock, const struct request *r, struct err *err)
{
	for (size_t i = 0; i < N_COMMANDS; i++)
		if (commands[i].option == r->command)
			return commands[i].run(sock, r, err);
	return err_set(err, ERR_INTERNAL, "there is no such command");
}
