/* SPDX-License-Identifier: BSD-3-Clause */
/* Administrators: client certificates of the authority's CA, each with a role
 * that the services look up by its fingerprint. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/obj_mac.h>

#include "trust-authority/vtactl/ca-files.h"
#include "trust-authority/vtactl/vtactl.h"

#define ADMIN_DAYS 365

static const char *role, *ca_key, *out_dir, *days_text, *csr;

static const struct option add_options[] = {
	{ "role", "ROLE", "admin, operator or auditor; needed", &role, NULL,
	    NULL },
	{ "ca-key", "FILE", "the CA's key; default: private/ca.key beside the "
	    "CA's certificate", &ca_key, NULL, NULL },
	{ "csr", "FILE", "for the key of this certificate request, which "
	    "stays where it was made", &csr, NULL, NULL },
	{ "out", "DIR", "where NAME.pem and NAME.key go; default: here",
	    &out_dir, NULL, NULL },
	{ "days", "N", "how long it is valid; default: 365", &days_text, NULL,
	    NULL },
	{ 0 },
};

static int
check_role(struct err *err)
{
	if (role != NULL && (strcmp(role, "admin") == 0 ||
	    strcmp(role, "operator") == 0 || strcmp(role, "auditor") == 0))
		return 0;
	return err_set(err, ERR_USAGE, "--role is admin (all), operator "
	    "(fences, accepts restores, asks hosts to attest, grants) or "
	    "auditor (reads)");
}

struct files {
	char certificate[4096];
	char key[4096];		/* "": who asked has it */
};

static int
write_files(const struct files *f, const struct identity *id,
    struct err *err)
{
	char *cert = NULL, *key = NULL;
	int rc;

	if ((rc = identity_cert_text(id->cert, &cert, err)) < 0 ||
	    (f->key[0] != '\0' && ((rc = identity_key_text(id, &key,
	    err)) < 0 || (rc = file_write_new(f->key, 0600, key, strlen(key),
	    err)) < 0)))
		goto out;
	rc = file_write_new(f->certificate, 0644, cert, strlen(cert), err);
	if (rc < 0 && f->key[0] != '\0')
		(void)unlink(f->key);
out:
	identity_text_free(key);
	identity_text_free(cert);
	return rc;
}

static int
issue(struct vtactl *v, const char *name, struct identity *out,
    struct err *err)
{
	struct identity_wish wish = { .name = name, .use = IDENTITY_ADMIN };
	struct identity ca = { 0 };
	char organisation[128];
	long days = ADMIN_DAYS;
	int rc;

	if ((rc = option_number("days", days_text, 1, 3650, &days, err)) < 0 ||
	    (csr != NULL && (rc = identity_request_key(csr, &wish.key,
	    err)) < 0) || (rc = ca_files_load(v, ca_key, &ca, err)) < 0)
		goto out;
	identity_subject(ca.cert, NID_organizationName, organisation,
	    sizeof(organisation));
	wish.organisation = organisation;
	wish.days = (int)days;
	rc = identity_issue(&ca, &wish, out, err);
out:
	EVP_PKEY_free(wish.key);
	identity_free(&ca);
	return rc;
}

static int
tell_added(struct vtactl *v, const char *name, const char *fingerprint,
    const struct files *f, struct err *err)
{
	json_t *said = json_pack("{s:s, s:s, s:s, s:s, s:s*}", "name", name,
	    "role", role, "fingerprint", fingerprint, "certificate",
	    f->certificate, "key", f->key[0] != '\0' ? f->key : NULL);

	if (f->key[0] == '\0')
		return print_done(v, said, err, "%s is %s. Hand over %s; "
		    "vtactl.conf(5) names it.", name, role, f->certificate);
	return print_done(v, said, err, "%s is %s. Hand over %s and %s, and "
	    "keep no copy of the key; vtactl.conf(5) names them.", name, role,
	    f->certificate, f->key);
}

