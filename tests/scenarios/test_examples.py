"""Every file under etc/netd/examples works as it stands."""

from __future__ import annotations

import ipaddress
import itertools
import re
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from netd.config.parse.parser import parse
from tests.support.containers import Docker, start, start_podman
from tests.support.host import ROOT, Host
from tests.support.kernel_needs import has
from tests.support.link_tables import link_kinds

EXAMPLES = sorted((ROOT / "etc" / "netd" / "examples").glob("*.toml"))
#: What an example needs that not every kernel has.
NEEDS = {
    "19-bridge-vlans": ("vlan_filtering", "vlan"),
    "20-netem": ("netem",),
    "23-bond": ("bond", "vlan"),
    "24-vrf": ("vrf",),
    "30-tunnels": ("gre", "gretap", "geneve"),
    "31-wireguard": ("wireguard",),
}
each_example = pytest.mark.parametrize(
    "path",
    [
        pytest.param(
            each, id=each.stem, marks=[pytest.mark.needs_kernel(*NEEDS[each.stem])] if each.stem in NEEDS else []
        )
        for each in EXAMPLES
    ],
)

#: The kinds of links that netd creates.
LINKS = [kind.name for kind in link_kinds()]
#: What another tool has made, for the examples that need it.
FOREIGN = "mkdir -p /run/lab; touch /run/lab/guest; unshare --net=/run/lab/guest true"


@pytest.fixture
def host(make_host: Callable[[str], Host]) -> Host:
    """Host a of the examples."""
    return make_host("a")


@contextmanager
def surroundings(host: Host) -> Iterator[None]:
    """What the examples for host a wait for: its uplink, and a namespace and containers of other tools."""
    host.sh("ip link add eth0 type veth peer name cable; ip link set cable up; ip link set eth0 up")
    host.address("eth0", "192.0.2.1/24", "2001:db8::1/64")
    host.sh(FOREIGN)
    engine = Docker(host.root / "run")
    engine.start()
    try:
        start(host, engine, "shop")
        start_podman(host, "stock")
        yield
    finally:
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


@each_example
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


@each_example
def test_an_example_carries_traffic_within_its_subnets(host: Host, path: Path) -> None:
    with surroundings(host):
        host.write("lab.toml", path.read_text())
        report = host.apply()
        assert report["pending"] == [], "with eth0 and what other tools have made nothing is missing"
        all_reach_all(host, path)
        assert host.netd("diff", "--json").json["changes"] == []


def all_reach_all(host: Host, path: Path) -> None:
    """Pings every address of the file from every other one in its network; or what its checks say holds."""
    text = path.read_text()
    if "check]]" in text and "[host." not in text:
        host.netd("test", f"/etc/netd/{path.name if host.file(f'/etc/netd/{path.name}').exists() else 'lab.toml'}")
        return
    for (ns, here), (_, there) in itertools.permutations(addresses(loaded(path)), 2):
        if here.network == there.network:
            host.ping(str(there.ip), ns=ns)


Interface = ipaddress.IPv4Interface | ipaddress.IPv6Interface


def loaded(path: Path) -> dict[str, Any]:
    """A file with its patterns expanded."""
    return dict(parse(path.name, path.read_bytes()).source.data)


def addresses(file: dict[str, Any], host: str = "a") -> list[tuple[str, Interface]]:
    """(namespace, address) of every link that a file declares on a host."""
    return [*addresses_in(file), *addresses_in(file.get("host", {}).get(host, {}))]


def addresses_in(table: dict[str, Any], ns: str = "") -> Iterator[tuple[str, Interface]]:
    """(namespace, address) of every link in a table, those of other hosts aside."""
    for kind in ("bridge", "veth", "bond", "vlan", "vxlan", "interface"):
        for link in table.get(kind, {}).values():
            yield from ((ns, ipaddress.ip_interface(each)) for each in link.get("addresses", []))
            if peer := link.get("peer"):
                there = peer.get("namespace", "")
                yield from ((there, ipaddress.ip_interface(each)) for each in peer.get("addresses", []))
    for name, inner in table.get("namespace", {}).items():
        yield from addresses_in(inner, name)


