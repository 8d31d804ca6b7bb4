"""netd beside udev, systemd-networkd, NetworkManager, Docker and firewalld, which would all like to have every link.

A link of someone else's stands beside netd's in each test: what happens to it shows that the other tool is at work.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pytest

from netd.report.messages import MESSAGES
from tests.rig.machine import Machine
from tests.support.process import until

#: Every kind of link, names that others like to have, and what hangs on no link: networkd knows neither route nor rule.
LAB = """
[bridge.br0]
addresses = ["10.3.0.1/24"]
forward = true

[bridge.br1]
addresses = ["10.4.0.1/24"]
forward = true

[namespace.web.veth.eth0]
addresses = ["10.3.0.10/24"]
gateway = "10.3.0.1"
peer = { name = "eth7", master = "br0" }

[namespace.db.veth.eth0]
addresses = ["10.4.0.10/24"]
gateway = "10.4.0.1"
peer = { name = "eth8", master = "br1" }

[veth.host0]
addresses = ["10.5.0.1/24"]
peer = { name = "eth9", addresses = ["10.5.0.2/24"] }

[vxlan.vx0]
vni = 24
local = "10.5.0.1"
remote = "10.5.0.3"
master = "br0"

[[route]]
to = "10.97.0.0/16"
via = "10.3.0.10"

[[route]]
to = "10.98.0.0/16"
type = "blackhole"

[[route]]
to = "default"
via = "10.3.0.10"
table = 77

[[rule]]
priority = 100
from = "10.4.0.10"
table = 77

[sysctl]
net.ipv4.ip_forward = 1

[[nat.masquerade]]
source = "10.3.0.0/24"
"""
LINKS = ("br0", "br1", "eth7", "eth8", "host0", "eth9", "vx0")
#: A port that both keep, netd and another manager.
PORT = """
[interface.eth20]
addresses = ["10.67.0.1/24"]
gateway = "10.67.0.2"
"""
#: What hangs on no link of netd's, so that networkd deletes it.
LOOSE = {
    "route/main/10.98.0.0/16/0",
    "rule/ip/100",
    "address/eth20/10.67.0.1/24",
    "route/main/0.0.0.0/0/0",
}
#: All the links there are.
GREEDY = {
    "/etc/systemd/network/10-all.link": """[Match]
OriginalName=*
[Link]
MACAddressPolicy=random
MTUBytes=1300
""",
    "/etc/systemd/network/10-all.network": """[Match]
Name=*
[Network]
DHCP=yes
Address=10.66.0.1/24
LinkLocalAddressing=no
IPv6AcceptRA=no
""",
}


@pytest.fixture
def machine(neighbour: Callable[[str], Machine]) -> Machine:
    """A machine on which every manager wants all links, and the lab stands; the managers do not run yet."""
    machine = neighbour("beside")
    for path, text in GREEDY.items():
        machine.write(path, text)
    # By itself it looks for new files every three seconds at most.
    machine.run("udevadm", "control", "--reload")
    machine.write("/etc/netd/lab.toml", LAB)
    machine.netd("reload")
    machine.netd("wait")
    machine.run("udevadm", "settle")
    return machine


def links(machine: Machine) -> dict[str, Any]:
    """The lab's links with their addresses, as they are to stay."""
    found = {each["ifname"]: each for each in machine.run("ip", "-j", "addr").json}
    return {
        name: {
            **{key: found[name].get(key) for key in ("ifindex", "address", "mtu", "master", "group")},
            "addresses": sorted(info["local"] for info in found[name]["addr_info"]),
        }
        for name in LINKS
    }


def settled(machine: Machine) -> dict[str, Any]:
    """The links, once the kernel has made its own addresses."""
    tentative = ("ip", "-6", "addr", "show", "tentative")
    until(lambda: not machine.run(*tentative).stdout, "no address is tentative")
    return links(machine)


def foreign(machine: Machine) -> None:
    """A pair that someone makes by hand, with carrier."""
    machine.sh("ip link add eth20 type veth peer name eth21; ip link set eth20 up; ip link set eth21 up")


