/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * swtpm's data channel: TPM commands from TCP and Unix sockets, a descriptor or
 * a character device, as they are or behind the header of the TCG's simulator
 * (TPM 2.0 Part 4, TpmTcpProtocol.h: TPM_SEND_COMMAND, locality, size). A process beside
 * vtpmd's three, only where such a channel was asked for. To vtpmd it is what
 * QEMU is: it has a control connection, gives it one data socket, and sends
 * what its clients send, one client at a time. So the worker sees no network,
 * and a client that goes does not power the TPM off.
 */
#ifndef QEMU_GLUE_SWTPM_RELAY_H
#define QEMU_GLUE_SWTPM_RELAY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "vtpm/user.h"

enum relay_startup { RELAY_STARTUP_NONE, RELAY_STARTUP_CLEAR,
	RELAY_STARTUP_STATE };

struct relay {
	int listen;		/* -1: none */
	int listen_dir;		/* where its name is, -1: nowhere */
	const char *listen_name;
	/* vtpmd's control socket, which was made before this one so that who
	 * finds the one finds the other: its name goes at the end. */
	int ctrl, ctrl_dir;
	const char *ctrl_name;
	int platform;		/* listens for the simulator's signals; -1 */
	int data;		/* connected from the start, -1: none */
	bool daemon;		/* leaves the terminal */
	bool init;		/* power the TPM on */
	enum relay_startup startup;
	bool disconnect;	/* after each answer */
	bool terminate;		/* when a client goes */
	bool set_locality;	/* clients may send TPM2_SetLocality */
	struct user user;	/* to become; name NULL: nobody else */
};

/* Forks it; *client is what vtpmd gets as its --client-fd. Ends when vtpmd
 * does. Not a child of the caller. */
int relay_start(const struct relay *r, int *client, struct err *err);

#endif
