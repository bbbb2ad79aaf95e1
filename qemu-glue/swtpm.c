/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * swtpm's command line on vtpmd. This program is all of vtpmd besides, and not
 * one that runs it: libvirt compares the executable of the process it has
 * started with the one it meant (facts of src/util/virpidfile.c), and it takes
 * no time. It puts vtpmd's arguments in the place of its own and goes on as
 * vtpmd; when vtpmd runs its program file again, it comes back with those.
 */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/vtpm_proxy.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "qemu-glue/argv.h"
#include "qemu-glue/swtpm-key.h"
#include "qemu-glue/swtpm-options.h"
#include "qemu-glue/swtpm-report.h"
#include "vtpm/listen.h"
#include "vtpm/vtpmd.h"

static const char usage[] =
"Usage: swtpm socket|chardev [options]\n"
"       swtpm -v|--version\n"
"       swtpm -h|--help\n"
"vtpmd in swtpm's place: TPM 2.0 only, its state always encrypted.\n";

/* -- where commands come from -- */

static int
open_proxy(int *fd, struct err *err)
{
	struct vtpm_proxy_new_dev new = { .flags = VTPM_PROXY_FLAG_TPM2 };
	int control = open("/dev/vtpmx", O_RDWR | O_CLOEXEC);

	if (control < 0)
		return err_sys(err, errno, "cannot open /dev/vtpmx (is the "
		    "module tpm_vtpm_proxy there?)");
	if (ioctl(control, VTPM_PROXY_IOC_NEW_DEV, &new) < 0) {
		err_sys(err, errno, "cannot make a vTPM proxy device");
		close(control);
		return ERR_SYSTEM;
	}
	close(control);
	printf("New TPM device: /dev/tpm%u (major/minor = %u/%u)\n",
	    new.tpm_num, new.major, new.minor);
	fflush(stdout);
	*fd = (int)new.fd;
	return 0;
}

static int
open_device(struct swtpm_options *o, struct err *err)
{
	if (o->vtpm_proxy) {
		o->relay.set_locality = true;
		if (o->relay.startup == RELAY_STARTUP_NONE)
			o->relay.startup = RELAY_STARTUP_CLEAR;
		o->relay.init = true;
		return open_proxy(&o->relay.data, err);
	}
	if (o->device == NULL)
		return 0;
	o->relay.data = open(o->device, O_RDWR | O_CLOEXEC | O_NOCTTY);
	if (o->relay.data < 0)
		return err_sys(err, errno, "Cannot open %s", o->device);
	return 0;
}

/* A descriptor that was given may be one that listens. */
static void
sort_descriptor(struct relay *r)
{
	int listens = 0;
	socklen_t size = sizeof(listens);

	if (r->data < 0 || getsockopt(r->data, SOL_SOCKET, SO_ACCEPTCONN,
	    &listens, &size) < 0 || listens == 0)
		return;
	r->listen = r->data;
	r->data = -1;
}

static int
open_ctrl(struct swtpm_options *o, struct listen_address *a, struct err *err)
{
	struct relay *r = &o->relay;
	int rc;

	if (o->server[0] == '\0' || o->ctrl[0] == '\0' ||
	    strncmp(o->ctrl, "fd:", 3) == 0)
		return 0;
	if ((rc = listen_parse(a, o->ctrl, err)) < 0 ||
	    (rc = listen_open(a, &r->ctrl, &r->ctrl_dir, err)) < 0)
		return rc;
	r->ctrl_name = listen_name(a);
	snprintf(o->ctrl, sizeof(o->ctrl), "fd:%d", r->ctrl);
	return 0;
}

static int
open_server(struct swtpm_options *o, struct listen_address *a,
    struct err *err)
{
	struct relay *r = &o->relay;
	struct listen_address platform;
	int flags, unused, rc;

