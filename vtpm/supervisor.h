/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The supervisor: the process that was started, whose pid others know. It
 * forks the monitor and the workers, reaps them and says how they ended; it
 * passes the end that is asked of it on, and ends as the monitor did. It never
 * knows a key and reads nothing of the guest's or of the hypervisor's, so that
 * a worker that replaces a dead one inherits none, and so that it needs no
 * system call filter, under which no newer program could be run: for an
 * upgrade it runs the program file again, in its own place.
 */
#ifndef VTPM_SUPERVISOR_H
#define VTPM_SUPERVISOR_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "vtpm/channel.h"

/* What the monitor asks; the answer to one that has any has the same type. */
enum supervisor_ask {
	SUPERVISOR_SPAWN = 1,	/* two answers, one descriptor each; arg: pid */
	SUPERVISOR_WAIT,	/* the worker is killed if need be; arg: status */
	SUPERVISOR_READY,	/* clients are served from now on; no answer */
	SUPERVISOR_TRIAL,	/* runs the installed program on a copy of the
				 * state, which with the verdict goes through
				 * the socket that comes along; no answer */
	SUPERVISOR_SWITCH,	/* runs it in the supervisor's place; the same */
	SUPERVISOR_AGENT,	/* a connection to the host's agent comes along
				 * with the answer; arg: errno where there is
				 * none */
};

/* Descriptors that go to a program in our place. */
#define SUPERVISOR_LEGACY 5
/* Which of them the log's file is. */
#define SUPERVISOR_LEGACY_LOG 4

/* What one at rest has said by another process (--report), with a number: an
 * errno, a signal. */
enum supervisor_report {
	SUPERVISOR_REPORT_CANNOT_RUN = 1,
	SUPERVISOR_REPORT_DIED,
};

struct supervisor {
	/* Set by the caller. */
	struct channel_memory memory;
	/* The monitor's whole life; sock leads here. */
	int (*monitor)(void *arg, int sock);
	/* In a new worker, before and after libtpms is set up; neither may
	 * return on failure. */
	void (*worker_begin)(struct channel *c);
	void (*worker_confine)(void *arg);
	/* The monitor serves. */
	void (*ready)(void *arg);
	void *arg;
	char **argv;		/* as this program was started */
	const char *agent;	/* path of its socket */
	const int *inherit;	/* SUPERVISOR_LEGACY of them: what a program in
				 * our place is given */
	/* What a supervisor that ends while it rests removes. */
	struct {
		int dir;	/* -1: nothing */
		const char *name;
	} remove[2];

	int sock;
	int self;		/* the program file that workers are of, and
				 * their memory; -1: not known */
	int installed;		/* the one that was tried; -1: none */
	int signals;
	pid_t monitor_pid, worker, trial;
	bool is_ready;
	int end_signal;		/* asked for before there was who could hear */
	char *program;		/* what is installed is there */
	/* Who is being taken over from; pid 0: nobody. */
	struct {
		pid_t monitor, worker;
		int sock, self, memory;
	} before;
	/* How the one before ended without handing over; -1: it did not. */
	int status_before;
	bool goes_on;		/* after a failed upgrade: monitor and workers
				 * are of the program before, which self is */
	bool ended;
	int status;
};

/* Exit status of a monitor that has handed over: another one owns the file. */
#define SUPERVISOR_HANDED_OVER 64

/* Once, first: blocks the signals and takes them here. */
int supervisor_init(struct supervisor *s, struct err *err);
/* Forks the monitor. */
int supervisor_start(struct supervisor *s, struct err *err);
/* Until the monitor has ended; nobody of ours is left then. Its exit status. */
int supervisor_run(struct supervisor *s);

/* The life of a worker, in a process of its own. */
_Noreturn void supervisor_worker(struct supervisor *s, struct channel *worker,
    pid_t parent);
/* Logs what --report is about. */
void supervisor_tell_report(const struct supervisor *s, int what, int number);

/* What --take-over says to the program that runs in this one's place: sockets
 * and processes of what is to be taken over, and what it inherits. */
struct supervisor_legacy {
	int handover;
	int inherited[SUPERVISOR_LEGACY];
};
/* Takes what text says into s->before; supervisor_start may follow, and if it
 * does not, what was there goes on with supervisor_run. */
int supervisor_inherit(struct supervisor *s, const char *text,
    struct supervisor_legacy *legacy, struct err *err);

/* supervisor-ask.c: the monitor's side. */

/* Has a worker forked: *channel gets this side's ends. ERR_CLOSED when the
 * supervisor is gone. */
int supervisor_spawn(int sock, struct channel *channel, pid_t *pid,
    struct err *err);
/* The second half of that; at the start a worker is forked unasked. */
int supervisor_spawned(int sock, struct channel *channel, pid_t *pid,
    struct err *err);
/* Has the worker killed if it still lives, and reaped. *status as of
 * waitpid(2). */
int supervisor_wait(int sock, int *status, struct err *err);
/* *fd: connected, see agent_connect; the path is for the message. The agent
 * sees the supervisor's user and pid. */
int supervisor_agent(int sock, const char *path, bool wait, int *fd,
    struct err *err);
/* Any of them without waiting for an answer; fd goes along, -1: none. */
int supervisor_tell(int sock, enum supervisor_ask what, int fd,
    struct err *err);

#endif
