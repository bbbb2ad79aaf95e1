/* SPDX-License-Identifier: BSD-3-Clause */
#include "qemu-glue/swtpm-relay.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fdio.h"
#include "qemu-glue/ctrl-client.h"
#include "vtpm/sandbox.h"
#include "vtpm/syscall-filter.h"

#define TPM_HEADER 10		/* tag, size, code */
#define COMMAND_MAX 4096	/* what vtpmd's worker takes */
/* The TCG simulator's protocol, on its two ports. */
#define SIM_HEADER 9		/* command, locality, size */
#define SIM_SEND_COMMAND 8u
#define SIM_SESSION_END 20u
#define SIM_STOP 21u
enum { SIM_POWER_ON = 1, SIM_POWER_OFF = 2, SIM_CANCEL_ON = 9,
	SIM_CANCEL_OFF = 10, SIM_NV_ON = 11, SIM_NV_OFF = 12, SIM_RESET = 17 };
/* Linux's vTPM proxy driver, include/uapi/linux/vtpm_proxy.h. */
#define TPM2_CC_SET_LOCALITY 0x20001000u

struct state {
	struct relay r;
	int ctrl, tpm;		/* to vtpmd */
	int client;		/* -1: none */
	int signaller;		/* a client of the simulator's other port; -1 */
	bool powered;		/* as its signals go */
	uint8_t locality;	/* that was last set */
	uint8_t in[SIM_HEADER + COMMAND_MAX + 1];
	size_t have;
	uint8_t out[4 + COMMAND_MAX + 4];
};

static void
get_u32(const uint8_t *at, uint32_t *v)
{
	struct buf b = buf_reader(at, 4);

	buf_get_u32be(&b, v);
}

/* One command to the TPM; the answer behind out's first four bytes. */
static int
exchange(struct state *s, const uint8_t *command, size_t size, size_t *answer)
{
	uint8_t *at = s->out + 4;
	uint32_t announced;

	if (fdio_write(s->tpm, command, size) < 0 ||
	    fdio_read(s->tpm, at, TPM_HEADER) < 0)
		return ERR_CLOSED;
	get_u32(at + 2, &announced);
	if (announced < TPM_HEADER || announced > COMMAND_MAX ||
	    fdio_read(s->tpm, at + TPM_HEADER, announced - TPM_HEADER) < 0)
		return ERR_CLOSED;
	*answer = announced;
	return 0;
}

static uint32_t
order(struct state *s, uint32_t command, const void *body, size_t size, int fd)
{
	struct err err = { 0 };
	uint32_t result = UINT32_MAX;

	if (ctrl_call_plain(s->ctrl, command, body, size, fd, &result,
	    &err) < 0)
		return UINT32_MAX;
	return result;
}

static void
set_locality(struct state *s, uint8_t locality)
{
	if (locality != s->locality && order(s, CTRL_SET_LOCALITY, &locality,
	    1, -1) == 0)
		s->locality = locality;
}

/* TPM2_SetLocality is the driver's word to the emulator, not the TPM's. */
static bool
is_set_locality(const struct state *s, const uint8_t *command, size_t size)
{
	uint32_t code;

	if (!s->r.set_locality || size != TPM_HEADER + 1)
		return false;
	get_u32(command + 6, &code);
	return code == TPM2_CC_SET_LOCALITY;
}

static size_t
answer_set_locality(struct state *s, uint8_t locality)
{
	static const uint32_t tpm_rc_locality = 0x107;
	struct buf b = buf_writer(s->out + 4, TPM_HEADER);
	uint32_t result = order(s, CTRL_SET_LOCALITY, &locality, 1, -1);

	if (result == 0)
		s->locality = locality;
	buf_put_u16be(&b, 0x8001);
	buf_put_u32be(&b, TPM_HEADER);
	buf_put_u32be(&b, result == 0 ? 0 : tpm_rc_locality);
	return TPM_HEADER;
}

/* Behind the simulator's header the answer has its size before it and a word
 * of zero behind it. */
static int
serve(struct state *s, const uint8_t *command, size_t size, bool header)
{
	size_t n = 0, from = header ? 0 : 4;
	struct buf b;

	if (is_set_locality(s, command, size))
		n = answer_set_locality(s, command[TPM_HEADER]);
	else if (exchange(s, command, size, &n) < 0)
		return ERR_CLOSED;
	b = buf_writer(s->out, 4);
	buf_put_u32be(&b, (uint32_t)n);
	memset(s->out + 4 + n, 0, 4);
	/* Who does not take it is gone, which the next read shows. */
	(void)fdio_write(s->client, s->out + from,
	    4 + n + (header ? 4 : 0) - from);
	return 0;
}

/* How long what lies in front of s->in is: 0 while it is not whole, -1 where it
 * ends the connection. */
