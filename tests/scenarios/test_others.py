"""What is others' on the links of others that netd keeps: it is there when netd comes, and when it is gone."""

from __future__ import annotations

import pytest

from tests.support.host import Host

PORTS = "; ".join(f"ip link add {port} up type veth peer name {port}x; ip link set {port}x up" for port in ("p0", "q0"))


def shown(host: Host, *commands: str) -> list[list[str]]:
    """What iproute2 says, each in an order of its own where the kernel has none."""
    return [sorted(line.strip() for line in host.sh(command).splitlines()) for command in commands]


LOOKS = (
    "ip -4 route show table all type unicast proto boot",
    "ip neigh show nud permanent",
    "ip neigh show proxy",
    "ip -6 -o addr show scope global",
    "ip -4 -o addr show",
)


@pytest.mark.parametrize(
    "theirs",
    [
        "ip neigh add 10.9.0.9 lladdr 02:00:00:00:00:09 dev p0; ip neigh add proxy 10.9.0.10 dev p0",
        "ip route add 10.77.0.0/16 dev p0; ip route append 10.77.0.0/16 via 10.8.0.9 dev q0",
        "ip route add 10.77.0.0/16 via 10.8.0.9 dev q0; ip route append 10.77.0.0/16 dev p0",
        "ip route add 10.77.0.0/16 nexthop via 10.8.0.9 dev q0 nexthop dev p0 weight 3",
        "ip route add 10.77.0.0/16 dev p0 table 7; ip route add 10.78.0.0/16 via 10.77.0.1 table 7",
    ],
)
def test_the_last_address_of_a_link_takes_nothing_along(host: Host, theirs: str) -> None:
    host.sh(f"{PORTS}; ip addr add 10.8.0.1/24 dev q0; ip rule add priority 9 table 7; {theirs}")
    before, order = shown(host, *LOOKS), host.sh("ip route show 10.77.0.0/16")
    host.write("lab.toml", '[interface.p0]\naddresses = ["10.9.0.1/24"]\n')
    host.apply()
    host.remove("lab.toml")
    host.apply()
    assert shown(host, *LOOKS) == before and host.sh("ip route show 10.77.0.0/16") == order


@pytest.mark.parametrize("how", ["prepend 10.77.0.0/16 via 10.8.0.8", "add 10.77.0.0/16 via 10.8.0.8 tos 4"])
def test_a_route_of_netds_goes_although_anothers_stands_before_it(host: Host, how: str) -> None:
    host.sh(f"{PORTS}; ip addr add 10.8.0.1/24 dev q0")
    host.write("lab.toml", '[[route]]\nto = "10.77.0.0/16"\nvia = "10.8.0.7"\n')
    host.apply()
    host.sh(f"ip route {how}")
    host.netd("down")
    assert [each["gateway"] for each in host.routes("10.77.0.0/16")] == ["10.8.0.8"]


@pytest.mark.parametrize("length", [56, 64])
def test_an_address_that_was_displaced_waits_for_the_last_of_netds_to_go(host: Host, length: int) -> None:
    host.sh(f"{PORTS}; ip addr add fd30::1/64 dev p0 nodad metric 44")
    before = shown(host, *LOOKS)
    for each in (48, length):
        host.write("lab.toml", f'[interface.p0]\naddresses = ["fd30::1/{each}"]\nnodad = true\n')
        host.apply()
        assert host.addresses("p0") == {f"fd30::1/{each}"}
    host.remove("lab.toml")
    host.apply()
    assert shown(host, *LOOKS) == before


def test_an_address_that_was_displaced_comes_back_on_a_renamed_link(host: Host) -> None:
    host.sh(f"{PORTS}; ip addr add fd30::1/64 dev p0 nodad")
    host.write("lab.toml", '[interface.p0]\naddresses = ["fd30::1/48"]\n')
    host.apply()
    host.sh("ip link set p0 name z9")
    host.remove("lab.toml")
    host.apply()
    assert host.addresses("z9") == {"fd30::1/64"}


def test_a_port_that_was_renamed_in_its_namespace_returns(host: Host) -> None:
    host.sh(PORTS)
    host.write("lab.toml", "[namespace.a.interface.p0]\nfrom_host = true\nup = true\n")
    host.apply()
    host.sh("ip -n a link set p0 down; ip -n a link set p0 name wan")
    host.remove("lab.toml")
    host.apply()
    assert host.namespaces() == set() and host.link("wan") and host.link("p0x")


KEPT = """
[interface.p0]
mtu = 1400
mac = "02:00:00:00:00:55"
addresses = ["10.4.0.2/24", "fd30::1/48"]

[[neighbor]]
address = "10.4.0.9"
mac = "02:00:00:00:00:99"
dev = "p0"

[sysctl]
net.ipv4.conf.p0.rp_filter = 2
"""


