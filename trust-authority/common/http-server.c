/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/common/http-server.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/http.h>
#include <malloc.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/log.h"
#include "base/secret.h"
#include "trust-authority/common/http-connection.h"
#include "trust-authority/common/http-listen.h"
#include "trust-authority/common/http-tls.h"
#include "trust-authority/common/http-work.h"

#define BODY_ROOM (1u << 20)	/* beside the largest body: headers, others */

/* A request from when it has come to when its answer has gone to libevent. */
struct exchange {
	struct http_server *server;
	struct exchange *next;		/* in the list of the done */
	struct evhttp_request *evreq;
	struct http_request request;
	struct http_answer answer;
	char type[64];			/* the body's */
	size_t size;
	uint8_t body[];
};

struct http_server {
	const struct http_service *service;
	struct connections connections;
	struct evhttp *http;
	struct evhttp_bound_socket *listening;
	struct http_work *work;
	int wake;			/* eventfd: done, or stop */
	struct event *woken, *grace, *term, *interrupt, *hangup;
	const char *certificate, *key, *client_ca;
	atomic_bool stop;
	bool stopping;
	unsigned int port;
	pthread_mutex_t lock;		/* of done */
	struct exchange *done;
	size_t pending;			/* with the workers */
};

static void
exchange_free(struct exchange *e)
{
	http_request_reset(&e->request);
	http_answer_reset(&e->answer);
	cleanse(e->body, e->size);
	free(e);
}

static void
release_text(const void *data, size_t size, void *extra)
{
	(void)data, (void)size;
	cleanse(extra, malloc_usable_size(extra));
	free(extra);
}

static void
on_taken(struct evhttp_request *evreq, void *arg)
{
	struct evhttp_connection *conn = evhttp_request_get_connection(evreq);
	struct http_server *s = arg;
	struct connection *c;

	if (conn == NULL ||
	    (c = connection_of(evhttp_connection_get_bufferevent(conn))) ==
	    NULL)
		return;
	connection_answered(c, true);
	if (s->stopping)
		connections_close_idle(&s->connections);
}

static void
add_headers(const struct http_server *s, struct evhttp_request *evreq,
    const struct http_answer *a)
{
	struct evkeyvalq *out = evhttp_request_get_output_headers(evreq);
	char text[48];

	evhttp_add_header(out, "Cache-Control", "no-store");
	evhttp_add_header(out, "X-Content-Type-Options", "nosniff");
	if (a->text != NULL)
		evhttp_add_header(out, "Content-Type", a->type);
	if (s->stopping)
		evhttp_add_header(out, "Connection", "close");
	if (a->status == 401)
		evhttp_add_header(out, "WWW-Authenticate", "Bearer");
	if (a->retry_after != 0) {
		evutil_snprintf(text, sizeof(text), "%u", a->retry_after);
		evhttp_add_header(out, "Retry-After", text);
	}
	if (a->allow != 0) {
		evutil_snprintf(text, sizeof(text), "%s%s%s%s",
		    a->allow & HTTP_GET ? ", GET" : "",
		    a->allow & HTTP_POST ? ", POST" : "",
		    a->allow & HTTP_PUT ? ", PUT" : "",
		    a->allow & HTTP_DELETE ? ", DELETE" : "");
		evhttp_add_header(out, "Allow", text + 2);
	}
}