static ssize_t
whole(const struct state *s, size_t *prefix)
{
	uint32_t word, size;

	*prefix = 0;
	if (s->have < 4)
		return 0;
	get_u32(s->in, &word);
	if (word == SIM_SESSION_END || word == SIM_STOP)
		return -1;
	if (word == SIM_SEND_COMMAND) {
		if (s->have < SIM_HEADER)
			return 0;
		get_u32(s->in + 5, &size);
		*prefix = SIM_HEADER;
		if (size > COMMAND_MAX)
			return -1;
		return s->have < SIM_HEADER + size ? 0 :
		    (ssize_t)(SIM_HEADER + size);
	}
	if (s->have < 6)
		return 0;
	get_u32(s->in + 2, &size);
	/* What can not be one goes to the TPM all the same, which says so. */
	if (size < TPM_HEADER || size > COMMAND_MAX)
		return (ssize_t)s->have;
	return s->have < size ? 0 : (ssize_t)size;
}

/* What is whole is served. 0, 1 when the client is done with, or
 * ERR_CLOSED. */
static int
serve_all(struct state *s)
{
	size_t prefix;
	ssize_t n;

	while ((n = whole(s, &prefix)) > 0) {
		if (prefix > 0)
			set_locality(s, s->in[4]);
		if (serve(s, s->in + prefix, (size_t)n - prefix,
		    prefix > 0) < 0)
			return ERR_CLOSED;
		s->have -= (size_t)n;
		memmove(s->in, s->in + n, s->have);
		if (s->r.disconnect)
			return 1;
	}
	return n < 0;
}

/* Reads from the client; as serve_all. */
static int
on_client(struct state *s)
{
	ssize_t n = read(s->client, s->in + s->have, sizeof(s->in) - s->have);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return 0;
	if (n <= 0)
		return 1;
	s->have += (size_t)n;
	return serve_all(s);
}

static uint32_t
power(struct state *s, bool on)
{
	static const uint8_t no_flags[4];
	uint32_t result = on ? order(s, CTRL_INIT, no_flags, sizeof(no_flags),
	    -1) : order(s, CTRL_STOP, NULL, 0, -1);

	s->powered = on && result == 0;
	return result;
}

/* A client switches on what is on, each time that it comes. NV memory is always
 * there. */
static int
on_signal(struct state *s)
{
	uint8_t answer[4];
	struct buf b = buf_writer(answer, sizeof(answer));
	uint32_t signal_number, result = 0;

	if (fdio_read(s->signaller, answer, sizeof(answer)) < 0)
		return 1;
	get_u32(answer, &signal_number);
	switch (signal_number) {
	case SIM_POWER_ON:
		if (!s->powered)
			result = power(s, true);
		break;
	case SIM_POWER_OFF:
		result = power(s, false);
		break;
	case SIM_RESET:
		if ((result = power(s, false)) == 0)
			result = power(s, true);
		break;
	case SIM_CANCEL_ON:
		result = order(s, CTRL_CANCEL_TPM_CMD, NULL, 0, -1);
		break;
	case SIM_CANCEL_OFF:
	case SIM_NV_ON:
	case SIM_NV_OFF:
		break;
	default:
		/* The end of its session, or what nobody answers. */
		return 1;
	}
	buf_put_u32be(&b, result);
	return fdio_write(s->signaller, answer, sizeof(answer)) < 0;
}

/* True where nobody can come any more, or nobody shall. */
static bool
client_gone(struct state *s)
{
	close(s->client);
	s->client = -1;
	s->have = 0;
	if (s->r.disconnect && !s->r.terminate && s->r.listen >= 0)
		return false;
	return s->r.terminate || s->r.listen < 0;
}

static void
run(struct state *s)
{
	for (;;) {
		struct pollfd p[] = {
			{ s->ctrl, POLLIN, 0 },
			{ s->client, POLLIN, 0 },
			{ s->client < 0 ? s->r.listen : -1, POLLIN, 0 },
			{ s->signaller, POLLIN, 0 },
			{ s->signaller < 0 ? s->r.platform : -1, POLLIN, 0 },
		};
		int rc = 0;

		if (poll(p, 5, -1) < 0 && errno != EINTR)
			return;
		/* It says nothing unasked. */
		if (p[0].revents != 0)
			return;
		if (p[2].revents != 0)
			s->client = accept4(s->r.listen, NULL, NULL,
			    SOCK_CLOEXEC);
		if (p[4].revents != 0)
			s->signaller = accept4(s->r.platform, NULL, NULL,
			    SOCK_CLOEXEC);
		if (p[3].revents != 0 && on_signal(s) != 0) {
			close(s->signaller);
			s->signaller = -1;
		}
		if (p[1].revents != 0)
			rc = on_client(s);
		if (rc < 0)
			return;
		if (rc == 0 || !client_gone(s))
			continue;
		(void)order(s, CTRL_SHUTDOWN, NULL, 0, -1);
		return;
	}
}

static bool
start_tpm(struct state *s)
{
	/* TPM2_Startup(TPM_SU_CLEAR), Part 3, 9.3. */
	uint8_t startup[] = { 0x80, 0x01, 0, 0, 0, 12, 0, 0, 0x01, 0x44, 0,
		s->r.startup == RELAY_STARTUP_STATE };
	uint32_t code;
	size_t n;

	if (!s->r.init)
		return true;
	if (power(s, true) != 0)
		return false;
	if (s->r.startup == RELAY_STARTUP_NONE)
		return true;
	if (exchange(s, startup, sizeof(startup), &n) < 0)
		return false;
	get_u32(s->out + 4 + 6, &code);
	if (code == 0)
		return true;
	fprintf(stderr, "swtpm: the TPM answers TPM2_Startup with 0x%x\n",
	    code);
	return false;
}

