/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vta-kmxa: the trust authority's agent on a host. It has the host attested,
 * and gets the keys of the VMs that run here.
 */
#include <config.h>

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "base/notify.h"
#include "trust-authority/agent/daemon/attester.h"
#include "trust-authority/agent/daemon/https.h"
#include "trust-authority/agent/daemon/keeper.h"
#include "trust-authority/agent/daemon/keys.h"
#include "trust-authority/agent/daemon/leases.h"
#include "trust-authority/agent/daemon/sock.h"
#include "trust-authority/common/memory.h"

#define NAME "vta-kmxa"
#define CONFIG_FILE SYSCONFDIR "/vta/" NAME ".conf"

struct options {
	const char *config;
	bool check;
};

static void
usage(FILE *to)
{
	fprintf(to, "usage: " NAME " [--config FILE] [--check-config]\n"
	    "       " NAME " --help | --version\n"
	    "The trust authority's agent: has this host attested, and gets "
	    "the keys of its VMs.\n"
	    "FILE is " CONFIG_FILE " by default; see " NAME ".conf(5).\n");
}

/* 1: done. */
static int
read_options(int argc, char **argv, struct options *o)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "check-config", no_argument, NULL, 'C' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	*o = (struct options){ .config = CONFIG_FILE };
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'c')
			o->config = optarg;
		else if (c == 'C')
			o->check = true;
		else if (c == 'h') {
			usage(stdout);
			return 1;
		} else if (c == 'V') {
			printf(NAME " %s\n", PACKAGE_VERSION);
			return 1;
		} else {
			usage(stderr);
			return ERR_USAGE;
		}
	}
	if (optind == argc)
		return 0;
	usage(stderr);
	return ERR_USAGE;
}

static int
open_log(const struct authority_config *c, struct err *err)
{
	const char *target = c->log.target[0] != '\0' ? c->log.target : NULL;

	return log_open(target, NAME, c->log.level, err);
}

static void
reload(struct kmxa *k)
{
	struct err err = { 0 };

	if (access_reload(k->access, &k->settings, &err) < 0)
		log_error("%s; the rules stay as they were", err.text);
	else
		log_info("the access rules were read again");
}

/* Everything that may fail for what an administrator has to mend. */
static int
prepare(struct kmxa *k, struct err *err)
{
	struct err why = { 0 };
	int rc;

	for (size_t i = 0; i < KMXA_VM_LOCKS; i++)
		pthread_mutex_init(&k->vm_lock[i], NULL);
	pthread_mutex_init(&k->host.lock, NULL);
	settings_host_tpm(&k->settings, &k->host.tpm);
	if (memory_guard(&why) < 0)
		log_warning("%s", why.text);
	if ((rc = state_dir_open(&k->state, k->settings.agent.state,
	    err)) < 0 ||
	    (rc = access_open(&k->settings, &k->state, &k->access,
	    err)) < 0 ||
	    (rc = authority_new(&k->settings, &k->authority, err)) < 0 ||
	    (rc = trust_new(&k->trust, err)) < 0 ||
	    (rc = keys_open(k, &k->keys, err)) < 0 ||
	    (rc = https_open(k, &k->https, err)) < 0 ||
	    (rc = sock_open(k, &k->sock, err)) < 0)
		return rc;
	return 0;
}

/* Signals are for the loop. */
static int
start_threads(struct kmxa *k, struct err *err)
{
	sigset_t all, before;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	if ((rc = leases_start(k, &k->leases, err)) == 0 &&
	    (rc = keeper_start(k, &k->keeper, err)) == 0 &&
	    (rc = attester_start(k, &k->attester, err)) == 0)
		rc = https_start(k->https, err);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return rc;
}

static int
serve(struct kmxa *k, struct err *err)
{
	struct err why = { 0 };
	int rc;

	if ((rc = start_threads(k, err)) < 0)
		return rc;
	log_info(NAME " %s listens on %s and on %s port %u", PACKAGE_VERSION,
	    k->settings.agent.socket, k->settings.server.address,
	    https_port(k->https));
	if (notify_send("READY=1", &why) < 0)
		log_error("%s", why.text);
	return sock_run(k->sock, reload, err);
}

/*
 * Threads may be in the middle of a call that takes minutes, and none has a
 * state that would be lost: what is written is written whole. So nothing is
 * waited for, and nothing but keys released.
 */
static _Noreturn void
end(struct kmxa *k, int status)
{
	struct err err = { 0 };

	(void)notify_send("STOPPING=1", &err);
	(void)unlink(k->settings.agent.socket);
	keys_cleanse(k->keys);
	/* The log stays open: others may be writing to it. */
	log_info(NAME " ends");
	_exit(status);
}

int
main(int argc, char **argv)
{
	static struct kmxa k;
	struct options o;
	struct err err = { 0 };
	int rc;

	(void)log_open("-", NAME, LOG_LEVEL_INFO, NULL);
	if ((rc = read_options(argc, argv, &o)) != 0)
		return rc < 0 ? err_exit_status(rc) : 0;
	(void)signal(SIGPIPE, SIG_IGN);
	if ((rc = settings_read(o.config, &k.settings, &err)) < 0)
		goto out;
	if (o.check) {
		printf("%s: good\n", o.config);
		return 0;
	}
	if ((rc = open_log(&k.settings.common, &err)) < 0 ||
	    (rc = prepare(&k, &err)) < 0)
		goto out;
	if ((rc = serve(&k, &err)) < 0)
		log_error("%s", err.text);
	end(&k, err_exit_status(rc));
out:
	log_error("%s", err.text);
	return err_exit_status(rc);
}
