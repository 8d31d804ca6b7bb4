"""Everything broken at once, in many namespaces."""

from __future__ import annotations

import os

import pytest

from tests.support.host import Host
from tests.support.picture import differences, picture

#: `make large` sets it to 1,000.
COUNT = int(os.environ.get("NETD_COUNT", "100"))
LAB = "".join(
    f"""
[bridge.br{n // 100}]
"""
    for n in range(100, COUNT + 101, 100)
) + "".join(
    f"""
[namespace.n{n}.veth.eth0]
addresses = ["10.1.{(n - 1) // 100}.{(n - 1) % 100 + 1}/24", "fd01:{(n - 1) // 100}::{(n - 1) % 100 + 1}/64"]
gateway = ["10.1.{(n - 1) // 100}.254", "fd01:{(n - 1) // 100}::254"]
nodad = true
peer = {{ name = "port{n}", master = "br{(n - 1) // 100 + 1}" }}

[[namespace.n{n}.nat.masquerade]]
out = "eth0"

[namespace.n{n}.sysctl]
net.ipv4.ip_forward = 1
"""
    for n in range(1, COUNT + 1)
)
#: What is emptied, and what goes altogether.
EMPTIED = """
ip -all netns exec sh -c 'nft flush ruleset; sysctl -qw net.ipv4.ip_forward=0
    ip addr flush dev eth0; ip route flush table main; ip -6 route flush table main'
"""
GONE = """
for n in $(seq 0 9); do ip link del port1$n; done
ip link del br1
ip -all netns del
"""


@pytest.mark.thorough
def test_everything_broken_at_once_in_many_namespaces_is_whole_again(host: Host) -> None:
    host.write("lab.toml", LAB)
    daemon = host.daemon()
    before = picture(host)

    def whole() -> bool:
        found = differences(before, picture(host), set(before))
        if found:
            raise LookupError("\n".join(found[:20]))
        return True

    with daemon.asleep():
        host.sh(EMPTIED)
    host.until(whole, "all is whole that was emptied while netd slept")
    host.sh(GONE)
    host.until(whole, "all is whole that went while netd was awake")
    host.sh(EMPTIED + GONE)
    host.until(whole, "all is whole that was emptied and went while netd was awake")
    host.converged()
    host.ping("10.1.0.100", "fd01:0::100", ns="n1")
