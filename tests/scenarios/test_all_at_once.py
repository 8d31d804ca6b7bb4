"""Everything broken at once, in many namespaces."""

from __future__ import annotations

from tests.host import Host
from tests.picture import differences, picture

COUNT = 100
LAB = "[bridge.br0]\n" + "".join(
    f"""
[namespace.n{n}.veth.eth0]
addresses = ["10.1.0.{n}/24", "fd01::{n}/64"]
gateway = ["10.1.0.254", "fd01::254"]
nodad = true
peer = {{ name = "port{n}", master = "br0" }}

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
ip link del br0
ip -all netns del
"""


def test_a_hundred_namespaces_in_which_everything_is_broken_at_once_are_whole_again(host: Host) -> None:
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
    host.ping("10.1.0.100", "fd01::100", ns="n1")
