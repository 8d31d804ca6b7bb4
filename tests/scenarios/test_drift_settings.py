"""Sysctls, address translation and FORWARD: one line per thing that can drift."""

from __future__ import annotations

import pytest

from tests.host import Host
from tests.scenarios.drift import Drift, accepted, comes_back, prints, rules, sysctl

SYSCTL = """
[sysctl]
net.ipv4.ip_forward = 1
net.ipv6.conf.all.forwarding = 1
net.ipv4.ip_default_ttl = 77
net.ipv4.ip_local_port_range = "20000 30000"
net.ipv4.conf.v0.rp_filter = 2
net.ipv6.conf.v0.accept_ra = 0

[veth.v0]
peer = { name = "v1" }

[namespace.a.veth."eth0.5"]
peer = { name = "to-a" }

[namespace.a.sysctl]
net.ipv4.ip_forward = 1
net.ipv4.conf.all.arp_ignore = 1
"net/ipv4/conf/eth0.5/proxy_arp" = 1

[namespace.quiet]
ipv6 = false
"""

NAT = """
[[nat.masquerade]]
source = "10.1.0.0/24"
out = "eth0"

[[nat.snat]]
source = "fd01::/64"
to = "fd02::1"

[[nat.dnat]]
port = 8083
to = "10.1.0.2:80"

[namespace.a]

[[namespace.a.nat.masquerade]]
out = "eth0"
"""

FORWARD = """
[bridge.br0]
forward = true
"""

#: What is there before netd comes.
DROP = "iptables-nft -P FORWARD DROP; ip6tables-nft -P FORWARD DROP"

CASES = [
    # Sysctls
    Drift("sysctl-on-the-host", SYSCTL, "sysctl -w net.ipv4.ip_default_ttl=66", sysctl("net/ipv4/ip_default_ttl")),
    Drift("sysctl-of-two-words", SYSCTL, "sysctl -w net.ipv4.ip_local_port_range='10000 30000'",
          sysctl("net/ipv4/ip_local_port_range")),
    Drift("sysctl-ip-forward", SYSCTL, "sysctl -w net.ipv4.ip_forward=0", sysctl("net/ipv4/ip_forward")),
    Drift("sysctl-ip-forward-by-its-alias", SYSCTL, "sysctl -w net.ipv4.conf.all.forwarding=0",
          sysctl("net/ipv4/ip_forward")),
    Drift("sysctl-forwarding-ipv6", SYSCTL, "sysctl -w net.ipv6.conf.all.forwarding=0",
          sysctl("net/ipv6/conf/all/forwarding")),
    Drift("sysctl-of-an-interface", SYSCTL, "sysctl -w net.ipv4.conf.v0.rp_filter=1",
          sysctl("net/ipv4/conf/v0/rp_filter")),
    Drift("sysctl-of-an-interface-ipv6", SYSCTL, "sysctl -w net.ipv6.conf.v0.accept_ra=1",
          sysctl("net/ipv6/conf/v0/accept_ra")),
    Drift("sysctl-of-an-interface-made-again", SYSCTL, "ip link del v0",
          prints("cat /proc/sys/net/ipv4/conf/v0/rp_filter /proc/sys/net/ipv6/conf/v0/accept_ra", "2\n0")),
    Drift("sysctl-in-a-namespace", SYSCTL, "ip netns exec a sysctl -w net.ipv4.conf.all.arp_ignore=0",
          sysctl("net/ipv4/conf/all/arp_ignore", ns="a")),
    Drift("sysctl-in-a-namespace-made-again", SYSCTL, "ip netns del a",
          prints("cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/conf/eth0.5/proxy_arp", "1\n1", ns="a")),
    Drift("sysctl-of-an-interface-with-a-dot", SYSCTL, "ip netns exec a sysctl -w net/ipv4/conf/eth0.5/proxy_arp=0",
          sysctl("net/ipv4/conf/eth0.5/proxy_arp", ns="a")),
    Drift("namespace-ipv6-turned-on", SYSCTL, "ip netns exec quiet sysctl -w net.ipv6.conf.all.disable_ipv6=0",
          sysctl("net/ipv6/conf/all/disable_ipv6", ns="quiet")),
    # Address translation
    Drift("nat-ruleset-flushed", NAT, "nft flush ruleset", rules()),
    Drift("nat-table-deleted", NAT, "nft delete table inet netd", rules()),
    Drift("nat-table-flushed", NAT, "nft flush table inet netd", rules()),
    Drift("nat-rule-deleted", NAT, """
          line=$(nft -a list table inet netd | grep -m1 masquerade)
          chain=$(nft -a list table inet netd | awk '/chain/ {c=$2} /masquerade/ {print c; exit}')
          nft delete rule inet netd $chain handle ${line##* }""", rules()),
    Drift("nat-rule-inserted", NAT, """
          chain=$(nft list table inet netd | awk '/chain/ {c=$2} /masquerade/ {print c; exit}')
          nft insert rule inet netd $chain ip saddr 10.1.0.0/24 accept""", rules()),
    Drift("nat-rule-added", NAT, """
          chain=$(nft list table inet netd | awk '/chain/ {c=$2} /masquerade/ {print c; exit}')
          nft add rule inet netd $chain ip saddr 10.7.0.0/24 masquerade""", rules()),
    Drift("nat-chain-added", NAT, "nft add chain inet netd lost", rules()),
    Drift("nat-flushed-in-a-namespace", NAT, "ip netns exec a nft flush ruleset", rules("a")),
    Drift("nat-in-a-namespace-made-again", NAT, "ip netns del a", rules("a")),
    # FORWARD
    Drift("forward-flushed", FORWARD, "iptables-nft -F FORWARD; ip6tables-nft -F FORWARD", accepted, DROP),
    Drift("forward-one-rule-deleted", FORWARD, "iptables-nft -D FORWARD 1", accepted, DROP),
    Drift("forward-rule-behind-a-drop", FORWARD, "iptables-nft -I FORWARD -j DROP",
          lambda host: [line[-6:] for line in host.run("iptables-nft", "-S", "FORWARD").splitlines()][1:3], DROP),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_is_broken_comes_back(host: Host, case: Drift) -> None:
    comes_back(host, case)
