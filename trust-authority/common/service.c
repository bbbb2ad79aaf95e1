/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/common/service.h"

#include <config.h>

#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/notify.h"
#include "trust-authority/common/http-server.h"
#include "trust-authority/common/memory.h"

#define SECRETS_KEPT 32	/* pages; a request makes about five */

/* One run of a program. */
struct running {
	const struct service_program *program;
	struct authority_config *config;
	struct service *service;
	char file[PATH_MAX];
	bool check_only;
	bool started, ticking;
	struct http_service http;
	struct http_server *server;
	pthread_t ticker;
	pthread_mutex_t lock;		/* of ending */
	pthread_cond_t end;
	bool ending;
};

static void
print_usage(const struct service_program *p)
{
	printf("usage: %s [--config FILE] [--check-config]\n"
	    "%s. It stays in the foreground.\n\n"
	    "  -c, --config FILE   default " SYSCONFDIR "/vta/%s.conf\n"
	    "  -n, --check-config  read the configuration, say what is wrong "
	    "with it, and end\n"
	    "  -h, --help          this\n"
	    "  -V, --version       version\n\n"
	    "See %s(8) and %s.conf(5).\n", p->name, p->summary, p->name,
	    p->name, p->name);
}

/* 0 to go on, 1 where all is done. */
static int
read_options(struct running *r, int argc, char **argv, struct err *err)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "check-config", no_argument, NULL, 'n' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	const char *name = r->program->name, *file = NULL;
	int c;

	while ((c = getopt_long(argc, argv, "c:nhV", options, NULL)) != -1)
		switch (c) {
		case 'c':
			file = optarg;
			break;
		case 'n':
			r->check_only = true;
			break;
		case 'h':
			print_usage(r->program);
			return 1;
		case 'V':
			printf("%s %s\n", name, PACKAGE_VERSION);
			return 1;
		default:
			return err_set(err, ERR_USAGE, "try %s --help", name);
		}
	if (optind < argc)
		return err_set(err, ERR_USAGE, "unexpected argument '%s'; try "
		    "%s --help", argv[optind], name);
	c = file != NULL ? snprintf(r->file, sizeof(r->file), "%s", file) :
	    snprintf(r->file, sizeof(r->file), SYSCONFDIR "/vta/%s.conf",
	    name);
	if (c < 0 || (size_t)c >= sizeof(r->file))
		return err_set(err, ERR_USAGE, "the path is too long");
	return 0;
}

static int
read_config(struct running *r, struct err *err)
{
	const struct service_program *p = r->program;
	int rc;

	/* config.c's default is "any": that of a service is its own. */
	rc = authority_config_read(r->file, CONFIG_SERVER | CONFIG_STORE |
	    CONFIG_AUTHORITY, p->keys, p->key_count, p->config, err);
	if (rc < 0)
		return rc;
	if (r->config->server.port < 0)
		r->config->server.port = (long)p->default_port;
	if (r->config->server.client_ca[0] == '\0')
		return err_set(err, ERR_USAGE, "%s: section [server] needs "
		    "'client_ca': without it nobody could administer this",
		    r->file);
	if (p->check != NULL && (rc = p->check(p->config, err)) < 0)
		return err_prefix(err, "%s", r->file);
	return 0;
}

static int
open_store(struct running *r, struct err *err)
{
	const struct authority_config *c = r->config;
	const struct store_config config = { .kind = c->store.kind,
		.file = c->store.file, .endpoints = c->store.endpoints,
		.prefix = c->store.prefix, .ca = c->store.ca,
		.certificate = c->store.certificate, .key = c->store.key };

	return store_open(&config, &r->service->store, err);
}

static unsigned int
roles(void *ctx, const struct http_peer *peer)
{
	const struct service *s = ctx;

	return role_of(s->store, peer);
}

static int
make_server(struct running *r, struct err *err)
{
	const struct authority_config *c = r->config;
	const struct http_server_config config = {
		.address = c->server.address,
		.port = (unsigned int)c->server.port,
		.certificate = c->server.certificate, .key = c->server.key,
		.client_ca = c->server.client_ca,
		.workers = (size_t)c->server.workers,
		.connections = (size_t)c->server.connections,
		.connections_per_peer = (size_t)c->server.connections_per_peer,
		.request_seconds = (unsigned int)c->server.request_seconds,
		.signals = true,
	};

	r->http = (struct http_service){ r->program->routes,
		r->program->route_count, r->service, roles };
	return http_server_new(&config, &r->http, &r->server, err);
}

