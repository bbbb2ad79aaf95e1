/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <openssl/obj_mac.h>
#include <openssl/x509.h>

#include "trust-authority/vtactl/ca-files.h"
#include "trust-authority/vtactl/place.h"
#include "trust-authority/vtactl/vtactl.h"

#define DAY 86400
#define SERVICE_DAYS 825
#define WITHIN_DAYS 60

static const char *ca_key, *within_text, *days_text;
static bool all;

static const struct option options[] = {
	{ "within", "DAYS", "only those that end within DAYS; default: 60",
	    &within_text, NULL, NULL },
	{ "all", NULL, "whenever they end", NULL, &all, NULL },
	{ "days", "N", "how long the new ones are valid; default: 825",
	    &days_text, NULL, NULL },
	{ "ca-key", "FILE", "the CA's key; default: private/ca.key beside the "
	    "CA's certificate", &ca_key, NULL, NULL },
	{ 0 },
};

void
ca_files_dir(const struct vtactl *v, char *out, size_t room)
{
	const char *slash = strrchr(v->config.ca, '/');

	snprintf(out, room, "%.*s", (int)(slash - v->config.ca),
	    v->config.ca);
}

int
ca_files_load(struct vtactl *v, const char *key, struct identity *ca,
    struct err *err)
{
	char dir[4096], path[4200];

	ca_files_dir(v, dir, sizeof(dir));
	snprintf(path, sizeof(path), "%s/private/ca.key", dir);
	return identity_load(ca, v->config.ca, key != NULL ? key : path, err);
}

/* The new key goes first: a service that starts between the two does not
 * start, rather than serve with a key that is not its certificate's. */
static int
replace(const char *certificate, const char *key, const struct identity *id,
    struct err *err)
{
	char *cert_text = NULL, *key_text = NULL;
	int rc;

	if ((rc = identity_cert_text(id->cert, &cert_text, err)) == 0 &&
	    (rc = identity_key_text(id, &key_text, err)) == 0 &&
	    (rc = place_replace(key, key_text, strlen(key_text), err)) == 0)
		rc = place_replace(certificate, cert_text, strlen(cert_text),
		    err);
	identity_text_free(key_text);
	identity_text_free(cert_text);
	return rc;
}

static int
renew_one(const struct identity *ca, const char *certificate, const char *key,
    long days, long long *ends, struct err *err)
{
	struct identity_wish wish = { .use = IDENTITY_SERVICE,
		.days = (int)days };
	struct identity old = { 0 }, new = { 0 };
	char organisation[128], name[128], *alternatives = NULL;
	int rc;

	if ((rc = identity_load(&old, certificate, NULL, err)) < 0 ||
	    (rc = identity_alternatives(&old, &alternatives, err)) < 0)
		goto out;
	identity_subject(old.cert, NID_organizationName, organisation,
	    sizeof(organisation));
	identity_subject(old.cert, NID_commonName, name, sizeof(name));
	wish.organisation = organisation;
	wish.name = name;
	wish.alternatives = alternatives;
	if ((rc = identity_issue(ca, &wish, &new, err)) < 0 ||
	    (rc = replace(certificate, key, &new, err)) < 0)
		goto out;
	*ends = identity_ends(new.cert);
out:
	identity_text_free(alternatives);
	identity_free(&new);
	identity_free(&old);
	return rc;
}

static int
renew_service(const struct identity *ca, const char *dir, const char *service,
    long within, long days, json_t *out, struct err *err)
{
	char certificate[4200], key[4200];
	struct identity old = { 0 };
	bool renewed = false;
	long long ends;
	int rc;

	snprintf(certificate, sizeof(certificate), "%s/%s.pem", dir, service);
	snprintf(key, sizeof(key), "%s/%s.key", dir, service);
	if ((rc = identity_load(&old, certificate, NULL, err)) < 0)
		return rc;
	ends = identity_ends(old.cert);
	identity_free(&old);
	if (all || ends < (long long)time(NULL) + within * DAY) {
		if ((rc = renew_one(ca, certificate, key, days, &ends,
		    err)) < 0)
			return rc;
		renewed = true;
	}
	json_array_append_new(out, json_pack("{s:s, s:b, s:I}", "certificate",
	    certificate, "renewed", renewed, "ends", (json_int_t)ends));
	return 0;
}

static void
column_ends(const json_t *row, char *out, size_t room)
{
	member_time(row, "ends", out, room);
}

static void
print(const json_t *answer)
{
	static const struct column columns[] = {
		{ "CERTIFICATE", "certificate", NULL },
		{ "RENEWED", "renewed", NULL },
		{ "ENDS", NULL, column_ends },
	};
	const json_t *rows = json_object_get(answer, "certificates"), *row;
	bool renewed = false;
	size_t i;

	print_table(rows, columns, 3);
	json_array_foreach((json_t *)(uintptr_t)rows, i, row)
		renewed |= json_is_true(json_object_get(row, "renewed"));
	if (renewed)
		printf("\nsystemctl reload vta-attestd vta-kmxd makes them "
		    "take effect; copy them to the\nauthority's other "
		    "machines, if there are any.\n");
}

static int
run(struct vtactl *v, struct err *err)
{
	long within = WITHIN_DAYS, days = SERVICE_DAYS;
	json_t *rows = json_array();
	struct identity ca = { 0 };
	char dir[4096];
	int rc;

	if ((rc = option_number("within", within_text, 0, 36500, &within,
	    err)) < 0 || (rc = option_number("days", days_text, 1, 3650, &days,
	    err)) < 0 || (rc = vtactl_configure(v, err)) < 0 ||
	    (rc = ca_files_load(v, ca_key, &ca, err)) < 0)
		goto out;
	ca_files_dir(v, dir, sizeof(dir));
	if ((rc = renew_service(&ca, dir, "attestd", within, days, rows,
	    err)) < 0 || (rc = renew_service(&ca, dir, "kmxd", within, days,
	    rows, err)) < 0)
		goto out;
	rc = print_result(v, json_pack("{s:I, s:O}", "ca_ends",
	    (json_int_t)identity_ends(ca.cert), "certificates", rows), print,
	    err);
out:
	json_decref(rows);
	identity_free(&ca);
	return rc;
}

const struct command renew_commands[] = {
	{
		.name = "renew", .operands = "",
		.summary = "Renew the services' certificates",
		.details = "Run as root on the authority's machine: new keys, "
		    "new certificates by the CA, for the\nsame names. An "
		    "administrator's own: vtactl admin add.\n",
		.options = options, .run = run,
	},
	{ 0 },
};
