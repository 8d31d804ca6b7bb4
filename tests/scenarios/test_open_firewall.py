"""``open_firewall = true``: a tunnel gets through a firewall that lets some ports in; without it status says so."""

from __future__ import annotations

import re

import pytest

from tests.support.host import Host

LAB = """
[vxlan.vxlan0]
vni = 24
dev = "eth0"
local = "{net}{me}"
remote = ["{net}{other}"]
addresses = ["172.16.0.{me}/24"]
#OPEN
"""
GROUP = """
[vxlan.vxlan0]
vni = 24
dev = "eth0"
local = "10.230.4.{me}"
group = "239.1.2.3"
addresses = ["172.16.0.{me}/24"]
#OPEN
"""
UNDERLAY = pytest.mark.parametrize("net", ["10.230.4.", "fd04::"], ids=["over-ipv4", "over-ipv6"])

#: What distributions and handbooks begin with: answers, the loopback, ICMP and SSH come in.
ALLOWED = """
    $i -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
    $i -A INPUT -i lo -j ACCEPT
    $i -A INPUT -p icmp -j ACCEPT
    $i -A INPUT -p ipv6-icmp -j ACCEPT
    $i -A INPUT -p tcp -m tcp --dport 22 -j ACCEPT
"""
IPTABLES = f"for i in iptables-nft ip6tables-nft; do {ALLOWED} $i -P INPUT DROP; done"
FIREWALLS = {
    "iptables-nft": IPTABLES,
    "iptables-legacy": IPTABLES.replace("-nft", "-legacy"),
    "iptables-rule": f"for i in iptables-nft ip6tables-nft; do {ALLOWED} $i -A INPUT -j REJECT; done",
    "nft": """nft -f - <<END
        table inet filter {
            chain input {
                type filter hook input priority filter; policy drop;
                ct state invalid drop
                ct state { established, related } accept
                iif lo accept
                meta l4proto { icmp, ipv6-icmp } accept
                tcp dport { 22, 80 } accept
                udp dport { 53, 5000-6000 } accept
                pkttype host limit rate 5/second counter reject
            }
        }\nEND""",
    "nft-sorted": """nft -f - <<END
        table inet filter {
            chain services { tcp dport 22 accept; udp dport 51820 accept; }
            chain input {
                type filter hook input priority filter; policy accept;
                ct state vmap { established : accept, related : accept, invalid : drop }
                iifname lo accept
                meta l4proto icmp accept
                meta l4proto ipv6-icmp accept
                goto services
            }
            chain late {
                type filter hook input priority 10; policy drop;
                meta l4proto { icmp, ipv6-icmp } accept
            }
        }\nEND""",
}


def build(pair: tuple[Host, Host], text: str, net: str = "") -> list[str]:
    """Both hosts with the lab: host 1 will have the firewall. Returns its file, without and with the key."""
    for number, each in enumerate(pair, 1):
        each.write("lab.toml", text.format(net=net, me=number, other=3 - number))
        each.daemon()
    pair[0].ping("172.16.0.2")
    plain = text.format(net=net, me=1, other=2)
    return [plain, plain.replace("#OPEN", "open_firewall = true")]


def listed(host: Host) -> str:
    """All rules of all tools, without counters."""
    saved = host.sh("for i in iptables ip6tables; do for o in nft legacy; do $i-$o-save 2>/dev/null; done; done")
    return host.run("nft", "-s", "list", "ruleset") + re.sub(r"\[\d+:\d+\]|^#.*\n", "", saved, flags=re.MULTILINE)


def reason(host: Host, name: str = "vxlan/vxlan0") -> str:
    """What the status says of an object that is ok."""
    (found,) = (each for each in host.status()["objects"] if each["object"] == name)
    assert found["state"] == "ok", found
    return str(found["reason"])


def cut_off(host: Host) -> None:
    """Neither side gets through any more."""
    host.until(lambda: not host.pings("172.16.0.2"), "the firewall drops the tunnel")