/* What is left to a process that takes bytes from one socket to another. */
static int
confine(const struct state *s, struct err *err)
{
#ifndef SANITIZERS
	static const int calls[] = { SYS_read, SYS_write, SYS_sendmsg,
		SYS_recvmsg, SYS_accept4, SYS_close, SYS_poll, SYS_ppoll,
		SYS_unlinkat, SYS_exit_group, SYS_rt_sigreturn,
		SYS_restart_syscall, SYS_dup3, SYS_brk, SYS_mmap, SYS_munmap,
		SYS_mprotect, SYS_fstat, SYS_newfstatat };
	struct syscall_filter f;
#endif
	int rc;

	if (s->r.user.name != NULL &&
	    (rc = sandbox_drop_user(&s->r.user, err)) < 0)
		return rc;
	if (chdir("/") < 0)
		return err_sys(err, errno, "cannot go to /");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_sys(err, errno, "cannot give up privileges");
#ifndef SANITIZERS
	syscall_filter_start(&f, SECCOMP_RET_KILL_PROCESS);
	syscall_filter_add(&f, SECCOMP_RET_ALLOW, calls,
	    sizeof(calls) / sizeof(calls[0]));
	return syscall_filter_load(&f, err);
#else
	return 0;
#endif
}

/* What the caller left open is not ours: whoever waits for the other end of it
 * would wait for this process. */
static int
close_others(const struct state *s, int null, struct err *err)
{
	const int ours[] = { null, s->ctrl, s->tpm, s->client, s->r.listen,
		s->r.platform, s->r.listen_dir, s->r.ctrl_dir };
	struct dirent *entry;
	DIR *list = opendir("/proc/self/fd");

	if (list == NULL)
		return err_sys(err, errno, "cannot list the open files");
	while ((entry = readdir(list)) != NULL) {
		int fd = (int)strtol(entry->d_name, NULL, 10);
		bool keep = fd < 3 || fd == dirfd(list);

		for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
			keep = keep || fd == ours[i];
		if (!keep)
			close(fd);
	}
	closedir(list);
	return 0;
}

static _Noreturn void
relay_main(const struct relay *r, int ctrl)
{
	static struct state s;
	struct err err = { 0 };
	int ends[2], null = open("/dev/null", O_RDWR | O_CLOEXEC);

	s = (struct state){ .r = *r, .ctrl = ctrl, .client = r->data,
		.signaller = -1 };
	prctl(PR_SET_NAME, "swtpm-data");
	prctl(PR_SET_DUMPABLE, 0);
	signal(SIGPIPE, SIG_IGN);
	/* The terminal's; vtpmd ends by it, and this with vtpmd. */
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	if (null < 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		_exit(1);
	s.tpm = ends[0];
	/* The answer comes when the file is open. */
	if (order(&s, CTRL_SET_DATAFD, NULL, 0, ends[1]) != 0)
		_exit(1);
	close(ends[1]);
	if (close_others(&s, null, &err) < 0 || confine(&s, &err) < 0)
		fprintf(stderr, "swtpm: %s\n", err.text);
	else if (start_tpm(&s))
		err.code = 0;
	else
		err.code = ERR_TPM;
	if (err.code == 0) {
		/* Who waits for the end of what was started reads to the end
		 * of its output. */
		for (int fd = 0; fd < 3 && r->daemon; fd++)
			(void)dup3(null, fd, 0);
		/* Only to start it: the channel is for who has one. */
		if (s.r.listen < 0 && s.client < 0)
			close(s.tpm);
		run(&s);
	}
	else
		(void)order(&s, CTRL_SHUTDOWN, NULL, 0, -1);
	if (s.r.listen_dir >= 0)
		(void)unlinkat(s.r.listen_dir, s.r.listen_name, 0);
	if (s.r.ctrl_dir >= 0)
		(void)unlinkat(s.r.ctrl_dir, s.r.ctrl_name, 0);
	_exit(0);
}

int
relay_start(const struct relay *r, int *client, struct err *err)
{
	int ends[2], status;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0 ||
	    (pid = fork()) < 0)
		return err_sys(err, errno, "cannot start the data channel");
	if (pid == 0) {
		close(ends[0]);
		if (r->ctrl >= 0)
			close(r->ctrl);
		/* vtpmd, which the caller is about to be, waits only for its
		 * own. */
		pid = fork();
		if (pid != 0)
			_exit(pid < 0);
		relay_main(r, ends[1]);
	}
	close(ends[1]);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (r->listen >= 0)
		close(r->listen);
	if (r->platform >= 0)
		close(r->platform);
	if (r->listen_dir >= 0)
		close(r->listen_dir);
	if (r->ctrl_dir >= 0)
		close(r->ctrl_dir);
	if (r->data >= 0)
		close(r->data);
	*client = ends[0];
	return 0;
}
