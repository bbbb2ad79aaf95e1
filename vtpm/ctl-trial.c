/* SPDX-License-Identifier: BSD-3-Clause */
/* Whether this host's libtpms takes a state, tried before a file is made of it:
 * in a process of its own, confined like a worker, for the bytes come from
 * elsewhere, and libtpms has one TPM per process. */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fdio.h"
#include "nvram-crypt/crypto.h"
#include "vtpm/ctl-receive.h"
#include "vtpm/sandbox.h"
#include "vtpm/tpm.h"

/* How the process ends. */
enum { TAKEN = 0, REFUSED = 10, NOT_CONFINED = 11, NOT_STARTED = 12 };

/* -- in that process -- */

/* The parent's secrets are gone in it: the state comes over a socket. */
struct trial {
	struct nvram_record records[2];
};

static int
load(void *ctx, enum tpm_state which, const uint8_t **data, size_t *size)
{
	const struct trial *t = ctx;
	const struct nvram_record *r;

	if (which == TPM_STATE_SAVESTATE)
		return ERR_NOTFOUND;
	r = &t->records[which == TPM_STATE_PERMANENT ? 0 : 1];
	if (r->size == 0)
		return ERR_NOTFOUND;
	*data = r->data;
	*size = r->size;
	return 0;
}

/* The copy is thrown away. */
static int
store(void *ctx, enum tpm_state which, const uint8_t *data, size_t size)
{
	(void)ctx;
	(void)which;
	(void)data;
	(void)size;
	return 0;
}

static int
confine(int sock)
{
	int rc;

	if ((rc = sandbox_process(NULL)) < 0 ||
	    (rc = sandbox_descriptors(&sock, 1, NULL)) < 0 ||
	    (rc = sandbox_paths(NULL)) < 0)
		return rc;
	return sandbox_syscalls_worker(NULL);
}

static int
receive(int sock, struct trial *t)
{
	for (size_t i = 0; i < 2; i++) {
		struct nvram_record *r = &t->records[i];
		uint8_t *bytes;

		if (fdio_read(sock, &r->size, sizeof(r->size)) < 0 ||
		    (bytes = malloc(r->size + 1)) == NULL)
			return ERR_SYSTEM;
		r->data = bytes;
		if (fdio_read(sock, bytes, r->size) < 0)
			return ERR_SYSTEM;
	}
	return 0;
}

static _Noreturn void
run_trial(int sock)
{
	static struct trial trial;
	static const struct tpm_storage storage = { .ctx = &trial,
		.load = load, .store = store };
	OSSL_LIB_CTX *lib = crypto_tpm_context(true, NULL);

	if (lib == NULL)
		_exit(NOT_STARTED);
	/* libtpms uses what the calling thread's default context is. */
	(void)OSSL_LIB_CTX_set0_default(lib);
	if (tpm_setup(&storage) != 0)
		_exit(NOT_STARTED);
	if (confine(sock) < 0)
		_exit(NOT_CONFINED);
	if (receive(sock, &trial) < 0)
		_exit(NOT_STARTED);
	_exit(tpm_power_on() == 0 ? TAKEN : REFUSED);
}

/* -- in this one -- */

/* A trial that has ended already says why by its status. */
static void
send_whole(int sock, const void *data, size_t size)
{
	const uint8_t *bytes = data;

	while (size > 0) {
		ssize_t n = send(sock, bytes, size, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		bytes += n;
		size -= (size_t)n;
	}
}

static void
send_state(int sock, const struct ctl_arrival *a)
{
	static const uint32_t kinds[2] = { NVRAM_PERMANENT, NVRAM_VOLATILE };

	for (size_t k = 0; k < 2; k++) {
		const struct nvram_record none = { 0 }, *r = &none;

		for (size_t i = 0; i < a->n_records; i++)
			if (a->records[i].kind == kinds[k])
				r = &a->records[i];
		send_whole(sock, &r->size, sizeof(r->size));
		send_whole(sock, r->data, r->size);
	}
}

static int
say_why(int status, struct err *err)
{
	uint32_t v = tpm_library_version();

	if (WIFEXITED(status) && WEXITSTATUS(status) == NOT_STARTED)
		return err_set(err, ERR_TPM, "libtpms does not start");
	if (WIFEXITED(status) && WEXITSTATUS(status) == NOT_CONFINED)
		return err_set(err, ERR_SYSTEM, "the process that tries the "
		    "state cannot be confined");
	return err_set(err, ERR_TPM, "libtpms %u.%u.%u of this host does not "
	    "take the state: a later one wrote it, or it is damaged",
	    v >> 16 & 0xff, v >> 8 & 0xff, v & 0xff);
}

int
ctl_try_state(const struct ctl_arrival *a, struct err *err)
{
	int sock[2], status = 0;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sock) < 0)
		return err_sys(err, errno, "cannot make a socket");
	if ((pid = fork()) == 0) {
		close(sock[0]);
		run_trial(sock[1]);
	}
	close(sock[1]);
	if (pid < 0) {
		close(sock[0]);
		return err_sys(err, errno, "cannot start a process");
	}
	send_state(sock[0], a);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR) {
			close(sock[0]);
			return err_sys(err, errno, "cannot wait for a "
			    "process");
		}
	close(sock[0]);
	return WIFEXITED(status) && WEXITSTATUS(status) == TAKEN ? 0 :
	    say_why(status, err);
}