@pytest.mark.parametrize("daemon", [False, True])
@pytest.mark.parametrize("again", [False, True])
def test_a_link_whose_name_another_took_is_left_as_it_was_found(host: Host, daemon: bool, again: bool) -> None:
    host.sh(f"{PORTS}; ip link set p0 mtu 1399 address 02:00:00:00:00:01; ip addr add fd30::1/64 dev p0 nodad")
    before = host.sh("ip -o link show p0; ip addr show p0 scope global").replace("p0@", "z9@").replace(" p0", " z9")
    host.write("lab.toml", KEPT)
    host.daemon() if daemon else host.apply()
    fresh = "mtu 1350 address 02:00:00:00:00:02"
    host.sh(f"ip link set p0 name z9; ip link add p0 {fresh} type veth peer name p1x")
    if daemon:
        host.until(lambda: host.addresses("p0") == {"10.4.0.2/24", "fd30::1/48"}, "the new one has the addresses")
    elif again:
        host.apply()
    host.remove("lab.toml")
    host.netd("reload") if daemon else host.apply()
    host.until(lambda: "1399" in host.sh("ip -o link show z9"), "the old one has its MTU")
    assert host.sh("ip -o link show z9; ip addr show z9 scope global") == before
    assert host.sysctl("net.ipv4.conf.z9.rp_filter") == "0" and not host.sh("ip neigh show dev z9 nud permanent")
    assert (host.link("p0")["mtu"], host.link("p0")["address"]) == (1350, "02:00:00:00:00:02")
    assert not host.sh("ip neigh show dev p0 nud permanent; ip -o addr show p0 scope global")


@pytest.mark.parametrize("daemon", [False, True])
def test_what_was_found_on_a_link_that_is_gone_is_not_written_onto_the_next(host: Host, daemon: bool) -> None:
    host.sh(f"{PORTS}; ip link set p0 mtu 1399 address 02:00:00:00:00:01")
    host.write("lab.toml", '[interface.p0]\nmtu = 1400\nmac = "02:00:00:00:00:55"\n')
    host.daemon() if daemon else host.apply()
    host.sh("ip link del p0; ip link add p0 mtu 1350 address 02:00:00:00:00:02 type veth peer name p0x")
    if daemon:
        host.until(lambda: host.link("p0")["mtu"] == 1400, "the new one is kept")
    else:
        host.apply()
    host.remove("lab.toml")
    host.netd("reload") if daemon else host.apply()
    host.until(lambda: host.link("p0")["mtu"] == 1350, "the new one has its own")
    assert host.link("p0")["address"] == "02:00:00:00:00:02"


def test_a_parameter_that_another_of_netds_changed_goes_back_to_what_it_was_before_both(host: Host) -> None:
    host.sh(f"{PORTS}; sysctl -qw net.ipv4.conf.q0.forwarding=1")
    first = "[sysctl]\nnet.ipv4.ip_forward = 1\nnet.ipv6.conf.all.forwarding = 1\n"
    host.write("lab.toml", first)
    host.apply()
    links = "net.ipv4.conf.p0.forwarding = 0\nnet.ipv6.conf.p0.forwarding = 0\nnet.ipv4.conf.q0.forwarding = 0\n"
    host.write("lab.toml", first + links)
    host.apply()
    host.remove("lab.toml")
    host.apply()
    values = [host.sysctl(f"net.{each}.forwarding") for each in ("ipv4.conf.p0", "ipv6.conf.p0", "ipv4.conf.q0")]
    assert values == ["0", "0", "1"]


def test_both_parameters_at_once_go_back_to_what_they_were(host: Host) -> None:
    host.sh(f"{PORTS}; sysctl -qw net.ipv4.conf.p0.forwarding=1")
    host.write("lab.toml", "[sysctl]\nnet.ipv4.ip_forward = 1\nnet.ipv4.conf.p0.forwarding = 0\n")
    host.apply()
    host.netd("down")
    assert [host.sysctl("net.ipv4.ip_forward"), host.sysctl("net.ipv4.conf.p0.forwarding")] == ["0", "1"]


def test_a_setting_that_could_not_be_written_is_not_put_back(host: Host) -> None:
    host.sh(PORTS)
    host.write("lab.toml", "[interface.p0]\nbridge_port.isolated = true\n")
    host.netd("apply", check=1)
    host.remove("lab.toml")
    host.netd("apply")


