"""Every file under etc/netd/examples works as it stands."""

from __future__ import annotations

import ipaddress
import itertools
import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.containers import Docker, start, start_podman
from tests.support.host import ROOT, Host

EXAMPLES = sorted((ROOT / "etc" / "netd" / "examples").glob("*.toml"))
NAMES = [each.stem for each in EXAMPLES]

#: What another tool has made, for the examples that need it.
FOREIGN = "mkdir -p /run/lab; touch /run/lab/guest; unshare --net=/run/lab/guest true"


@pytest.fixture
def others(host: Host) -> Iterator[None]:
    """What other tools have made: a namespace, and containers."""
    host.sh(FOREIGN)
    engine = Docker(host.root / "run")
    engine.start()
    start(host, engine, "web")
    start_podman(host, "db")
    yield
    engine.stop()


def example(name: str) -> str:
    return (ROOT / "etc" / "netd" / "examples" / f"{name}.toml").read_text()


def snapshot(host: Host) -> Any:
    """All that a lab could leave behind."""
    return (
        host.names(),
        host.namespaces(),
        host.nft(),
        [each for each in host.routes("table", "all") if each.get("dev") != "lo" and each.get("table") != "local"],
        host.run("ip", "rule"),
        host.run("sysctl", "net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"),
    )


@pytest.mark.parametrize("path", EXAMPLES, ids=NAMES)
def test_an_example_checks_applies_stays_and_goes(host: Host, path: Path) -> None:
    before = snapshot(host)
    host.write("lab.toml", path.read_text())
    host.netd("check")
    assert host.netd("diff", "--json", check=None).returncode in (0, 2)
    host.apply()
    assert host.netd("diff", "--json").json["changes"] == []
    assert host.apply()["changes"] == []
    host.netd("down")
    host.until(lambda: snapshot(host) == before, "nothing is left")


@pytest.mark.parametrize("path", EXAMPLES, ids=NAMES)
def test_an_example_carries_traffic_within_its_subnets(host: Host, path: Path, others: None) -> None:
    host.sh("ip link add eth0 type veth peer name cable; ip link set cable up; ip link set eth0 up")
    host.address("eth0", "192.0.2.1/24", "2001:db8::1/64")
    host.write("lab.toml", path.read_text())
    report = host.apply()
    assert report["pending"] == [], "with eth0 and what other tools have made nothing is missing"
    for (ns, here), (_, there) in itertools.permutations(addresses(tomllib.loads(path.read_text())), 2):
        if here.network == there.network:
            host.ping(str(there.ip), ns=ns)
    assert host.netd("diff", "--json").json["changes"] == []


Interface = ipaddress.IPv4Interface | ipaddress.IPv6Interface


def addresses(table: dict[str, Any], ns: str = "") -> Iterator[tuple[str, Interface]]:
    """(namespace, address) of every link in a file."""
    for kind in ("bridge", "veth", "vxlan", "interface"):
        for link in table.get(kind, {}).values():
            yield from ((ns, ipaddress.ip_interface(each)) for each in link.get("addresses", []))
            if peer := link.get("peer"):
                there = peer.get("namespace", "")
                yield from ((there, ipaddress.ip_interface(each)) for each in peer.get("addresses", []))
    for name, inner in table.get("namespace", {}).items():
        yield from addresses(inner, name)


# What crosses hosts, or is translated


def hosts(make_host: Callable[[str], Host], count: int) -> list[Host]:
    """Hosts on one switch, as the examples assume them: 192.0.2.1, .2, ... on eth0."""
    switch, *made = (make_host(name) for name in ("switch", "a", "b", "c")[: count + 1])
    switch.run("ip", "link", "add", "lan", "up", "type", "bridge", "mcast_snooping", "0")
    for number, each in enumerate(made, 1):
        switch.cable(each, f"port{number}", "eth0")
        switch.run("ip", "link", "set", f"port{number}", "master", "lan")
        each.address("eth0", f"192.0.2.{number}/24", f"2001:db8::{number}/64")
    return made