/* Releases e. */
static void
exchange_send(struct exchange *e)
{
	struct evhttp_connection *conn =
	    evhttp_request_get_connection(e->evreq);
	struct connection *c = NULL;
	struct evbuffer *out = NULL;

	if (conn != NULL)
		c = connection_of(evhttp_connection_get_bufferevent(conn));
	if (c != NULL)
		connection_answered(c, false);
	if (http_answer_text(&e->answer) != NULL &&
	    (out = evbuffer_new()) != NULL &&
	    evbuffer_add_reference(out, e->answer.text, e->answer.text_size,
	    release_text, e->answer.text) == 0) {
		add_headers(e->server, e->evreq, &e->answer);
		e->answer.text = NULL;
	} else {
		add_headers(e->server, e->evreq, &e->answer);
	}
	log_debug("%s %s: %d", e->request.peer.address,
	    e->request.route != NULL ? e->request.route->path : "?",
	    e->answer.status);
	evhttp_request_set_on_complete_cb(e->evreq, on_taken, e->server);
	evhttp_send_reply(e->evreq, e->answer.status,
	    http_phrase(e->answer.status), out);
	if (out != NULL)
		evbuffer_free(out);
	exchange_free(e);
}

/* In a worker. */
static void
exchange_run(void *arg)
{
	struct exchange *e = arg;
	struct http_server *s = e->server;
	uint64_t one = 1;

	http_request_run(s->service, &e->request, e->type, e->body, e->size,
	    &e->answer);
	/* Also done here, where it costs no other connection time. */
	(void)http_answer_text(&e->answer);
	pthread_mutex_lock(&s->lock);
	e->next = s->done;
	s->done = e;
	pthread_mutex_unlock(&s->lock);
	(void)!write(s->wake, &one, sizeof(one));
}

static void
exchange_begin(struct exchange *e)
{
	struct http_server *s = e->server;
	struct err err = { 0 };

	if (e->request.route->flags & HTTP_AT_ONCE) {
		http_request_run(s->service, &e->request, e->type, e->body,
		    e->size, &e->answer);
		exchange_send(e);
	} else if (http_work_add(s->work, exchange_run, e) < 0) {
		err_set(&err, ERR_BUSY, "too many requests are waiting; try "
		    "again later");
		http_answer_problem(&e->answer, 503, &e->request.peer, &err);
		exchange_send(e);
	} else {
		s->pending++;
	}
}

static enum http_method
method_of(const struct evhttp_request *evreq)
{
	switch (evhttp_request_get_command(evreq)) {
	case EVHTTP_REQ_POST: return HTTP_POST;
	case EVHTTP_REQ_PUT: return HTTP_PUT;
	case EVHTTP_REQ_DELETE: return HTTP_DELETE;
	default: return HTTP_GET;	/* no others are allowed */
	}
}

/* evhttp has a whole request. */
static void
on_request(struct evhttp_request *evreq, void *arg)
{
	struct evkeyvalq *in = evhttp_request_get_input_headers(evreq);
	struct evbuffer *body = evhttp_request_get_input_buffer(evreq);
	struct evhttp_connection *conn = evhttp_request_get_connection(evreq);
	const char *type = evhttp_find_header(in, "Content-Type");
	size_t size = evbuffer_get_length(body);
	struct http_server *s = arg;
	struct connection *c;
	struct exchange *e;

	c = connection_of(evhttp_connection_get_bufferevent(conn));
	if (c == NULL || (e = calloc(1, sizeof(*e) + size)) == NULL) {
		evhttp_send_reply(evreq, 503, http_phrase(503), NULL);
		return;
	}
	connection_asked(c);
	e->server = s;
	e->evreq = evreq;
	connection_peer(c, &e->request.peer);
	if (type != NULL)
		evutil_snprintf(e->type, sizeof(e->type), "%s", type);
	e->size = size;
	(void)evbuffer_remove(body, e->body, size);
	if (http_request_read(s->service, &e->request, method_of(evreq),
	    evhttp_request_get_uri(evreq),
	    evhttp_find_header(in, "Authorization"), &e->answer) < 0)
		exchange_send(e);
	else
		exchange_begin(e);
}

static void
end_loop(void *arg)
{
	struct http_server *s = arg;

	(void)event_base_loopbreak(s->connections.base);
}

static void
on_grace(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	end_loop(arg);
}

