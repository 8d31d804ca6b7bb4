"""BGP EVPN between two hosts: FRR fills the forwarding tables of tunnels that netd keeps. The files are example 16."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from tests.rig.machine import Machine, Ping, cable
from tests.support.host import ROOT
from tests.support.process import until

EXAMPLES = ROOT / "etc/netd/examples"
#: netd with a full pass every few seconds; the other line is what only such a pass can find.
FREQUENT = """[Service]
ExecStart=
ExecStart=/usr/lib/netd/bin/python -I /etc/frequent_pass.py run --host-mounts
"""
TTL = "[sysctl]\nnet.ipv4.ip_default_ttl = 77\n"
ELSEWHERE = "mkdir /run/proc; mount -t proc proc /run/proc; echo 66 >/run/proc/sys/net/ipv4/ip_default_ttl"
#: FRR's own supervisor takes up to a minute to start a daemon again.
PATIENCE = 150.0


@pytest.fixture
def pair(neighbour: Callable[[str], Machine]) -> tuple[Machine, Machine]:
    """Two hosts, 192.0.2.1 and .2 on ul0, with the two files of the example, each of which is host a's."""
    made = neighbour("evpn-a"), neighbour("evpn-b")
    cable(made[0], "ul0", made[1], "ul0")
    lab, frr = ((EXAMPLES / f"16-evpn.{ending}").read_text() for ending in ("toml", "conf"))
    for number, machine in enumerate(made, 1):
        machine.write("/etc/netd/port.toml", f'[interface.ul0]\naddresses = ["192.0.2.{number}/24"]\nup = true\n')
        own = re.sub(r"(192\.0\.2\.|10\.16\.0\.|fd00:16::)1\b(?=[/\"])", rf"\g<1>{number}", lab)
        machine.write("/etc/netd/lab.toml", own)
        if number == 2:
            frr = re.sub(r"192\.0\.2\.([12])", lambda found: f"192.0.2.{3 - int(found[1])}", frr)
        machine.write("/etc/frr/frr.conf", frr)
        machine.sh("chown frr:frr /etc/frr/frr.conf; sed -i s/^bgpd=no/bgpd=yes/ /etc/frr/daemons; systemctl start frr")
    for machine in made:
        until(partial(knows, machine, 2), "BGP has told of the other host", PATIENCE)
    return made


def table(machine: Machine) -> set[tuple[str, str, bool]]:
    """What is in the tunnel's table: MAC address, remote, and whether it is marked as FRR's."""
    entries = machine.run("bridge", "-j", "fdb", "show", "dev", "vxlan16").json
    return {(each["mac"], each["dst"], "extern_learn" in each["flags"]) for each in entries if "dst" in each}


def knows(machine: Machine, entries: int) -> bool:
    """Whether the tunnel's table has so many entries."""
    return len(table(machine)) == entries


def is_restarted(machine: Machine, daemon: str, old: str) -> bool:
    """Whether the daemon runs as another process than before."""
    return machine.run("pidof", daemon).stdout != old


def mac(machine: Machine) -> str:
    """The MAC address of the namespace's link."""
    found: str = machine.run("ip", "-j", "link", "show", "dev", "eth0", ns="web16").json[0]["address"]
    return found


def expected(other: Machine, number: int) -> set[tuple[str, str, bool]]:
    """The table's two entries: of a type-3 route and of a type-2 route."""
    address = f"192.0.2.{number}"
    return {("00:00:00:00:00:00", address, False), (mac(other), address, True)}


def reaches(machine: Machine, number: int) -> bool:
    """Whether the namespace of the other host answers, by IPv4 and IPv6."""
    return all(
        machine.run("ping", "-n", "-c", "1", "-W", "1", address, ns="web16", check=None).returncode == 0
        for address in (f"10.16.0.{number}", f"fd00:16::{number}")
    )


def repairs(machine: Machine) -> dict[str, int]:
    """What netd had to put back, by object; it must hold all of them."""
    status = machine.netd("status", "--json").json
    assert status["state"] == "converged"
    return {each["object"]: each["repairs"] for each in status["objects"] if each["repairs"]}


