"""``mtu = "auto"``: what fits through a VXLAN segment gets through whole, and who sends more is told so at once."""

from __future__ import annotations

import re
from functools import partial

import pytest

from tests.support.host import Host

#: A namespace behind a bridge, and the same on the other host; MTU is written at each of the links.
LAB = """
[bridge.br0]
MTU

[vxlan.vxlan0]
vni = 24
dev = "eth0"
local = "{net}{me}"
remote = "{net}{other}"
master = "br0"
MTU

[namespace.web.veth.eth0]
addresses = ["192.168.1.{me}/24", "fd01::{me}/64"]
nodad = true
MTU
peer = {{ name = "web", master = "br0"PEER }}
"""
AUTO = 'mtu = "auto"'
FOLLOWING = LAB.replace("MTU", AUTO).replace("PEER", f", {AUTO}")
#: Headers of IPv4 and ICMP.
HEADERS = 28


def lab(text: str, me: int, net: str = "10.230.4.") -> str:
    return text.format(net=net, me=me, other=3 - me)


def unfragmented(host: Host, packet: int) -> str:
    """One ping of that many bytes, which must not be cut: what ping says."""
    argv = ("ping", "-n", "-c", "1", "-W", "1", "-M", "do", "-s", str(packet - HEADERS), "192.168.1.2")
    said = host.result(*argv, ns="web")
    return said.text


def passes(host: Host, packet: int) -> bool:
    return " 1 received" in unfragmented(host, packet)


def sizes(host: Host) -> set[int]:
    places = (("br0", ""), ("vxlan0", ""), ("web", ""), ("eth0", "web"))
    return {host.link(name, ns)["mtu"] for name, ns in places}


@pytest.mark.parametrize(("net", "size"), [("10.230.4.", 1450), ("fd04::", 1430)], ids=["ipv4", "ipv6"])
def test_the_largest_packet_that_fits_crosses_and_the_sender_hears_of_a_larger_one(
    pair: tuple[Host, Host], net: str, size: int
) -> None:
    for number, host in enumerate(pair, 1):
        host.write("lab.toml", lab(FOLLOWING, number, net))
        host.netd("check", "--strict")
        host.daemon()
        assert sizes(host) == {size}
    pair[0].ping("192.168.1.2", ns="web")
    assert passes(pair[0], size)
    for larger in (size + 1, 1500):
        said = re.search(r"message too long(?:, mtu[:=] ?(\d+))?", unfragmented(pair[0], larger), re.IGNORECASE)
        # Not every version of ping tells the size.
        assert said and said[1] in (None, str(size))
    # What may be cut arrives whatever its size.
    pair[0].ping("192.168.1.2", ns="web", size=8000)


def test_without_the_key_full_packets_vanish_and_check_says_so(pair: tuple[Host, Host]) -> None:
    text = LAB.replace("MTU", "").replace("PEER", "")
    for number, host in enumerate(pair, 1):
        host.write("lab.toml", lab(text, number))
        host.daemon()
    pair[0].ping("192.168.1.2", ns="web")
    assert passes(pair[0], 1450) and not passes(pair[0], 1500)
    assert "too long" not in unfragmented(pair[0], 1500)
    said = pair[0].netd("check", "--strict", check=1).text
    assert "warning: namespace.web.veth.eth0: " in said and AUTO in said


def test_both_ends_follow_what_carries_the_tunnel(pair: tuple[Host, Host]) -> None:
    for number, host in enumerate(pair, 1):
        host.write("lab.toml", lab(FOLLOWING, number))
        host.daemon()
    for underlay in (1400, 1500, 9000):
        for host in pair:
            host.run("ip", "link", "set", "eth0", "mtu", str(underlay))
        for host in pair:
            host.until(partial(lambda host, size: sizes(host) == {size}, host, underlay - 50), "all links follow")
            host.converged()
        pair[0].until(partial(passes, pair[0], underlay - 50), "the largest packet crosses")
    assert not any(each["repairs"] for each in pair[0].status()["objects"]), "nobody broke anything"


def test_a_port_of_someone_else_is_followed(host: Host) -> None:
    host.sh("ip link add eth0 up type veth peer name cable; ip link set cable up")
    host.write("lab.toml", lab(FOLLOWING, 1))
    host.daemon()
    host.sh("ip link add tap0 mtu 1300 type veth peer name tap1; ip link set tap0 master br0")
    host.until(lambda: sizes(host) == {1300}, "what is plugged in is followed")
    host.run("ip", "link", "set", "tap0", "mtu", "1290")
    host.until(lambda: sizes(host) == {1290}, "and what is changed on it")
    host.run("ip", "link", "del", "tap0")
    host.until(lambda: sizes(host) == {1450}, "and that it is gone")
    host.converged()


def test_containers_ends_follow_a_pair_that_another_made(host: Host) -> None:
    host.sh("mkdir -p /run/lab; touch /run/lab/guest; unshare --net=/run/lab/guest true")
    host.sh("ip link add eth0 up type veth peer name cable; ip link set cable up")
    host.sh("ip link add guest0 type veth peer name inside")
    host.write("lab.toml", lab(FOLLOWING, 1) + GUEST)
    host.daemon()
    host.run("ip", "link", "set", "inside", "netns", "guest")
    host.until(lambda: host.state("guest:interface/inside") == "ok", "the far end is found")
    assert host.link("inside", "guest")["mtu"] == host.link("guest0")["mtu"] == 1450
    host.run("ip", "link", "set", "eth0", "mtu", "1400")
    host.until(lambda: host.link("inside", "guest")["mtu"] == 1350, "the far end of another's pair follows")
    host.remove("lab.toml")
    host.netd("reload")
    assert host.link("guest0")["mtu"] == 1500


GUEST = """
[interface.guest0]
mtu = "auto"
master = "br0"

[namespace.guest]
attach = "/run/lab/guest"

[namespace.guest.interface.inside]
mtu = "auto"
"""