REMADE = """
[vxlan.l0]
vni = 24
dev = "p0"
remote = "10.8.0.7"
addresses = ["10.5.0.1/24", "fd05::1/64"]
nodad = true
""", """
[veth.l0]
addresses = ["10.5.0.1/24", "fd05::1/64"]
nodad = true
peer = { name = "l1", namespace = "a" }
[namespace.a]
[namespace.b]
"""  # fmt: skip
THEIRS = """
sysctl -qw net.ipv6.conf.all.forwarding=1
ip addr add 10.8.0.1/24 dev q0; ip addr add fd08::1/64 dev q0 nodad; ip addr add 10.50.0.1/24 dev l0
ip addr add fd50::1/64 dev l0 nodad
ip link add theirs up type bridge; ip link set l0 master theirs; bridge link set dev l0 isolated on hairpin on cost 7
for each in 10.50.0.9 fd50::9 10.5.0.9; do ip neigh add $each lladdr 02:00:00:00:00:09 dev l0; done
ip neigh add proxy 10.50.0.10 dev l0; ip neigh add proxy fd50::10 dev l0
for table in main 7; do
  ip route add 10.51.0.0/16 via 10.50.0.9 table $table
  ip route add 10.52.0.0/16 via 10.51.0.1 onlink dev l0 metric 5 table $table
  ip route add 10.53.0.0/16 table $table nexthop via 10.8.0.9 dev q0 weight 2 nexthop via 10.5.0.9 dev l0 weight 3
  ip -6 route add fd51::/64 via fd50::9 dev l0 table $table
  ip -6 route add fd53::/64 table $table nexthop via fd08::9 dev q0 weight 2 nexthop via fd50::9 dev l0 weight 3
done
"""
SEEN = (
    "ip -4 route show table all type unicast proto boot | grep -v dead",
    "ip -6 route show table all proto boot",
    "ip neigh show nud permanent; ip neigh show proxy; ip -6 neigh show proxy",
    "ip -o addr show dev l0 scope global | cut -d' ' -f2-",
    # Of the groups that the port is in there may be one more or less at any time.
    "bridge -d link show dev l0 | tail -n +2 | sed 's/ mcast_n_groups [0-9]*//'; "
    "ip -br link show master theirs | cut -d' ' -f1",
)


@pytest.mark.parametrize("declared", REMADE, ids=["vxlan", "veth"])
def test_what_others_put_on_a_link_is_on_the_one_that_is_made_in_its_place(host: Host, declared: str) -> None:
    host.sh(PORTS)
    host.write("lab.toml", declared)
    host.apply()
    host.sh(THEIRS)
    before, index = shown(host, *SEEN), host.link("l0")["ifindex"]
    assert all(before)
    host.write("lab.toml", declared.replace("vni = 24", "vni = 25").replace('namespace = "a"', 'namespace = "b"'))
    host.apply()
    assert host.link("l0")["ifindex"] != index
    assert shown(host, *SEEN) == before
    host.netd("diff")


def test_a_port_that_others_moved_goes_where_it_is_declared_to_be(host: Host) -> None:
    """And a setting that is declared counts more than the one that was there."""
    lab = REMADE[0] + 'master = "mine"\nbridge_port.isolated = true\n[bridge.mine]\n'
    host.sh(PORTS)
    host.write("lab.toml", lab)
    host.apply()
    host.sh("bridge link set dev l0 isolated off hairpin on")
    host.write("lab.toml", lab.replace("vni = 24", "vni = 25"))
    host.apply()
    assert "hairpin on" in host.sh("bridge -d link show dev l0") and "isolated on" in host.sh(
        "bridge -d link show dev l0"
    )
    host.sh("ip link add theirs type bridge; ip link set l0 master theirs")
    host.write("lab.toml", lab)
    host.apply()
    assert host.link("l0")["master"] == "mine"


OURS = {"-4": "10.51.0.0/24", "-6": "fd51::/64"}


@pytest.mark.parametrize("family", OURS)
@pytest.mark.parametrize("how", ["del priority 51 to {0}", "flush protocol 110"])
@pytest.mark.parametrize("again", ["apply", "daemon", "start"])
def test_a_rule_of_others_beside_netds_own_outlives_its_repair(host: Host, family: str, how: str, again: str) -> None:
    """For other packets; one for the same packets gives way, and comes back."""

    def rules() -> list[tuple[str, str, str]]:
        found = [each for each in host.json("ip", "-j", family, "rule") if each["priority"] == 51]
        return sorted((each["src"], each.get("dst", ""), each["table"]) for each in found)

    theirs = {"-4": "10.88.0.0/16", "-6": "fd88::/64"}[family]
    host.write("lab.toml", f'[[rule]]\npriority = 51\nto = "{OURS[family]}"\ntable = 51\n')
    host.apply()
    host.sh(f"ip {family} rule add priority 51 from {theirs} table 88")
    both = rules()
    assert len(both) == 2 and host.apply()["changes"] == []
    if again == "daemon":
        host.daemon()
    # While it is awake netd's own is back before another can take its place.
    rival = ":" if again == "daemon" else f"ip {family} rule add priority 51 to {OURS[family]} table 77"
    host.sh(f"ip {family} rule {how.format(OURS[family])}; {rival}")
    if again == "apply":
        host.apply()
    elif again == "start":
        host.daemon()
    host.until(lambda: rules() == both, "netd's own is back, beside theirs")
    host.remove("lab.toml")
    host.netd("reload" if again != "apply" else "apply")
    rest = [each for each in both if each[2] == "88"]
    assert rules() == sorted(rest if again == "daemon" else [*rest, ("all", OURS[family].split("/")[0], "77")])