static void
begin_stop(struct http_server *s)
{
	s->stopping = true;
	evhttp_del_accept_socket(s->http, s->listening);
	s->listening = NULL;
	s->connections.none_left = end_loop;
	s->connections.arg = s;
	if (s->connections.count == 0)
		end_loop(s);
	connections_close_idle(&s->connections);
	event_add(s->grace, &s->connections.request);
}

static void
on_wake(evutil_socket_t fd, short what, void *arg)
{
	struct http_server *s = arg;
	struct exchange *e, *next;
	uint64_t count;

	(void)what;
	(void)!read(fd, &count, sizeof(count));
	pthread_mutex_lock(&s->lock);
	e = s->done;
	s->done = NULL;
	pthread_mutex_unlock(&s->lock);
	for (; e != NULL; e = next) {
		next = e->next;
		s->pending--;
		exchange_send(e);
	}
	if (s->stop && !s->stopping)
		begin_stop(s);
}

static void
on_signal(evutil_socket_t number, short what, void *arg)
{
	(void)number, (void)what;
	http_server_stop(arg);
}

/* What cannot be used is not: the old ones stay. */
static void
on_hangup(evutil_socket_t number, short what, void *arg)
{
	struct http_server *s = arg;
	struct err err = { 0 };
	SSL_CTX *fresh;

	(void)number, (void)what;
	if (http_tls_new(s->certificate, s->key, s->client_ca, &fresh,
	    &err) < 0) {
		log_event(LOG_LEVEL_ERROR, "tls.not-reloaded", "error=\"%s\" "
		    "consequence=\"the certificates from before stay\"",
		    err.text);
		return;
	}
	SSL_CTX_free(s->connections.tls);
	s->connections.tls = fresh;
	log_event(LOG_LEVEL_INFO, "tls.reloaded", "certificate=%s",
	    s->certificate);
}

/* Handlers of libevent's, which write to its loop. */
static int
take_signals(struct http_server *s, struct err *err)
{
	struct event_base *base = s->connections.base;

	s->term = evsignal_new(base, SIGTERM, on_signal, s);
	s->interrupt = evsignal_new(base, SIGINT, on_signal, s);
	s->hangup = evsignal_new(base, SIGHUP, on_hangup, s);
	if (s->hangup == NULL || event_add(s->hangup, NULL) < 0 ||
	    s->term == NULL || event_add(s->term, NULL) < 0 ||
	    s->interrupt == NULL || event_add(s->interrupt, NULL) < 0)
		return err_set(err, ERR_SYSTEM, "cannot take signals");
	return 0;
}

static size_t
or_default(size_t n, size_t otherwise)
{
	return n != 0 ? n : otherwise;
}

static void
set_limits(struct http_server *s, const struct http_server_config *config)
{
	size_t body_max = 0;
	int seconds = (int)or_default(config->request_seconds, 20);

	for (size_t i = 0; i < s->service->count; i++)
		if (s->service->routes[i].body_max > body_max)
			body_max = s->service->routes[i].body_max;
	evhttp_set_max_headers_size(s->http,
	    (ev_ssize_t)or_default(config->header_max, 16 * 1024));
	/* The largest of all routes; each has its own in http_request_run. */
	evhttp_set_max_body_size(s->http, (ev_ssize_t)body_max);
	/* Else the answer 413 is lost with what is still to come. */
	evhttp_set_flags(s->http, EVHTTP_SERVER_LINGERING_CLOSE);
	evhttp_set_timeout(s->http, seconds);
	evhttp_set_allowed_methods(s->http, EVHTTP_REQ_GET | EVHTTP_REQ_POST |
	    EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE);
	s->connections.request.tv_sec = seconds;
	s->connections.bodies_max = or_default(config->bodies_max,
	    128u << 20);
	if (s->connections.bodies_max < body_max + BODY_ROOM)
		s->connections.bodies_max = body_max + BODY_ROOM;
	s->connections.max = or_default(config->connections, 4096);
	s->connections.per_peer =
	    or_default(config->connections_per_peer, 64);
}

