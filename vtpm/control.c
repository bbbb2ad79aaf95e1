/* SPDX-License-Identifier: BSD-3-Clause */
#include "vtpm/control.h"

#include <sys/socket.h>
#include <unistd.h>

#include <libtpms/tpm_error.h>

#include "base/err.h"
#include "base/log.h"

/* The size of the whole command at the start of c->in, its number included: 0
 * while that cannot be told yet, ERR_FORMAT when it never will be. */
static ssize_t
whole_size(const struct client *c, const struct command *command)
{
	struct buf b = buf_reader(c->in, c->in_size);
	size_t fixed = 4 + command->request_min;
	uint32_t more = 0;

	if (c->in_size < fixed)
		return 0;
	if (command->length_at == 0)
		return (ssize_t)(c->in_size < 4 + command->request_max ?
		    c->in_size : 4 + command->request_max);
	/* The u32 that announces more is the request's last. */
	buf_get_bytes(&b, NULL, command->length_at);
	if (buf_get_u32be(&b, &more) < 0 || more > CHANNEL_AREA_SIZE)
		return ERR_FORMAT;
	return c->in_size < fixed + more ? 0 : (ssize_t)(fixed + more);
}

/* A stream cannot be followed past bytes that are no command. */
static int
refuse(struct client *c, uint32_t number, uint32_t result, const char *why)
{
	log_warning("refused control command 0x%x: %s", number, why);
	client_consume(c, c->in_size);
	return control_answer(c, result) < 0 ? ERR_CLOSED : 1;
}

/* After the state was handed out the file may be another's. */
static bool
owns_file(struct monitor *m, const struct command *command)
{
	struct err err = { 0 };

	control_end_session(m);
	if (storage_reclaim(m->storage, 0, &err) == 0)
		return true;
	log_warning("refused %s: %s", command->name, err.text);
	return false;
}

int
control_dispatch(struct monitor *m, struct client *c)
{
	struct buf b = buf_reader(c->in, c->in_size);
	const struct command *command;
	uint32_t number;
	ssize_t size;
	int rc;

	if (client_wants_to_write(c) || buf_get_u32be(&b, &number) < 0)
		return 0;
	if ((command = control_command(number)) == NULL)
		return refuse(c, number, TPM_BAD_ORDINAL, "there is no such "
		    "command");
	size = whole_size(c, command);
	if (size < 0)
		return refuse(c, number, TPM_BAD_PARAMETER,
		    "it announces more bytes than any state has");
	if (size == 0 || (!command->any_time && (m->order.active || m->ending)))
		return 0;
	log_debug("control command %s", command->name);
	if ((command->powered && !m->powered) ||
	    (command->stopped && m->powered)) {
		log_warning("refused %s: the TPM is %s", command->name,
		    m->powered ? "running" : "not running");
		rc = control_answer(c, TPM_BAD_ORDINAL);
	} else if (command->owns && !owns_file(m, command)) {
		rc = control_answer(c, TPM_IOERROR);
	} else {
		if (command->changes)
			control_end_session(m);
		b = buf_reader(c->in + 4, (size_t)size - 4);
		m->served_last = (size_t)(c - m->clients);
		rc = command->run(m, c, &b);
	}
	if (rc < 0)
		return ERR_CLOSED;
	client_consume(c, (size_t)size);
	return 1;
}

void
control_client_gone(struct monitor *m, struct client *c)
{
	if (!c->gave_data_fd)
		return;
	/* QEMU has one of each: without control there is no machine behind the
	 * data connection either. The worker sees it end. */
	if (m->data_fd >= 0) {
		shutdown(m->data_fd, SHUT_RDWR);
		close(m->data_fd);
	}
	m->data_fd = -1;
	if (m->terminate) {
		log_info("ending: the hypervisor's connection has ended");
		monitor_end(m);
	}
}