	if ((rc = open_device(o, err)) < 0)
		return rc;
	sort_descriptor(r);
	if (o->server[0] == '\0')
		return 0;
	if ((rc = listen_parse(a, o->server, err)) < 0 ||
	    (rc = listen_open(a, &r->listen, &r->listen_dir, err)) < 0)
		return rc;
	r->listen_name = listen_name(a);
	if (o->platform[0] != '\0' &&
	    ((rc = listen_parse(&platform, o->platform, err)) < 0 ||
	    (rc = listen_open(&platform, &r->platform, &unused, err)) < 0))
		return rc;
	/* The relay waits with poll, and may then wait in accept as well. */
	flags = fcntl(r->listen, F_GETFL);
	return fcntl(r->listen, F_SETFL, flags & ~O_NONBLOCK) < 0 ?
	    err_sys(err, errno, "cannot use the server's socket") : 0;
}

/* -- vtpmd's arguments -- */

static void
add_client(struct argv *a, int fd)
{
	if (fd < 0)
		return;
	argv_add(a, "--client-fd");
	argv_addf(a, "%d", fd);
}

static void
add_pair(struct argv *a, const char *name, const char *value)
{
	if (value == NULL || *value == '\0')
		return;
	argv_add(a, name);
	argv_add(a, value);
}

/* --nvram first: it is how main knows them. As swtpm does, root stays root
 * where nobody else was named; then it can also remove what it has made. */
static void
translate(struct argv *a, const struct swtpm_options *o, const char *program,
    int relay, int passphrase)
{
	argv_add(a, program);
	add_pair(a, "--nvram", o->store.nvram);
	add_pair(a, "--ctrl", o->ctrl);
	add_client(a, relay);
	add_client(a, o->ctrl_client);
	if (passphrase >= 0) {
		argv_add(a, "--passphrase-fd");
		argv_addf(a, "%d", passphrase);
	}
	add_pair(a, "--config", o->config);
	add_pair(a, "--pid-file", o->pid_file);
	add_pair(a, "--log", o->log);
	add_pair(a, "--log-level", o->log_level);
	if (geteuid() == 0)
		add_pair(a, "--user", o->user != NULL ? o->user : "root");
	if (o->incoming)
		argv_add(a, "--incoming");
	if (o->daemon)
		argv_add(a, "--daemon");
	/* Of a data channel of its own the relay sees the end. */
	if (o->terminate && relay < 0)
		argv_add(a, "--terminate");
	if (o->reject_locality_4)
		argv_add(a, "--reject-locality-4");
}

static int
check(const struct swtpm_options *o, struct err *err)
{
	struct user user;

	if (!o->tpm2)
		return err_set(err, ERR_UNSUPPORTED, "TPM 1.2 is not "
		    "available: give --tpm2 for a TPM 2.0");
	if (!o->has_store)
		return err_set(err, ERR_USAGE, "--tpmstate is missing");
	if (o->user != NULL && user_find(&user, o->user, NULL) < 0)
		return err_set(err, ERR_USAGE, "Error: User '%s' does not "
		    "exist.", o->user);
	if (o->chardev && o->device == NULL && !o->vtpm_proxy &&
	    o->relay.data < 0)
		return err_set(err, ERR_USAGE, "Error: Missing --chardev, "
		    "--vtpm-proxy or --fd option.");
	if (o->ctrl[0] == '\0' && o->ctrl_client < 0 && o->server[0] == '\0' &&
	    o->relay.data < 0 && !o->chardev)
		return err_set(err, ERR_USAGE, "Error: Missing --ctrl or "
		    "--server option: nobody could reach the TPM");
	return 0;
}

/* What is where in the environment of old (swtpm(8)). */
static int
take_environment(struct swtpm_options *o, struct err *err)
{
	const char *path = getenv("TPM_PATH"), *port = getenv("TPM_PORT");

	if (!o->has_store && path != NULL) {
		o->has_store = true;
		return swtpm_store_take(&o->store, path, err);
	}
	if (!o->chardev && o->server[0] == '\0' && o->relay.data < 0 &&
	    o->ctrl[0] == '\0' && o->ctrl_client < 0 && port != NULL)
		snprintf(o->server, sizeof(o->server), "tcp:127.0.0.1:%s",
		    port);
	return 0;
}