def has_rule(machine: Machine, count: int) -> bool:
    """Whether netd's rule was restored so many times."""
    return status(machine).get("rule/ip/100") == count


def status(machine: Machine) -> Mapping[str, int]:
    """How often netd had to put back what, by object. It is converged, or will be."""
    until(lambda: machine.netd("status", check=None).returncode == 0, "netd is converged")
    found = machine.netd("status", "--json").json["objects"]
    assert {each["state"] for each in found} == {"ok"}, "nobody fights about anything"
    return {each["object"]: each["repairs"] for each in found if each["repairs"]}


def crosses(machine: Machine) -> bool:
    """Whether the two namespaces reach each other through the host."""
    return machine.run("ping", "-n", "-c", "1", "-W", "1", "10.4.0.10", ns="web", check=None).returncode == 0


def told(machine: Machine, kind: str) -> list[dict[str, Any]]:
    """The entries of the journal of one kind."""
    return machine.journal(f"MESSAGE_ID={MESSAGES[kind].id}")


def networkd(machine: Machine) -> dict[str, str]:
    """What networkd says of each link: "configured", "unmanaged" ..."""
    said = machine.run("networkctl", "--no-legend", "--no-pager").stdout
    return {line.split()[1]: line.split()[-1] for line in said.splitlines()}


def properties(machine: Machine, link: str) -> dict[str, str]:
    """What udev knows of a link."""
    said = machine.run("udevadm", "info", "-q", "property", f"/sys/class/net/{link}").stdout
    return dict(line.split("=", 1) for line in said.splitlines())


def test_udev_leaves_name_address_and_mtu_of_netds_links_as_they_are(machine: Machine) -> None:
    foreign(machine)
    machine.run("udevadm", "settle")
    assert machine.run("ip", "-j", "link", "show", "eth20").json[0]["mtu"] == 1300
    assert "ID_NET_MANAGED_BY" not in properties(machine, "eth20")
    for name in LINKS:
        known = properties(machine, name)
        assert (known["ID_NET_MANAGED_BY"], known["NM_UNMANAGED"]) == ("netd", "1")
        assert known["ID_NET_LINK_FILE"].endswith("/00-netd.link")
    before = links(machine)
    for name in ("eth7", "br1", "vx0"):
        machine.run("ip", "link", "del", name)
    machine.netd("wait")
    machine.sh("udevadm settle; udevadm trigger --settle --subsystem-match=net")
    after = links(machine)
    for name, link in before.items():
        assert (after[name]["address"], after[name]["mtu"]) == (link["address"], link["mtu"])


def test_networkd_leaves_netds_links_alone_and_what_it_deletes_is_back(machine: Machine) -> None:
    before = settled(machine)

    def unmanaged() -> None:
        until(lambda: {networkd(machine).get(name) for name in LINKS} == {"unmanaged"}, "networkd keeps off")
        assert links(machine) == before
        assert crosses(machine)

    foreign(machine)
    machine.write("/etc/netd/port.toml", PORT)
    machine.sh("netd reload; netd wait address/eth20/10.67.0.1/24")
    machine.run("systemctl", "start", "systemd-networkd")
    until(lambda: "10.66.0.1" in machine.run("ip", "addr", "show", "eth20").stdout, "networkd takes what is not netd's")
    unmanaged()
    machine.run("networkctl", "reload")
    unmanaged()
    for count in (2, 3):
        machine.run("systemctl", "restart", "systemd-networkd")
        until(partial(has_rule, machine, count), "networkd has deleted a rule of others")
        assert set(status(machine)) == LOOSE
        unmanaged()
    # Links that come while it runs.
    machine.sh("ip link del eth7; ip link del br1; netd wait; udevadm settle")
    until(lambda: {networkd(machine).get(name) for name in LINKS} == {"unmanaged"}, "networkd keeps off")
    assert "10.66.0.1" not in str(links(machine))
    assert crosses(machine)
    assert re.search(r"100:.*lookup 77", machine.run("ip", "rule").stdout)
    assert not told(machine, "contended")


