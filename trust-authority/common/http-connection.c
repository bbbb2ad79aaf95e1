/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/common/http-connection.h"

#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/log.h"
#include "trust-authority/common/http-tls.h"

#define SMALL (256u << 10)	/* what anybody may send at any time */

struct connection {
	struct connections *all;
	struct connection *next, *before;
	SSL *ssl;
	struct event *timer;
	bool met;		/* the peer's address is known */
	bool busy;		/* from a request to its answer's end */
	struct in6_addr prefix;	/* whom it counts for */
	size_t received;	/* of what is not answered yet */
	bool told;		/* peer and ends are filled in */
	struct http_peer peer;
	time_t ends;
};

static int ex_index = -1;
static pthread_once_t ex_once = PTHREAD_ONCE_INIT;

/* For SSL_free. */
static void
on_free(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int index, long argl,
    void *argp)
{
	struct connection *c = ptr;
	struct connections *all;

	(void)parent, (void)ad, (void)index, (void)argl, (void)argp;
	if (c == NULL)
		return;
	all = c->all;
	if (c->next != NULL)
		c->next->before = c->before;
	if (c->before != NULL)
		c->before->next = c->next;
	else
		all->first = c->next;
	all->bodies -= c->received;
	event_free(c->timer);
	free(c);
	if (--all->count == 0 && all->none_left != NULL)
		all->none_left(all->arg);
}

static void
make_index(void)
{
	ex_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, on_free);
}

static void
connection_end(struct connection *c)
{
	int fd = SSL_get_fd(c->ssl);

	if (fd >= 0)
		(void)shutdown(fd, SHUT_RDWR);
}

/* IPv4 in IPv6's form; IPv6 by /64, which one host has. */
static int
find_peer(struct connection *c)
{
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} a;
	socklen_t size = sizeof(a);
	int fd = SSL_get_fd(c->ssl);

	memset(&a, 0, sizeof(a));
	if (fd < 0 || getpeername(fd, &a.any, &size) < 0)
		return ERR_CLOSED;
	if (a.any.sa_family == AF_INET) {
		c->prefix.s6_addr[10] = c->prefix.s6_addr[11] = 0xff;
		memcpy(c->prefix.s6_addr + 12, &a.v4.sin_addr, 4);
		inet_ntop(AF_INET, &a.v4.sin_addr, c->peer.address,
		    sizeof(c->peer.address));
		return 0;
	}
	c->prefix = a.v6.sin6_addr;
	if (IN6_IS_ADDR_V4MAPPED(&a.v6.sin6_addr)) {
		inet_ntop(AF_INET, a.v6.sin6_addr.s6_addr + 12,
		    c->peer.address, sizeof(c->peer.address));
		return 0;
	}
	memset(c->prefix.s6_addr + 8, 0, 8);
	inet_ntop(AF_INET6, &a.v6.sin6_addr, c->peer.address,
	    sizeof(c->peer.address));
	return 0;
}

static bool
is_one_too_many(const struct connection *c)
{
	const struct connections *all = c->all;
	size_t same = 0;

	if (all->count > all->max) {
		log_event(LOG_LEVEL_WARNING, "http.full", "peer=%s "
		    "connections=%zu", c->peer.address, all->count - 1);
		return true;
	}
	for (const struct connection *o = all->first; o != NULL; o = o->next)
		same += o->met &&
		    memcmp(&o->prefix, &c->prefix, sizeof(c->prefix)) == 0;
	if (same > all->per_peer)
		log_event(LOG_LEVEL_WARNING, "http.peer-full", "peer=%s "
		    "connections=%zu", c->peer.address, same - 1);
	return same > all->per_peer;
}

/* First at once after the connection was made, when its socket is known: is
 * there room for it? From then on, its deadline. */
static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct connection *c = arg;

	(void)fd, (void)what;
	if (c->met) {
		log_debug("connection from %s: out of time", c->peer.address);
		connection_end(c);
		return;
	}
	c->met = find_peer(c) == 0;
	if (!c->met || is_one_too_many(c))
		connection_end(c);
	else if (!c->busy)
		event_add(c->timer, &c->all->request);
}

