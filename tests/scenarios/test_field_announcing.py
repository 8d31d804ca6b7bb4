"""Who moves an address tells the segment: a third host that knew the old MAC is answered at once."""

from __future__ import annotations

import re

from tests.support.field import LAB, NAMES, namespace
from tests.support.host import Host
from tests.support.process import Process

#: Where the neighbor caches say nothing of their own accord for a minute.
PATIENT = "sysctl -qw net.ipv4.neigh.{0}.base_reachable_time_ms=600000 net.ipv6.neigh.{0}.base_reachable_time_ms=600000"


def knows(host: Host, *addresses: str, dev: str = "br0", ns: str = "") -> None:
    """The host has these addresses in its caches, and will believe it for long."""
    host.sh(PATIENT.format(dev), ns=ns)
    host.ping(*addresses, ns=ns)
    for address in addresses:
        mac = host.json("ip", "-j", "neigh", "show", address, ns=ns)[0]["lladdr"]
        host.run("ip", "neigh", "replace", address, "lladdr", mac, "dev", dev, "nud", "reachable", ns=ns)


def mac(host: Host, address: str, ns: str = "") -> str:
    found = host.json("ip", "-j", "neigh", "show", address, ns=ns)
    return str(found[0].get("lladdr", "")) if found else ""


def learns(host: Host, ns: str, fresh: str, *addresses: str) -> None:
    """Waits until the caches have the new MAC for all of these."""
    host.until(lambda: {mac(host, each, ns) for each in addresses} == {fresh}, f"{addresses} are known anew")


def test_two_namespaces_swap_their_addresses(host: Host) -> None:
    host.write("lab.toml", LAB)
    host.daemon()
    for ns, dev in (("", "br0"), ("three", "eth0")):
        knows(host, "10.7.0.11", "10.7.0.12", "fd07::11", "fd07::12", ns=ns, dev=dev)
    swapped = LAB[: LAB.index("[namespace.one")] + namespace("one", 12) + namespace("two", 11) + namespace("three", 13)
    host.write("lab.toml", swapped)
    host.until(lambda: "10.7.0.12/24" in host.addresses("eth0", "one"), "the addresses are swapped")
    one, two = (host.link("eth0", ns)["address"] for ns in ("one", "two"))
    wanted = {"10.7.0.12": one, "fd07::12": one, "10.7.0.11": two, "fd07::11": two}
    for ns in ("", "three"):
        for address, fresh in wanted.items():
            learns(host, ns, fresh, address)
        host.ping(*wanted, ns=ns)


def test_a_namespace_that_is_renamed_in_the_file_is_found_under_its_new_mac(host: Host) -> None:
    host.write("lab.toml", LAB)
    host.daemon()
    knows(host, "10.7.0.11", "fd07::11", dev="eth0", ns="two")
    host.write("lab.toml", LAB.replace("namespace.one", "namespace.uno").replace("p-one", "p-uno"))
    host.until(lambda: "10.7.0.11/24" in host.addresses("eth0", "uno"), "it has its new name")
    fresh = host.link("eth0", "uno")["address"]
    learns(host, "two", fresh, "10.7.0.11", "fd07::11")


def test_an_address_that_moves_to_another_host_of_a_vxlan(pair: tuple[Host, Host]) -> None:
    a, b = pair
    vxlan = '[vxlan.vx0]\nvni = 7\nlocal = "10.230.4.{}"\nremote = "10.230.4.{}"\nmaster = "br0"\n'
    for host, mine, other, names in ((a, 1, 2, NAMES[:2]), (b, 2, 1, NAMES[2:])):
        toml = f'[bridge.br0]\naddresses = ["10.7.0.{mine}/24"]\n' + vxlan.format(mine, other)
        host.write("lab.toml", toml + "".join(namespace(name, 11 + NAMES.index(name)) for name in names))
        host.daemon()
    knows(a, "10.7.0.13", "fd07::13", dev="eth0", ns="one")
    b.write(
        "lab.toml", b.file("lab.toml").read_text().replace("10.7.0.13/", "10.7.0.14/").replace("fd07::13/", "fd07::14/")
    )
    b.until(lambda: "10.7.0.14/24" in b.addresses("eth0", "three"), "the address is free")
    a.write("more.toml", namespace("four", 13))
    a.until(lambda: "10.7.0.13/24" in a.addresses("eth0", "four"), "the address is here")
    fresh = a.link("eth0", "four")["address"]
    learns(a, "one", fresh, "10.7.0.13", "fd07::13")


def test_a_changed_mac_is_announced(host: Host) -> None:
    host.write("lab.toml", LAB)
    host.daemon()
    knows(host, "10.7.0.11", "fd07::11", dev="eth0", ns="two")
    host.write(
        "lab.toml", LAB.replace("[namespace.one.veth.eth0]", '[namespace.one.veth.eth0]\nmac = "02:00:00:00:00:0e"')
    )
    learns(host, "two", "02:00:00:00:00:0e", "10.7.0.11", "fd07::11")


def listen(host: Host, ns: str, expression: str) -> Process:
    process = host.start("tcpdump", "-lnni", "eth0", "-tt", expression, ns=ns)
    host.until(lambda: "listening on" in process.text(), "tcpdump listens")
    return process


def test_each_address_is_announced_three_times(host: Host) -> None:
    host.write("lab.toml", LAB)
    host.daemon()
    arp = listen(host, "two", "arp and arp[6:2] == 1 and arp[14:4] == arp[24:4]")
    host.write("more.toml", namespace("four", 14))
    host.until(lambda: len(re.findall("who-has 10.7.0.14", arp.text())) == 3, "three announcements")
    (first, *_, last) = (float(line.split()[0]) for line in arp.text().splitlines() if "10.7.0.14" in line)
    assert last - first > 0.5, "they are not all sent at once"


def test_apply_announces_before_it_ends(host: Host) -> None:
    host.write("lab.toml", LAB)
    host.apply()
    arp = listen(host, "two", "arp and arp[6:2] == 1 and arp[14:4] == arp[24:4]")
    host.write("more.toml", namespace("four", 14))
    host.apply()
    host.until(lambda: len(re.findall("who-has 10.7.0.14", arp.text())) == 3, "three announcements")


def test_a_port_that_does_not_forward_yet_is_waited_for(host: Host) -> None:
    stp = "[bridge.br0]\nstp = true\nforward_delay = 2\n"
    host.write("lab.toml", LAB.replace("[bridge.br0]\n", stp))
    host.daemon()
    arp = listen(host, "two", "arp and arp[14:4] == arp[24:4]")
    host.until(lambda: host.state("two:veth/eth0") == "ok", "the port of two forwards")
    host.write("more.toml", namespace("four", 14))
    host.until(lambda: len(re.findall("who-has 10.7.0.14", arp.text())) == 3, "all three arrive")


def test_nothing_is_announced_by_a_daemon_that_only_starts_again(host: Host) -> None:
    host.write("lab.toml", LAB)
    host.daemon().stop()
    arp = listen(host, "two", "arp and arp[6:2] == 1 and arp[14:4] == arp[24:4]")
    host.daemon()
    host.write("more.toml", namespace("four", 14))
    host.until(lambda: len(re.findall("who-has 10.7.0.14", arp.text())) == 3, "three announcements")
    assert "10.7.0.11" not in arp.text()