def test_an_installation_takes_the_links_of_a_standing_lab_out_of_networkds_hands(machine: Machine) -> None:
    machine.sh("rm /usr/lib/udev/rules.d/*netd.rules /usr/lib/systemd/network/00-netd.*")
    machine.sh(
        "udevadm control --reload; udevadm trigger --settle --subsystem-match=net; systemctl start systemd-networkd"
    )
    until(lambda: "unmanaged" not in networkd(machine).values(), "networkd has taken all links")
    machine.sh("apt-get install -y --reinstall /package/netd_*.deb")
    until(lambda: {networkd(machine).get(name) for name in LINKS} == {"unmanaged"}, "networkd keeps off")
    machine.run("systemctl", "restart", "systemd-networkd")
    until(lambda: networkd(machine).get("lo") == "configured", "networkd has begun")
    until(lambda: {networkd(machine).get(name) for name in LINKS} == {"unmanaged"}, "networkd keeps off")
    status(machine)
    assert crosses(machine)


def test_networkmanager_leaves_netds_links_alone(machine: Machine) -> None:
    before = settled(machine)

    def states() -> dict[str, str]:
        said = machine.run("nmcli", "-t", "-f", "DEVICE,STATE", "device").stdout
        return dict(line.split(":", 1) for line in said.splitlines())

    def unmanaged() -> None:
        until(lambda: {states().get(name) for name in LINKS} == {"unmanaged"}, "NetworkManager keeps off")
        assert links(machine) == before
        assert crosses(machine)

    foreign(machine)
    machine.run("systemctl", "start", "NetworkManager")
    until(lambda: states()["eth20"].startswith("connect"), "NetworkManager takes what is not netd's")
    unmanaged()
    for command in ("general reload", "connection reload"):
        machine.run("nmcli", *command.split())
        unmanaged()
    machine.run("systemctl", "restart", "NetworkManager")
    unmanaged()
    assert status(machine) == {}
    machine.sh("ip link del eth7; ip link del br1; netd wait; udevadm settle")
    until(lambda: {states().get(name) for name in LINKS} == {"unmanaged"}, "NetworkManager keeps off")
    assert crosses(machine)


def translates(machine: Machine) -> bool:
    """Whether netd's nft table stands."""
    return "masquerade" in machine.run("nft", "list", "table", "inet", "netd").stdout


def test_a_ruleset_that_is_loaded_anew_and_a_restarted_docker_are_healed_without_a_fight(machine: Machine) -> None:
    before = settled(machine)
    for command in ("systemctl start docker", "nft -f /etc/nftables.conf", "systemctl restart docker"):
        machine.sh(command)
        until(lambda: crosses(machine), "the namespaces reach each other")
        until(lambda: translates(machine), "netd's table stands")
        assert {name.partition("/")[0] for name in status(machine)} <= {"nat", "forward"}
    assert status(machine)["nat/masquerade/ip/10.3.0.0/24,*"] == 1
    assert links(machine) == before
    assert not told(machine, "contended")


def test_docker_and_firewalld_restart_together_without_a_fight(machine: Machine) -> None:
    machine.write("/etc/netd/lab.toml", LAB.replace("forward = true\n", ""))
    machine.netd("reload")
    before = settled(machine)
    machine.run("systemctl", "start", "firewalld", "docker")
    for command in ("firewall-cmd --reload", "systemctl restart docker firewalld", "nft -f /etc/nftables.conf"):
        # While firewalld takes its rules away, Docker may fail to start, and systemd starts it again.
        machine.sh(command, check=None)
        until(lambda: machine.show("docker", "ActiveState") == "active", "Docker runs")
        until(lambda: translates(machine), "netd's table stands")
        assert set(status(machine)) <= {"nat/masquerade/ip/10.3.0.0/24,*"}
    assert links(machine) == before
    assert not told(machine, "contended")
