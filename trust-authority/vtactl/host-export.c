/* SPDX-License-Identifier: BSD-3-Clause */
/* On a host: what identifies it, from its agent. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "nvram-crypt/agent.h"
#include "trust-authority/vtactl/vtactl.h"

/* A TPM may take half of it to make its EK anew. */
#define EXPORT_MS 60000

static const char *socket_path, *out_file;

static const struct option options[] = {
	{ "agent", "SOCKET", "the agent's; default: /run/vta-kmxa/agent.sock",
	    &socket_path, NULL, NULL },
	{ "out", "FILE", "write it there instead of to standard output",
	    &out_file, NULL, NULL },
	{ 0 },
};

static int
ask(struct agent *agent, struct agent_message *answer, struct err *err)
{
	struct agent_message hello = { .way = AGENT_REQUEST,
		.type = AGENT_HELLO, .version = AGENT_WIRE_VERSION };
	struct agent_message export = { .way = AGENT_REQUEST,
		.type = AGENT_HOST_EXPORT };
	int rc;

	if ((rc = agent_ask(agent, &hello, AGENT_TIME_CLOSE, answer,
	    err)) < 0)
		return rc;
	return agent_ask(agent, &export, EXPORT_MS, answer, err);
}

static int
run(struct vtactl *v, struct err *err)
{
	char path[] = "/run/vta-kmxa/agent.sock";
	struct agent_message answer = { 0 };
	struct agent *agent = NULL;
	json_t *json = NULL;
	char *text = NULL;
	int rc;

	(void)v;
	if ((rc = agent_new(&agent, agent_connect_path, socket_path != NULL ?
	    (void *)(uintptr_t)socket_path : path, err)) < 0 ||
	    (rc = ask(agent, &answer, err)) < 0)
		goto out;
	json = json_loadb((const char *)answer.text.data, answer.text.size,
	    JSON_REJECT_DUPLICATES, NULL);
	if (!json_is_object(json) ||
	    (text = json_dumps(json, JSON_INDENT(2) | JSON_SORT_KEYS)) ==
	    NULL) {
		rc = err_set(err, ERR_FORMAT, "the agent's answer is not what "
		    "identifies a host; are both of the same version?");
		goto out;
	}
	rc = file_write_new(out_file, 0644, text, strlen(text), err);
	if (rc == 0 && (out_file == NULL || strcmp(out_file, "-") == 0))
		(void)putchar('\n');
out:
	free(text);
	json_decref(json);
	agent_free(agent);
	return rc;
}

const struct command host_export_commands[] = {
	{
		.name = "host export", .operands = "",
		.summary = "On a host: write what identifies it",
		.details = "As root, on the host itself, with vta-kmxa "
		    "running: its TPM's endorsement key, that\nkey's "
		    "certificate and the host's name, for vtactl host "
		    "import.\n",
		.options = options, .run = run,
	},
	{ 0 },
};
