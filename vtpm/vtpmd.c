/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vtpmd: one virtual TPM 2.0. This file turns options into a listening socket,
 * a worker, an open nvram file and, last, a confined monitor; the order of
 * those steps is what keeps secrets from where they need not be, see start().
 */
#include <config.h>

#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <openssl/crypto.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/uuid.h"
#include "nvram-crypt/crypto.h"
#include "vtpm/config.h"
#include "vtpm/daemon.h"
#include "vtpm/listen.h"
#include "vtpm/monitor.h"
#include "vtpm/notify.h"
#include "vtpm/nursery.h"
#include "vtpm/sandbox.h"
#include "vtpm/worker.h"

#define PASSPHRASE_MAX 1024
/* The user that a root-started vtpmd becomes when nobody names one. */
#define DEFAULT_USER "vtpmd"
#define LAST_RESORT_USER "nobody"

struct options {
	const char *nvram, *ctrl, *pid_file, *log, *log_level;
	char *user;
	const char *state_dir, *config;
	int passphrase_fd;
	bool daemon, terminate;
};

static const char usage[] =
"usage: vtpmd --nvram FILE --ctrl unix:PATH[,mode=0600] [OPTION]...\n"
"Run the virtual TPM 2.0 whose state is the encrypted nvram FILE.\n"
"\n"
"      --nvram FILE         the vTPM's state (make one with vtpmctl create)\n"
"      --ctrl unix:PATH     control socket for QEMU's -tpmdev emulator;\n"
"                           ,mode=0600 sets its permissions\n"
"      --passphrase-fd N    read a passphrase for FILE from descriptor N\n"
"      --state-dir DIR      the host's keys and freshness records\n"
"      --config FILE        configuration, instead of " SYSCONFDIR
"/vtpmd/vtpmd.conf\n"
"      --user U             become user U when started by root\n"
"      --terminate          end when the hypervisor's connection ends\n"
"      --daemon             go into the background once ready\n"
"      --pid-file F         write the process id to F\n"
"      --log F|syslog       log there instead of standard error\n"
"      --log-level L        error, warning, info (default) or debug\n"
"  -h, --help               this text\n"
"  -V, --version            version\n"
"\n"
"See vtpmd(8).\n";

enum { OPT_NVRAM = 256, OPT_CTRL, OPT_PASSPHRASE_FD, OPT_STATE_DIR, OPT_CONFIG,
	OPT_USER, OPT_TERMINATE, OPT_DAEMON, OPT_PID_FILE, OPT_LOG,
	OPT_LOG_LEVEL };

static const struct option long_options[] = {
	{ "nvram", required_argument, NULL, OPT_NVRAM },
	{ "ctrl", required_argument, NULL, OPT_CTRL },
	{ "passphrase-fd", required_argument, NULL, OPT_PASSPHRASE_FD },
	{ "state-dir", required_argument, NULL, OPT_STATE_DIR },
	{ "config", required_argument, NULL, OPT_CONFIG },
	{ "user", required_argument, NULL, OPT_USER },
	{ "terminate", no_argument, NULL, OPT_TERMINATE },
	{ "daemon", no_argument, NULL, OPT_DAEMON },
	{ "pid-file", required_argument, NULL, OPT_PID_FILE },
	{ "log", required_argument, NULL, OPT_LOG },
	{ "log-level", required_argument, NULL, OPT_LOG_LEVEL },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ NULL, 0, NULL, 0 },
};

static int
parse_descriptor(const char *text, int *fd, struct err *err)
{
	char *end;
	long n = strtol(text, &end, 10);

	if (*text == '\0' || *end != '\0' || n < 0 || n > 1 << 20)
		return err_set(err, ERR_USAGE, "'%s' is not a descriptor",
		    text);
	*fd = (int)n;
	return 0;
}

/* 1: the program is done (help, version). */
static int
parse_options(struct options *o, int argc, char **argv, struct err *err)
{
	int c;

	*o = (struct options){ .passphrase_fd = -1 };
	while ((c = getopt_long(argc, argv, "hV", long_options, NULL)) != -1) {
		switch (c) {
		case OPT_NVRAM:
			o->nvram = optarg;
			break;
		case OPT_CTRL:
			o->ctrl = optarg;
			break;
		case OPT_PASSPHRASE_FD:
			if (parse_descriptor(optarg, &o->passphrase_fd,
			    err) < 0)
				return ERR_USAGE;
			break;
		case OPT_STATE_DIR:
			o->state_dir = optarg;
			break;
		case OPT_CONFIG:
			o->config = optarg;
			break;
		case OPT_USER:
			o->user = optarg;
			break;
		case OPT_TERMINATE:
			o->terminate = true;
			break;
		case OPT_DAEMON:
			o->daemon = true;
			break;
		case OPT_PID_FILE:
			o->pid_file = optarg;
			break;
		case OPT_LOG:
			o->log = optarg;
			break;
		case OPT_LOG_LEVEL:
			o->log_level = optarg;
			break;
		case 'h':
			fputs(usage, stdout);
			return 1;
		case 'V':
			printf("vtpmd %s\n", PACKAGE_VERSION);
			return 1;
		default:
			return err_set(err, ERR_USAGE,
			    "see vtpmd --help for the options");
		}
	}
	if (optind < argc)
		return err_set(err, ERR_USAGE, "'%s' is one word too many",
		    argv[optind]);
	if (o->nvram == NULL || o->ctrl == NULL)
		return err_set(err, ERR_USAGE, "%s is missing; see vtpmd "
		    "--help", o->nvram == NULL ? "--nvram FILE" :
		    "--ctrl unix:PATH");
	return 0;
}

