/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "migration/migrate-table.h"
#include "nvram-crypt/crypto.h"
#include "vtpm/vtpmctl.h"

#define PEM_MAX 512

static const char *trust, *host, *vm, *remove_id;
static bool list, renew;

/* The file while it is changed, or looked at. */
struct keys {
	int fd;
	struct secret *key;
	struct migrate_table table;
};

static int
open_keys(struct ctl *ctl, struct keys *k, struct err *err)
{
	int rc;

	k->fd = -1;
	if ((rc = ctl_load_host(ctl, true, err)) < 0 ||
	    (rc = migrate_table_key(ctl->native, &k->key, err)) < 0 ||
	    (rc = migrate_table_open_to_change(ctl->native, &k->fd,
	    err)) < 0)
		return rc;
	return migrate_table_read(k->fd, k->key, &k->table, err);
}

static void
close_keys(struct keys *k)
{
	migrate_table_reset(&k->table);
	secret_free(k->key);
	if (k->fd >= 0)
		close(k->fd);
}

/* -- this host's own -- */

static int
to_pem(const uint8_t point[MIGRATE_POINT_SIZE], char pem[PEM_MAX],
    struct err *err)
{
	uint8_t der[MIGRATE_DER_SIZE];
	BIO *out = BIO_new(BIO_s_mem());
	int n = 0, rc = 0;

	migrate_key_der(point, der);
	if (out != NULL && PEM_write_bio(out, "PUBLIC KEY", "", der,
	    sizeof(der)) > 0)
		n = BIO_read(out, pem, PEM_MAX - 1);
	if (n <= 0)
		rc = crypto_error(err, "writing a public key");
	else
		pem[n] = '\0';
	BIO_free(out);
	return rc;
}

static void
print_own(const json_t *k)
{
	printf("Migration key %s of %s\n%s", ctl_text(k, "id"),
	    ctl_text(k, "host"), ctl_text(k, "public_key"));
}

static int
make_own(struct keys *k, struct err *err)
{
	struct migrate_table *t = &k->table;
	struct secret *private = NULL;
	uint8_t point[MIGRATE_POINT_SIZE];
	int rc;

	if (t->private != NULL && !renew)
		return 0;
	if ((rc = migrate_key_make(&private, point, err)) < 0)
		return rc;
	secret_free(t->private);
	t->private = private;
	t->made = (uint64_t)time(NULL);
	memcpy(t->point, point, sizeof(point));
	if ((rc = migrate_key_id(point, t->id, err)) < 0)
		return rc;
	/* Both areas: nothing of the key before is left. */
	for (size_t i = 0; i < 2 && rc == 0; i++)
		rc = migrate_table_write(k->fd, k->key, t, err);
	return rc;
}

static int
show_own(struct ctl *ctl, struct keys *k, struct err *err)
{
	char pem[PEM_MAX], here[HOST_NAME_MAX + 1] = "";
	int rc;

	if ((rc = make_own(k, err)) < 0 ||
	    (rc = to_pem(k->table.point, pem, err)) < 0)
		return rc;
	(void)gethostname(here, sizeof(here) - 1);
	return ctl_print(ctl, json_pack("{s:o, s:o, s:o, s:s}",
	    "id", ctl_json_hex(k->table.id, MIGRATE_ID_SIZE),
	    "host", ctl_json_text(here),
	    "made", ctl_json_time(k->table.made), "public_key", pem),
	    print_own, err);
}

/* -- other hosts -- */

static json_t *
describe_peer(const struct migrate_peer *p)
{
	static const uint8_t all[UUID_SIZE];

	return json_pack("{s:o, s:o, s:o, s:o}",
	    "id", ctl_json_hex(p->id, MIGRATE_ID_SIZE),
	    "host", ctl_json_text(p->host),
	    "vm", memcmp(p->uuid, all, UUID_SIZE) == 0 ? json_null() :
	    ctl_json_uuid(p->uuid),
	    "added", ctl_json_time(p->added));
}

static void
print_peer(const json_t *p)
{
	printf("%s  %s  %s%s  %s\n", ctl_text(p, "id"), ctl_text(p, "added"),
	    json_is_null(json_object_get(p, "vm")) ? "every VM" : "VM ",
	    ctl_text(p, "vm"), ctl_text(p, "host"));
}

static void
print_trusted(const json_t *p)
{
	printf("Trusted: ");
	print_peer(p);
}

static void
print_removed(const json_t *r)
{
	printf("Removed: %lld\n", (long long)ctl_number(r, "removed"));
}

