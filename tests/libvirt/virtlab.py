# SPDX-License-Identifier: BSD-3-Clause
"""A libvirtd of the test's own, with our programs first in its PATH, and VMs
whose guest does what it is told.

All of it lives in namespaces of its own (mount, process, network): what libvirt
has under /run, /etc and /var lies in the test's directory, the names of vtpmd's
abstract sockets do not meet those of others, and with the first process
everything ends.
"""
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid

SRC = os.environ.get("top_srcdir") or os.path.abspath(
    os.path.join(os.path.dirname(__file__), "..", ".."))
BUILD = os.environ.get("top_builddir") or os.path.join(SRC, "build")
HERE = os.path.join(SRC, "tests", "libvirt")
PROGRAMS = ("swtpm", "swtpm_setup", "swtpm_ioctl")
# Where libvirtd keeps what must not be this machine's.
PRIVATE = ("/run", "/etc/libvirt", "/var/lib/libvirt", "/var/log",
           "/var/cache/libvirt")
NEEDS = ("libvirtd", "virtlogd", "virsh", "qemu-system-x86_64", "unshare",
         "qemu-img")
TIMEOUT = 240	# of one step of a guest, on a machine with others at work


def missing():
    """Why this cannot run here, or ""."""
    if os.geteuid() != 0:
        return "not root: no libvirtd of our own"
    for name in NEEDS:
        if shutil.which(name) is None:
            return f"{name} is not installed"
    for path in PRIVATE:
        if not os.path.isdir(path):
            return f"there is no {path}: libvirt is not wholly installed"
    p = subprocess.run(["unshare", "-mpnf", "--mount-proc", "true"],
                       capture_output=True, text=True, timeout=20)
    return f"no namespaces: {p.stderr.strip()}" if p.returncode else ""


def enter(script):
    """Runs script again, with "inside" and a directory, in namespaces."""
    place = tempfile.mkdtemp(prefix="vtpmd-libvirt.", dir="/var/tmp")
    os.chmod(place, 0o755)
    try:
        os.mkdir(os.path.join(place, "vms"))
        guest_images(os.path.join(place, "vms"))
        p = subprocess.Popen(
            ["unshare", "-mpnf", "--propagation", "private", "--mount-proc",
             "--kill-child",
             # The first process has to wait for orphans: libvirt waits until
             # they are gone.
             "bash", "-c", '"$@"; exit $?', "-",
             sys.executable, script, "inside", place])
        for n in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(n, lambda *_: p.terminate())
        return p.wait()
    finally:
        if "KEEP" not in os.environ:
            shutil.rmtree(place, ignore_errors=True)