/* Whom root becomes; NULL when this is not root. */
static char *
choose_user(const struct options *o, struct config *config)
{
	if (geteuid() != 0)
		return NULL;
	if (o->user != NULL)
		return o->user;
	if (config->user[0] != '\0')
		return config->user;
	snprintf(config->user, sizeof(config->user), "%s",
	    getpwnam(DEFAULT_USER) != NULL ? DEFAULT_USER : LAST_RESORT_USER);
	return config->user;
}

/* No file of the worker's grows; sanitizers report to one. */
#ifdef SANITIZERS
#define WORKER_FILE_MAX RLIM_INFINITY
#else
#define WORKER_FILE_MAX 0
#endif

/* What the nursery does first. Its workers inherit it. */
static void
confine_nursery(void *user)
{
	struct err err = { 0 };

	if ((user != NULL && sandbox_drop_user(user, &err) < 0) ||
	    /* After the change of user, which clears it, prctl(2). */
	    prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 ||
	    sandbox_paths(NULL, 0, &err) < 0)
		_exit(1);
}

/* What a worker does once it is set up. */
static void
confine_worker(void *user)
{
	struct rlimit nothing = { WORKER_FILE_MAX, WORKER_FILE_MAX };
	struct err err = { 0 };

	(void)user;
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 ||
	    setrlimit(RLIMIT_FSIZE, &nothing) < 0 ||
	    sandbox_syscalls_worker(&err) < 0)
		_exit(1);
}

/* Everything that the monitor and the way to it consist of. */
struct vtpmd {
	struct options options;
	struct config config;
	struct listen_address address;
	char *user;
	bool logs_elsewhere;	/* than to standard error */
	int listen_dir;
	struct pid_file pid_file;
	int daemon_ready;
	struct secret *passphrase;
	struct channel_memory memory;
	struct monitor monitor;
};

static int
open_log(struct vtpmd *d, struct err *err)
{
	const char *target = d->options.log;

	if (target == NULL && d->config.log[0] != '\0')
		target = d->config.log;
	if (d->options.log_level != NULL &&
	    log_level_parse(d->options.log_level, &d->config.log_level) < 0)
		return err_set(err, ERR_USAGE, "'%s': a log level is error, "
		    "warning, info or debug", d->options.log_level);
	d->logs_elsewhere = target != NULL && strcmp(target, "-") != 0;
	return log_open(target, "vtpmd", d->config.log_level, err);
}

static int
block_signals(struct vtpmd *d, struct err *err)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	/* A file size limit is an error of the write, not the end. */
	signal(SIGXFSZ, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0 ||
	    (d->monitor.signal_fd = signalfd(-1, &set,
	    SFD_CLOEXEC | SFD_NONBLOCK)) < 0)
		return err_sys(err, errno, "cannot take signals");
	return 0;
}

static int
make_worker(struct vtpmd *d, struct err *err)
{
	int rc;

	/* Before the fork, so that its tables are shared; see worker.c. Without
	 * the texts of OpenSSL's errors: 60 kB in each process, for what never
	 * happens and is told by number then. */
	if (OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CRYPTO_STRINGS |
	    OPENSSL_INIT_NO_LOAD_CONFIG, NULL) != 1)
		return crypto_error(err, "starting");
	if ((rc = crypto_prepare_fork(err)) < 0 ||
	    (rc = channel_memory_make(&d->memory, err)) < 0 ||
	    (rc = nursery_start(&d->memory, confine_nursery, confine_worker,
	    d->user, &d->monitor.nursery, err)) < 0)
		return rc;
	d->monitor.channel.memory = d->memory;
	return nursery_spawn(d->monitor.nursery, &d->monitor.channel,
	    &d->monitor.worker, err);
}

/* The last step: what is not needed any more goes for good. */
static int
confine_monitor(struct vtpmd *d, struct err *err)
{
	int dirs[] = { d->listen_dir, d->pid_file.dir };
	int rc;

	if ((rc = sandbox_paths(dirs, 2, err)) < 0 ||
	    (rc = sandbox_syscalls_monitor(err)) < 0)
		return rc;
	/* What opening the file and building the filter took. */
	malloc_trim(0);
	return 0;
}

