"""The same folder on three hosts is a lab of three hosts: ``[host.NAME]``, and ``remote = ["host:NAME"]``."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from functools import partial

from tests.support.host import ROOT, Host

UNDERLAY = """
[host.a]
address = "10.230.4.1"
[host.b]
address = "10.230.4.2"
[host.c]
address = "10.230.4.3"
"""
LAB = """
[bridge.br0]
mtu = "auto"

[vxlan.vxlan0]
vni = 24
dev = "eth0"
remote = ["host:a", "host:b", "host:c"]
master = "br0"
mtu = "auto"
"""
WEB = """
[host.{name}.namespace.web-{name}.veth.eth0]
addresses = ["192.168.1.{number}/24", "fd01::{number}/64"]
nodad = true
mtu = "auto"
peer = {{ name = "web", master = "br0", mtu = "auto" }}
"""
WEBS = "".join(WEB.format(name=name, number=number) for number, name in enumerate("abc", 1))


def copied(hosts: tuple[Host, ...], **files: str) -> None:
    """The same files on every host."""
    for host, (name, text) in itertools.product(hosts, files.items()):
        host.write(f"{name}.toml", text)


def all_reach_all(hosts: tuple[Host, ...]) -> None:
    for host, number in itertools.product(hosts, range(1, len(hosts) + 1)):
        host.ping(f"192.168.1.{number}", f"fd01::{number}", ns=f"web-{host.name}")


def remotes(host: Host) -> set[str]:
    found = host.json("bridge", "-j", "fdb", "show", "dev", "vxlan0")
    return {each["dst"] for each in found if each["mac"] == "00:00:00:00:00:00"}


def unfragmented(host: Host, to: str, packet: int) -> bool:
    headers = 28
    argv = ("ping", "-n", "-c", "1", "-W", "1", "-M", "do", "-s", str(packet - headers), to)
    return host.result(*argv, ns=f"web-{host.name}").returncode == 0


def test_the_same_directory_on_three_hosts_is_a_lab_of_three_hosts(trio: tuple[Host, Host, Host]) -> None:
    copied(trio, common=LAB, underlay=UNDERLAY, webs=WEBS)
    for host in trio:
        host.netd("check", "--strict")
        host.daemon()
    all_reach_all(trio)
    for number, host in enumerate(trio, 1):
        assert host.namespaces() == {f"web-{host.name}"}
        assert remotes(host) == {f"10.230.4.{other}" for other in (1, 2, 3)} - {f"10.230.4.{number}"}
        assert host.link("vxlan0")["linkinfo"]["info_data"]["local"] == f"10.230.4.{number}"
    assert unfragmented(trio[0], "192.168.1.3", 1450) and not unfragmented(trio[0], "192.168.1.3", 1451)


def test_a_change_of_the_directory_is_one_copy_to_all(trio: tuple[Host, Host, Host]) -> None:
    first, second, third = trio
    copied(trio, common=LAB, underlay=UNDERLAY, webs=WEBS)
    for host in trio:
        host.daemon()
    third.address("eth0", "10.230.4.33/24")
    copied(trio, underlay=UNDERLAY.replace("10.230.4.3", "10.230.4.33"))
    for host in (first, second):
        host.until(partial(lambda host: "10.230.4.33" in remotes(host), host), "the new address is sent to")
    third.until(lambda: third.link("vxlan0")["linkinfo"]["info_data"]["local"] == "10.230.4.33", "and from")
    all_reach_all(trio)
    copied(trio, common=LAB.replace(', "host:c"', ""))
    for host, left in ((first, {"10.230.4.2"}), (second, {"10.230.4.1"})):
        host.until(partial(lambda host, left: remotes(host) == left, host, left), "the host is left out")


def test_the_example_is_the_same_file_on_three_hosts(trio: tuple[Host, Host, Host]) -> None:
    text = (ROOT / "etc" / "netd" / "examples" / "14-hosts.toml").read_text()
    for number, host in enumerate(trio, 1):
        host.address("eth0", f"192.0.2.{number}/24")
        host.write("lab.toml", text)
        host.daemon()
    trio[0].ping("10.14.0.12", "fd00:14::12", ns="web-a")
    assert unfragmented(trio[0], "10.14.0.12", 1450)
    assert [host.namespaces() for host in trio] == [{"web-a"}, {"web-b"}, set()]
    assert "br14b" in trio[2].names() and "br14b" not in trio[0].names()


def test_an_error_in_another_hosts_part_keeps_this_host_as_it_was(make_host: Callable[[str], Host]) -> None:
    host = make_host("a")
    good = "[host.A.bridge.br0]\n[host.b.bridge.br1]\n"
    host.write("lab.toml", good)
    host.daemon()
    assert host.names() == {"br0"}
    host.write("lab.toml", good.replace("[host.b.bridge.br1]", "[host.a.bridge.br2]\n[host.b.bridge.br1]\nstpp = true"))
    said = host.netd("check", check=1).text
    assert re.search(r"lab.toml:4:1: host.b.bridge.br1: unknown key 'stpp': did you mean 'stp'\?\n +4 \| stpp", said)
    host.netd("reload", check=1)
    assert host.names() == {"br0"}
    host.write("lab.toml", good.replace("br1", "br0").replace("A", "c"))
    host.until(lambda: not host.names(), "it is another host's now")
