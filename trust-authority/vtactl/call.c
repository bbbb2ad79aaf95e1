/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "trust-authority/vtactl/vtactl.h"

#define DEFAULT_FILE SYSCONFDIR "/vta/vtactl.conf"
/* A policy has 64 MiB at most, and JSON escapes. */
#define ANSWER_MAX (96u << 20)

#define AT(field) offsetof(struct vtactl_config, field), \
	sizeof(((struct vtactl_config *)NULL)->field)

static const struct keyfile_key keys[] = {
	{ "authority", "attestd", keyfile_set_text, AT(urls[SERVICE_ATTESTD]),
	    0, 0, true },
	{ "authority", "kmxd", keyfile_set_text, AT(urls[SERVICE_KMXD]), 0, 0,
	    true },
	{ "authority", "ca", keyfile_set_path, AT(ca), 0, 0, true },
	{ "authority", "certificate", keyfile_set_path, AT(certificate), 0, 0,
	    true },
	{ "authority", "key", keyfile_set_path, AT(key), 0, 0, true },
};

static const char *const service_names[] = { "vta-attestd", "vta-kmxd" };

int
vtactl_configure(struct vtactl *v, struct err *err)
{
	const char *file = v->config_file;
	struct http_client_config config = {
		.call_ms = 60000, .answer_max = ANSWER_MAX,
	};
	int rc;

	if (v->client != NULL)
		return 0;
	if (file == NULL && (file = getenv("VTACTL_CONFIG")) == NULL)
		file = DEFAULT_FILE;
	rc = authority_config_read(file, 0, keys,
	    sizeof(keys) / sizeof(keys[0]), &v->config, err);
	if (rc < 0 && access(file, F_OK) < 0)
		return err_set(err, ERR_NOTFOUND, "there is no configuration "
		    "file %s; vtactl init makes one, on the authority's "
		    "machine; --config names another", file);
	if (rc < 0)
		return rc;
	/* libcurl's word for a file that cannot be read names no file. */
	if (access(v->config.key, R_OK) < 0)
		return err_set(err, ERR_USAGE, "cannot read %s, the key of the "
		    "administrator's certificate; run this as who owns it, or "
		    "name your own in a file for --config", v->config.key);
	config.ca = v->config.ca;
	config.certificate = v->config.certificate;
	config.key = v->config.key;
	return http_client_new(&config, &v->client, err);
}

void
vtactl_reset(struct vtactl *v)
{
	http_client_free(v->client);
	v->client = NULL;
}

static void
note_fault(struct vtactl *v, const struct http_reply *reply)
{
	const char *fault = json_string_value(json_object_get(reply->json,
	    "fault"));

	snprintf(v->fault, sizeof(v->fault), "%s", fault != NULL ? fault : "");
}

static int
add_advice(const struct http_reply *reply, int rc, struct err *err)
{
	if (reply->maybe_done)
		(void)err_append(err, "; it may have been done all the same: "
		    "look before you repeat it");
	else if (rc == ERR_REFUSED && strstr(err->text, "has no role") != NULL)
		(void)err_append(err, "; vtactl admin list shows who may do "
		    "what, to those who may see it");
	return rc;
}

static int
call_urls(struct vtactl *v, enum service service, const struct http_call *call,
    const char *path, struct http_reply *reply, struct err *err)
{
	char urls[sizeof(v->config.urls[0])], url[HTTP_TARGET_MAX + 512];
	struct http_call one = *call;
	char *save = NULL;
	int rc = ERR_USAGE;

	snprintf(urls, sizeof(urls), "%s", v->config.urls[service]);
	one.url = url;
	for (char *u = strtok_r(urls, " ", &save); u != NULL;
	    u = strtok_r(NULL, " ", &save)) {
		size_t n = strlen(u);

		while (n > 0 && u[n - 1] == '/')
			u[--n] = '\0';
		snprintf(url, sizeof(url), "%s%s", u, path);
		http_reply_reset(reply);
		rc = http_client_call(v->client, &one, reply, err);
		/* What was refused here is refused there. */
		if (rc == 0 || reply->maybe_done ||
		    (reply->status != 0 && reply->status < 500 &&
		    reply->status != 429))
			break;
	}
	if (rc == 0)
		return 0;
	if (err->text[0] == '\0')
		return err_set(err, ERR_USAGE, "the configuration names no "
		    "URL of %s", service_names[service]);
	note_fault(v, reply);
	return add_advice(reply, rc, err);
}

int
vtactl_call_raw(struct vtactl *v, enum service service,
    enum http_method method, const json_t *body, struct http_reply *reply,
    struct err *err, const char *path, ...)
{
	struct http_call call = { .method = method, .json = body };
	char target[HTTP_TARGET_MAX];
	va_list ap;
	int rc;

	*reply = (struct http_reply){ 0 };
	va_start(ap, path);
	vsnprintf(target, sizeof(target), path, ap);
	va_end(ap);
	if ((rc = vtactl_configure(v, err)) < 0)
		return rc;
	return call_urls(v, service, &call, target, reply, err);
}

int
vtactl_call(struct vtactl *v, enum service service, enum http_method method,
    json_t *body, json_t **out, struct err *err, const char *path, ...)
{
	struct http_reply reply = { 0 };
	char target[HTTP_TARGET_MAX];
	va_list ap;
	int rc;

	va_start(ap, path);
	vsnprintf(target, sizeof(target), path, ap);
	va_end(ap);
	rc = vtactl_call_raw(v, service, method, body, &reply, err, "%s",
	    target);
	if (rc == 0 && out != NULL && (*out = json_incref(reply.json)) == NULL)
		rc = err_set(err, ERR_FORMAT, "%s answered something else "
		    "than JSON; are all parts of the same version?",
		    service_names[service]);
	http_reply_reset(&reply);
	json_decref(body);
	return rc;
}

int
name_check(const char *what, const char *name, struct err *err)
{
	size_t n = strlen(name);

	if (n == 0 || n > NAME_LENGTH_MAX || name[0] == '.' || name[0] == '-' ||
	    strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	    "0123456789._-") != n)
		return err_set(err, ERR_USAGE, "'%s' cannot be the name of a "
		    "%s: 1 to %d of A-Z a-z 0-9 . _ - , not beginning with a "
		    "dot or a dash", name, what, NAME_LENGTH_MAX);
	return 0;
}

int
confirm(bool yes, const char *question, const char *word, struct err *err)
{
	char answer[300] = "", clean[ERR_TEXT_MAX];

	if (yes)
		return 0;
	if (!isatty(STDIN_FILENO))
		return err_set(err, ERR_USAGE, "this cannot be undone: say "
		    "--yes where nobody can be asked");
	clean_text(question, clean, sizeof(clean));
	fprintf(stderr, "%s Type %s: ", clean, word);
	if (fgets(answer, sizeof(answer), stdin) == NULL)
		answer[0] = '\0';
	answer[strcspn(answer, "\n")] = '\0';
	if (strcmp(answer, word) != 0)
		return err_set(err, ERR_REFUSED, "nothing was done");
	return 0;
}

void
body_set_text(json_t *body, const char *name, const char *value)
{
	if (value != NULL)
		json_object_set_new(body, name, json_string(value));
}

json_t *
body_list(const struct text_list *list)
{
	json_t *out = json_array();

	for (size_t i = 0; i < list->count; i++)
		json_array_append_new(out, json_string(list->text[i]));
	return out;
}
