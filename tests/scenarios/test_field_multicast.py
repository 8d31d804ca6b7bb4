"""Masquerading by the source alone leaves alone what does not leave the network."""

from __future__ import annotations

import sys

import pytest

from tests.support.field import LAB
from tests.support.host import Host

#: Sends one datagram from namespace one to a group or to everybody, and prints what namespace two saw of its source.
SEND = """
import socket, sys
to = sys.argv[1]
family = socket.AF_INET6 if ":" in to else socket.AF_INET
s = socket.socket(family, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0")
s.sendto(b"here", (to, 5353))
"""
RECEIVE = """
import socket, struct, sys
to = sys.argv[1]
six = ":" in to
s = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("::" if six else "", 5353))
if six and to.startswith("ff"):
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP,
        socket.inet_pton(socket.AF_INET6, to) + struct.pack("I", socket.if_nametoindex("eth0")))
elif to.startswith("2") and not to.endswith(".255"):
    s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(to) + socket.inet_aton("10.7.0.12"))
print("ready", flush=True)
while True:
    print(s.recvfrom(100)[1][0], flush=True)
"""
SOURCES = '[[nat.masquerade]]\nsource = "10.7.0.0/24"\n[[nat.masquerade]]\nsource = "fd07::/64"\n'
#: A network that the bridge has beside that of the entry: what stays on the bridge has not left.
BESIDE = '[[nat.masquerade]]\nsource = "10.7.0.11/32"\n[[nat.masquerade]]\nsource = "fd07::11/128"\n'
#: What crosses the bridge does not leave by it.
OUT = '[[nat.masquerade]]\nout = "br0"\n'
SNAT = '[[nat.snat]]\nsource = "10.7.0.0/24"\nto = "10.7.0.1"\n[[nat.snat]]\nsource = "fd07::/64"\nto = "fd07::1"\n'


@pytest.mark.parametrize("nat", [SOURCES, BESIDE, SNAT, OUT], ids=["network", "one-address", "snat", "out"])
@pytest.mark.parametrize(
    "to",
    ["224.0.0.251", "239.255.0.1", "255.255.255.255", "10.7.0.255", "10.7.0.12", "ff02::fb", "ff05::2", "fd07::12"],
)
def test_what_crosses_a_bridge_keeps_its_source(host: Host, nat: str, to: str) -> None:
    host.write("lab.toml", LAB.replace("[bridge.br0]", "[bridge.br0]\nmcast_snooping = false", 1) + nat)
    host.apply()
    for key in ("iptables", "ip6tables"):
        host.sh(f"test ! -e /proc/sys/net/bridge/bridge-nf-call-{key} || sysctl -qw net.bridge.bridge-nf-call-{key}=1")
    receiver = host.start(sys.executable, "-SE", "-c", RECEIVE, to, ns="two")
    host.until(lambda: "ready" in receiver.text(), "two listens")

    def heard() -> str:
        host.run(sys.executable, "-SE", "-c", SEND, to, ns="one")
        return "".join(receiver.text().split()[1:2])

    source = host.until(heard, f"what one sends to {to} arrives")
    assert source in ("10.7.0.11", "fd07::11") or source.startswith("fe80"), "nothing was translated"


def test_what_leaves_is_still_translated(pair: tuple[Host, Host]) -> None:
    a, b = pair
    a.write("lab.toml", LAB + BESIDE)
    a.apply()
    b.serve("far", 80)
    assert a.ask("10.230.4.2", 80, ns="one") == ["far", "10.230.4.1", "80"]
    assert a.ask("fd04::2", 80, ns="one") == ["far", "fd04::1", "80"]
