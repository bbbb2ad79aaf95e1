/* SPDX-License-Identifier: BSD-3-Clause */
#include "qemu-glue/swtpm-options.h"

#include <stdio.h>

static const char usage[] =
"Usage: swtpm %s [options]\n"
"A TPM 2.0 by vtpmd, in swtpm's place.\n"
"\n"
"%s"
"-t|--terminate   : end when the client's connection ends\n"
"-d|--daemon      : go into the background\n"
"-f|--fd <fd>     : TPM commands come from this descriptor\n"
"--ctrl type=unixio,path=<path>[,mode=0...][,uid=<uid>][,gid=<gid>]\n"
"--ctrl type=tcp,port=<port>[,bindaddr=<address>[,ifname=<ifname>]]\n"
"--ctrl type=unixio|tcp,fd=<fd>|clientfd=<fd>\n"
"                 : control channel\n"
"--tpmstate dir=<dir>|backend-uri=dir://<dir>|file://<file>[,mode=0...][,lock]\n"
"                 : where the TPM's nvram file lies, or is made\n"
"--tpm2           : a TPM 2.0; there is no other\n"
"--key file=<file>|fd=<fd>[,mode=aes-cbc|aes-256-cbc][,format=hex|binary]\n"
"      [,remove=true|false]\n"
"--key pwdfile=<file>|pwdfd=<fd>[,mode=...][,kdf=sha512|pbkdf2][,remove=...]\n"
"                 : a passphrase that opens the file\n"
"--migration-key ...\n"
"                 : accepted; state always leaves encrypted\n"
"--migration [incoming][,release-lock-outgoing]\n"
"                 : incoming: open the file when the state comes\n"
"--flags [not-need-init][,startup-clear|startup-state|startup-none]\n"
"                 : power the TPM on at the start, and start it\n"
"--locality [reject-locality-4][,allow-set-locality]\n"
"--log fd=<fd>|file=<path>[,level=<n>][,prefix=<prefix>][,truncate]\n"
"--pid file=<path>|fd=<fd>\n"
"-r|--runas <user>: become this user\n"
"--seccomp action=none|log|kill\n"
"                 : accepted; system calls are always filtered\n"
"--profile name=null\n"
"--vtpmd-config <file>\n"
"                 : instead of vtpmd.conf(5)\n"
"--print-capabilities, --print-states, --print-info <flags>\n"
"-h|--help        : this text\n"
"\n"
"See vtpmd-swtpm(8).\n";

static const char socket_usage[] =
"-p|--port <port> : TPM commands come over TCP\n"
"--server [type=tcp,]port=<port>[,bindaddr=<address>[,ifname=<ifname>]]\n"
"         [,disconnect][,simulator]\n"
"--server type=unixio,path=<path>[,mode=0...][,uid=<uid>][,gid=<gid>]\n"
"--server [type=...,]fd=<fd>\n"
"                 : TPM commands, as they are or behind the TCG's header\n";

static const char chardev_usage[] =
"-c|--chardev <device>\n"
"                 : TPM commands come from this device\n"
"--vtpm-proxy     : from a new device of the kernel's vTPM proxy\n";

void
swtpm_usage(bool chardev)
{
	printf(usage, chardev ? "chardev" : "socket",
	    chardev ? chardev_usage : socket_usage);
}
