/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <string.h>

#include "nvram-crypt/agent.h"
#include "vtpm/vtpmctl.h"

/* Members of other types are shown as JSON has them. */
static void
print_member(const char *key, const json_t *value)
{
	json_t *clean;
	char *other;

	if (json_is_string(value)) {
		clean = ctl_json_text(json_string_value(value));
		printf("  %-16s %s\n", key, json_string_value(clean));
		json_decref(clean);
		return;
	}
	other = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT |
	    JSON_ENSURE_ASCII);
	printf("  %-16s %s\n", key, other != NULL ? other : "");
	free(other);
}

static void
print(const json_t *status)
{
	const char *key;
	json_t *value, *s = json_object_get(status, "status");

	printf("agent at %s\n", ctl_text(status, "socket"));
	json_object_foreach(s, key, value)
		print_member(key, value);
}

static int
run(struct ctl *ctl, struct err *err)
{
	struct agent_message q = { .type = AGENT_STATUS }, answer;
	json_t *status;
	int rc;

	if ((rc = ctl_load_config(ctl, err)) < 0 ||
	    (rc = agent_ask(ctl->agent, &q, AGENT_TIME_RUNNING, &answer,
	    err)) < 0)
		return rc;
	status = json_loadb((const char *)answer.text.data, answer.text.size,
	    JSON_REJECT_DUPLICATES, NULL);
	agent_forget(ctl->agent);
	if (!json_is_object(status)) {
		json_decref(status);
		return err_set(err, ERR_FORMAT, "the agent's status is not a "
		    "JSON object: vtpmctl and vta-kmxa are of different "
		    "releases");
	}
	return ctl_print(ctl, json_pack("{s:o, s:o}", "socket",
	    ctl_json_text(ctl->config.agent), "status", status), print, err);
}

const struct ctl_command ctl_agent_status = {
	.name = "agent status",
	.operands = "",
	.n_operands = 0,
	.summary = "Show how this host stands with the trust authority",
	.details = "Asks vta-kmxa over [authority] socket of vtpmd.conf: host, "
	    "group, whether it is\nattested and why not, until when, and "
	    "which VMs it owns.\n",
	.run = run,
};
