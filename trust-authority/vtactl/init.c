/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/vtactl/init.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/secret.h"
#include "trust-authority/vtactl/vtactl.h"

#define DEFAULT_USER "vta"

static const char *dir, *name, *admin, *state_dir, *user, *attestd_port,
    *kmxd_port, *etcd, *etcd_prefix, *etcd_ca, *etcd_certificate, *etcd_key,
    *address;

static const struct option options[] = {
	{ "name", "NAME", "the authority's name", &name, NULL, NULL },
	{ "address", "HOST[,HOST...]", "by which hosts and administrators "
	    "reach it", &address, NULL, NULL },
	{ "admin", "NAME", "the first administrator; default: admin", &admin,
	    NULL, NULL },
	{ "dir", "DIR", "default: " SYSCONFDIR "/vta", &dir, NULL, NULL },
	{ "state-dir", "DIR", "of the store; default: " LOCALSTATEDIR
	    "/lib/vta", &state_dir, NULL, NULL },
	{ "user", "USER", "whom the services run as; default: " DEFAULT_USER,
	    &user, NULL, NULL },
	{ "attestd-port", "N", "default: 7889", &attestd_port, NULL, NULL },
	{ "kmxd-port", "N", "default: 7888", &kmxd_port, NULL, NULL },
	{ "etcd", "URL[,URL...]", "keep state in etcd instead of SQLite",
	    &etcd, NULL, NULL },
	{ "etcd-prefix", "TEXT", "what its keys begin with; default: /vtpm",
	    &etcd_prefix, NULL, NULL },
	{ "etcd-ca", "FILE", "of etcd's certificates", &etcd_ca, NULL, NULL },
	{ "etcd-certificate", "FILE", "with which the services come to etcd",
	    &etcd_certificate, NULL, NULL },
	{ "etcd-key", "FILE", "that certificate's key", &etcd_key, NULL,
	    NULL },
	{ 0 },
};

static int
find_owner(const char *who, struct place_owner *owner, struct err *err)
{
	const struct passwd *pw;

	if (geteuid() != 0) {
		if (who != NULL)
			return err_set(err, ERR_USAGE, "--user is for root: "
			    "others make what is their own");
		return 0;
	}
	if ((pw = getpwnam(who != NULL ? who : DEFAULT_USER)) == NULL)
		return err_set(err, ERR_NOTFOUND, "there is no user %s for the "
		    "services to run as: make one (systemd-sysusers does), or "
		    "name another by --user", who != NULL ? who :
		    DEFAULT_USER);
	owner->uid = pw->pw_uid;
	owner->gid = pw->pw_gid;
	owner->given = true;
	return 0;
}

static int
check_options(struct init *in, struct err *err)
{
	int rc;

	if (name == NULL || address == NULL)
		return err_set(err, ERR_USAGE, "vtactl init needs --name and "
		    "--address; try vtactl init --help");
	if ((etcd != NULL) != (etcd_ca != NULL) ||
	    (etcd != NULL) != (etcd_certificate != NULL) ||
	    (etcd != NULL) != (etcd_key != NULL))
		return err_set(err, ERR_USAGE, "--etcd, --etcd-ca, "
		    "--etcd-certificate and --etcd-key belong together");
	if ((rc = name_check("authority", name, err)) < 0 ||
	    (rc = name_check("administrator", in->admin, err)) < 0 ||
	    (rc = option_number("attestd-port", attestd_port, 0, 65535,
	    &in->attestd_port, err)) < 0 ||
	    (rc = option_number("kmxd-port", kmxd_port, 0, 65535,
	    &in->kmxd_port, err)) < 0)
		return rc;
	if (in->state_dir[0] != '/')
		return err_set(err, ERR_USAGE,
		    "--state-dir is an absolute path");
	return 0;
}

