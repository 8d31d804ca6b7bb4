"""Sysctls, address translation and FORWARD: one line per thing that can drift."""

from __future__ import annotations

import pytest

from tests.scenarios.drift import Drift, accepted, comes_back, prints, rules, sysctl
from tests.support.stage import Stage

SYSCTL = """
# left pings 10.2.0.2 fd02::2

[namespace.left.veth.eth0]
addresses = ["10.1.0.2/24", "fd01::2/64"]
gateway = ["10.1.0.1", "fd01::1"]
nodad = true
peer = { name = "to-left", addresses = ["10.1.0.1/24", "fd01::1/64"], nodad = true }

[namespace.right.veth.eth0]
addresses = ["10.2.0.2/24", "fd02::2/64"]
gateway = ["10.2.0.1", "fd02::1"]
nodad = true
peer = { name = "to-right", addresses = ["10.2.0.1/24", "fd02::1/64"], nodad = true }

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

BRIDGE_NF = """
[sysctl]
net.bridge.bridge-nf-call-iptables = 0

[namespace.a.sysctl]
net.bridge.bridge-nf-call-iptables = 0
"""

NAT = """
# inner pings 10.7.0.2 fd02::2

[namespace.inner]

[namespace.outer]

[sysctl]
net.ipv4.ip_forward = 1
net.ipv6.conf.all.forwarding = 1

[veth.to-inner]
addresses = ["10.1.0.1/24", "fd01::1/64"]
nodad = true

[veth.to-inner.peer]
name = "eth0"
namespace = "inner"
addresses = ["10.1.0.2/24", "fd01::2/64"]
gateway = ["10.1.0.1", "fd01::1"]
nodad = true

# outer knows no way back to inner
[veth.eth0]
addresses = ["10.7.0.1/24", "fd02::1/64"]
nodad = true
peer = { name = "eth0", namespace = "outer", addresses = ["10.7.0.2/24", "fd02::2/64"], nodad = true }

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
# left pings 10.2.0.2 fd02::2

[namespace.left]

[namespace.right]

[sysctl]
net.ipv4.ip_forward = 1
net.ipv6.conf.all.forwarding = 1

[bridge.br0]
forward = true
addresses = ["10.1.0.1/24", "fd01::1/64"]
nodad = true

[veth.to-left]
master = "br0"

[veth.to-left.peer]
name = "eth0"
namespace = "left"
addresses = ["10.1.0.2/24", "fd01::2/64"]
gateway = ["10.1.0.1", "fd01::1"]
nodad = true

[veth.to-right]
addresses = ["10.2.0.1/24", "fd02::1/64"]
nodad = true

[veth.to-right.peer]
name = "eth0"
namespace = "right"
addresses = ["10.2.0.2/24", "fd02::2/64"]
gateway = ["10.2.0.1", "fd02::1"]
nodad = true
"""

#: It is always written whole.
OWN = ":nft/inet/netd"

#: The rules of others, which they write anew themselves.
OTHERS = ":nft/ip6?/filter.*"

#: What is there before netd comes.
DROP = """
iptables-nft -P FORWARD DROP
ip6tables-nft -P FORWARD DROP
for key in iptables ip6tables; do
    test ! -e /proc/sys/net/bridge || sysctl -qw net.bridge.bridge-nf-call-$key=0
done
"""

DOCKER = f"""{DROP}
for tool in iptables-nft ip6tables-nft; do
    $tool -N DOCKER-USER; $tool -A DOCKER-USER -j RETURN; $tool -A FORWARD -j DOCKER-USER
