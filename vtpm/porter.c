/* SPDX-License-Identifier: BSD-3-Clause */
#include "vtpm/porter.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fdio.h"
#include "nvram-crypt/freshness-instance.h"
#include "nvram-crypt/freshness.h"
#include "vtpm/sandbox.h"

#define REQUEST_SIZE (4 + UUID_SIZE + 8)
#define TEXT_MAX 512u

enum request { LOOK = 1, MAKE, NAME, UNNAME, INSTANCE };

/* -- the process -- */

struct work {
	int sock;
	struct new_file *file;
	const struct porter_places *places;
};

static int
serve(const struct work *w, uint32_t what, const uint8_t uuid[UUID_SIZE],
    uint64_t epoch, int *fd, struct err *err)
{
	*fd = -1;
	switch (what) {
	case LOOK:
	case MAKE:
		if (w->places->native == NULL)
			return err_set(err, ERR_NOTFOUND, "no records");
		return freshness_record_fd(w->places->native, uuid,
		    what == MAKE, epoch, fd, err);
	case INSTANCE:
		return freshness_instance_open(w->places->instances, uuid, fd,
		    err);
	case NAME:
		return new_file_finish(w->file, err);
	case UNNAME:
		new_file_unname(w->file);
		return 0;
	default:
		return err_set(err, ERR_FORMAT, "a request that there is not");
	}
}

/* False at the end of the monitor. */
static bool
serve_one(const struct work *w)
{
	uint8_t request[REQUEST_SIZE], answer[4 + TEXT_MAX] = { 0 };
	uint8_t uuid[UUID_SIZE];
	struct err err = { 0 };
	uint32_t what = 0;
	uint64_t epoch = 0;
	struct buf b;
	int fd, rc;
	ssize_t n;

	n = fdio_recv(w->sock, request, sizeof(request), &fd);
	if (fd >= 0)
		close(fd);
	if (n != (ssize_t)sizeof(request))
		return false;
	b = buf_reader(request, sizeof(request));
	buf_get_u32be(&b, &what);
	buf_get_bytes(&b, uuid, sizeof(uuid));
	buf_get_u64be(&b, &epoch);
	rc = serve(w, what, uuid, epoch, &fd, &err);
	b = buf_writer(answer, sizeof(answer));
	buf_put_u32be(&b, (uint32_t)-rc);
	buf_put_bytes(&b, err.text, strnlen(err.text, TEXT_MAX - 1));
	rc = fdio_send(w->sock, answer, sizeof(answer), fd);
	if (fd >= 0)
		close(fd);
	return rc == 0;
}

static _Noreturn void
run(const struct work *w)
{
	const struct porter_places *p = w->places;
	int records[] = { p->native != NULL ? native_records_fd(p->native) :
		-1, p->instances };
	int keep[] = { w->sock, new_file_fd(w->file), records[0],
		records[1] };
	struct err err = { 0 };

	(void)prctl(PR_SET_NAME, "vtpmd-porter");
	/* It ends in its own time, having tidied up, and is nobody's whose
	 * signals it would get. */
	(void)prctl(PR_SET_PDEATHSIG, 0);
	(void)setsid();
	if (sandbox_descriptors(keep, 4, &err) == 0 &&
	    sandbox_paths_porter(p->file, records, 2, &err) == 0 &&
	    sandbox_syscalls_porter(&err) == 0)
		while (serve_one(w))
			;
	new_file_free(w->file);
	_exit(err.code != 0);
}

int
porter_start(struct porter *p, struct new_file *f,
    const struct porter_places *places, struct err *err)
{
	struct work w = { .file = f, .places = places };
	int ends[2], rc = 0;

	p->sock = -1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) {
		rc = err_sys(err, errno, "cannot make a socket pair");
		new_file_free(f);
		return rc;
	}
	w.sock = ends[1];
	p->pid = fork();
	if (p->pid == 0) {
		/* Or its own copy would keep it from seeing the end. */
		close(ends[0]);
		run(&w);
	}
	close(ends[1]);
	if (p->pid < 0) {
		rc = err_sys(err, errno, "cannot start a process");
		close(ends[0]);
		new_file_free(f);
		return rc;
	}
	p->sock = ends[0];
	new_file_leave(f);
	return 0;
}

/* -- the monitor's side -- */

static int
ask(const struct porter *p, enum request what,
    const uint8_t uuid[UUID_SIZE], uint64_t epoch, int *fd, struct err *err)
{
	uint8_t request[REQUEST_SIZE], answer[4 + TEXT_MAX];
	struct buf b = buf_writer(request, sizeof(request));
	uint32_t code = 0;

	*fd = -1;
	buf_put_u32be(&b, what);
	buf_put_bytes(&b, uuid, UUID_SIZE);
	buf_put_u64be(&b, epoch);
	if (p->sock < 0 || fdio_send(p->sock, request, sizeof(request),
	    -1) < 0 || fdio_recv(p->sock, answer, sizeof(answer), fd) !=
	    (ssize_t)sizeof(answer))
		return err_set(err, ERR_CLOSED, "the process that makes the "
		    "file is gone");
	b = buf_reader(answer, sizeof(answer));
	buf_get_u32be(&b, &code);
	if (code == 0)
		return 0;
	answer[sizeof(answer) - 1] = '\0';
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	return err_set(err, -(int)code, "%s", (const char *)answer + b.pos);
}

int
porter_record(const struct porter *p, const uint8_t uuid[UUID_SIZE],
    bool make, uint64_t epoch, int *fd, struct err *err)
{
	return ask(p, make ? MAKE : LOOK, uuid, epoch, fd, err);
}

int
porter_instance(const struct porter *p, const uint8_t uuid[UUID_SIZE],
    int *fd, struct err *err)
{
	return ask(p, INSTANCE, uuid, 0, fd, err);
}

int
porter_name(const struct porter *p, struct err *err)
{
	static const uint8_t none[UUID_SIZE];
	int fd;

	return ask(p, NAME, none, 0, &fd, err);
}

void
porter_unname(const struct porter *p)
{
	static const uint8_t none[UUID_SIZE];
	int fd;

	(void)ask(p, UNNAME, none, 0, &fd, NULL);
}

void
porter_end(struct porter *p)
{
	int status;

	if (p->sock < 0)
		return;
	close(p->sock);
	p->sock = -1;
	while (wait4(p->pid, &status, 0, NULL) < 0 && errno == EINTR)
		;
}
