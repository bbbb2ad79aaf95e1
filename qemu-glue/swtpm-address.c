/* SPDX-License-Identifier: BSD-3-Clause */
#include "qemu-glue/swtpm-address.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int
parse_tcp(const struct suboptions *s, char out[SWTPM_ADDRESS_MAX],
    struct err *err)
{
	const char *host = suboptions_get(s, "bindaddr");
	const char *interface = suboptions_get(s, "ifname");
	unsigned long port;
	int rc;

	if (!suboptions_has(s, "port"))
		return err_set(err, ERR_USAGE, "Missing port or fd parameter "
		    "for the %s option", s->option);
	if ((rc = suboptions_number(s, "port", 10, UINT16_MAX, &port,
	    err)) < 0)
		return rc;
	if (host == NULL)
		host = "127.0.0.1";
	snprintf(out, SWTPM_ADDRESS_MAX, strchr(host, ':') != NULL ?
	    "tcp:[%s%s%s]:%lu" : "tcp:%s%s%s:%lu", host,
	    interface != NULL ? "%" : "", interface != NULL ? interface : "",
	    port);
	return 0;
}

static int
parse_unix(const struct suboptions *s, char out[SWTPM_ADDRESS_MAX],
    struct err *err)
{
	const char *path = suboptions_get(s, "path");
	unsigned long mode = 0770, uid, gid;
	int n, rc;

	if (path == NULL)
		return err_set(err, ERR_USAGE, "Missing path and fd options "
		    "for UnixIO in the %s option", s->option);
	if ((rc = suboptions_number(s, "mode", 8, 0777, &mode, err)) < 0 ||
	    (rc = suboptions_number(s, "uid", 10, UINT32_MAX - 1, &uid,
	    err)) < 0 || (rc = suboptions_number(s, "gid", 10, UINT32_MAX - 1,
	    &gid, err)) < 0)
		return rc;
	n = snprintf(out, SWTPM_ADDRESS_MAX, "unix:%s,mode=%lo", path, mode);
	if (suboptions_has(s, "uid"))
		n += snprintf(out + n, SWTPM_ADDRESS_MAX - (size_t)n,
		    ",uid=%lu", uid);
	if (suboptions_has(s, "gid"))
		snprintf(out + n, SWTPM_ADDRESS_MAX - (size_t)n, ",gid=%lu",
		    gid);
	return strlen(path) < PATH_MAX ? 0 : err_set(err, ERR_USAGE,
	    "the path of the socket is too long");
}

int
swtpm_address(const struct suboptions *s, const char *type,
    char out[SWTPM_ADDRESS_MAX], struct err *err)
{
	if (strcmp(type, "unixio") == 0)
		return parse_unix(s, out, err);
	if (strcmp(type, "tcp") == 0)
		return parse_tcp(s, out, err);
	return err_set(err, ERR_USAGE, "Unsupported %s channel type: %s",
	    s->option, type);
}

int
swtpm_address_fd(const struct suboptions *s, const char *name, int *fd,
    struct err *err)
{
	unsigned long n = 0;
	int rc = suboptions_number(s, name, 10, SWTPM_FD_MAX, &n, err);

	if (rc == 0 && fcntl((int)n, F_GETFD) < 0)
		rc = err_set(err, ERR_USAGE, "%s: Bad file descriptor %lu",
		    s->option, n);
	*fd = (int)n;
	return rc;
}

/* The port behind that of the commands. */
int
swtpm_address_next(const struct suboptions *s, char out[SWTPM_ADDRESS_MAX],
    struct err *err)
{
	unsigned long port;
	char *at;
	int rc;

	if ((rc = parse_tcp(s, out, err)) < 0)
		return rc;
	at = strrchr(out, ':') + 1;
	port = strtoul(at, NULL, 10) + 1;
	if (port == 1 || port > UINT16_MAX)
		return err_set(err, ERR_USAGE, "server: simulator needs a port "
		    "with one behind it");
	snprintf(at, 6, "%lu", port);
	return 0;
}
