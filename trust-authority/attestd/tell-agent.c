/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/attestd/tell-agent.h"

#include <stdio.h>
#include <string.h>

int
tell_agent(struct attestd *d, const char *host, struct err *err)
{
	struct http_client_config config = d->agent_client;
	struct http_client *client = NULL;
	struct http_reply reply = { 0 };
	struct directory_attested t;
	struct http_call call = { .method = HTTP_POST, .repeatable = true };
	bool v6;
	char url[128];
	int rc;

	rc = directory_attested_get(d->service.store, host, &t, err);
	if (rc == ERR_NOTFOUND || (rc == 0 && t.agent_port == 0))
		return err_set(err, ERR_NOTFOUND, "the agent of %s cannot be "
		    "told: it has not attested yet, or takes no calls; on "
		    "that host: systemctl restart vta-kmxa", host);
	if (rc < 0)
		return rc;
	v6 = strchr(t.address, ':') != NULL;
	snprintf(url, sizeof(url), "https://%s%s%s:%lld/v1/attest",
	    v6 ? "[" : "", t.address, v6 ? "]" : "",
	    (long long)t.agent_port);
	config.pinned_pem = t.agent_certificate;
	if ((rc = http_client_new(&config, &client, err)) < 0)
		return rc;
	call.url = url;
	call.json = json_object();
	rc = http_client_call(client, &call, &reply, err);
	if (rc < 0)
		err_prefix(err, "telling the agent of %s to attest", host);
	json_decref((json_t *)(uintptr_t)call.json);
	http_reply_reset(&reply);
	http_client_free(client);
	return rc;
}
