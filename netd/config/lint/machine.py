"""Warnings that depend on this machine: a port where it listens itself, a sysctl that its kernel does not have."""

from __future__ import annotations

import contextlib
import difflib
import os
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address, IPv6Address

from netd.config.diagnostics.problem import Problem, Source
from netd.config.diagnostics.schema import titled
from netd.kinds.sysctl import PER_LINK, sysctl_name, sysctl_path
from netd.model.desired import Desired
from netd.model.key import HOST, Key

PROC_SYS = "/proc/sys"
#: Of the calling thread: the main thread of the daemon may be in another namespace for a moment.
SOCKETS = "/proc/thread-self/net"
#: Sockets that take what comes, proc(5): TCP that listens, UDP that is not connected.
STATES = {"tcp": "0A", "udp": "07"}
ANY = frozenset({"0.0.0.0", "::"})


def machine_warnings(desired: Mapping[Key, Desired], sources: Mapping[str, Source]) -> Iterator[Problem]:
    """In the order of the files."""
    listening: dict[str, set[tuple[str, int]]] = {}
    for each in desired.values():
        text = ""
        if each.key.kind == "sysctl":
            text = _unknown_sysctl(each)
        elif each.key.kind == "nat" and each.locator.get("type") == "dnat" and each.key.netns == HOST:
            protocol = str(each.locator["protocol"])
            if protocol not in listening:
                listening[protocol] = set(listeners(protocol))
            text = _taken_port(each, protocol, listening[protocol])
        if text and each.file in sources:
            path = each.origins[0].path
            yield sources[each.file].problem(path, titled(path, text), warning=True)


def _unknown_sysctl(each: Desired) -> str:
    """A missing parameter of which a similar name exists; "" otherwise: its module may not be loaded yet."""
    path = sysctl_path(each.key.name)
    parts = path.split("/")
    if tuple(parts[:3]) in PER_LINK:
        parts[3] = "default"  # every interface has the same
    directory, name = os.path.join(PROC_SYS, *parts[:-1]), parts[-1]
    with contextlib.suppress(OSError):
        known = os.listdir(directory)
        if name not in known and (close := difflib.get_close_matches(name, known, n=1, cutoff=0.8)):
            meant = sysctl_name("/".join([*path.split("/")[:-1], close[0]]))
            return f"this kernel has no {each.key.name}: did you mean '{meant}'?"
    return ""


def _taken_port(each: Desired, protocol: str, listening: set[tuple[str, int]]) -> str:
    """Whether a program of this machine listens on a port that is translated away; "" where none does."""
    first, _, last = str(each.locator["port"]).partition("-")
    ports = range(int(first), int(last or first) + 1)
    destination = each.locator.get("destination") or ""
    for address, port in sorted(listening):
        if port in ports and (not destination or address in ANY or address == destination):
            return (
                f"this machine listens on {protocol} port {port} itself: "
                f"what comes in from outside goes to {each.locator['address']} instead"
            )
    return ""


def listeners(protocol: str) -> Iterator[tuple[str, int]]:
    """(address, port) of each socket of this machine that takes packets from outside, proc(5)."""
    for name in (protocol, f"{protocol}6"):
        with contextlib.suppress(OSError), open(f"{SOCKETS}/{name}", encoding="ascii") as table:
            for line in list(table)[1:]:
                words = line.split()
                host, _, port = words[1].partition(":")
                address = read_address(host)
                if words[3] == STATES[protocol] and not address.is_loopback:
                    yield str(address), int(port, 16)


def read_address(text: str) -> IPv4Address | IPv6Address:
    """An address as /proc/net writes it: words of four bytes, each in the byte order of the machine."""
    import sys

    data = bytes.fromhex(text)
    if sys.byteorder == "little":
        data = b"".join(data[at : at + 4][::-1] for at in range(0, len(data), 4))
    if len(data) == 4:
        return IPv4Address(data)
    address = IPv6Address(data)
    return address.ipv4_mapped or address
