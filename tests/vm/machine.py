"""Runs a command as root on an emulated machine with Debian's own kernel, over the files of this machine.

For what the User-Mode kernel lacks: WireGuard, and nftables together with all kinds of links. Some ten times slower.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

QEMU, BUSYBOX = "qemu-system-x86_64", "/bin/busybox"
HERE = Path(__file__).resolve().parent
#: What happens on the root: as under the User-Mode kernel.
INSIDE = HERE.parent / "uml" / "inside.sh"
#: What the kernel needs to see the files of this machine.
MODULES = ("virtio_pci", "9pnet_virtio", "9p", "overlay")
#: The package of the present kernel depends on it.
PACKAGE = "linux-image-amd64"
MEMORY, PROCESSORS = "1536", "2"
#: How long a command may take, in seconds.
DEADLINE = 3600
#: The status where the machine ended without an answer.
NO_ANSWER = 125


def output(*argv: str, directory: Path | None = None) -> str:
    """What a command prints."""
    return subprocess.run(argv, check=True, capture_output=True, text=True, cwd=directory).stdout


def kernel_in(directory: Path) -> str:
    """Unpacks Debian's kernel there, if it is not; its release."""
    if not (directory / "boot").exists():
        directory.mkdir(parents=True, exist_ok=True)
        needed = [line.split()[-1] for line in output("apt-cache", "depends", PACKAGE).splitlines()[1:]]
        name = next(each for each in needed if each.startswith("linux-image-"))
        output("apt-get", "-qq", "download", name, directory=directory)
        (package,) = directory.glob("*.deb")
        output("dpkg", "-x", str(package), str(directory))
        package.unlink()
        if not (directory / "lib").exists():
            (directory / "lib").symlink_to("usr/lib")
    release = next((directory / "lib" / "modules").iterdir()).name
    output("depmod", "-b", str(directory), release)
    return release


def write_ram_disk(directory: Path, release: str, folder: Path) -> None:
    """The initial RAM disk: BusyBox, modules in the order in which they need each other, and ``init.sh``."""
    disk = folder / "disk"
    for name in ("bin", "sbin", "dev", "proc", "sys", "lower", "over", "root", "modules"):
        (disk / name).mkdir(parents=True)
    shutil.copy(BUSYBOX, disk / "bin")
    for name in ("sh", "mount", "insmod", "mkdir", "chroot", "sync", "poweroff"):
        (disk / "bin" / name).symlink_to("busybox")
    shutil.copy(HERE / "init.sh", disk / "init")
    # The kernel looks for it here, whatever the root of a process is.
    (disk / "sbin" / "modprobe").write_text('#!/bin/sh\nexec chroot /root /sbin/modprobe "$@"\n')
    for script in (disk / "init", disk / "sbin" / "modprobe"):
        script.chmod(0o755)
    shown = output("modprobe", "-d", str(directory), "-S", release, "-a", "--show-depends", *MODULES).splitlines()
    paths = dict.fromkeys(line.split()[1] for line in shown if line.startswith("insmod"))
    for number, path in enumerate(paths):
        shutil.copy(path, disk / "modules" / f"{number:02}.ko")
    modules = directory.resolve() / "lib" / "modules" / release
    (disk / "place").write_text(f"folder={folder}\nrelease={release}\nmodules={modules}\n")
    with (folder / "ram").open("wb") as ram:
        files = subprocess.run(["find", "."], cwd=disk, check=True, capture_output=True).stdout
        subprocess.run(
            [BUSYBOX, "cpio", "-o", "-H", "newc"],
            cwd=disk,
            check=True,
            input=files,
            stdout=ram,
            stderr=subprocess.DEVNULL,
        )
    shutil.rmtree(disk)


def run(directory: Path, command: Sequence[str], say: Callable[[bytes], object]) -> int:
    """Runs it to its end; its exit status. ``directory`` keeps the kernel, ``say`` gets what is printed meanwhile."""
    release = kernel_in(directory)
    folder = Path(tempfile.mkdtemp(prefix="netd-vm-"))
    try:
        write_ram_disk(directory, release, folder)
        shutil.copy(INSIDE, folder)
        (folder / "environment").write_text("".join(f"export {k}={shlex.quote(v)}\n" for k, v in os.environ.items()))
        (folder / "directory").write_text(os.getcwd())
        (folder / "command").write_text(shlex.join(command))
        (folder / "output").touch()
        _boot(directory / "boot" / f"vmlinuz-{release}", folder, say)
        status = folder / "status"
        if status.exists():
            return int(status.read_text())
        say(b"".join((folder / "console").read_bytes().splitlines(keepends=True)[-20:]))
        return NO_ANSWER
    finally:
        shutil.rmtree(folder)


def _boot(kernel: Path, folder: Path, say: Callable[[bytes], object]) -> None:
    shares = (("root", "/", ",readonly=on"), ("work", str(folder), ""))
    argv = [
        QEMU, "-accel", "tcg,thread=multi", "-cpu", "max", "-machine", "q35", "-smp", PROCESSORS, "-m", MEMORY,
        "-display", "none", "-nodefaults", "-no-user-config", "-no-reboot", "-serial", f"file:{folder}/console",
        "-kernel", str(kernel), "-initrd", str(folder / "ram"),
        "-append", "console=ttyS0 quiet mitigations=off panic=-1", "-device", "virtio-rng-pci",
    ]  # fmt: skip
    for tag, path, more in shares:
        argv += ["-virtfs", f"local,path={path},mount_tag={tag},security_model=passthrough,multidevs=remap{more}"]
    with (folder / "output").open("rb") as out:
        machine = subprocess.Popen(argv, stdin=subprocess.DEVNULL, process_group=0)
        end = time.monotonic() + DEADLINE
        try:
            while machine.poll() is None and time.monotonic() < end:
                say(out.read())
                time.sleep(0.1)
            say(out.read())
        finally:
            machine.kill()
            machine.wait()


def main(argv: Sequence[str]) -> int:
    """``python -m tests.vm DIRECTORY COMMAND [ARGUMENT...]``."""
    if len(argv) < 2:
        print("usage: python -m tests.vm DIRECTORY COMMAND [ARGUMENT...]", file=sys.stderr)
        return 2

    def say(text: bytes) -> None:
        sys.stdout.buffer.write(text)
        sys.stdout.buffer.flush()

    return run(Path(argv[0]), argv[1:], say)
