"""Warnings that depend on this machine: a port where it listens itself, a sysctl that its kernel does not have."""

from __future__ import annotations

import contextlib
import difflib
import os
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address, IPv6Address

from netd.config.diagnostics.problem import Problem, Source
from netd.config.diagnostics.schema import titled
from netd.config.facts import diversion, setting_kind
from netd.kinds.base.roles import Diversion
from netd.kinds.base.setting_kind import SettingKind
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
        text, kind = "", setting_kind(each.key)
        if kind is not None:
            text = _unknown_sysctl(each.key, kind)
        elif each.key.netns == HOST and (diverted := diversion(each)) is not None:
            if diverted.protocol not in listening:
                listening[diverted.protocol] = set(listeners(diverted.protocol))
            text = _taken_port(diverted, listening[diverted.protocol])
        if text and each.file in sources:
            path = each.origins[0].path
            yield sources[each.file].problem(path, titled(path, text), warning=True)


def _unknown_sysctl(key: Key, kind: SettingKind) -> str:
    """A missing parameter of which a similar name exists; "" otherwise: its module may not be loaded yet."""
    directory, name = os.path.split(os.path.join(PROC_SYS, kind.example_path(key)))
    with contextlib.suppress(OSError):
        known = os.listdir(directory)
        if name not in known and (close := difflib.get_close_matches(name, known, n=1, cutoff=0.8)):
            meant = kind.key_of(key.netns, os.path.join(os.path.dirname(kind.path_of(key)), close[0]))
            return f"this kernel has no {key.name}: did you mean '{meant.name}'?"
    return ""


def _taken_port(diverted: Diversion, listening: set[tuple[str, int]]) -> str:
    """Whether a program of this machine listens on a port that is translated away; "" where none does."""
    first, last = diverted.ports
    for address, port in sorted(listening):
        is_meant = not diverted.destination or address in ANY or address == diverted.destination
        if first <= port <= last and is_meant:
            return (
                f"this machine listens on {diverted.protocol} port {port} itself: "
                f"what comes in from outside goes to {diverted.to} instead"
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