static void
print_list(const json_t *j)
{
	const json_t *peers = json_object_get(j, "trusted");

	if (ctl_text(j, "own")[0] != '\0')
		printf("This host: %s\n", ctl_text(j, "own"));
	else
		printf("This host has no migration key\n");
	printf("States go to and come from:%s\n",
	    json_array_size(peers) == 0 ? " nobody" : "");
	for (size_t i = 0; i < json_array_size(peers); i++)
		print_peer(json_array_get(peers, i));
}

static int
show_list(struct ctl *ctl, const struct keys *k, struct err *err)
{
	json_t *peers = json_array();

	for (size_t i = 0; i < k->table.n_peers; i++)
		json_array_append_new(peers,
		    describe_peer(&k->table.peers[i]));
	return ctl_print(ctl, json_pack("{s:o, s:o}",
	    "own", k->table.private != NULL ? ctl_json_hex(k->table.id,
	    MIGRATE_ID_SIZE) : json_null(), "trusted", peers), print_list,
	    err);
}

static int
read_pem(const char *path, uint8_t point[MIGRATE_POINT_SIZE],
    struct err *err)
{
	uint8_t encoded[1 + MIGRATE_POINT_SIZE];
	char group[32] = "";
	EVP_PKEY *key = NULL;
	BIO *file;
	size_t n = 0;
	int rc;

	if ((rc = crypto_init(err)) < 0)
		return rc;
	errno = 0;
	if ((file = BIO_new_file(path, "r")) == NULL) {
		ERR_clear_error();
		return err_sys(err, errno != 0 ? errno : ENOMEM,
		    "cannot open %s", path);
	}
	key = PEM_read_bio_PUBKEY_ex(file, NULL, NULL, NULL, crypto_context(),
	    NULL);
	if (key != NULL)
		(void)EVP_PKEY_get_group_name(key, group, sizeof(group), &n);
	if (key == NULL || !EVP_PKEY_is_a(key, "EC") ||
	    (strcmp(group, "prime256v1") != 0 && strcmp(group,
	    "P-256") != 0) || EVP_PKEY_get_octet_string_param(key,
	    OSSL_PKEY_PARAM_PUB_KEY, encoded, sizeof(encoded), &n) != 1 ||
	    n != sizeof(encoded) || encoded[0] != 4) {
		ERR_clear_error();
		rc = err_set(err, ERR_FORMAT, "%s holds no migration key: that "
		    "is what vtpmctl migrate-key prints on the other host",
		    path);
	} else {
		memcpy(point, encoded + 1, MIGRATE_POINT_SIZE);
	}
	EVP_PKEY_free(key);
	BIO_free(file);
	return rc;
}

static int
parse_vm(uint8_t uuid[UUID_SIZE], struct err *err)
{
	memset(uuid, 0, UUID_SIZE);
	if (vm == NULL || uuid_parse(vm, uuid) == 0)
		return 0;
	return err_set(err, ERR_USAGE, "'%s' is not a UUID", vm);
}

/* An envelope has room for so many. */
static int
check_room(const struct migrate_table *t, const struct migrate_peer *p,
    struct err *err)
{
	static const uint8_t all[UUID_SIZE];
	size_t n = 0;

	for (size_t i = 0; i < t->n_peers; i++)
		if (memcmp(p->uuid, all, UUID_SIZE) == 0 ||
		    migrate_peer_serves(&t->peers[i], p->uuid))
			n++;
	if (t->n_peers < MIGRATE_PEERS_MAX && n < MIGRATE_VM_PEERS_MAX)
		return 0;
	return err_set(err, ERR_NOSPACE, "a state can be sealed for %u hosts, "
	    "and %u can be known: remove one with --remove ID, or name the VM "
	    "that this one is for with --vm UUID", MIGRATE_VM_PEERS_MAX,
	    MIGRATE_PEERS_MAX);
}

