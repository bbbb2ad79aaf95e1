/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/agent/daemon/sock.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "trust-authority/agent/daemon/leases.h"
#include "trust-authority/agent/daemon/requests.h"
#include "trust-authority/agent/daemon/sock-listen.h"

#define CONNECTIONS_MAX 8192
#define CONNECTIONS_PER_UID 2048	/* all vtpmd may be one user */
#define STRANGERS_MAX 64		/* of a user that nothing is known of */
#define REQUESTS_MAX 16			/* of a connection at a time */
#define OUT_MAX 64			/* messages that it does not read */

struct message {
	struct message *next;
	uint64_t connection;
	bool answer;			/* else a notice */
	uint8_t *data;			/* NULL: no answer */
	size_t size;
};

struct queue {
	struct message *first, **last;
	size_t count;
};

struct connection {
	struct connection *next, **link;
	struct sock *sock;
	struct sock_peer peer;
	int fd;
	struct event *in, *out;
	bool reading, writing;
	bool known;			/* it may have some VM, or make one */
	size_t under_way;
	struct queue waiting;		/* to be sent */
};

struct sock {
	struct kmxa *k;
	int fd, wake;
	struct event_base *base;
	struct event *listening, *woken, *term, *interrupt, *hup;
	void (*on_hup)(struct kmxa *k);
	struct requests *requests;
	uint64_t last;			/* connection */
	size_t count;
	struct connection *first;
	bool full;			/* said so */
	pthread_mutex_t lock;		/* of done */
	struct queue done;
};

static void
queue_add(struct queue *q, struct message *m)
{
	m->next = NULL;
	if (q->first == NULL)
		q->last = &q->first;
	*q->last = m;
	q->last = &m->next;
	q->count++;
}

static struct message *
queue_take(struct queue *q)
{
	struct message *m = q->first;

	if (m != NULL) {
		q->first = m->next;
		q->count--;
	}
	return m;
}

static void
message_free(struct message *m)
{
	if (m->data != NULL)
		cleanse(m->data, m->size);
	free(m->data);
	free(m);
}

static void
connection_end(struct connection *c)
{
	struct sock *s = c->sock;
	struct message *m;

	leases_gone(s->k->leases, c->peer.connection);
	*c->link = c->next;
	if (c->next != NULL)
		c->next->link = c->link;
	s->count--;
	event_free(c->in);
	event_free(c->out);
	close(c->fd);
	while ((m = queue_take(&c->waiting)) != NULL)
		message_free(m);
	free(c);
}

static struct connection *
connection_find(struct sock *s, uint64_t id)
{
	struct connection *c = s->first;

	while (c != NULL && c->peer.connection != id)
		c = c->next;
	return c;
}

static bool
is_too_many(struct sock *s, uid_t uid, bool known)
{
	size_t n = 0, strangers = 0;

	for (struct connection *c = s->first; c != NULL; c = c->next) {
		n += c->peer.uid == uid;
		strangers += c->peer.uid == uid && !c->known;
	}
	return uid != 0 && (s->count >= CONNECTIONS_MAX ||
	    n >= CONNECTIONS_PER_UID || (!known && strangers >= STRANGERS_MAX));
}

/* Reads while not too much is under way, writes while something waits. */
static void
arm(struct connection *c)
{
	bool read = c->under_way < REQUESTS_MAX && c->waiting.count < OUT_MAX;
	bool write = c->waiting.count > 0;

	if (read != c->reading)
		(void)(read ? event_add(c->in, NULL) : event_del(c->in));
	if (write != c->writing)
		(void)(write ? event_add(c->out, NULL) : event_del(c->out));
	c->reading = read;
	c->writing = write;
}

/* False: the connection has ended. */
static bool
flush(struct connection *c)
{
	struct message *m;
	ssize_t n;

	while ((m = c->waiting.first) != NULL) {
		n = send(c->fd, m->data, m->size, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == ENOBUFS))
			break;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			connection_end(c);
			return false;
		}
		message_free(queue_take(&c->waiting));
	}
	arm(c);
	return true;
}

static void
on_out(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)flush(arg);
}