static int
start(struct swtpm_options *o, const char *program, struct argv *a,
    struct err *err)
{
	static struct listen_address address, ctrl;
	int relay = -1, passphrase = -1, rc;

	if ((rc = take_environment(o, err)) < 0 || (rc = check(o, err)) < 0 ||
	    (rc = open_ctrl(o, &ctrl, err)) < 0 ||
	    (rc = open_server(o, &address, err)) < 0)
		goto out;
	if (o->user != NULL && geteuid() == 0 &&
	    (rc = user_find(&o->relay.user, o->user, err)) < 0)
		goto out;
	if ((rc = swtpm_store_need(&o->store, o->passphrase, err)) < 0)
		goto out;
	if (o->passphrase != NULL && (rc = swtpm_key_descriptor(o->passphrase,
	    &passphrase, err)) < 0)
		goto out;
	if ((o->relay.listen >= 0 || o->relay.data >= 0 || o->relay.init) &&
	    (rc = relay_start(&o->relay, &relay, err)) < 0)
		goto out;
	translate(a, o, program, relay, passphrase);
	if (a->failed)
		rc = err_set(err, ERR_INTERNAL, "out of memory");
out:
	if (rc < 0 && o->relay.listen_dir >= 0)
		listen_remove(&address, o->relay.listen_dir);
	if (rc < 0 && o->relay.ctrl_dir >= 0)
		listen_remove(&ctrl, o->relay.ctrl_dir);
	return rc;
}

static int
print(const struct swtpm_options *o, struct err *err)
{
	if (o->print_capabilities)
		return swtpm_print_capabilities(err);
	if (o->print_info)
		return swtpm_print_info(o->info_flags, err);
	if (!o->has_store)
		return err_set(err, ERR_USAGE, "--tpmstate is missing");
	return swtpm_print_states(&o->store, o->passphrase, err);
}

static int
run_mode(bool chardev, const char *program, int argc, char **argv)
{
	static struct swtpm_options o;
	struct argv arguments = { 0 };
	struct err err = { 0 };
	int rc;

	o.chardev = chardev;
	rc = swtpm_options_parse(&o, argc, argv, &err);
	if (rc == 0 && (o.print_capabilities || o.print_info ||
	    o.print_states))
		rc = print(&o, &err) < 0 ? err.code : 1;
	if (rc == 0)
		rc = start(&o, program, &arguments, &err);
	swtpm_options_free(&o);
	if (rc == 0) {
		/* getopt begins anew. */
		optind = 0;
		rc = vtpmd_main((int)arguments.count, arguments.words);
		argv_free(&arguments);
		return rc == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
	}
	argv_free(&arguments);
	if (rc > 0)
		return EXIT_SUCCESS;
	fprintf(stderr, "swtpm: %s\n", err.text);
	return EXIT_FAILURE;
}

int
main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : NULL;

	if (mode == NULL) {
		fprintf(stderr, "Missing TPM interface type.\n%s", usage);
		return EXIT_FAILURE;
	}
	if (strcmp(mode, "--nvram") == 0)
		return vtpmd_main(argc, argv);
	if (strcmp(mode, "socket") == 0 || strcmp(mode, "chardev") == 0)
		return run_mode(mode[0] == 'c', argv[0], argc - 1, argv + 1);
	if (strcmp(mode, "--version") == 0 || strcmp(mode, "-v") == 0) {
		printf("TPM emulator version " SWTPM_INTERFACE ", by vtpmd "
		    PACKAGE_VERSION "\n");
		return EXIT_SUCCESS;
	}
	if (strcmp(mode, "--help") == 0 || strcmp(mode, "-h") == 0) {
		fputs(usage, stdout);
		return EXIT_SUCCESS;
	}
	if (strcmp(mode, "cuse") == 0)
		fprintf(stderr, "CUSE is not available: use socket, or "
		    "chardev --vtpm-proxy.\n");
	else
		fprintf(stderr, "Unsupported TPM interface type '%s'.\n%s",
		    mode, usage);
	return EXIT_FAILURE;
}
