/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "trust-authority/vtactl/vtactl.h"

#define PEM_MAX 65536

static struct text_list nodes;
static const char *ca, *certificate, *key, *server_name;
static bool is_default, untested;

static const struct option add_options[] = {
	{ "node", "HOST:PORT", "a node of it; may be given several times, the "
	    "first is used first", NULL, NULL, &nodes },
	{ "ca", "FILE", "PEM of the CAs of its nodes' certificates", &ca, NULL,
	    NULL },
	{ "certificate", "FILE", "PEM with which vta-kmxd comes to it",
	    &certificate, NULL, NULL },
	{ "key", "FILE", "that certificate's key", &key, NULL, NULL },
	{ "server-name", "NAME", "what its certificates say, where that is "
	    "not the node's name", &server_name, NULL, NULL },
	{ "default", NULL, "new VMs' keys are made there", NULL, &is_default,
	    NULL },
	{ "untested", NULL, "do not ask it first whether it works", NULL,
	    &untested, NULL },
	{ 0 },
};

static int
add_file(json_t *body, const char *name, const char *path, struct err *err)
{
	char *text = NULL;
	size_t size;
	int rc;

	if ((rc = file_read(path, PEM_MAX, &text, &size, err)) < 0)
		return rc;
	if (strstr(text, "-----BEGIN ") == NULL ||
	    json_object_set_new(body, name, json_string(text)) < 0)
		rc = err_set(err, ERR_FORMAT, "%s is not PEM: it has no line "
		    "-----BEGIN ...-----", path);
	cleanse(text, size);
	free(text);
	return rc;
}

static int
add(struct vtactl *v, struct err *err)
{
	const char *name = v->operands[0];
	json_t *body = NULL;
	int rc;

	if ((rc = name_check("KMS", name, err)) < 0)
		return rc;
	if (nodes.count == 0 || ca == NULL || certificate == NULL ||
	    key == NULL)
		return err_set(err, ERR_USAGE, "vtactl kms add needs --node, "
		    "--ca, --certificate and --key; try vtactl kms add "
		    "--help");
	body = json_pack("{s:o, s:b}", "nodes", body_list(&nodes), "default",
	    is_default);
	body_set_text(body, "server_name", server_name);
	if ((rc = add_file(body, "ca", ca, err)) < 0 ||
	    (rc = add_file(body, "certificate", certificate, err)) < 0 ||
	    (rc = add_file(body, "key", key, err)) < 0) {
		json_decref(body);
		return rc;
	}
	if ((rc = vtactl_call(v, SERVICE_KMXD, HTTP_PUT, body, NULL, err,
	    "/v1/kms/%s%s", name, untested ? "?untested=1" : "")) < 0)
		return rc;
	return print_done(v, json_pack("{s:s}", "name", name), err,
	    untested ? "KMS %s is added; nobody has asked it yet." :
	    "KMS %s is added; it answered.", name);
}

/* The service's own word for each node, once it has tried it. */
static void
column_nodes(const json_t *row, char *out, size_t room)
{
	const json_t *state = json_object_get(row, "state"), *node;
	size_t used = 0, i;

	if (!json_is_array(state)) {
		member_text(row, "nodes", out, room);
		return;
	}
	snprintf(out, room, "-");
	json_array_foreach((json_t *)(uintptr_t)state, i, node)
		if (used < room)
			used += (size_t)snprintf(out + used, room - used,
			    "%s%s %s", i > 0 ? ", " : "", text_of(node,
			    "name"), text_of(node, "health"));
}

static void
print_kms(const json_t *answer)
{
	static const struct column columns[] = {
		{ "NAME", "name", NULL }, { "DEFAULT", "default", NULL },
		{ "NODES", NULL, column_nodes },
	};

	print_table(rows_of((json_t *)(uintptr_t)answer, "kms"), columns, 3);
}

static int
list(struct vtactl *v, struct err *err)
{
	json_t *answer;
	int rc;

	if ((rc = vtactl_call(v, SERVICE_KMXD, HTTP_GET, NULL, &answer, err,
	    "/v1/kms")) < 0)
		return rc;
	return print_result(v, answer, print_kms, err);
}

static int
remove_kms(struct vtactl *v, struct err *err)
{
	const char *name = v->operands[0];
	int rc;

	if ((rc = name_check("KMS", name, err)) < 0 ||
	    (rc = vtactl_call(v, SERVICE_KMXD, HTTP_DELETE, NULL, NULL, err,
	    "/v1/kms/%s", name)) < 0)
		return rc;
	return print_done(v, json_pack("{s:s}", "name", name), err,
	    "KMS %s is not used any more.", name);
}

const struct command kms_commands[] = {
	{
		.name = "kms add", .operands = "NAME", .least = 1, .most = 1,
		.summary = "Add a KMS, or change what is known of it",
		.details = "The files are read here and sent to vta-kmxd, "
		    "which keeps the key sealed and never\ngives it back.\n",
		.options = add_options, .run = add,
	},
	{
		.name = "kms list", .operands = "",
		.summary = "List the KMSes and how their nodes do",
		.run = list,
	},
	{
		.name = "kms remove", .operands = "NAME", .least = 1,
		.most = 1, .summary = "Remove a KMS that no VM needs",
		.run = remove_kms,
	},
	{ 0 },
};