/* A message that is none: who sends such does not know what it does. */
static void
on_in(evutil_socket_t fd, short what, void *arg)
{
	static uint8_t data[AGENT_WIRE_MAX + 1];
	struct connection *c = arg;
	struct err err = { 0 };
	bool allowed;
	ssize_t n;

	(void)what;
	n = recv(fd, data, sizeof(data), MSG_DONTWAIT | MSG_TRUNC);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		connection_end(c);
		return;
	}
	c->under_way++;
	if (requests_take(c->sock->requests, &c->peer, data, (size_t)n,
	    &allowed, &err) < 0) {
		if (requests_may_log(c->sock->requests))
			log_event(LOG_LEVEL_WARNING, "agent.bad_message",
			    "uid=%u pid=%d error=\"%s\"",
			    (unsigned)c->peer.uid, (int)c->peer.pid, err.text);
		connection_end(c);
		return;
	}
	c->known = c->known || allowed;
	arm(c);
}

static int
connection_new(struct sock *s, int fd, struct err *err)
{
	struct connection *c = calloc(1, sizeof(*c));
	struct ucred cred;
	socklen_t size = sizeof(cred);
	bool known;

	if (c == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &size) < 0) {
		free(c);
		return err_sys(err, errno, "cannot tell who connects");
	}
	known = access_has_rule(s->k->access, cred.uid);
	if (is_too_many(s, cred.uid, known)) {
		free(c);
		return err_set(err, ERR_BUSY, "user %u has too many "
		    "connections", (unsigned)cred.uid);
	}
	c->in = event_new(s->base, fd, EV_READ | EV_PERSIST, on_in, c);
	c->out = event_new(s->base, fd, EV_WRITE | EV_PERSIST, on_out, c);
	if (c->in == NULL || c->out == NULL) {
		if (c->in != NULL)
			event_free(c->in);
		free(c);
		return err_set(err, ERR_INTERNAL, "out of memory");
	}
	c->sock = s;
	c->known = known;
	c->fd = fd;
	c->peer = (struct sock_peer){ ++s->last, cred.uid, cred.pid };
	c->next = s->first;
	c->link = &s->first;
	if (c->next != NULL)
		c->next->link = &c->next;
	s->first = c;
	s->count++;
	arm(c);
	return 0;
}

static void
on_connect(evutil_socket_t listening, short what, void *arg)
{
	struct sock *s = arg;
	struct err err = { 0 };
	int fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)what;
	if (fd < 0)
		return;
	if (connection_new(s, fd, &err) < 0) {
		close(fd);
		if (!s->full)
			log_event(LOG_LEVEL_WARNING, "agent.too_many",
			    "error=\"%s\"", err.text);
		s->full = true;
		return;
	}
	s->full = false;
}

static void
deliver(struct sock *s, struct message *m)
{
	struct connection *c = connection_find(s, m->connection);

	if (c == NULL) {
		message_free(m);
		return;
	}
	if (m->answer && c->under_way > 0)
		c->under_way--;
	if (m->data == NULL)
		message_free(m);
	else
		queue_add(&c->waiting, m);
	(void)flush(c);
}

static void
on_wake(evutil_socket_t fd, short what, void *arg)
{
	struct sock *s = arg;
	struct message *m;
	uint64_t n;

	(void)what;
	(void)!read(fd, &n, sizeof(n));
	for (;;) {
		pthread_mutex_lock(&s->lock);
		m = queue_take(&s->done);
		pthread_mutex_unlock(&s->lock);
		if (m == NULL)
			return;
		deliver(s, m);
	}
}

/* In no more memory than it needs: it may wait long for who does not read. A
 * secret stays nowhere else. Releases data. */
static uint8_t *
fitted(uint8_t *data, size_t size)
{
	uint8_t *copy = data != NULL && size > 0 ? malloc(size) : NULL;

	if (copy != NULL)
		memcpy(copy, data, size);
	if (data != NULL)
		cleanse(data, size);
	free(data);
	return copy;
}

static void
post(struct sock *s, uint64_t connection, bool answer, uint8_t *data,
    size_t size)
{
	struct message *m = calloc(1, sizeof(*m));
	uint64_t one = 1;

	data = fitted(data, size);

	if (m == NULL) {
		/* The other end waits for ever, which it does not. */
		if (data != NULL)
			cleanse(data, size);
		free(data);
		log_error("out of memory for an answer");
		return;
	}
	*m = (struct message){ .connection = connection, .answer = answer,
		.data = data, .size = size };
	pthread_mutex_lock(&s->lock);
	queue_add(&s->done, m);
	pthread_mutex_unlock(&s->lock);
	(void)!write(s->wake, &one, sizeof(one));
}

