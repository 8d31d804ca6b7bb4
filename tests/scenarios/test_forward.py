"""``forward = true``: traffic gets through a FORWARD chain of another tool that drops by default."""

from __future__ import annotations

import pytest

from tests.support.host import Host
from tests.support.labs import ROUTED

BRIDGED = """
[bridge.br0]
#FORWARD

[namespace.a.veth.eth0]
addresses = ["10.2.0.2/24", "fd02::2/64"]
nodad = true
peer = { name = "port-a", master = "br0" }

[namespace.b.veth.eth0]
addresses = ["10.2.0.1/24", "fd02::1/64"]
nodad = true
peer = { name = "port-b", master = "br0" }
"""

LABS = {
    "routed": (ROUTED.replace(" #FORWARD", ""), ROUTED.replace(" #FORWARD", ", forward = true")),
    "bridged": (BRIDGED.replace("#FORWARD", ""), BRIDGED.replace("#FORWARD", "forward = true")),
}

DROPS = {
    "iptables-nft": "iptables-nft -P FORWARD DROP; ip6tables-nft -P FORWARD DROP",
    "iptables-legacy": "iptables-legacy -P FORWARD DROP; ip6tables-legacy -P FORWARD DROP",
    "iptables-rule": "iptables-nft -A FORWARD -j DROP; ip6tables-nft -A FORWARD -j REJECT",
    "nft": """nft add table inet fw
        nft 'add chain inet fw forward { type filter hook forward priority 0; policy drop; }'""",
    "docker": """for tool in iptables-nft ip6tables-nft; do
        $tool -P FORWARD DROP; $tool -N DOCKER-USER; $tool -A DOCKER-USER -j RETURN; $tool -A FORWARD -j DOCKER-USER
        done""",
}


def drop(host: Host, how: str) -> None:
    """Does to the host what another tool would: all that is forwarded is dropped, bridged traffic included."""
    for key in ("iptables", "ip6tables"):
        host.sh(f"test ! -e /proc/sys/net/bridge/bridge-nf-call-{key} || sysctl -w net.bridge.bridge-nf-call-{key}=1")
    host.sh(DROPS[how])


@pytest.mark.parametrize("how", DROPS)
@pytest.mark.parametrize("lab", LABS)
def test_what_a_forward_chain_drops_gets_through_with_forward(host: Host, lab: str, how: str) -> None:
    blocked, through = LABS[lab]
    if lab == "bridged" and not host.file("/proc/sys/net/bridge").exists():
        assert host.file("/sys").exists(), "without br_netfilter no firewall sees what is bridged"
        return
    host.write("lab.toml", blocked)
    host.apply()
    host.ping("10.2.0.1", "fd02::1", ns="a")
    drop(host, how)
    assert not host.pings("10.2.0.1", "a") and not host.pings("fd02::1", "a"), "the chain drops"
    host.write("lab.toml", through)
    host.apply()
    host.ping("10.2.0.1", "fd02::1", ns="a")
    host.serve("web", 80, ns="b")
    assert host.ask("10.2.0.1", 80, ns="a")[0] == host.ask("fd02::1", 80, ns="a")[0] == "web"
    host.write("lab.toml", blocked)
    host.apply()
    host.until(lambda: not host.pings("10.2.0.1", "a"), "without forward it is blocked again")
    assert not host.pings("fd02::1", "a")


@pytest.mark.parametrize("how", ["iptables-nft", "nft"])
def test_a_chain_that_begins_to_drop_later_is_opened_by_the_daemon(host: Host, how: str) -> None:
    host.write("lab.toml", LABS["routed"][1])
    host.daemon()
    host.ping("10.2.0.1", "fd02::1", ns="a")
    drop(host, how)
    host.ping("10.2.0.1", "fd02::1", ns="a")


def test_saving_and_restoring_iptables_neither_doubles_nor_loses_a_rule(host: Host) -> None:
    drop(host, "iptables-nft")
    host.write("lab.toml", LABS["routed"][1])
    host.apply()
    before = host.run("iptables-nft", "-S", "FORWARD")
    assert before.count("ACCEPT") == 2, "one plain rule in, one out"
    host.sh("iptables-nft-save > /run/saved; iptables-nft-restore < /run/saved")
    assert host.apply()["changes"] == []
    assert host.run("iptables-nft", "-S", "FORWARD").count("ACCEPT") == 2
    host.ping("10.2.0.1", ns="a")
    host.netd("down")
    assert "ACCEPT" not in host.run("iptables-nft", "-S", "FORWARD")
    assert "-P FORWARD DROP" in host.run("iptables-nft", "-S", "FORWARD")


def test_where_nothing_drops_nothing_is_put_into_foreign_chains(host: Host) -> None:
    host.sh("nft add table ip filter; nft 'add chain ip filter FORWARD { type filter hook forward priority 0; }'")
    host.write("lab.toml", LABS["routed"][1])
    host.apply()
    host.ping("10.2.0.1", "fd02::1", ns="a")
    assert [each for each in host.nft() if "rule" in each] == []


def test_a_table_that_its_process_keeps_for_itself_is_told_of_and_hinders_no_other(host: Host) -> None:
    table = "table inet kept { flags owner; chain forward { type filter hook forward priority 10; policy drop; }; }"
    host.start("sh", "-c", f"(echo '{table}'; exec sleep 9999) | nft -i")
    host.until(lambda: "kept" in host.run("nft", "list", "tables"), "the table is there")
    drop(host, "iptables-nft")
    host.write("lab.toml", LABS["routed"][1])
    host.daemon()
    (row,) = (each for each in host.status()["objects"] if each["object"] == "forward/to-a")
    assert row["state"] == "failed" and "NftablesTableOwner=no" in row["reason"], row
    assert host.run("iptables-nft", "-S", "FORWARD").count("--comment netd") == 2