def test_nat_leads_out_and_in(make_host: Callable[[str], Host]) -> None:
    host, other = hosts(make_host, 2)
    host.write("lab.toml", example("04-nat"))
    host.apply()
    other.serve("far", 80)
    assert host.ask("192.0.2.2", 80, ns="web") == ["far", "192.0.2.1", "80"]
    assert host.ask("2001:db8::2", 80, ns="web") == ["far", "2001:db8::1", "80"]
    host.serve("web", 80, ns="web")
    assert other.ask("192.0.2.1", 8083) == ["web", "192.0.2.2", "80"]
    assert other.ask("2001:db8::1", 8083) == ["web", "2001:db8::2", "80"]
    assert host.ask("192.0.2.1", 8083)[0] == host.ask("2001:db8::1", 8083)[0] == "web"


@pytest.mark.parametrize("name", ["05-vxlan", "08-vxlan-bridge"])
def test_two_files_make_one_segment_of_two_hosts(make_host: Callable[[str], Host], name: str) -> None:
    made = hosts(make_host, 2)
    texts = [example(f"{name}-{letter}") for letter in "ab"]
    for host, text in zip(made, texts, strict=True):
        host.write("lab.toml", text)
        host.daemon()
    ends = [list(addresses(tomllib.loads(text))) for text in texts]
    for (ns, here), (_, there) in itertools.product(*ends):
        if here.network == there.network:
            made[0].ping(str(there.ip), ns=ns)


@pytest.mark.parametrize("name", ["06-vxlan-multicast", "07-vxlan-three-hosts"])
def test_one_file_with_another_number_makes_one_segment_of_three_hosts(
    make_host: Callable[[str], Host], name: str
) -> None:
    made = hosts(make_host, 3)
    net4, net6 = (str(each) for _, each in addresses(tomllib.loads(example(name))))
    for number, host in enumerate(made, 1):
        others = ", ".join(f'"192.0.2.{other}"' for other in (1, 2, 3) if other != number)
        text = example(name).replace(net4, net4.replace("1/24", f"{number}/24"))
        text = text.replace(net6, net6.replace("1/64", f"{number}/64"))
        text = re.sub(r"^remote = .*$", f"remote = [{others}]", text, flags=re.MULTILINE)
        host.write("lab.toml", re.sub(r"^local = .*$", f'local = "192.0.2.{number}"', text, flags=re.MULTILINE))
        host.daemon()
    for here, number in itertools.product(made, (1, 2, 3)):
        here.ping(net4.replace("1/24", str(number)), net6.replace("1/64", str(number)))


def test_the_ipv6_lab_is_reached_and_reaches_out(make_host: Callable[[str], Host]) -> None:
    host, other = hosts(make_host, 2)
    host.write("lab.toml", example("10-ipv6-only"))
    host.apply()
    other.serve("far", 80)
    assert host.ask("2001:db8::2", 80, ns="web") == ["far", "2001:db8::1", "80"]
    host.serve("web", 80, ns="web")
    assert other.ask("2001:db8::1", 8084) == ["web", "2001:db8::2", "80"]


def test_the_router_translates_out_and_in(host: Host) -> None:
    host.write("lab.toml", example("11-router"))
    host.apply()
    host.serve("far", 80, ns="server")
    host.serve("in", 80, ns="client")
    assert host.ask("203.0.113.1", 80, ns="client") == ["far", "203.0.113.0", "80"]
    assert host.ask("2001:db8:11::1", 80, ns="client") == ["far", "2001:db8:11::", "80"]
    assert host.ask("203.0.113.0", 8080, ns="server") == ["in", "203.0.113.1", "80"]
    assert host.ask("2001:db8:11::", 8080, ns="server") == ["in", "2001:db8:11::1", "80"]


def test_the_guests_namespace_is_reached_when_it_appears(host: Host) -> None:
    host.write("lab.toml", example("09-attach"))
    host.daemon()
    assert host.names() == set()
    host.sh(FOREIGN)
    host.ping("10.9.0.2", "fd00:9::2")
