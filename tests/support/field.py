"""The lab that faults from the field are tried in: a bridge with three namespaces, and clients on another machine."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.support.host import Host
from tests.support.process import Process, until

STREAM = Path(__file__).resolve().parent / "stream.py"
LINES = Path(__file__).resolve().parent / "lines.py"
NAMES = ("one", "two", "three")


def namespace(name: str, number: int, more: str = "") -> str:
    """A namespace on br0 with 10.7.0.NUMBER and fd07::NUMBER."""
    return f"""
[namespace.{name}.veth.eth0]
addresses = ["10.7.0.{number}/24", "fd07::{number}/64"]
gateway = ["10.7.0.1", "fd07::1"]
nodad = true
peer = {{ name = "p-{name}", master = "br0" }}
{more}
"""


LAB = (
    """
[bridge.br0]
addresses = ["10.7.0.1/24", "fd07::1/64"]
nodad = true

[sysctl]
net.ipv4.ip_forward = 1
net.ipv6.conf.all.forwarding = 1
"""
    + namespace("one", 11)
    + namespace("two", 12)
    + namespace("three", 13)
)


def stream(host: Host, address: str, port: int, protocol: str = "udp", ns: str = "") -> Process:
    """A client with one source port that asks 20 times a second."""
    return host.start(sys.executable, "-SE", str(STREAM), protocol, address, str(port), ns=ns)


def lines(host: Host, name: str, port: int, ns: str) -> Process:
    """A server that answers each line of a TCP connection with its name."""
    server = host.start(sys.executable, "-SE", str(LINES), name, str(port), ns=ns)
    until(lambda: "ready" in server.text(), f"{name} listens")
    return server


def last(client: Process) -> str:
    """The last answer's first word; "" before the first."""
    words = client.text().splitlines()
    return words[-1].split(" ")[0] if words and words[-1] else ""


def hears(host: Host, client: Process, wanted: str) -> None:
    """Waits until the client is answered by that server (or "nothing", "Connection")."""
    host.until(lambda: last(client) == wanted, f"the client hears {wanted}")
