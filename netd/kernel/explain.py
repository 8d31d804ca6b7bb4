"""What a refusal of the kernel means, where it says no more than its errno: which capability is missing, and which
program has the UDP port of a tunnel."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

from netd.errors import KernelError, kernel_error
from netd.model import operations as do
from netd.model.state import attributes

from .session import Answer, Session

#: Bits of include/uapi/linux/capability.h.
CAPABILITIES = {"CAP_NET_ADMIN": 12, "CAP_NET_RAW": 13, "CAP_SYS_ADMIN": 21}
#: The attribute of IFLA_INFO_DATA with the UDP port (big-endian): IFLA_VXLAN_PORT, IFLA_GENEVE_PORT.
PORTS = {"vxlan": 15, "geneve": 5}
UDP = ("udp", "udp6")


def explained(answer: Answer, operation: do.Operation, session: Session | None = None) -> Answer:
    """The same answer, or the same error with the reason."""
    if not isinstance(answer, KernelError):
        return answer
    reason = ""
    with contextlib.suppress(OSError, KernelError, ValueError):
        if answer.code in (errno.EPERM, errno.EACCES):
            reason = _lacking("CAP_SYS_ADMIN" if isinstance(operation, do.NamespaceOperation) else "CAP_NET_ADMIN")
        elif answer.code == errno.EADDRINUSE and session is not None and isinstance(operation, do.SetLink):
            reason = _port_taken(operation.name, session)
    if not reason:
        return answer
    return kernel_error(answer.code, f"{answer.text}: {reason}" if answer.text else reason)


def _lacking(capability: str) -> str:
    """That this process does not have a capability; "" if it does."""
    lines = Path("/proc/self/status").read_text().splitlines()
    effective = next(int(line.split()[1], 16) for line in lines if line.startswith("CapEff:"))
    return "" if effective >> CAPABILITIES[capability] & 1 else f"netd runs without {capability}"


def _port_taken(name: str, session: Session) -> str:
    """Which program has the port of a tunnel; "" if it is no tunnel."""
    link = session.link_named(name)
    number = PORTS.get(link.kind) if link is not None else None
    payload = attributes(link.info).get(number) if link is not None and number is not None else None
    if payload is None:
        return ""
    port = int.from_bytes(payload, "big")
    holder = _holder(port, session)
    return f"UDP port {port} is used by {holder}: end that, or write another port" if holder else ""


def _holder(port: int, session: Session) -> str:
    """The program with a socket on a UDP port of the session's namespace; "the kernel" for a socket without a file."""
    tables = session.inside(lambda: [Path(f"/proc/thread-self/net/{name}").read_text() for name in UDP])
    inodes = set()
    for line in (line for table in tables for line in table.splitlines()[1:]):
        words = line.split()
        if int(words[1].rpartition(":")[2], 16) == port:
            inodes.add(int(words[9]))
    for inode in inodes - {0}:
        if (found := _process_with(f"socket:[{inode}]")) is not None:
            return found
    return "the kernel (another tunnel)" if 0 in inodes else "another program" if inodes else ""


def _process_with(socket: str) -> str | None:
    """The name and number of a process that has this socket open."""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if any(os.readlink(each) == socket for each in (process / "fd").iterdir()):
                return f"{(process / 'comm').read_text().strip()} (PID {process.name})"
    return None