void
sock_answer(struct sock *s, uint64_t connection, uint8_t *data, size_t size)
{
	post(s, connection, true, data, size);
}

void
sock_tell_lost(struct sock *s, uint64_t connection,
    const uint8_t vm[UUID_SIZE], uint64_t epoch, enum agent_fault fault,
    const char *why)
{
	struct agent_message m = { .way = AGENT_NOTICE, .type = AGENT_LOST,
		.epoch = epoch, .fault = (uint8_t)fault,
		.text = { (const uint8_t *)why, strlen(why) } };
	struct err err = { 0 };
	uint8_t *data = malloc(AGENT_WIRE_MAX);
	struct buf w;

	if (data == NULL) {
		log_error("out of memory for a notice");
		return;
	}
	memcpy(m.uuid, vm, UUID_SIZE);
	w = buf_writer(data, AGENT_WIRE_MAX);
	if (agent_wire_put(&w, &m, &err) < 0) {
		log_error("%s", err.text);
		free(data);
		return;
	}
	post(s, connection, false, data, w.pos);
}

static void
on_signal(evutil_socket_t number, short what, void *arg)
{
	struct sock *s = arg;

	(void)what;
	if (number == SIGHUP) {
		s->on_hup(s->k);
		return;
	}
	log_info("ending on signal %d", (int)number);
	(void)event_base_loopbreak(s->base);
}

static int
make_loop(struct sock *s, struct err *err)
{
	if ((s->base = event_base_new()) == NULL ||
	    (s->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) < 0 ||
	    (s->listening = event_new(s->base, s->fd, EV_READ | EV_PERSIST,
	    on_connect, s)) == NULL ||
	    (s->woken = event_new(s->base, s->wake, EV_READ | EV_PERSIST,
	    on_wake, s)) == NULL ||
	    (s->term = evsignal_new(s->base, SIGTERM, on_signal, s)) == NULL ||
	    (s->interrupt = evsignal_new(s->base, SIGINT, on_signal,
	    s)) == NULL ||
	    (s->hup = evsignal_new(s->base, SIGHUP, on_signal, s)) == NULL ||
	    event_add(s->listening, NULL) < 0 ||
	    event_add(s->woken, NULL) < 0 || event_add(s->term, NULL) < 0 ||
	    event_add(s->interrupt, NULL) < 0 || event_add(s->hup, NULL) < 0)
		return err_set(err, ERR_SYSTEM, "cannot set up the socket's "
		    "loop: %s", strerror(errno));
	return 0;
}

int
sock_open(struct kmxa *k, struct sock **out, struct err *err)
{
	struct sock *s = calloc(1, sizeof(*s));
	int rc;

	if (s == NULL)
		return err_set(err, ERR_INTERNAL, "out of memory");
	s->k = k;
	s->fd = s->wake = -1;
	pthread_mutex_init(&s->lock, NULL);
	if ((rc = sock_listen(k->settings.agent.socket, &s->fd, err)) < 0 ||
	    (rc = make_loop(s, err)) < 0 ||
	    (rc = requests_new(k, &s->requests, err)) < 0) {
		sock_close(s);
		return rc;
	}
	*out = s;
	return 0;
}

int
sock_run(struct sock *s, void (*hup)(struct kmxa *k), struct err *err)
{
	s->on_hup = hup;
	if (event_base_dispatch(s->base) < 0)
		return err_set(err, ERR_SYSTEM, "the socket's loop failed: %s",
		    strerror(errno));
	return 0;
}

void
sock_close(struct sock *s)
{
	struct event *events[] = { s != NULL ? s->listening : NULL,
		s != NULL ? s->woken : NULL, s != NULL ? s->term : NULL,
		s != NULL ? s->interrupt : NULL, s != NULL ? s->hup : NULL };
	struct connection *c, *next;

	if (s == NULL)
		return;
	for (c = s->first; c != NULL; c = next) {
		next = c->next;
		connection_end(c);
	}
	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++)
		if (events[i] != NULL)
			event_free(events[i]);
	if (s->base != NULL)
		event_base_free(s->base);
	if (s->fd >= 0) {
		(void)unlink(s->k->settings.agent.socket);
		close(s->fd);
	}
	if (s->wake >= 0)
		close(s->wake);
	requests_free(s->requests);
	free(s);
}