static int
make_identities(struct init *in, struct err *err)
{
	char alternatives[INIT_ADDRESSES_SIZE], text[128];
	struct identity_wish wish = { .organisation = in->name,
		.alternatives = alternatives, .days = INIT_SERVICE_DAYS };
	int rc;

	if ((rc = identity_addresses(in->addresses, alternatives,
	    sizeof(alternatives), err)) < 0)
		return rc;
	snprintf(text, sizeof(text), "%s trust authority", in->name);
	if ((rc = identity_make_ca(&in->ca, in->name, text, INIT_CA_DAYS,
	    err)) < 0)
		return rc;
	/* No child of the other: an EK certificate must not make anybody an
	 * administrator. Without an end, as EK certificates are (TCG EK
	 * Credential Profile). */
	snprintf(text, sizeof(text), "%s virtual TPM EK CA", in->name);
	if ((rc = identity_make_ca(&in->ek_ca, in->name, text, 0, err)) < 0)
		return rc;
	wish.name = "vta-attestd";
	if ((rc = identity_issue(&in->ca, &wish, &in->attestd, err)) < 0)
		return rc;
	wish.name = "vta-kmxd";
	if ((rc = identity_issue(&in->ca, &wish, &in->kmxd, err)) < 0)
		return rc;
	wish = (struct identity_wish){ .organisation = in->name,
		.name = in->admin, .use = IDENTITY_ADMIN,
		.days = INIT_ADMIN_DAYS };
	if ((rc = identity_issue(&in->ca, &wish, &in->administrator, err)) < 0)
		return rc;
	return identity_fingerprint(in->administrator.cert, in->fingerprint,
	    err);
}

/* 64 digits and a newline, as the services read it. */
static int
write_sealing_key(struct init *in, struct err *err)
{
	static const char digits[] = "0123456789abcdef";
	struct secret *text = secret_new(65);
	uint8_t key[32];
	int rc;

	if (text == NULL)
		return err_sys(err, errno, "cannot lock memory for a key");
	if (getrandom(key, sizeof(key), 0) != (ssize_t)sizeof(key)) {
		rc = err_sys(err, errno, "cannot draw a key");
		goto out;
	}
	for (size_t i = 0; i < sizeof(key); i++) {
		secret_data(text)[2 * i] = (uint8_t)digits[key[i] >> 4];
		secret_data(text)[2 * i + 1] = (uint8_t)digits[key[i] & 15];
	}
	secret_data(text)[64] = '\n';
	rc = place_write(&in->place, "sealing.key", PLACE_SERVICE,
	    secret_bytes(text), 65, err);
out:
	cleanse(key, sizeof(key));
	secret_free(text);
	return rc;
}

static int
write_identities(struct init *in, struct err *err)
{
	struct place *p = &in->place;
	char path[128];
	int rc;

	if ((rc = place_directory(p, "private", PLACE_SECRET, err)) < 0 ||
	    (rc = place_directory(p, "admin", PLACE_SECRET, err)) < 0 ||
	    (rc = place_directory(p, "hosts", PLACE_PUBLIC, err)) < 0 ||
	    (rc = place_write_certificate(p, "ca", &in->ca, err)) < 0 ||
	    (rc = place_write_certificate(p, "hosts/ca", &in->ca, err)) < 0 ||
	    (rc = place_write_identity(p, "private/ca", &in->ca,
	    PLACE_SECRET, err)) < 0 ||
	    (rc = place_write_identity(p, "ek-ca", &in->ek_ca, PLACE_SERVICE,
	    err)) < 0 ||
	    (rc = place_write_identity(p, "attestd", &in->attestd,
	    PLACE_SERVICE, err)) < 0 ||
	    (rc = place_write_identity(p, "kmxd", &in->kmxd, PLACE_SERVICE,
	    err)) < 0)
		return rc;
	snprintf(path, sizeof(path), "admin/%s", in->admin);
	return place_write_identity(p, path, &in->administrator, PLACE_SECRET,
	    err);
}

