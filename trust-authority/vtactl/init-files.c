/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "trust-authority/vtactl/init.h"

#define FILE_SIZE 8192

int
init_urls(const struct init *in, long port, char *out, size_t room,
    struct err *err)
{
	char copy[1024], *save = NULL;
	size_t used = 0;

	snprintf(copy, sizeof(copy), "%s", in->addresses);
	for (char *h = strtok_r(copy, ",", &save); h != NULL;
	    h = strtok_r(NULL, ",", &save)) {
		bool v6 = strchr(h, ':') != NULL;

		used += (size_t)snprintf(out + used, room - used,
		    "%shttps://%s%s%s:%ld", used > 0 ? " " : "",
		    v6 ? "[" : "", h, v6 ? "]" : "", port);
		if (used >= room)
			return err_set(err, ERR_USAGE, "too many addresses");
	}
	return 0;
}

static int
write_text(struct init *in, const char *file, struct err *err,
    const char *fmt, ...) __attribute__((format(printf, 4, 5)));

static int
write_text(struct init *in, const char *file, struct err *err,
    const char *fmt, ...)
{
	char text[FILE_SIZE];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(text))
		return err_set(err, ERR_USAGE, "the names and paths are too "
		    "long for %s", file);
	return place_write(&in->place, file, PLACE_PUBLIC, text, (size_t)n,
	    err);
}

static int
store_section(const struct init *in, char *out, size_t room, struct err *err)
{
	char urls[512];
	int n;

	if (in->etcd.urls == NULL) {
		n = snprintf(out, room, "[store]\nfile = %s\n",
		    in->store_file);
	} else {
		snprintf(urls, sizeof(urls), "%s", in->etcd.urls);
		for (char *p = urls; (p = strchr(p, ',')) != NULL; )
			*p = ' ';
		n = snprintf(out, room, "[store]\nkind = etcd\n"
		    "endpoints = %s\nprefix = %s\nca = %s\n"
		    "certificate = %s\nkey = %s\n", urls, in->etcd.prefix,
		    in->etcd.ca, in->etcd.certificate, in->etcd.key);
	}
	if (n < 0 || (size_t)n >= room)
		return err_set(err, ERR_USAGE, "the store's names are too "
		    "long");
	return 0;
}

static int
write_services(struct init *in, const char *store, const char *attestd,
    const char *kmxd, struct err *err)
{
	const char *d = in->place.path;
	char first[512];
	int rc;

	snprintf(first, sizeof(first), "%.*s", (int)strcspn(attestd, " "),
	    attestd);
	rc = write_text(in, "vta-attestd.conf", err,
	    "# vta-attestd.conf(5)\n"
	    "[authority]\nname = %s\nurl = %s\nsealing_key = "
	    "%s/sealing.key\n\n"
	    "[server]\nport = %ld\ncertificate = %s/attestd.pem\n"
	    "key = %s/attestd.key\nclient_ca = %s/ca.pem\n\n%s",
	    in->name, first, d, in->attestd_port, d, d, d, store);
	if (rc < 0)
		return rc;
	return write_text(in, "vta-kmxd.conf", err,
	    "# vta-kmxd.conf(5)\n"
	    "[authority]\nname = %s\nurl = %s\nsealing_key = "
	    "%s/sealing.key\n\n"
	    "[server]\nport = %ld\ncertificate = %s/kmxd.pem\n"
	    "key = %s/kmxd.key\nclient_ca = %s/ca.pem\n\n%s\n"
	    "[attestation]\nurl = %s\nca = %s/ca.pem\n\n"
	    "[ek_ca]\ncertificate = %s/ek-ca.pem\nkey = %s/ek-ca.key\n"
	    "crl_url = %.*s/v1/ek-ca.crl\n",
	    in->name, first, d, in->kmxd_port, d, d, d, store, attestd, d, d,
	    d, (int)strcspn(kmxd, " "), kmxd);
}

int
init_write_files(struct init *in, struct err *err)
{
	char store[2048], attestd[512], kmxd[512];
	const char *d = in->place.path;
	int rc;

	if ((rc = store_section(in, store, sizeof(store), err)) < 0 ||
	    (rc = init_urls(in, in->attestd_port, attestd, sizeof(attestd),
	    err)) < 0 ||
	    (rc = init_urls(in, in->kmxd_port, kmxd, sizeof(kmxd), err)) < 0 ||
	    (rc = write_services(in, store, attestd, kmxd, err)) < 0)
		return rc;
	rc = write_text(in, "vtactl.conf", err,
	    "# vtactl.conf(5)\n"
	    "[authority]\nattestd = %s\nkmxd = %s\nca = %s/ca.pem\n"
	    "certificate = %s/admin/%s.pem\nkey = %s/admin/%s.key\n",
	    attestd, kmxd, d, d, in->admin, d, in->admin);
	if (rc < 0)
		return rc;
	return write_text(in, "hosts/vta-kmxa.conf", err,
	    "# vta-kmxa.conf(5), for every host: copy it and ca.pem to its "
	    "/etc/vta\n"
	    "[authority]\nattestd = %s\nkmxd = %s\nca = /etc/vta/ca.pem\n",
	    attestd, kmxd);
}