done
"""
LEGACY = DROP.replace("tables-nft", "tables-legacy")

OPEN = """
[vxlan.vx]
vni = 1
local = "10.9.0.1"
remote = "10.9.0.2"
open_firewall = true
"""
PORT = "open/ip/udp/4789,10.9.0.2,*"
INPUT = """
iptables-nft -P INPUT DROP
"""
#: In the manner of firewalld: all of its table at once, its chains after everyone else's.
FIREWALLD = """nft -f - <<END
table inet firewalld
delete table inet firewalld
table inet firewalld {
    chain filter_IN_public { tcp dport 22 accept; reject; }
    chain filter_INPUT_ZONES { iifname "eth9" goto filter_IN_public; goto filter_IN_public; }
    chain filter_INPUT {
        type filter hook input priority filter + 10; policy accept;
        ct state { established, related } accept
        ct status dnat accept
        iifname "lo" accept
        jump filter_INPUT_ZONES
        reject with icmpx admin-prohibited
    }
}
END
"""
let_in = prints("iptables-nft -S INPUT", "udp -m udp --dport 4789 -m comment --comment netd -j ACCEPT")

#: Legacy iptables tells nobody of its changes: netd looks each minute, and whenever nftables changes.
POKE = "nft add table ip poke; nft delete table ip poke"

CASES = [
    # Sysctls
    Drift("sysctl-on-the-host", SYSCTL, "sysctl -w net.ipv4.ip_default_ttl=66", sysctl("net/ipv4/ip_default_ttl"),
          "sysctl/net.ipv4.ip_default_ttl update value"),
    Drift("sysctl-of-two-words", SYSCTL, "sysctl -w net.ipv4.ip_local_port_range='10000 30000'",
          sysctl("net/ipv4/ip_local_port_range"),
          "sysctl/net.ipv4.ip_local_port_range update value"),
    Drift("sysctl-ip-forward", SYSCTL, "sysctl -w net.ipv4.ip_forward=0", sysctl("net/ipv4/ip_forward"),
          "sysctl/net.ipv4.ip_forward update value"),
    Drift("sysctl-ip-forward-by-its-alias", SYSCTL, "sysctl -w net.ipv4.conf.all.forwarding=0",
          sysctl("net/ipv4/ip_forward"),
          "sysctl/net.ipv4.ip_forward update value"),
    Drift("sysctl-forwarding-ipv6", SYSCTL, "sysctl -w net.ipv6.conf.all.forwarding=0",
          sysctl("net/ipv6/conf/all/forwarding"),
          "sysctl/net.ipv6.conf.all.forwarding update value"),
    Drift("sysctl-of-an-interface", SYSCTL, "sysctl -w net.ipv4.conf.v0.rp_filter=1",
          sysctl("net/ipv4/conf/v0/rp_filter"),
          "sysctl/net.ipv4.conf.v0.rp_filter update value"),
    Drift("sysctl-of-an-interface-ipv6", SYSCTL, "sysctl -w net.ipv6.conf.v0.accept_ra=1",
          sysctl("net/ipv6/conf/v0/accept_ra"),
          "sysctl/net.ipv6.conf.v0.accept_ra update value"),
    Drift("sysctl-of-an-interface-made-again", SYSCTL, "ip link del v0",
          prints("cat /proc/sys/net/ipv4/conf/v0/rp_filter /proc/sys/net/ipv6/conf/v0/accept_ra", "2\n0"),
          "veth/v0 create"),
    Drift("sysctl-by-a-plain-write", SYSCTL, "echo 66 > /proc/sys/net/ipv4/ip_default_ttl",
          sysctl("net/ipv4/ip_default_ttl"), "sysctl/net.ipv4.ip_default_ttl update value"),
    Drift("sysctl-bridge-nf", BRIDGE_NF, "sysctl -w net.bridge.bridge-nf-call-iptables=1",
          sysctl("net/bridge/bridge-nf-call-iptables"), "sysctl/net.bridge.bridge-nf-call-iptables update value"),
    Drift("sysctl-bridge-nf-in-a-namespace", BRIDGE_NF,
          "ip netns exec a sysctl -w net.bridge.bridge-nf-call-iptables=1",
          sysctl("net/bridge/bridge-nf-call-iptables", ns="a"),
          "a:sysctl/net.bridge.bridge-nf-call-iptables update value"),
    Drift("sysctl-all-at-once", SYSCTL, """
          sysctl -w net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0 net.ipv4.ip_default_ttl=66
          sysctl -w net.ipv4.conf.v0.rp_filter=1 net.ipv6.conf.v0.accept_ra=1
          ip netns exec a sysctl -w net.ipv4.ip_forward=0 net.ipv4.conf.all.arp_ignore=0""",
          prints("sysctl net.ipv4.ip_forward net.ipv4.ip_default_ttl net.ipv6.conf.all.forwarding",
                 "net.ipv4.ip_forward = 1\nnet.ipv4.ip_default_ttl = 77\nnet.ipv6.conf.all.forwarding = 1"),
          "a:sysctl/net.ipv4.ip_forward update value"),
    Drift("sysctl-in-a-namespace", SYSCTL, "ip netns exec a sysctl -w net.ipv4.conf.all.arp_ignore=0",
          sysctl("net/ipv4/conf/all/arp_ignore", ns="a"),
          "a:sysctl/net.ipv4.conf.all.arp_ignore update value"),
    Drift("sysctl-in-a-namespace-made-again", SYSCTL, "ip netns del a",
          prints("cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/conf/eth0.5/proxy_arp", "1\n1", ns="a"),
          "namespace/a create", again=":link/to-a"),
    Drift("sysctl-of-an-interface-with-a-dot", SYSCTL, "ip netns exec a sysctl -w net/ipv4/conf/eth0.5/proxy_arp=0",
          sysctl("net/ipv4/conf/eth0.5/proxy_arp", ns="a"),
          "a:sysctl/net.ipv4.conf.eth0/5.proxy_arp update value"),
    Drift("namespace-ipv6-turned-on", SYSCTL, "ip netns exec quiet sysctl -w net.ipv6.conf.all.disable_ipv6=0",
          sysctl("net/ipv6/conf/all/disable_ipv6", ns="quiet"),
          "namespace/quiet update ipv6"),
    # Address translation
    Drift("nat-ruleset-flushed", NAT, "nft flush ruleset", rules(),
          "nat/dnat/ip/tcp/8083,*,* create", spoilt=":nft/ip/foreign.*"),
    Drift("nat-table-deleted", NAT, "nft delete table inet netd", rules(),
          "nat/dnat/ip/tcp/8083,*,* create"),
    Drift("nat-table-flushed", NAT, "nft flush table inet netd", rules(),
          "nat/dnat/ip/tcp/8083,*,* create", again=OWN),
    Drift("nat-rule-deleted", NAT, """
          line=$(nft -a list table inet netd | grep -m1 masquerade)
          chain=$(nft -a list table inet netd | awk '/chain/ {c=$2} /masquerade/ {print c; exit}')
          nft delete rule inet netd $chain handle ${line##* }""", rules(),
          "nat/masquerade/ip/10.1.0.0/24,eth0 create", again=OWN),
    Drift("nat-rule-inserted", NAT, """
          chain=$(nft list table inet netd | awk '/chain/ {c=$2} /masquerade/ {print c; exit}')
          nft insert rule inet netd $chain ip saddr 10.1.0.0/24 accept""", rules(),
          "nat/dnat/ip/tcp/8083,*,* update rules", again=OWN),
    Drift("nat-rule-added", NAT, """
          chain=$(nft list table inet netd | awk '/chain/ {c=$2} /masquerade/ {print c; exit}')
          nft add rule inet netd $chain ip saddr 10.7.0.0/24 masquerade""", rules(),
          "nat/dnat/ip/tcp/8083,*,* update rules", again=OWN),
    Drift("nat-chain-added", NAT, "nft add chain inet netd lost", rules(),
          "nat/dnat/ip/tcp/8083,*,* update rules", again=OWN),
    Drift("nat-dormant", NAT, "nft 'add table inet netd { flags dormant; }'",
          lambda host: "dormant" not in host.run("nft", "list", "table", "inet", "netd"),
          "nat/snat/ip6/fd01::/64,* update rules", again=OWN),
    Drift("nat-rule-replaced", NAT, """
          line=$(nft -a list table inet netd | grep -m1 masquerade)
          chain=$(nft -a list table inet netd | awk '/chain/ {c=$2} /masquerade/ {print c; exit}')
          nft replace rule inet netd $chain handle ${line##* } ip saddr 10.1.0.0/16 masquerade""", rules(),
          "nat/masquerade/ip/10.1.0.0/24,eth0 create", again=OWN),
    Drift("nat-chain-flushed", NAT, "nft flush chain inet netd postrouting", rules(),
          "nat/masquerade/ip/10.1.0.0/24,eth0 create", again=OWN),
    Drift("nat-restored-from-an-edited-listing", NAT, """
          nft list table inet netd > /run/saved; sed -i s/8083/8084/ /run/saved
          nft delete table inet netd; nft -f /run/saved""", rules(), "nat/dnat/ip/tcp/8083,*,* create", again=OWN),
    Drift("nat-flushed-in-a-namespace", NAT, "ip netns exec a nft flush ruleset", rules("a"),
          "a:nat/masquerade/inet/*,eth0 create"),
    Drift("nat-in-a-namespace-made-again", NAT, "ip netns del a", rules("a"),
          "namespace/a create"),
    # FORWARD
    Drift("forward-flushed", FORWARD, "iptables-nft -F FORWARD; ip6tables-nft -F FORWARD", accepted,
          "forward/br0 create", before=DROP),
    Drift("forward-one-rule-deleted", FORWARD, "iptables-nft -D FORWARD 1", accepted,
          "forward/br0 update accepted", before=DROP),
    Drift("forward-rule-behind-a-drop", FORWARD, "iptables-nft -I FORWARD -j DROP",
          lambda host: [line[-6:] for line in host.run("iptables-nft", "-S", "FORWARD").splitlines()][1:3],
          "forward/br0 update accepted",
          before=DROP),
    Drift("forward-table-deleted-and-made-by-its-owner", FORWARD, """
          nft delete table ip filter; nft delete table ip6 filter""" + DROP, accepted, "forward/br0 create",
          before=DROP, spoilt=OTHERS),
    Drift("forward-restored-by-its-owner", FORWARD, """
          for tool in iptables ip6tables; do
              $tool-nft-save | grep -v netd > /run/saved; $tool-nft-restore < /run/saved; done""",
          accepted, "forward/br0 create", before=DROP, spoilt=OTHERS),
    Drift("forward-chain-of-docker-flushed", FORWARD, """
          iptables-nft -F DOCKER-USER; iptables-nft -A DOCKER-USER -j RETURN""",
          prints("iptables-nft -S DOCKER-USER", "ACCEPT"), "forward/br0 update accepted", before=DOCKER),
    Drift("forward-docker-starts-again", FORWARD, f"""
          iptables-nft -F; ip6tables-nft -F
          iptables-nft -X; ip6tables-nft -X
          {DOCKER}""", prints("iptables-nft -S DOCKER-USER", "ACCEPT"), "forward/br0 create", before=DOCKER,
          spoilt=OTHERS),
    Drift("forward-legacy-flushed", FORWARD, f"iptables-legacy -F FORWARD; ip6tables-legacy -F FORWARD; {POKE}",
          prints("iptables-legacy -S FORWARD; ip6tables-legacy -S FORWARD", "ACCEPT"), "forward/br0 create",
          before=LEGACY),
    Drift("forward-legacy-behind-a-drop", FORWARD, f"iptables-legacy -I FORWARD -j DROP; {POKE}",
          lambda host: host.run("iptables-legacy", "-S", "FORWARD").splitlines()[1].endswith("ACCEPT"),
          "forward/br0 update accepted", before=LEGACY),
    # INPUT
    Drift("open-flushed", OPEN, "iptables-nft -F INPUT", let_in, f"{PORT} create", before=INPUT),
    Drift("open-rule-behind-a-drop", OPEN, "iptables-nft -I INPUT -j DROP",
          lambda host: host.run("iptables-nft", "-S", "INPUT").splitlines()[1].endswith("ACCEPT"),
          f"{PORT} update accepted", before=INPUT),
    Drift("open-table-deleted-and-made-by-its-owner", OPEN, f"nft delete table ip filter{INPUT}", let_in,
          f"{PORT} create", before=INPUT, spoilt=OTHERS),
    Drift("open-restored-by-its-owner", OPEN, """
          iptables-nft-save | grep -v netd > /run/saved; iptables-nft-restore < /run/saved""", let_in,
          f"{PORT} create", before=INPUT, spoilt=OTHERS),
    Drift("open-legacy-flushed", OPEN, f"iptables-legacy -F INPUT; {POKE}",
          prints("iptables-legacy -S INPUT", "ACCEPT"), f"{PORT} create", before=INPUT.replace("-nft", "-legacy")),
    Drift("open-firewalld-writes-its-table-anew", OPEN, FIREWALLD, prints("nft list table inet firewalld", "netd"),
          f"{PORT} create", before=FIREWALLD, spoilt=":nft/inet/firewalld.*"),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_is_broken_comes_back(stage: Stage, case: Drift) -> None:
    comes_back(stage, case)
