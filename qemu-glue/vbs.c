/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What Windows asks (learn.microsoft.com, windows-hardware/design/
 * device-experiences/oem-vbs) and what we give for it:
 *
 *   virtualization extensions and SLAT   vmx or svm of the host's CPU
 *   all DMA behind an IOMMU              intel-iommu, interrupt remapping
 *   UEFI, Secure Boot, memory map and
 *     SMM as the WSMT asks, MOR          OVMF with SMM; its variables are
 *                                        written in SMM alone
 *                                        (cfi.pflash01 secure=on)
 *   TPM 2.0                              vtpmd over CRB
 *
 * The Hyper-V enlightenments follow the recommendations of QEMU's
 * docs/system/i386/hyperv.rst: all but the debugging ones, those that need
 * more knowledge of the host (avic, no-nonarch-coresharing, crash), and
 * those that QEMU 7.2 does not have. stimer-direct and the nested ones are
 * what Windows's own hypervisor uses when it runs inside.
 */
#include "qemu-glue/vbs.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "qemu-glue/argv.h"
#include "qemu-glue/firmware.h"

#define HYPERV "hv-relaxed,hv-vapic,hv-spinlocks=0xfff,hv-vpindex," \
	"hv-runtime,hv-time,hv-synic,hv-stimer,hv-stimer-direct," \
	"hv-tlbflush,hv-ipi,hv-frequencies,hv-xmm-input"
#define HYPERV_INTEL ",hv-evmcs,hv-emsr-bitmap"
#define HYPERV_AMD ",hv-emsr-bitmap"

static void
lacking(const char *what)
{
	fprintf(stderr, "vtpm-qemu: --vbs: this host lacks %s\n", what);
}

static int
conflict(const char *word, const char *value, struct err *err)
{
	return err_set(err, ERR_USAGE, "--vbs chooses the machine, CPU model, "
	    "firmware and IOMMU; leave out \"%s%s%s\" or --vbs", word,
	    value != NULL ? " " : "", value != NULL ? value : "");
}

/* Nothing that we would have to fight. */
static int
check_user(char *const *user, struct err *err)
{
	static const char *const ours[] = { "machine", "M", "cpu", "bios",
		"pflash" };

	for (; *user != NULL; user++) {
		const char *value = user[1];

		for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
			if (argv_is_option(*user, ours[i]))
				return conflict(*user, value, err);
		if (value == NULL)
			continue;
		if (argv_is_option(*user, "drive") &&
		    strstr(value, "if=pflash") != NULL)
			return conflict(*user, value, err);
		if (argv_is_option(*user, "device") &&
		    (strncmp(value, "intel-iommu", 11) == 0 ||
		    strncmp(value, "amd-iommu", 9) == 0 ||
		    strncmp(value, "virtio-iommu", 12) == 0))
			return conflict(*user, value, err);
	}
	return 0;
}

/* The user's accelerator, or NULL. */
static const char *
user_accelerator(char *const *user)
{
	for (; *user != NULL; user++) {
		if (argv_is_option(*user, "enable-kvm"))
			return "kvm";
		if (argv_is_option(*user, "accel") && user[1] != NULL)
			return strncmp(user[1], "accel=", 6) == 0 ?
			    user[1] + 6 : user[1];
	}
	return NULL;
}

/* Is KVM what will be used? Adds -accel where the user leaves it to us. */
static bool
choose_kvm(struct argv *qemu, char *const *user)
{
	const char *accel = user_accelerator(user);

	if (accel != NULL)
		return strncmp(accel, "kvm", 3) == 0;
	argv_add(qemu, "-accel");
	if (access("/dev/kvm", R_OK | W_OK) == 0) {
		argv_add(qemu, "kvm");
		return true;
	}
	argv_add(qemu, "tcg");
	return false;
}

/* A module's parameter: 'Y' or '1', 'N' or '0', or 0 without the module. */
static char
module_nested(const char *path)
{
	char c = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return 0;
	if (read(fd, &c, 1) != 1)
		c = 0;
	close(fd);
	return c;
}

static void
add_cpu(struct argv *qemu, bool kvm)
{
	char intel, amd;

	argv_add(qemu, "-cpu");
	if (!kvm) {
		lacking("KVM (or it is not asked for): the CPU is emulated, "
		    "slow, and its nested virtualisation is QEMU's SVM");
		lacking("Hyper-V enlightenments: they exist only with KVM");
		argv_add(qemu, "max");
		return;
	}
	intel = module_nested("/sys/module/kvm_intel/parameters/nested");
	amd = module_nested("/sys/module/kvm_amd/parameters/nested");
	if (intel == 'Y' || intel == '1') {
		argv_add(qemu, "host,+vmx," HYPERV HYPERV_INTEL);
	} else if (amd == 'Y' || amd == '1') {
		argv_add(qemu, "host,+svm," HYPERV HYPERV_AMD);
	} else {
		if (intel == 0 && amd == 0)
			lacking("nested virtualisation: neither kvm_intel nor "
			    "kvm_amd is loaded");
		else
			lacking("nested virtualisation: it is switched off in "
			    "KVM (load kvm_intel or kvm_amd with nested=1)");
		argv_add(qemu, "host," HYPERV);
	}
}

static int
add_flash(struct argv *qemu, const struct vbs_options *opt,
    struct firmware *fw, struct err *err)
{
	char *code = NULL, *vars = NULL;
	int rc;

	rc = firmware_find(fw, opt->firmware_dir, err);
	if (rc < 0)
		return rc;
	code = argv_quote(fw->code);
	vars = argv_quote(opt->vars);
	if (code == NULL || vars == NULL) {
		rc = err_set(err, ERR_INTERNAL, "out of memory");
		goto out;
	}
	argv_add(qemu, "-global");
	argv_add(qemu, "driver=cfi.pflash01,property=secure,value=on");
	argv_add(qemu, "-drive");
	argv_addf(qemu, "if=pflash,unit=0,format=raw,readonly=on,file=%s",
	    code);
	argv_add(qemu, "-drive");
	argv_addf(qemu, "if=pflash,unit=1,format=raw,file=%s", vars);
	rc = 0;
out:
	free(vars);
	free(code);
	return rc;
}

int
vbs_add(struct argv *qemu, const struct vbs_options *opt, struct firmware *fw,
    struct err *err)
{
	bool kvm;
	int rc;

	rc = check_user(opt->user, err);
	if (rc < 0)
		return rc;
	kvm = choose_kvm(qemu, opt->user);
	argv_add(qemu, "-machine");
	/* Interrupt remapping takes the IOAPIC out of the kernel's hands. */
	argv_add(qemu, kvm ? "q35,smm=on,kernel-irqchip=split" :
	    "q35,smm=on");
	add_cpu(qemu, kvm);
	rc = add_flash(qemu, opt, fw, err);
	if (rc < 0)
		return rc;
	/* Devices made before the IOMMU would not be behind it. */
	argv_add(qemu, "-device");
	argv_add(qemu, "intel-iommu,intremap=on");
	return 0;
}
