"""Tunnels between two hosts, in the host and in a namespace: gre, ipip, sit, ip6tnl, geneve."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from tests.support.host import Host


class Case(NamedTuple):
    """A kind of tunnel: its table, what ip(8) calls it, and commands that change one field of it."""

    name: str
    kind: str
    rtnl: str
    net: str
    keys: str
    drift: tuple[str, ...]
    target: str = "172.16.0."

    def text(self, me: int, more: str = "", namespace: str = "") -> str:
        head = f"namespace.{namespace}.{self.kind}" if namespace else self.kind
        ends = f'remote = "{self.net}{3 - me}"\n' + (
            "" if self.kind == "geneve" else f'local = "{self.net}{me}"\ndev = "eth0"\n'
        )
        addresses = f'"172.16.0.{me}/24", ' if self.kind != "sit" else ""
        return f"""
[{head}.t0]
{ends}{self.keys}
addresses = [{addresses}"fd16::{me}/64"]
nodad = true
{more}
"""


V4, V6 = "10.230.4.", "fd04::"
#: ip(8) sends a tunnel whole: what it does not say stays as it was.
CASES = (
    Case("gre", "gre", "gre", V4, "key = 7\ncsum = true\nseq = true\nttl = 64\ntos = 16", (
        "remote 10.230.4.9", "local 10.230.4.7", "key 9", "okey 9", "nocsum", "noseq", "ttl 9", "tos 0x20", "dev lo",
    )),
    Case("gretap", "gre", "gretap", V4, "tap = true\nttl = 64", ("remote 10.230.4.9", "ttl 9")),
    Case("ip6gre", "gre", "ip6gre", V6, "key = 7\nttl = 64\ntos = 16\nencaplimit = 2", (
        "remote fd04::9", "hoplimit 9", "tclass 0x20", "encaplimit none", "key 9",
    )),
    Case("ip6gretap", "gre", "ip6gretap", V6, "tap = true\nttl = 64", ("remote fd04::9", "hoplimit 9")),
    Case("ipip", "ipip", "ipip", V4, "ttl = 64\ntos = 16", (
        "remote 10.230.4.9", "local 10.230.4.7", "ttl 9", "tos 0x20", "dev lo",
    )),
    Case("sit", "sit", "sit", V4, "ttl = 64\ntos = 16", (
        "remote 10.230.4.9", "local 10.230.4.7", "ttl 9", "tos 0x20",
    ), "fd16::"),
    Case("ip6tnl", "ip6tnl", "ip6tnl", V6, 'mode = "any"\nttl = 64\ntos = 16\nencaplimit = 2', (
        "remote fd04::9", "local fd04::7", "hoplimit 9", "tclass 0x20", "encaplimit none", "mode ip6ip6",
    )),
    Case("geneve", "geneve", "geneve", V4, 'vni = 24\nttl = 64\ntos = 16\ndf = "set"', (
        "remote 10.230.4.9", "ttl 9", "tos 0x20", "df unset",
    )),
    Case("geneve6", "geneve", "geneve", V6, "vni = 24\nttl = 64", ("remote fd04::9", "ttl 9")),
)  # fmt: skip
each_case = pytest.mark.parametrize(
    "case", [pytest.param(case, id=case.name, marks=pytest.mark.needs_kernel(case.rtnl)) for case in CASES]
)


def everything(host: Host, ns: str = "") -> dict[str, object]:
    """All that ip(8) says of the tunnel, counters and what the other side decides aside."""
    link = host.link("t0", ns) or {}
    return {key: link.get(key) for key in ("ifindex", "mtu", "link", "link_type", "address", "broadcast", "linkinfo")}


@each_case
def test_traffic_passes_and_what_anybody_changes_is_healed_in_place(pair: tuple[Host, Host], case: Case) -> None:
    for number, each in enumerate(pair, 1):
        each.write("lab.toml", case.text(number))
        each.daemon()
    here, _ = pair
    here.ping(case.target + "2", size=1200)
    here.netd("diff")
    assert here.link("t0")["linkinfo"]["info_kind"] == case.rtnl
    assert here.link("t0")["group"] in ("netd", "28260")
    right = everything(here)
    for damage in (*(f"type {case.rtnl} {words}" for words in case.drift), "mtu 1300", "down", "alias x name other0"):
        wanted = {**right, "mtu": 1300} if damage.startswith("mtu") else right
        if damage.startswith("type"):
            here.sh(f"ip link set t0 {damage}" + (" id 24" if case.kind == "geneve" else ""))
        elif "name" in damage:
            # Before 6.2 the kernel renames no link that is up.
            here.sh("ip link set t0 down; ip link set t0 name other0 || ip link set t0 up")
        else:
            here.sh(f"ip link set t0 {damage}")
        here.until(lambda want=wanted: everything(here) == want, damage)  # type: ignore[misc]
        if damage == "mtu 1300":
            here.sh(f"ip link set t0 mtu {right['mtu']}")
    here.ping(case.target + "2")
    here.sh("ip link del t0")
    here.until(lambda: here.pings(case.target + "2"), "the tunnel is back")
    here.remove("lab.toml")
    here.until(lambda: "t0" not in here.names(), "the tunnel is removed with its file")


@each_case
def test_an_overlay_in_a_namespace_is_carried_by_the_host_and_comes_back(pair: tuple[Host, Host], case: Case) -> None:
    for number, each in enumerate(pair, 1):
        each.write("lab.toml", case.text(number, 'dev_namespace = ""', "lab"))
        each.daemon()
    here, _ = pair
    here.ping(case.target + "2", ns="lab")
    here.netd("diff")
    assert "t0" not in here.names(), "it is in its namespace only"
    for damage in ("ip -n lab link del t0", "ip netns del lab || true", "ip -n lab link set t0 down"):
        here.sh(damage)
        here.until(lambda: here.pings(case.target + "2", ns="lab"), damage)
    here.converged()
    here.remove("lab.toml")
    here.until(lambda: not here.namespaces(), "the namespace is removed with its file")


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, id=case.name, marks=pytest.mark.needs_kernel(case.rtnl)) for case in (CASES[0], CASES[7])],
)
def test_the_underlay_can_be_a_namespace_that_is_deleted_and_recreated(host: Host, case: Case) -> None:
    text = case.text(1, 'dev_namespace = "under"').replace("10.230.4.", "10.9.0.")
    far = case.text(2, "", "far").replace("10.230.4.", "10.9.0.").replace('"eth0"', '"far0"')
    host.write(
        "lab.toml",
        f"""
        [namespace.under.veth.eth0]
        addresses = ["10.9.0.1/24"]
        peer = {{ name = "far0", namespace = "far", addresses = ["10.9.0.2/24"] }}
        {text}
        {far}
    """,
    )
    host.daemon()
    host.ping("172.16.0.2")
    host.netd("diff")
    index = host.link("t0")["ifindex"]
    for damage in (
        "ip -n under link del eth0",
        "ip netns del under || true",
        "ip netns del far || true",
        "ip link del t0",
    ):
        host.sh(damage)
        host.until(lambda: host.pings("172.16.0.2"), damage)
        if "link del eth0" in damage:
            assert host.link("t0")["ifindex"] == index, "an IP tunnel outlives its lower link"
    host.remove("lab.toml")
    host.until(lambda: "t0" not in host.names() and not host.namespaces(), "all of it is removed")


@pytest.mark.needs_kernel("gre", "ip6gre")
def test_a_live_change_keeps_the_link_and_a_change_of_its_sort_recreates_it(pair: tuple[Host, Host]) -> None:
    here, _ = pair
    case = CASES[0]
    here.write("lab.toml", case.text(1))
    here.daemon()
    index = here.link("t0")["ifindex"]
    for old, new in (("key = 7", "key = 8"), ("ttl = 64", "ttl = 32"), ('"10.230.4.2"', '"10.230.4.3"'),
                     ("csum = true\n", ""), ('dev = "eth0"\n', "")):  # fmt: skip
        here.write("lab.toml", here.file("lab.toml").read_text().replace(old, new))
        here.netd("reload")
        here.netd("diff")
        assert here.link("t0")["ifindex"] == index, new
    assert here.link("t0")["mtu"] == 1500 - 20 - 4 - 4 - 4, "the headers are that of GRE, a key and a sequence number"
    here.write("lab.toml", case.text(1, "tap = true"))
    here.netd("reload")
    assert here.link("t0")["ifindex"] != index
    assert here.link("t0")["linkinfo"]["info_kind"] == "gretap"


@pytest.mark.needs_kernel("gre")
def test_a_tunnel_waits_for_another_with_the_same_addresses(pair: tuple[Host, Host]) -> None:
    here, _ = pair
    here.sh("ip link add other0 type gre local 10.230.4.1 remote 10.230.4.2 dev eth0")
    here.write("lab.toml", '[gre.t0]\nlocal = "10.230.4.1"\nremote = "10.230.4.2"\ndev = "eth0"\n')
    here.daemon()
    row = next(each for each in here.status()["objects"] if each["object"] == "gre/t0")
    assert (row["state"], "waits for other0" in row["reason"]) == ("pending", True), row
    here.sh("ip link del other0")
    here.until(lambda: here.state("gre/t0") == "ok", "the other one is gone")


@pytest.mark.needs_kernel("gre")
def test_a_link_of_another_sort_is_a_conflict_and_a_right_one_is_adopted(pair: tuple[Host, Host]) -> None:
    here, _ = pair
    here.sh("ip link add t0 type gretap local 10.230.4.1 remote 10.230.4.2")
    here.write("lab.toml", '[gre.t0]\nlocal = "10.230.4.1"\nremote = "10.230.4.2"\nttl = 9\n')
    here.daemon()
    assert here.state("gre/t0") == "conflict"
    here.sh("ip link del t0; ip link add t0 type gre local 10.230.4.1 remote 10.230.4.2 ttl 5 || true")
    here.until(lambda: here.state("gre/t0") == "ok", "it is adopted, or created")


@pytest.mark.needs_kernel("gre")
def test_the_mtu_follows_the_underlay_less_the_headers(pair: tuple[Host, Host]) -> None:
    here, _ = pair
    here.sh("ip link set eth0 mtu 1400")
    here.write("lab.toml", CASES[0].text(1, 'mtu = "auto"'))
    here.daemon()
    assert here.link("t0")["mtu"] == 1400 - 20 - 4 - 12
    here.sh("ip link set eth0 mtu 1450")
    here.until(lambda: here.link("t0")["mtu"] == 1450 - 20 - 4 - 12, "the MTU follows")