static int
make(struct init *in, struct err *err)
{
	struct store *store = NULL;
	int rc;

	if ((rc = init_store_open(in, &store, err)) < 0 ||
	    (rc = make_identities(in, err)) < 0 ||
	    (rc = write_identities(in, err)) < 0 ||
	    (rc = write_sealing_key(in, err)) < 0 ||
	    (rc = init_write_files(in, err)) < 0 ||
	    (rc = init_store_fill(in, store, err)) < 0)
		goto out;
	store_close(store);
	store = NULL;
	if ((rc = init_store_give(in, err)) == 0)
		rc = place_finish(&in->place, err);
out:
	store_close(store);
	return rc;
}

static void
print(const json_t *r)
{
	const char *d = text_of(r, "dir");

	printf("The authority %s is in %s; its state is in %s.\n\n"
	    "What now:\n"
	    "  1. Move %s/private/ca.key to where only you get at it: it makes "
	    "administrators\n     and services. vtactl admin add and vtactl "
	    "renew want it back for a moment.\n"
	    "  2. systemctl enable --now vta-attestd vta-kmxd, then vtactl "
	    "status. For others than\n     root: vtactl --config with a copy "
	    "of %s/vtactl.conf, %s/admin/%s.pem and .key.\n"
	    "  3. vtactl kms add NAME --node HOST:5696 --ca FILE --certificate "
	    "FILE --key FILE\n"
	    "  4. vtactl ek-ca import FILE, or import hosts one by one with "
	    "--trust-ek.\n"
	    "  5. vtactl group add GROUP\n"
	    "  6. On each host: install vta-kmxa, copy %s/hosts/* to "
	    "its /etc/vta,\n     systemctl enable --now vta-kmxa, "
	    "vtactl host export >HOST.json; here:\n"
	    "     vtactl host import HOST.json --group GROUP\n"
	    "  7. vtactl policy capture HOST POLICY --out FILE; read it; "
	    "vtactl policy import FILE;\n     vtactl policy approve GROUP "
	    "POLICY\n\n"
	    "Without %s/sealing.key the store's secrets are lost: back it up, "
	    "apart from the store.\n",
	    text_of(r, "name"), d, text_of(r, "store"), d, d, d,
	    text_of(r, "admin"), d, d);
}

static int
run(struct vtactl *v, struct err *err)
{
	struct place_owner owner = { 0 };
	struct init in = {
		.dir = dir != NULL ? dir : SYSCONFDIR "/vta",
		.state_dir = state_dir != NULL ? state_dir :
		    LOCALSTATEDIR "/lib/vta",
		.admin = admin != NULL ? admin : "admin",
		.name = name, .addresses = address, .user = user,
		.etcd = { etcd, etcd_prefix != NULL ? etcd_prefix : "/vtpm",
		    etcd_ca, etcd_certificate, etcd_key },
		.attestd_port = 7889, .kmxd_port = 7888,
		.place = { .fd = -1 },
	};
	int rc;

	if ((rc = check_options(&in, err)) < 0 ||
	    (rc = find_owner(user, &owner, err)) < 0 ||
	    (rc = place_begin(&in.place, in.dir, &owner, err)) < 0 ||
	    (rc = make(&in, err)) < 0)
		goto out;
	rc = print_result(v, json_pack("{s:s, s:s, s:s, s:s, s:s}", "name",
	    in.name, "dir", in.place.path, "store", in.etcd.urls != NULL ?
	    in.etcd.urls : in.store_file, "admin", in.admin, "fingerprint",
	    in.fingerprint), print, err);
out:
	place_abandon(&in.place);
	identity_free(&in.ca);
	identity_free(&in.ek_ca);
	identity_free(&in.attestd);
	identity_free(&in.kmxd);
	identity_free(&in.administrator);
	return rc;
}

const struct command init_commands[] = {
	{
		.name = "init",
		.operands = "",
		.summary = "Make a trust authority on this machine",
		.details = "Makes the authority's CA, the services' "
		    "certificates, the CA of the virtual TPMs' EK\n"
		    "certificates, the first administrator, the store and the "
		    "configuration files. All of\nit or nothing; what is there "
		    "is never overwritten.\n",
		.options = options,
		.run = run,
	},
	{ 0 },
};