# All of them in one directory


def test_no_two_examples_use_the_same_name_or_network() -> None:
    for one, other in itertools.combinations(EXAMPLES, 2):
        here, there = map(loaded, (one, other))
        assert not names(here) & names(there), f"{one.stem} and {other.stem} use the same name"
        pairs = itertools.product(networks(here), networks(there))
        assert not [pair for pair in pairs if pair[0].version == pair[1].version and pair[0].overlaps(pair[1])]


def tables(file: dict[str, Any]) -> list[dict[str, Any]]:
    """What a file declares on any host."""
    return [file, *file.get("host", {}).values()]


def names(file: dict[str, Any]) -> set[str]:
    """The namespaces of a file, and its links on the host."""
    return {name for table in tables(file) for name in (*table.get("namespace", {}), *links_in(table))}


def networks(file: dict[str, Any]) -> set[Any]:
    """The networks of all addresses of a file."""
    return {each.network for table in tables(file) for _, each in addresses_in(table)}


def links_in(table: dict[str, Any]) -> Iterator[str]:
    """The names of all links on the host itself, peers that are there too."""
    for kind in LINKS:
        yield from table.get(kind, {})
    inner = (link for each in table.get("namespace", {}).values() for link in each.get("veth", {}).values())
    yield from (link["peer"]["name"] for link in inner if "namespace" not in link["peer"])


def test_all_examples_work_in_one_directory(host: Host) -> None:
    possible = [path for path in EXAMPLES if all(map(has, NEEDS.get(path.stem, ())))]
    for path in possible:
        host.write(path.name, path.read_text())
    missing = host.apply()
    assert missing["troubles"] == []
    reasons = {each["reason"] for each in missing["pending"] if each["object"].startswith(("vxlan/", "namespace/"))}
    assert reasons == {
        "waits for eth0",
        "waits for /run/lab/guest",
        "waits for docker:shop: Docker is not running",
        "waits for podman:stock: there is no such container",
    }
    with surroundings(host):
        assert re.fullmatch(rf"{len(possible)} files, \d+ objects: valid\n", host.netd("check", "--strict").text)
        report = host.apply()
        assert (report["pending"], report["troubles"]) == ([], [])
        for path in possible:
            all_reach_all(host, path)
        assert host.netd("diff", "--json").json["changes"] == []
    host.remove("04-nat.toml")
    gone = {each["object"] for each in host.apply()["changes"] if each["action"] == "delete"}
    assert {"namespace/web", "bridge/br-lab"} <= gone, "a lesson goes alone"
    assert "app" in host.namespaces()


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


@pytest.mark.parametrize("name", ["05-vxlan", "08-vxlan-bridge", "17-vxlan-underlay"])
def test_one_file_makes_one_segment_of_two_hosts(make_host: Callable[[str], Host], name: str) -> None:
    made = hosts(make_host, 2)
    for host in made:
        host.write("lab.toml", example(name))
        host.daemon()
    pairs = itertools.product(*(addresses(tomllib.loads(example(name)), host.name) for host in made))
    within = [(ns, there) for (ns, here), (_, there) in pairs if here.network == there.network]
    assert {there.version for _, there in within} == {4, 6}
    for ns, there in within:
        made[0].ping(str(there.ip), ns=ns)


def test_the_checks_of_two_sites_hold_at_both(make_host: Callable[[str], Host]) -> None:
    made = hosts(make_host, 2)
    for host in made:
        host.write("lab.toml", example("22-two-sites"))
        host.daemon()
    for host in made:
        assert host.netd("test").stdout.endswith("\n4 checks hold\n")


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
    assert host.ask("2001:db8::2", 80, ns="web6") == ["far", "2001:db8::1", "80"]
    host.serve("web", 80, ns="web6")
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