@UNDERLAY
@pytest.mark.parametrize("how", FIREWALLS)
def test_a_firewall_lets_the_remotes_in_by_one_key(pair: tuple[Host, Host], how: str, net: str) -> None:
    host = pair[0]
    plain, opened = build(pair, LAB, net)
    assert reason(host) == ""
    host.sh(FIREWALLS[how])
    before = listed(host)
    host.netd("reload")  # legacy tells of no change
    cut_off(host)
    assert re.match(rf"a firewall drops packets from {net}2 to its port, udp 4789 \(chain \w+ of ", reason(host))
    assert "'open_firewall = true' accepts them" in host.netd("status").stdout
    host.write("lab.toml", opened)
    host.netd("reload")
    host.ping("172.16.0.2")
    family = "ip6" if ":" in net else "ip"
    assert reason(host) == reason(host, f"open/{family}/udp/4789,{net}2,*") == ""
    if "iptables" in how:
        tools = " ".join(f"{each}-{'legacy' if 'legacy' in how else 'nft'}" for each in ("iptables", "ip6tables"))
        opened_rules = listed(host).count("--comment netd")
        host.sh(f"for i in {tools}; do $i-save > /run/saved; $i-restore < /run/saved; done")
        host.netd("reload")
        assert listed(host).count("--comment netd") == opened_rules, "a save and restore doubles and loses nothing"
        host.ping("172.16.0.2")
    host.write("lab.toml", plain)
    host.netd("reload")
    cut_off(host)
    if "iptables" in how:
        host.sh(f"for i in {tools}; do $i-save > /run/saved; $i-restore < /run/saved; done")
        assert "netd" not in listed(host)
    else:
        assert listed(host) == before


@pytest.mark.parametrize("how", ["iptables-nft", "nft"])
def test_a_firewall_that_is_loaded_anew_is_opened_again(pair: tuple[Host, Host], how: str) -> None:
    host = pair[0]
    _, opened = build(pair, LAB, "10.230.4.")
    host.write("lab.toml", opened)
    host.netd("reload")
    assert "netd" not in listed(host), "where nothing drops nothing is put in"
    for _ in range(3):
        host.sh(FIREWALLS[how])
        host.ping("172.16.0.2")
        host.sh("nft flush ruleset")
        host.ping("172.16.0.2")


@pytest.mark.parametrize("how", ["iptables-nft", "nft"])
def test_a_tunnel_with_a_group_hears_all_on_its_link(pair: tuple[Host, Host], how: str) -> None:
    host = pair[0]
    _, opened = build(pair, GROUP)
    host.sh(FIREWALLS[how])
    before = listed(host)
    cut_off(host)
    assert "packets on eth0 to its port" in reason(host)
    host.write("lab.toml", opened)
    host.netd("reload")
    host.ping("172.16.0.2")
    assert reason(host, "open/ip/udp/4789,*,eth0") == ""
    host.remove("lab.toml")
    host.netd("reload")
    assert listed(host) == before


def test_tunnels_to_one_remote_share_a_rule_until_the_last_is_gone(host: Host) -> None:
    tunnel = '[vxlan.vx{0}]\nvni = {0}\nlocal = "10.0.0.1"\nremote = "10.0.0.2"\nopen_firewall = true\n'
    host.sh(FIREWALLS["iptables-nft"])
    before = listed(host)
    host.write("a.toml", tunnel.format(1) + tunnel.format(2))
    host.write("b.toml", tunnel.format(3))
    host.apply()
    rule = "-A INPUT -s 10.0.0.2/32 -p udp -m udp --dport 4789 -m comment --comment netd -j ACCEPT"
    assert listed(host).count(rule) == 1
    host.remove("a.toml")
    host.apply()
    assert listed(host).count(rule) == 1
    host.remove("b.toml")
    host.apply()
    assert listed(host) == before


def test_a_remote_that_leaves_the_list_is_let_in_no_more(host: Host) -> None:
    tunnel = '[vxlan.vx]\nvni = 1\nlocal = "10.0.0.1"\nremote = {}\nopen_firewall = true\n'
    host.sh(FIREWALLS["iptables-nft"])
    host.write("lab.toml", tunnel.format('["10.0.0.2", "10.0.0.3"]'))
    host.apply()
    host.write("lab.toml", tunnel.format('["10.0.0.3", "10.0.0.4"]'))
    host.apply()
    rules = [each for each in listed(host).splitlines() if "netd" in each and each.startswith("-A")]
    assert sorted(each.split()[3] for each in rules) == ["10.0.0.3/32", "10.0.0.4/32"]


def test_a_firewall_that_lets_the_port_in_is_not_complained_of(host: Host) -> None:
    host.write("lab.toml", '[vxlan.vx]\nvni = 1\nlocal = "10.0.0.1"\nremote = "10.0.0.2"\n')
    host.daemon()
    host.sh(FIREWALLS["iptables-nft"])
    assert "10.0.0.2" in reason(host, "vxlan/vx")
    for allowed in ("-s 10.0.0.0/8", "-p udp -m multiport --dports 53,4789", "-p udp -m udp --dport 4789"):
        host.sh(f"iptables-nft -I INPUT {allowed} -j ACCEPT")
        assert reason(host, "vxlan/vx") == ""
        host.sh("iptables-nft -D INPUT 1")
    assert "10.0.0.2" in reason(host, "vxlan/vx")