def wait_for(what, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        got = what()
        if got:
            return got
        time.sleep(0.1)
    return None


def guest_images(where):
    """The test guest's kernel and initramfs (tests/guest), copied there: libvirt
    gives them to QEMU's user."""
    got = subprocess.run(
        ["bash", "-c", 'GUEST_SOURCE=$1; . "$1/image.sh"; image_build "$2" '
         '>&2 && echo "$GUEST_KERNEL" && echo "$GUEST_INITRAMFS"', "-",
         os.path.join(SRC, "tests", "guest"), os.path.join(BUILD, "guest")],
        stdout=subprocess.PIPE, text=True, timeout=300, check=True)
    for name, path in zip(("kernel", "initramfs"), got.stdout.split("\n")):
        shutil.copy(path, os.path.join(where, name))


class Lab:
    def __init__(self, place):
        self.dir = place
        self.bin = self.make("bin")
        self.vms = self.make("vms")
        self.daemons = []
        for path in PRIVATE:
            private = self.make("root" + path)
            if path == "/etc/libvirt":
                shutil.copytree(path, private, dirs_exist_ok=True)
            subprocess.run(["mount", "--bind", private, path], check=True)
        for path in ("/run/lock", "/run/libvirt", "/var/log/libvirt"):
            os.makedirs(path, exist_ok=True)
        # The user of swtpm's may not come to where we are built.
        for name in ("vtpmd", "vtpmctl"):
            shutil.copy(os.path.join(BUILD, name), self.bin)
        self.front = self.make("front")
        for name in PROGRAMS:
            shutil.copy(os.path.join(BUILD, "qemu-glue", name), self.front)
        self.state = self.make("state")
        shutil.chown(self.state, "tss", "tss")
        os.chmod(self.state, 0o700)
        self.env = dict(os.environ, VTPMD_STATE_DIR=self.state,
                        PATH=f"{self.front}:{self.bin}:/usr/sbin:/usr/bin:"
                        "/sbin:/bin")
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        self.configure()

    def vtpmd_conf(self, text):
        """Writes vtpmd.conf where this build looks for it; False where that
        is nowhere that could be hidden behind one of ours."""
        with open(os.path.join(BUILD, "Makefile")) as f:
            made = dict(re.findall(r"^(prefix|sysconfdir) = (.*)$", f.read(),
                                   re.M))
        where = made["sysconfdir"].replace("${prefix}", made["prefix"])
        if not os.path.isdir(where) or where == "/etc":
            return False
        private = self.make("conf")
        subprocess.run(["mount", "--bind", private, where], check=True)
        os.makedirs(where + "/vtpmd", exist_ok=True)
        with open(where + "/vtpmd/vtpmd.conf", "w") as f:
            f.write(text)
        return True

    def make(self, name):
        path = os.path.join(self.dir, name.strip("/"))
        os.makedirs(path, exist_ok=True)
        os.chmod(path, 0o755)
        return path

    def configure(self):
        """No security module, cgroup or network of this machine's."""
        shutil.rmtree("/etc/libvirt/qemu", ignore_errors=True)
        with open("/etc/libvirt/qemu.conf", "w") as f:
            f.write('security_driver = "none"\ncgroup_controllers = []\n'
                    'namespaces = []\nremember_owner = 0\n')
        with open("/etc/libvirt/libvirtd.conf", "w") as f:
            f.write('auth_unix_rw = "none"\nauth_unix_ro = "none"\n'
                    'log_outputs="3:file:/var/log/libvirt/libvirtd.log"\n')

    def start(self):
        for name in ("virtlogd", "libvirtd"):
            log = open(os.path.join(self.dir, name + ".out"), "wb")
            self.daemons.append(subprocess.Popen(
                [name], env=self.env, stdin=subprocess.DEVNULL, stdout=log,
                stderr=log))
        return wait_for(lambda: self.virsh("version", check=False)[0] == 0 or
                        self.daemons[1].poll() is not None, TIMEOUT) and \
            self.daemons[1].poll() is None

    def stop(self):
        for p in reversed(self.daemons):
            p.terminate()
            p.wait(30)
        self.daemons = []

    def virsh(self, *args, check=True):
        """(status, what it said)."""
        p = subprocess.run(["virsh", "-q", "-c", "qemu:///system", *args],
                           env=self.env, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True,
                           timeout=TIMEOUT)
        if check and p.returncode != 0:
            raise RuntimeError(f"virsh {' '.join(args)}: {p.stdout.strip()}")
        return p.returncode, p.stdout.strip()

    def vtpmctl(self, *args):
        """As the user whose the files are; the JSON that it prints, if any."""
        p = subprocess.run([os.path.join(self.bin, "vtpmctl"), "--json",
                            *args], env=self.env, capture_output=True,
                           text=True, timeout=120, user="tss", group="tss",
                           extra_groups=[])
        if p.returncode != 0:
            raise RuntimeError(f"vtpmctl {' '.join(args)}: {p.stderr}")
        return json.loads(p.stdout or "null")

    def logs(self):
        """For a failed test's diagnostics."""
        out = ""
        for name in ("/var/log/libvirt/libvirtd.log",):
            if os.path.exists(name):
                with open(name, errors="replace") as f:
                    out += "".join(f.readlines()[-15:])
        for top, _, files in os.walk("/var/log/swtpm"):
            for name in files:
                with open(os.path.join(top, name), errors="replace") as f:
                    out += f"{name}:\n" + "".join(f.readlines()[-10:])
        return out


class VM:
    """One VM: a domain, its disk, and the guest that listens."""

    def __init__(self, lab, name, secret=None, disk=False):
        self.lab, self.name, self.secret = lab, name, secret
        self.uuid = str(uuid.uuid4())
        self.banks = []
        self.disk = os.path.join(lab.vms, name + ".qcow2") if disk else None
        self.port = os.path.join("/run", name + ".port")
        if disk:
            subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2",
                            self.disk, "1G"], check=True)

    @property
    def tpm_dir(self):
        return f"/var/lib/libvirt/swtpm/{self.uuid}/tpm2"

    def tpm_xml(self):
        inside = ""
        if self.secret:
            inside += f"<encryption secret='{self.secret}'/>"
        if self.banks:
            inside += "<active_pcr_banks>" + "".join(
                f"<{b}/>" for b in self.banks) + "</active_pcr_banks>"
        return ("<tpm model='tpm-crb'><backend type='emulator' version='2.0'"
                f">{inside}</backend></tpm>")

    def xml(self):
        lab, disk = self.lab, ""
        if self.disk:
            disk = ("<disk type='file' device='disk'><driver name='qemu' "
                    f"type='qcow2'/><source file='{self.disk}'/>"
                    "<target dev='vda' bus='virtio'/></disk>")
        return f"""<domain type='qemu'><name>{self.name}</name>
<uuid>{self.uuid}</uuid><memory unit='MiB'>160</memory><vcpu>1</vcpu>
<sysinfo type='fwcfg'>
<entry name='opt/vtpmd/script' file='{lab.vms}/agent.sh'/></sysinfo>
<os><type arch='x86_64' machine='q35'>hvm</type>
<kernel>{lab.vms}/kernel</kernel><initrd>{lab.vms}/initramfs</initrd>
<cmdline>console=ttyS0 panic=-1 quiet</cmdline></os>
<features><acpi/></features><cpu mode='maximum'/>
<on_reboot>restart</on_reboot>
<devices>{disk}
<serial type='file'><source path='{lab.vms}/{self.name}.console'/></serial>
<channel type='file'><source path='{lab.vms}/{self.name}.results'/>
<target type='virtio' name='results'/></channel>
<channel type='unix'><source mode='bind' path='{self.port}'/>
<target type='virtio' name='orders'/></channel>
<memballoon model='none'/>{self.tpm_xml()}</devices></domain>"""

    def define(self):
        path = os.path.join(self.lab.vms, self.name + ".xml")
        with open(path, "w") as f:
            f.write(self.xml())
        self.lab.virsh("define", path)

    def virsh(self, command, *args, check=True):
        return self.lab.virsh(command, self.name, *args, check=check)

    def state(self):
        return self.virsh("domstate", check=False)[1]

    def tell(self, order, seconds=TIMEOUT):
        """What the guest says to it; its status must be 0. An order may get
        lost while the guest boots, so it is one that can be given again."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            answer = self.try_tell(order)
            if answer is None:
                time.sleep(0.2)
                continue
            if answer[1] != 0:
                raise RuntimeError(f"{self.name}: {order}: {answer[0]}")
            return answer[0]
        raise RuntimeError(f"{self.name}: no answer to {order}")

    def try_tell(self, order):
        out = b""
        try:
            with socket.socket(socket.AF_UNIX) as s:
                s.settimeout(30)
                s.connect(self.port)
                # What an order before this one has left behind.
                mark = "m" + uuid.uuid4().hex
                s.sendall(f"echo {mark}; {order}\n".encode())
                while True:
                    more = s.recv(65536)
                    if not more:
                        return None
                    out += more
                    got = re.search(mark + r"\r?\n(.*?)\n?=(\d+)\r?\n$",
                                    out.decode(errors="replace"), re.S)
                    if got:
                        return got[1].strip(), int(got[2])
        except OSError:
            return None

    def swtpm(self):
        """The process ids of this VM's swtpm, oldest first; of its children the
        names are others."""
        found = []
        for pid in sorted(int(p) for p in os.listdir("/proc") if
                          p.isdigit()):
            try:
                with open(f"/proc/{pid}/comm") as f:
                    name = f.read().strip()
                with open(f"/proc/{pid}/cmdline", "rb") as f:
                    line = f.read().decode(errors="replace")
            except OSError:
                continue
            if name == "swtpm" and self.uuid in line:
                found.append(pid)
        return found