static int
add(struct vtactl *v, struct err *err)
{
	char fingerprint[IDENTITY_FINGERPRINT_SIZE];
	const char *name = v->operands[0];
	struct identity id = { 0 };
	struct files f = { .key = "" };
	int rc;

	if ((rc = name_check("administrator", name, err)) < 0 ||
	    (rc = check_role(err)) < 0 ||
	    (rc = vtactl_configure(v, err)) < 0 ||
	    (rc = issue(v, name, &id, err)) < 0 ||
	    (rc = identity_fingerprint(id.cert, fingerprint, err)) < 0)
		goto out;
	snprintf(f.certificate, sizeof(f.certificate), "%s/%s.pem",
	    out_dir != NULL ? out_dir : ".", name);
	if (csr == NULL)
		snprintf(f.key, sizeof(f.key), "%s/%s.key",
		    out_dir != NULL ? out_dir : ".", name);
	if ((rc = write_files(&f, &id, err)) < 0)
		goto out;
	rc = vtactl_call(v, SERVICE_ATTESTD, HTTP_PUT, json_pack(
	    "{s:s, s:s}", "name", name, "role", role), NULL, err,
	    "/v1/admins/%s", fingerprint);
	if (rc < 0) {
		(void)unlink(f.certificate);
		if (f.key[0] != '\0')
			(void)unlink(f.key);
		goto out;
	}
	rc = tell_added(v, name, fingerprint, &f, err);
out:
	identity_free(&id);
	return rc;
}

static void
column_fingerprint(const json_t *row, char *out, size_t room)
{
	snprintf(out, room, "%.16s", text_of(row, "fingerprint"));
}

static void
column_added(const json_t *row, char *out, size_t room)
{
	member_time(row, "added", out, room);
}

static void
print_admins(const json_t *answer)
{
	static const struct column columns[] = {
		{ "NAME", "name", NULL }, { "ROLE", "role", NULL },
		{ "SINCE", NULL, column_added },
		{ "CERTIFICATE", NULL, column_fingerprint },
	};

	print_table(rows_of((json_t *)(uintptr_t)answer, "admins"), columns,
	    4);
}

static int
list(struct vtactl *v, struct err *err)
{
	json_t *answer;
	int rc;

	if ((rc = vtactl_call(v, SERVICE_ATTESTD, HTTP_GET, NULL, &answer, err,
	    "/v1/admins")) < 0)
		return rc;
	return print_result(v, answer, print_admins, err);
}

/* Of the one administrator with this name, or whose fingerprint begins so. */
static int
find(struct vtactl *v, const char *who, char *out, size_t room,
    struct err *err)
{
	json_t *answer, *row;
	size_t i, found = 0;
	int rc;

	if ((rc = vtactl_call(v, SERVICE_ATTESTD, HTTP_GET, NULL, &answer, err,
	    "/v1/admins")) < 0)
		return rc;
	json_array_foreach(rows_of(answer, "admins"), i, row) {
		const char *f = text_of(row, "fingerprint");

		if (strcmp(text_of(row, "name"), who) != 0 &&
		    (strlen(who) < 8 || strncmp(f, who, strlen(who)) != 0))
			continue;
		snprintf(out, room, "%s", f);
		found++;
	}
	json_decref(answer);
	if (found == 0)
		return err_set(err, ERR_NOTFOUND, "there is no administrator "
		    "'%s'; vtactl admin list shows them", who);
	if (found > 1)
		return err_set(err, ERR_USAGE, "there are %zu administrators "
		    "'%s': name one by the beginning of the certificate's "
		    "fingerprint, as vtactl admin list shows it", found, who);
	return name_check("certificate", out, err);
}

static int
remove_admin(struct vtactl *v, struct err *err)
{
	char fingerprint[IDENTITY_FINGERPRINT_SIZE];
	int rc;

	if ((rc = find(v, v->operands[0], fingerprint, sizeof(fingerprint),
	    err)) < 0 || (rc = vtactl_call(v, SERVICE_ATTESTD, HTTP_DELETE,
	    NULL, NULL, err, "/v1/admins/%s", fingerprint)) < 0)
		return rc;
	return print_done(v, json_pack("{s:s}", "fingerprint", fingerprint),
	    err, "%s is no administrator any more, from now on.",
	    v->operands[0]);
}

const struct command admin_commands[] = {
	{
		.name = "admin add", .operands = "NAME", .least = 1, .most = 1,
		.summary = "Make an administrator: a certificate and its role",
		.details = "Run where the CA's key is, by an administrator "
		    "with the role admin. A second one of the\nsame name may "
		    "be: to renew, add, hand over, remove the old one.\n",
		.options = add_options, .run = add,
	},
	{
		.name = "admin list", .operands = "",
		.summary = "List the administrators", .run = list,
	},
	{
		.name = "admin remove", .operands = "NAME|FINGERPRINT",
		.least = 1, .most = 1,
		.summary = "Take an administrator's role away, at once",
		.run = remove_admin,
	},
	{ 0 },
};