@contextlib.contextmanager
def no_entry_changes(machine: Machine) -> Iterator[None]:
    """Fails when the kernel announces a change of the tunnel's table meanwhile."""
    monitor = machine.background("stdbuf", "-oL", "bridge", "monitor", "fdb")
    until(lambda: "bridge/" in machine.run("ss", "-Hf", "netlink").stdout, "the monitor listens")
    yield
    machine.sh("bridge fdb add 02:00:00:00:99:99 dev ul0 self; bridge fdb del 02:00:00:00:99:99 dev ul0 self")
    assert monitor.stdout is not None
    seen = []
    for line in monitor.stdout:
        if "02:00:00:00:99:99" in line:
            break
        seen.append(line)
    machine.run("pkill", "-x", "bridge")
    monitor.communicate()
    assert [line for line in seen if "vxlan16" in line] == []


def test_namespaces_reach_each_other_by_routes_of_type_2_and_3(pair: tuple[Machine, Machine]) -> None:
    one, two = pair
    for here, there, number in ((one, two, 2), (two, one, 1)):
        until(partial(reaches, here, number), "the other namespace answers")
        said = here.run("vtysh", "-c", "show bgp l2vpn evpn").stdout
        assert f"[3]:[0]:[32]:[192.0.2.{number}]" in said
        assert f"[2]:[0]:[48]:[{mac(there)}]" in said
        assert table(here) == expected(there, number)
        assert repairs(here) == {}
        port = here.run("ip", "-j", "-d", "link", "show", "dev", "vxlan16").json[0]["linkinfo"]
        assert port["info_data"]["learning"] is False
        assert (port["info_slave_data"]["learning"], port["info_slave_data"]["neigh_suppress"]) == (False, True)


def test_a_resync_a_reload_and_a_killed_netd_touch_no_entry_and_lose_no_packet(
    pair: tuple[Machine, Machine],
) -> None:
    one, two = pair
    one.write("/etc/frequent_pass.py", (ROOT / "tests/frequent_pass.py").read_text())
    one.write("/etc/systemd/system/netd.service.d/frequent.conf", FREQUENT)
    one.write("/etc/netd/ttl.toml", TTL)
    one.sh("systemctl daemon-reload; systemctl restart netd; netd wait sysctl/net.ipv4.ip_default_ttl")
    until(lambda: reaches(one, 2), "the other namespace answers")
    with no_entry_changes(one), Ping(one, "10.16.0.2", ns="web16") as ping:
        one.sh(ELSEWHERE)
        until(lambda: one.journal("NETD_FOUND=resync"), "a resync has been")
        one.netd("reload")
        old = one.show("netd", "MainPID")
        one.run("kill", "-KILL", old)
        until(lambda: one.show("netd", "MainPID") not in ("0", old), "netd runs again")
        one.netd("wait", "vxlan/vxlan16")
        one.netd("diff")
    assert table(one) == expected(two, 2)
    assert ping.lost == 0 and ping.sent > 0


def test_a_tunnel_that_netd_makes_again_is_filled_again_by_frr(pair: tuple[Machine, Machine]) -> None:
    one, two = pair
    until(lambda: reaches(one, 2), "the other namespace answers")
    before = one.run("cat", "/sys/class/net/vxlan16/address").stdout
    for link in ("vxlan16", "br16"):
        one.run("ip", "link", "del", link)
        until(lambda: table(one) == expected(two, 2), "the table is filled again", PATIENCE)
        until(lambda: reaches(one, 2) and reaches(two, 1), "both namespaces answer")
    assert one.run("cat", "/sys/class/net/vxlan16/address").stdout == before
    one.run("ip", "netns", "del", "web16")
    until(lambda: reaches(one, 2) and reaches(two, 1), "both namespaces answer")


def test_netd_leaves_the_table_to_frr_while_that_is_killed_stopped_and_started(pair: tuple[Machine, Machine]) -> None:
    one, two = pair
    until(lambda: reaches(one, 2), "the other namespace answers")
    for daemon in ("zebra", "bgpd"):
        old = one.run("pidof", daemon).stdout
        one.run("pkill", "-KILL", "-x", daemon)
        until(partial(is_restarted, one, daemon, old), f"{daemon} is back", PATIENCE)
        until(lambda: table(one) == expected(two, 2), f"the table is whole again after {daemon}", PATIENCE)
        until(lambda: reaches(one, 2) and reaches(two, 1), "both namespaces answer", PATIENCE)
    one.run("systemctl", "stop", "frr")
    assert table(one) == set(), "FRR takes its entries along, and netd does not mind"
    one.run("systemctl", "start", "frr")
    until(lambda: table(one) == expected(two, 2), "FRR has come back", PATIENCE)
    until(lambda: reaches(one, 2) and reaches(two, 1), "both namespaces answer", PATIENCE)
    assert repairs(one) == repairs(two) == {}
