"""All network parameters of the calling thread's namespace."""

from __future__ import annotations

import os
import threading

from netd.kernel.netns.setns import leave_for_new

from .files import DIRECTORY, LARGEST, ROOT

#: The directories of parameters that a namespace has of its own.
DIRECTORIES = ("core", "ipv4", "ipv6", "bridge")


def read_all() -> dict[str, str]:
    """{path below /proc/sys: value}, words joined by one space; without those that cannot be read."""
    found: dict[str, str] = {}
    for name in DIRECTORIES:
        try:
            top = os.open(f"{ROOT}/{name}", DIRECTORY)
        except OSError:
            continue
        try:
            for below, _, files, directory in os.fwalk(".", dir_fd=top):
                prefix = os.path.normpath(f"net/{name}/{below}")
                for file in files:
                    value = _read(file, directory)
                    if value is not None:
                        found[f"{prefix}/{file}"] = value
        finally:
            os.close(top)
    return found


def _read(name: str, directory: int) -> str | None:
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=directory)
    except OSError:
        return None
    try:
        return " ".join(os.read(descriptor, LARGEST).decode(errors="replace").split())
    except OSError:
        return None
    finally:
        os.close(descriptor)


def read_fresh() -> dict[str, str]:
    """The same of a namespace that is created for it, by a thread, and ends with that."""
    found: dict[str, str] = {}

    def read() -> None:
        try:
            leave_for_new()
        except OSError:
            return
        found.update(read_all())

    thread = threading.Thread(target=read)
    thread.start()
    thread.join()
    return found