static void *
tick(void *arg)
{
	struct running *r = arg;
	struct timespec next;

	for (;;) {
		r->program->tick(r->service);
		clock_gettime(CLOCK_MONOTONIC, &next);
		next.tv_sec += r->program->tick_seconds;
		pthread_mutex_lock(&r->lock);
		while (!r->ending && pthread_cond_timedwait(&r->end, &r->lock,
		    &next) == 0)
			;
		if (r->ending)
			break;
		pthread_mutex_unlock(&r->lock);
	}
	pthread_mutex_unlock(&r->lock);
	return NULL;
}

static int
start_ticker(struct running *r, struct err *err)
{
	sigset_t all, before;
	int sys;

	if (r->program->tick == NULL)
		return 0;
	/* Signals are for the loop's thread. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	sys = pthread_create(&r->ticker, NULL, tick, r);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (sys != 0)
		return err_sys(err, sys, "cannot start a thread");
	r->ticking = true;
	return 0;
}

static int
start(struct running *r, struct err *err)
{
	const struct service_program *p = r->program;
	const char *target = r->config->log.target;
	struct err why = { 0 };
	int rc;

	(void)signal(SIGPIPE, SIG_IGN);
	if ((rc = log_open(target[0] != '\0' ? target : NULL, p->name,
	    r->config->log.level, err)) < 0)
		return rc;
	secret_keep(SECRETS_KEPT);
	if (memory_guard(&why) < 0)
		log_warning("%s", why.text);
	if ((rc = service_sealing_key(r->config->authority.sealing_key,
	    &r->service->sealing, err)) < 0 || (rc = open_store(r, err)) < 0)
		return rc;
	r->started = true;
	if ((rc = p->start(r->service, err)) < 0 ||
	    (rc = make_server(r, err)) < 0 ||
	    (rc = start_ticker(r, err)) < 0)
		return rc;
	log_info("%s %s listens on %s port %u", p->name, PACKAGE_VERSION,
	    r->config->server.address, http_server_port(r->server));
	/* Nobody who waits for it hears of a failure but by waiting. */
	if (notify_send("READY=1", &why) < 0)
		log_error("%s", why.text);
	return 0;
}

static void
stop(struct running *r)
{
	pthread_mutex_lock(&r->lock);
	r->ending = true;
	pthread_cond_signal(&r->end);
	pthread_mutex_unlock(&r->lock);
	if (r->ticking)
		pthread_join(r->ticker, NULL);
	http_server_free(r->server);
	if (r->started)
		r->program->stop(r->service);
	store_close(r->service->store);
	secret_free(r->service->sealing);
	pthread_mutex_destroy(&r->lock);
	pthread_cond_destroy(&r->end);
}

int
service_main(const struct service_program *program, int argc, char **argv)
{
	struct running r = { .program = program, .config = program->config,
		.service = program->service,
		.lock = PTHREAD_MUTEX_INITIALIZER };
	pthread_condattr_t attr;
	struct err err = { 0 };
	int rc;

	/* A clock that is set neither stops the ticks nor makes them run. */
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&r.end, &attr);
	pthread_condattr_destroy(&attr);
	(void)log_open("-", program->name, LOG_LEVEL_INFO, NULL);
	r.service->config = r.config;
	if ((rc = read_options(&r, argc, argv, &err)) == 1)
		return 0;
	if (rc == 0)
		rc = read_config(&r, &err);
	if (rc == 0 && r.check_only) {
		printf("%s: good\n", r.file);
		return 0;
	}
	if (rc == 0 && (rc = start(&r, &err)) == 0)
		rc = http_server_run(r.server, &err);
	stop(&r);
	if (rc < 0)
		log_error("%s", err.text);
	else
		log_info("%s ends", program->name);
	log_close();
	return rc < 0 ? err_exit_status(rc) : 0;
}