static int
make_loop(struct http_server *s, struct err *err)
{
	struct event_base *base = connections_base();

	s->connections.base = base;
	if (base == NULL || (s->http = evhttp_new(base)) == NULL ||
	    (s->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) < 0 ||
	    (s->woken = event_new(base, s->wake, EV_READ | EV_PERSIST, on_wake,
	    s)) == NULL || event_add(s->woken, NULL) < 0 ||
	    (s->grace = evtimer_new(base, on_grace, s)) == NULL)
		return err_set(err, ERR_SYSTEM, "cannot set up the server's "
		    "loop: %s", strerror(errno));
	evhttp_set_bevcb(s->http, connection_accept, &s->connections);
	evhttp_set_gencb(s->http, on_request, s);
	return 0;
}

int
http_server_new(const struct http_server_config *config,
    const struct http_service *service, struct http_server **out,
    struct err *err)
{
	struct http_server *s = calloc(1, sizeof(*s));
	int fd = -1, rc;

	if (s == NULL)
		return err_set(err, ERR_SYSTEM, "no memory for a server");
	s->service = service;
	s->wake = -1;
	s->certificate = config->certificate;
	s->key = config->key;
	s->client_ca = config->client_ca;
	pthread_mutex_init(&s->lock, NULL);
	if ((rc = http_tls_new(config->certificate, config->key,
	    config->client_ca, &s->connections.tls, err)) < 0 ||
	    (rc = make_loop(s, err)) < 0 ||
	    (config->signals && (rc = take_signals(s, err)) < 0) ||
	    (rc = http_work_new(or_default(config->workers, 8),
	    or_default(config->queue_max, 1024), &s->work, err)) < 0 ||
	    (rc = http_listen(config->address, config->port, &fd, &s->port,
	    err)) < 0)
		goto out;
	set_limits(s, config);
	s->listening = evhttp_accept_socket_with_handle(s->http, fd);
	if (s->listening == NULL) {
		rc = err_set(err, ERR_SYSTEM, "cannot accept connections");
		goto out;
	}
	fd = -1;
	*out = s;
	s = NULL;
out:
	if (fd >= 0)
		close(fd);
	http_server_free(s);
	return rc;
}

unsigned int
http_server_port(const struct http_server *s)
{
	return s->port;
}

int
http_server_run(struct http_server *s, struct err *err)
{
	/* A peer that is gone must not end the service: OpenSSL writes to
	 * sockets without MSG_NOSIGNAL. */
	(void)signal(SIGPIPE, SIG_IGN);
	if (event_base_dispatch(s->connections.base) < 0)
		return err_set(err, ERR_SYSTEM, "the server's loop failed: %s",
		    strerror(errno));
	return 0;
}

void
http_server_stop(struct http_server *s)
{
	uint64_t one = 1;

	s->stop = true;
	(void)!write(s->wake, &one, sizeof(one));
}

/* What the workers still have has nobody to go to; their requests are
 * released with evhttp. */
static void
drop_done(struct http_server *s)
{
	struct exchange *e;

	while ((e = s->done) != NULL) {
		s->done = e->next;
		exchange_free(e);
	}
}

static void
free_event(struct event *e)
{
	if (e != NULL)
		event_free(e);
}

void
http_server_free(struct http_server *s)
{
	if (s == NULL)
		return;
	http_work_free(s->work);
	drop_done(s);
	s->connections.none_left = NULL;
	if (s->http != NULL)
		evhttp_free(s->http);
	free_event(s->woken);
	free_event(s->grace);
	free_event(s->term);
	free_event(s->interrupt);
	free_event(s->hangup);
	if (s->connections.base != NULL)
		event_base_free(s->connections.base);
	if (s->wake >= 0)
		close(s->wake);
	SSL_CTX_free(s->connections.tls);
	pthread_mutex_destroy(&s->lock);
	free(s);
}