static int
open_storage(struct vtpmd *d, struct err *err)
{
	char uuid[UUID_TEXT_SIZE];
	int rc;

	rc = storage_open(&d->monitor.storage, d->options.nvram, &d->config,
	    d->passphrase, err);
	secret_free(d->passphrase);
	d->passphrase = NULL;
	if (rc < 0)
		return rc;
	uuid_format(storage_header(d->monitor.storage)->uuid, uuid);
	log_set_context(uuid);
	return storage_note_version(d->monitor.storage, tpm_library_version(),
	    err);
}

/* The socket listens first, so that QEMU and libvirt can connect while keys
 * are fetched. The nursery, which forks the worker, is forked itself, as the
 * user it stays, before this process knows any secret. Only then the file is opened, with the privileges that
 * this takes; then they are dropped. */
static int
start(struct vtpmd *d, struct err *err)
{
	int rc;

	d->user = choose_user(&d->options, &d->config);
	if (d->user != NULL && getpwnam(d->user) == NULL)
		return err_set(err, ERR_USAGE, "there is no user %s", d->user);
	if ((rc = listen_parse(&d->address, d->options.ctrl, err)) < 0 ||
	    (rc = open_log(d, err)) < 0 ||
	    (rc = listen_open(&d->address, &d->monitor.listen_fd,
	    &d->listen_dir, err)) < 0 ||
	    (rc = block_signals(d, err)) < 0 ||
	    (rc = sandbox_process(err)) < 0)
		return rc;
	if (d->options.pid_file != NULL && (rc = pid_file_write(&d->pid_file,
	    d->options.pid_file, err)) < 0)
		return rc;
	if ((rc = make_worker(d, err)) < 0)
		return rc;
	if (d->options.passphrase_fd >= 0) {
		d->passphrase = secret_read_fd(d->options.passphrase_fd,
		    PASSPHRASE_MAX, err);
		if (d->passphrase == NULL)
			return err->code;
		close(d->options.passphrase_fd);
	}
	if ((rc = open_storage(d, err)) < 0)
		return rc;
	if (d->user != NULL && (rc = sandbox_drop_user(d->user, err)) < 0)
		return rc;
	/* Before anybody is told, who may look or unmount. */
	if (chdir("/") < 0)
		return err_sys(err, errno, "cannot go to /");
	log_info("ready on %s as user id %u, worker %d", d->address.path,
	    (unsigned int)geteuid(), (int)d->monitor.worker);
	if (d->options.daemon && (rc = daemon_ready(d->daemon_ready, err)) < 0)
		return rc;
	if ((rc = notify_send("READY=1", err)) < 0)
		return rc;
	return confine_monitor(d, err);
}

static int
run(struct vtpmd *d, struct err *err)
{
	int rc, status;

	if ((rc = start(d, err)) < 0) {
		struct err ignored = { 0 };

		(void)storage_close(d->monitor.storage, &ignored);
		status = err_exit_status(rc);
	} else {
		status = monitor_run(&d->monitor);
	}
	channel_close(&d->monitor.channel);
	if (d->listen_dir >= 0)
		listen_remove(&d->address, d->listen_dir);
	pid_file_remove(&d->pid_file);
	secret_free(d->passphrase);
	return status;
}

int
main(int argc, char **argv)
{
	static struct vtpmd d = {
		.listen_dir = -1, .daemon_ready = -1, .pid_file.dir = -1,
		.monitor = { .listen_fd = -1, .signal_fd = -1, .data_fd = -1,
			.nursery = -1,
			.channel = { .orders = -1, .needs = -1 } },
	};
	struct err err = { 0 };
	int rc;

	/* Descriptors 0 to 2 must be open, or a file of ours gets such a
	 * number and a library's message goes into it. */
	for (int fd = 0; fd < 3; fd++) {
		struct stat st;

		if (fstat(fd, &st) < 0 && errno == EBADF)
			return 1;
	}
	if ((rc = parse_options(&d.options, argc, argv, &err)) == 1)
		return 0;
	if (rc == 0)
		rc = config_load(&d.config, d.options.config,
		    d.options.state_dir, &err);
	if (rc == 0 && d.options.daemon)
		rc = daemon_start(&d.daemon_ready, &err);
	if (rc == 0) {
		d.monitor.terminate = d.options.terminate;
		rc = run(&d, &err);
		if (err.code == 0)
			return rc;
	} else {
		rc = err_exit_status(rc);
	}
	/* Who started it sees it, wherever the log goes. */
	if (d.logs_elsewhere)
		log_error("%s", err.text);
	fprintf(stderr, "vtpmd: %s\n", err.text);
	return rc;
}