static int
add_peer(struct ctl *ctl, struct keys *k, struct err *err)
{
	struct migrate_table *t = &k->table;
	struct migrate_peer p = { .added = (uint64_t)time(NULL) };
	int rc;

	if ((rc = parse_vm(p.uuid, err)) < 0 ||
	    (rc = read_pem(trust, p.point, err)) < 0 ||
	    (rc = migrate_key_id(p.point, p.id, err)) < 0)
		return rc;
	if (host != NULL && strlen(host) >= sizeof(p.host))
		return err_set(err, ERR_USAGE, "the name is longer than %u "
		    "bytes", MIGRATE_HOST_SIZE - 1);
	if (host != NULL)
		memcpy(p.host, host, strlen(host));
	if (t->private != NULL && memcmp(p.id, t->id, sizeof(p.id)) == 0)
		return err_set(err, ERR_USAGE, "%s holds this host's own "
		    "migration key", trust);
	for (size_t i = 0; i < t->n_peers; i++)
		if (memcmp(t->peers[i].id, p.id, sizeof(p.id)) == 0 &&
		    memcmp(t->peers[i].uuid, p.uuid, UUID_SIZE) == 0)
			return err_set(err, ERR_EXISTS, "that key is trusted "
			    "already");
	if ((rc = check_room(t, &p, err)) < 0)
		return rc;
	t->peers[t->n_peers++] = p;
	if ((rc = migrate_table_write(k->fd, k->key, t, err)) < 0)
		return rc;
	return ctl_print(ctl, describe_peer(&p), print_trusted, err);
}

/* The start of the id will do, if it is one key's. */
static int
match(const struct migrate_peer *p, size_t *matched)
{
	char id[2 * MIGRATE_ID_SIZE + 1];

	for (size_t i = 0; i < MIGRATE_ID_SIZE; i++)
		snprintf(id + 2 * i, 3, "%02x", p->id[i]);
	*matched = strlen(remove_id);
	return *matched >= 8 && *matched < sizeof(id) &&
	    strncmp(id, remove_id, *matched) == 0;
}

static int
remove_peers(struct ctl *ctl, struct keys *k, struct err *err)
{
	struct migrate_table *t = &k->table;
	uint8_t uuid[UUID_SIZE];
	size_t n = 0, removed, length;
	int rc;

	if ((rc = parse_vm(uuid, err)) < 0)
		return rc;
	for (size_t i = 0; i < t->n_peers; i++)
		if (!match(&t->peers[i], &length) || (vm != NULL &&
		    memcmp(t->peers[i].uuid, uuid, UUID_SIZE) != 0))
			t->peers[n++] = t->peers[i];
	removed = t->n_peers - n;
	t->n_peers = n;
	if (removed == 0)
		return err_set(err, ERR_NOTFOUND, "no key whose id begins with "
		    "'%.32s' is trusted%s (at least 8 digits; see --list)",
		    remove_id, vm != NULL ? " for that VM" : "");
	/* Both areas, so that a damaged one never brings it back. */
	for (size_t i = 0; i < 2; i++)
		if ((rc = migrate_table_write(k->fd, k->key, t, err)) < 0)
			return rc;
	return ctl_print(ctl, json_pack("{s:I}", "removed",
	    (json_int_t)removed), print_removed, err);
}

static int
run(struct ctl *ctl, struct err *err)
{
	int chosen = (trust != NULL) + (remove_id != NULL) + list + renew;
	struct keys k = { .fd = -1 };
	int rc;

	if (chosen > 1 || (host != NULL && trust == NULL) ||
	    (vm != NULL && trust == NULL && remove_id == NULL))
		return err_set(err, ERR_USAGE, "one of --trust, --list, "
		    "--remove and --renew; --host goes with --trust, --vm with "
		    "--trust and --remove");
	if ((rc = open_keys(ctl, &k, err)) == 0)
		rc = trust != NULL ? add_peer(ctl, &k, err) :
		    remove_id != NULL ? remove_peers(ctl, &k, err) :
		    list ? show_list(ctl, &k, err) : show_own(ctl, &k, err);
	close_keys(&k);
	return rc;
}

static const struct ctl_option options[] = {
	{ "trust", "PEM", "states may go to, and come from, the host whose "
	    "migration key this file holds", &trust, NULL },
	{ "host", "NAME", "of that host, for people", &host, NULL },
	{ "vm", "UUID", "those of this VM alone", &vm, NULL },
	{ "list", NULL, "show which hosts are trusted", NULL, &list },
	{ "remove", "ID", "trust this key no more; the start of its id will do",
	    &remove_id, NULL },
	{ "renew", NULL, "make this host a new key; what is sealed for the old "
	    "one cannot be opened any more", NULL, &renew },
	{ 0 },
};

const struct ctl_command ctl_migrate_key = {
	.name = "migrate-key",
	.operands = "",
	.n_operands = 0,
	.summary = "Let VMs move between hosts that share no storage",
	.details = "Prints this host's migration key, which is made at the "
	    "first use. The other host has to be\ntold to trust it, and this "
	    "one to trust the other's: a state is sealed so that only a\n"
	    "trusted host can open it, and only a trusted one can have sent "
	    "it. Running VMs heed\nchanges at once. The vtpmd that waits for the "
	    "VM then makes its nvram file.\n",
	.options = options,
	.run = run,
};
