/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files say, and whether they are there. */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vtpm/ctl-libvirt-file.h"
#include "vtpm/ctl-libvirt.h"

/* The state directory is one of libvirt's own: its user for swtpm (qemu.conf,
 * swtpm_user) is not vtpmd's, and one cannot read the other's key. */
static const char drop_in[] =
LIBVIRT_MARK ": vtpmctl libvirt disable removes it\n"
"[Service]\n"
"Environment=PATH=" LIBVIRT_FRONT ":" LIBVIRT_DEFAULT_PATH "\n"
"Environment=VTPMD_STATE_DIR=" LIBVIRT_STATE "\n";

/* swtpm_setup and swtpm_ioctl run as libvirt's children, unconfined as Debian's
 * are. */
static const char daemon_rules[] =
LIBVIRT_BEGIN
"  " LIBVIRT_FRONT "/* PUx,\n"
"  " BINDIR "/vtpmctl PUx,\n"
LIBVIRT_END;

/* swtpm runs in the profile of its VM. */
static const char domain_rules[] =
LIBVIRT_BEGIN
"  " LIBVIRT_FRONT "/swtpm rmix,\n"
"  " BINDIR "/{vtpmctl,vtpmd} rmix,\n"
"  " SYSCONFDIR "/vtpmd/{,**} r,\n"
"  " LIBVIRT_STATE "/{,**} rwk,\n"
"  unix (create, bind, listen, accept, getattr, getopt, setopt, send, "
    "receive) type=stream addr=\"@vtpmd/*\",\n"
"  signal (send, receive) peer=@{profile_name},\n"
LIBVIRT_END;

#define APPARMOR "/etc/apparmor.d/"

const struct libvirt_part libvirt_parts[] = {
	{ "/etc/systemd/system/libvirtd.service.d/vtpmd.conf", drop_in, NULL,
	    false },
	{ "/etc/systemd/system/virtqemud.service.d/vtpmd.conf", drop_in, NULL,
	    false },
	{ APPARMOR "local/usr.sbin.libvirtd", daemon_rules,
	    APPARMOR "usr.sbin.libvirtd", true },
	{ APPARMOR "local/usr.sbin.virtqemud", daemon_rules,
	    APPARMOR "usr.sbin.virtqemud", true },
	{ APPARMOR "local/abstractions/libvirt-qemu", domain_rules,
	    APPARMOR "abstractions/libvirt-qemu", true },
};
const size_t libvirt_n_parts = sizeof(libvirt_parts) /
    sizeof(libvirt_parts[0]);

const char *libvirt_root;

int
libvirt_path(char out[PATH_MAX], const char *path, struct err *err)
{
	int n = snprintf(out, PATH_MAX, "%s%s", libvirt_root != NULL ?
	    libvirt_root : "", path);

	return n < 0 || n >= PATH_MAX ? err_set(err, ERR_USAGE, "--root is "
	    "too long a name") : 0;
}

int
libvirt_look(const struct libvirt_part *p, enum libvirt_state *state,
    struct err *err)
{
	char path[PATH_MAX], condition[PATH_MAX], text[LIBVIRT_FILE_MAX];
	size_t from, size;
	int rc;

	if ((rc = libvirt_path(path, p->path, err)) < 0 ||
	    (rc = libvirt_path(condition, p->condition != NULL ?
	    p->condition : "/", err)) < 0)
		return rc;
	if (access(condition, F_OK) < 0) {
		*state = LIBVIRT_NOT_HERE;
		return 0;
	}
	*state = LIBVIRT_ABSENT;
	if ((rc = libvirt_file_read(path, text, err)) == ERR_NOTFOUND)
		return 0;
	if (rc < 0)
		return rc;
	if (p->block) {
		if (libvirt_file_block(text, &from, &size))
			*state = size == strlen(p->text) && memcmp(text + from,
			    p->text, size) == 0 ? LIBVIRT_OURS :
			    LIBVIRT_OUTDATED;
		return 0;
	}
	if (strncmp(text, LIBVIRT_MARK, strlen(LIBVIRT_MARK)) != 0)
		*state = LIBVIRT_FOREIGN;
	else
		*state = strcmp(text, p->text) == 0 ? LIBVIRT_OURS :
		    LIBVIRT_OUTDATED;
	return 0;
}