static SSL *
make_ssl(struct connections *all)
{
	static const struct timeval at_once = { 0, 0 };
	struct connection *c = NULL;
	SSL *ssl = NULL;

	pthread_once(&ex_once, make_index);
	if ((c = calloc(1, sizeof(*c))) == NULL ||
	    (c->timer = evtimer_new(all->base, on_timer, c)) == NULL ||
	    (ssl = SSL_new(all->tls)) == NULL ||
	    SSL_set_ex_data(ssl, ex_index, c) != 1) {
		SSL_free(ssl);
		if (c != NULL && c->timer != NULL)
			event_free(c->timer);
		free(c);
		return NULL;
	}
	c->all = all;
	c->ssl = ssl;
	c->next = all->first;
	if (c->next != NULL)
		c->next->before = c;
	all->first = c;
	all->count++;
	event_add(c->timer, &at_once);
	return ssl;
}

/* evhttp keeps a body until it is whole. Many large ones at once must not take
 * the memory of all; who sends little is not to suffer for them. */
static void
on_received(struct evbuffer *buffer, const struct evbuffer_cb_info *info,
    void *arg)
{
	struct connection *c = arg;
	struct connections *all;

	(void)buffer;
	/* Also called while it is released, with what is taken out. */
	if (info->n_added == 0)
		return;
	all = c->all;
	c->received += info->n_added;
	all->bodies += info->n_added;
	if (all->bodies <= all->bodies_max || c->received <= SMALL)
		return;
	log_event(LOG_LEVEL_WARNING, "http.bodies-full", "peer=%s bytes=%zu "
	    "all=%zu", c->peer.address, c->received, all->bodies);
	connection_end(c);
}

struct bufferevent *
connection_accept(struct event_base *base, void *arg)
{
	struct bufferevent *bev;
	SSL *ssl;

	/* evhttp takes NULL for "a plain connection": connection_of finds no
	 * TLS in it then, and it is not answered. */
	if ((ssl = make_ssl(arg)) == NULL)
		return NULL;
	bev = bufferevent_openssl_socket_new(base, -1, ssl,
	    BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
	if (bev == NULL) {
		SSL_free(ssl);
		return NULL;
	}
	bufferevent_openssl_set_allow_dirty_shutdown(bev, 1);
	if (evbuffer_add_cb(bufferevent_get_input(bev), on_received,
	    connection_of(bev)) == NULL) {
		bufferevent_free(bev);
		return NULL;
	}
	return bev;
}

struct connection *
connection_of(struct bufferevent *bev)
{
	SSL *ssl = bev != NULL ? bufferevent_openssl_get_ssl(bev) : NULL;

	return ssl != NULL ? SSL_get_ex_data(ssl, ex_index) : NULL;
}

void
connection_asked(struct connection *c)
{
	c->busy = true;
	if (c->met)
		event_del(c->timer);
}

void
connection_answered(struct connection *c, bool taken)
{
	c->busy = !taken;
	if (taken) {
		c->all->bodies -= c->received;
		c->received = 0;
	}
	event_add(c->timer, &c->all->request);
}

void
connection_peer(struct connection *c, struct http_peer *peer)
{
	if (!c->met)
		c->met = find_peer(c) == 0;
	if (!c->told)
		http_tls_peer(c->ssl, &c->peer, &c->ends);
	c->told = true;
	*peer = c->peer;
	/* A connection may be older than that. */
	if (peer->certified && time(NULL) > c->ends)
		peer->certified = false;
}

void
connections_close_idle(struct connections *all)
{
	for (struct connection *c = all->first; c != NULL; c = c->next)
		if (!c->busy)
			connection_end(c);
}

/* What changes about a connection between two looks at all of them is told to
 * the kernel once: evhttp and its TLS change their mind several times for each
 * request. (No descriptor of it is ever a duplicate, for which that fails.) */
struct event_base *
connections_base(void)
{
	struct event_config *config = event_config_new();
	struct event_base *base = NULL;

	if (config != NULL && event_config_set_flag(config,
	    EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST) == 0)
		base = event_base_new_with_config(config);
	if (config != NULL)
		event_config_free(config);
	return base;
}
