/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The monitor: owns the nvram file and its key, the control socket that QEMU
 * talks to, and QEMU's data descriptor, which it gives on to the worker. It
 * never parses a TPM command. One thread, one poll loop; an order to the
 * worker is followed up when its answer comes, so that needs of the worker and
 * CANCEL_TPM_CMD are served meanwhile.
 */
#ifndef VTPM_MONITOR_H
#define VTPM_MONITOR_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/buf.h"
#include "migration/incoming.h"
#include "vtpm/channel.h"
#include "vtpm/client.h"
#include "vtpm/storage.h"

#define MONITOR_CLIENTS 8

struct monitor;

/* What to do with the worker's answer to an order; c is NULL when the client
 * that asked has gone meanwhile. */
typedef void order_done(struct monitor *m, struct client *c,
    const struct message *reply);

struct monitor {
	int listen_fd;
	int listen_pid_fd;	/* listen_by_pid(), -1: none */
	int signal_fd;
	uid_t user;		/* that this runs as */
	int supervisor;
	struct channel channel;
	pid_t worker;
	struct storage *storage;
	struct agent *agent;	/* of the trust authority on this host */
	const char *agent_path;	/* for messages */
	uint64_t look_at;	/* for the file's name, ms, CLOCK_MONOTONIC;
				 * UINT64_MAX: no more */
	uint64_t rest_at;	/* the same: gives back memory then */
	bool terminate;		/* end when the giver of the data fd goes */
	size_t n_bound;		/* the first of clients: this ends with each */
	uint8_t locality_max;

	struct client clients[MONITOR_CLIENTS];
	int data_fd;		/* QEMU's, kept so that it outlives a worker */
	uint32_t data_number;	/* counts the descriptors there were */
	bool state_set;		/* SET_STATE that no INIT has used yet */
	bool powered;		/* between INIT and STOP */
	struct incoming incoming;	/* what SET_STATEBLOB has brought */
	uint32_t refused_with;	/* for which it is thrown away */
	/* What GET_STATEBLOB gives: one session as long as the TPM does
	 * nothing. */
	struct {
		struct envelope_session *session;	/* NULL: none */
		uint32_t members, given;	/* 1 << kind */
		uint64_t begun;			/* the journal's, before it
						 * began */
		uint64_t asked;			/* when the blob was asked for */
		uint32_t kind;			/* of the last blob, */
		uint8_t *blob;			/* kept for who takes it in */
		size_t blob_size;		/* pieces; NULL: none */
	} outgoing;
	struct {
		bool active;
		struct message message;
		uint64_t deadline;	/* ms, CLOCK_MONOTONIC */
		struct client *client;
		order_done *done;
		uint32_t offset;	/* GET_STATEBLOB, GET_INFO: from where
					 * the answer is wanted */
	} order;
	/* The order that a worker died at, until its successor is up. */
	struct {
		bool active;
		struct message order;
		struct client *client;
		order_done *done;
		unsigned int deaths;	/* in a row, at any order */
	} interrupted;
	struct {
		uint64_t at;	/* the command that last stored, by number;
				 * 0: what it stored is taken back */
		bool again;	/* more than once */
	} stored;
	bool resuming;		/* a new worker is not yet up */
	unsigned int stillborn;	/* workers in a row that never were */
	struct {
		uint64_t last, window_start;	/* ms, CLOCK_MONOTONIC */
		unsigned int crashes;		/* within the window */
		bool crashed;			/* the last, not killed from
						 * outside */
		unsigned int same;		/* in a row, at one command */
		uint64_t begun;			/* that command's number */
		uint8_t command[JOURNAL_COMMAND];
	} deaths;
	/* upgrade.h */
	struct {
		enum { UPGRADE_NONE, UPGRADE_PEEK, UPGRADE_TRIAL,
			UPGRADE_PARK, UPGRADE_SWITCH,
			UPGRADE_TAKING_OVER } state;
		int sock;		/* to the other program; -1 */
		struct client *client;	/* who asked; NULL: gone */
		uint64_t deadline;	/* of the trial */
		uint64_t parked_at;	/* us, CLOCK_MONOTONIC */
		bool command_waits;	/* taken over, not run yet */
	} upgrade;
	bool disowned;		/* the file is another monitor's */
	bool broke_rules;	/* the worker did, and is to be replaced */
	size_t served_last;	/* which client */
	uint64_t log_second;	/* lines of the worker's in this second */
	unsigned int log_lines;
	bool ending;		/* the last order has been given */
	bool ended;
	int exit_status;
};

/* Nothing is open and nothing under way. */
void monitor_init(struct monitor *m);

/* Runs until told to end; returns the exit status. The caller has set
 * listen_fd, listen_pid_fd (non-blocking), signal_fd, supervisor, channel, worker, storage and
 * terminate. Closes the storage. */
int monitor_run(struct monitor *m);

/* Sends an order; done gets the answer. Only while none is under way. A
 * worker that dies of it is replaced and gets it again. */
void monitor_order(struct monitor *m, struct client *c,
    const struct message *order, int fd, order_done *done);
/* monitor-needs.c: the file's state goes along with ORDER_INIT or
 * ORDER_PREPARE, so that the worker need not ask for it. Not where the TPM is on:
 * the guest's commands may change it before the order is run. */
void monitor_give_state(struct monitor *m, struct message *order);
/* Ends in good order, as for SIGTERM. */
void monitor_end(struct monitor *m);

/* monitor-rest.c: something has been done; in a while monitor_rest is due. */
void monitor_was_busy(struct monitor *m);
void monitor_rest(struct monitor *m);

/* Milliseconds of CLOCK_MONOTONIC. */
uint64_t monitor_now(void);

/* monitor-worker.c: the worker is gone or has broken the rules; puts a new one
 * in its place where that is possible, else ends. */
void monitor_worker_gone(struct monitor *m);

/* control.c: runs the command at the start of what c has sent, if it is whole.
 * Returns true when it has taken one, ERR_CLOSED to drop the client. */
int control_dispatch(struct monitor *m, struct client *c);
/* control.c: the client is going. */
void control_client_gone(struct monitor *m, struct client *c);

/* monitor-needs.c: serves one message of the worker; ERR_CLOSED when it is
 * gone or has broken the rules. */
int monitor_serve_need(struct monitor *m);

#endif
