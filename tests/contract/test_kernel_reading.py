"""What is decoded is what iproute2 and pyroute2 see."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import pytest
from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg

from netd.errors import Changed
from netd.kernel.kernel import Kernel
from netd.kernel.rtnl import wire
from netd.kernel.rtnl.encode_link import ifinfomsg
from netd.model.state import Nexthop, attributes
from tests.support.kernel_sandbox import lonely_kernel, sh, shown


@pytest.fixture
def kernel() -> Iterator[Kernel]:
    with lonely_kernel() as kernel:
        yield kernel


def foreign(message: type, body: bytes) -> Any:
    """A message as pyroute2 decodes it."""
    head = (16 + len(body)).to_bytes(4, "little") + bytes(12)
    decoded = message(head + body)
    decoded.decode()
    return decoded


def test_links_read_as_iproute2_shows_them(kernel: Kernel) -> None:
    sh(
        """
        ip link set lo up
        ip link add br0 address 02:00:00:00:00:01 type bridge stp_state 1
        ip link add v0 mtu 1400 type veth peer name v1; ip link set v0 master br0 group 77 alias 'an alias'
        ip link add vx type vxlan id 7 dstport 4789 local 10.0.0.1; ip link set br0 up
        """
    )
    with kernel.open("") as session:
        links = {link.name: link for link in session.links()}
        for seen in shown("ip -d -j link"):
            link = links.pop(seen["ifname"])
            assert (link.index, link.mac, link.mtu) == (seen["ifindex"], seen["address"], seen["mtu"])
            assert link.up == ("UP" in seen["flags"])
            assert link.kind == seen.get("linkinfo", {}).get("info_kind", "")
            assert link.alias == seen.get("ifalias", "")
            assert link.group == (0 if seen["group"] == "default" else int(seen["group"]))
            assert (session.link(link.master) is not None) == ("master" in seen)
            by_index, by_name = session.link(link.index), session.link_named(link.name)
            assert by_index is not None and by_name is not None
            # A bridge's data holds running timers.
            assert replace(by_index, info=b"") == replace(by_name, info=b"") == replace(link, info=b"")
            assert attributes(link.info).keys() == attributes(by_index.info).keys()
        assert not links
        assert session.link_named("v0").port  # type: ignore[union-attr]


def test_links_read_as_pyroute2_decodes_them(kernel: Kernel) -> None:
    sh("ip netns add far; ip link add v0 type veth peer name v1 netns far; ip link add br0 type bridge")
    with kernel.open("") as session:
        links = {link.index: link for link in session.links()}
        for body in session.rtnl.dump(wire.RTM_GETLINK, ifinfomsg()):
            theirs = foreign(ifinfmsg, body)
            link = links[theirs["index"]]
            assert link.name == theirs.get_attr("IFLA_IFNAME")
            assert link.mac == theirs.get_attr("IFLA_ADDRESS")
            assert link.link == (theirs.get_attr("IFLA_LINK") or 0)
            assert link.link_netnsid == theirs.get_attr("IFLA_LINK_NETNSID")
            assert link.flags == theirs["flags"]


def test_what_is_not_there_reads_as_none(kernel: Kernel) -> None:
    with kernel.open("") as session:
        assert session.link(999) is None
        assert session.link(0) is None
        assert session.link_named("nothing") is None
        assert session.link_named("a-name-that-is-too-long") is None
        assert session.link_named("") is None
        assert session.addresses(999) == []
        assert session.neighbors(999) == []
        assert session.fdb(999) == []
        assert session.routes(4711) == []
        assert session.nsid("nowhere") is None


def test_a_link_is_not_found_by_its_alternative_name(kernel: Kernel) -> None:
    sh("ip link add v0 type veth peer name v1; ip link property add dev v0 altname other")
    with kernel.open("") as session:
        assert session.link_named("other") is None


def test_opening_an_absent_namespace_is_an_error_to_read_again_after(kernel: Kernel) -> None:
    with pytest.raises(Changed, match="namespace nowhere"), kernel.open("nowhere"):
        pass
    assert kernel.cookie("nowhere") is None


def test_addresses_read_as_iproute2_shows_them(kernel: Kernel) -> None:
    sh(
        """
        ip link add v0 type veth peer name v1; ip link set v0 up; ip link set v1 up
        ip address add 10.0.0.1/24 broadcast 10.0.0.255 dev v0; ip address add 10.0.0.2/32 peer 10.1.0.9/32 dev v0
        ip address add fd00::1/64 dev v0 nodad; ip address add fd00::2 peer fd00::3/128 dev v0 nodad
        ip address add ::ffff:10.0.0.1/128 dev v1 nodad; ip address add 127.0.0.5/8 dev v1 label v1:x
        """
    )
    with kernel.open("") as session:
        found = session.addresses()
        for seen in shown("ip -j address"):
            for info in seen["addr_info"]:
                if "local" not in info:
                    continue
                # Python 3.13 writes ::ffff:10.0.0.1 as iproute2 does, older ones ::ffff:a00:1.
                cidr = f"{ip_address(info['local'])}/{info['prefixlen']}"
                (one,) = [one for one in found if one.index == seen["ifindex"] and one.address == cidr]
                assert one.peer == info.get("address", "")
                assert one.broadcast == info.get("broadcast", "")
                assert one.label == info.get("label", "")
                assert one.scope == {"global": 0, "link": 253, "host": 254}[info["scope"]]
                found.remove(one)
        assert not found
        index = session.link_named("v1").index  # type: ignore[union-attr]
        assert {one.index for one in session.addresses(index)} == {index}
        bodies = session.rtnl.dump(wire.RTM_GETADDR, bytes(8))
        ours = session.addresses()
    theirs = [foreign(ifaddrmsg, body) for body in bodies]
    assert [one.address.partition("/")[2] for one in ours] == [str(one["prefixlen"]) for one in theirs]
    assert [one.flags for one in ours] == [one.get_attr("IFA_FLAGS") for one in theirs]


def test_neighbours_and_fdb_entries_read_as_iproute2_shows_them(kernel: Kernel) -> None:
    sh(
        """
        ip link add v0 type veth peer name v1; ip link set v0 up
        ip neigh add 10.0.0.9 lladdr 02:00:00:00:00:09 dev v0; ip neigh add fd00::9 lladdr 02:00:00:00:00:0a dev v0
        ip neigh add 10.0.0.8 lladdr 02:00:00:00:00:08 dev v0 nud reachable
        ip link add vx type vxlan id 7 dstport 4789 remote 10.0.0.7
        bridge fdb append 00:00:00:00:00:00 dst 10.0.0.8 dev vx
        bridge fdb add 02:00:00:00:00:01 dst 10.0.0.6 port 99 vni 5 dev vx
        bridge fdb add 02:00:00:00:00:02 dst 10.0.0.8 dev vx dynamic
        """
    )
    with kernel.open("") as session:
        veth, vxlan = session.link_named("v0"), session.link_named("vx")
        assert veth is not None and vxlan is not None
        assert {(one.address, one.mac) for one in session.neighbors(veth.index)} == {
            ("10.0.0.9", "02:00:00:00:00:09"),
            ("fd00::9", "02:00:00:00:00:0a"),
        }
        assert {(one.mac, one.dst, one.port, one.vni) for one in session.fdb(vxlan.index)} == {
            ("00:00:00:00:00:00", "10.0.0.7", 0, 0),
            ("00:00:00:00:00:00", "10.0.0.8", 0, 0),
            ("02:00:00:00:00:01", "10.0.0.6", 99, 5),
        }


def test_an_nsid_of_another_namespace_is_read_but_never_given(kernel: Kernel) -> None:
    sh("ip netns add a; ip netns add b")
    with kernel.open("a") as session:
        assert session.nsid("b") is None
        assert session.nsid("") is None
    assert all(seen.get("nsid", -1) == -1 for seen in shown("ip -j netns"))
    sh("ip link add v0 netns a type veth peer name v1 netns b")
    with kernel.open("a") as session:
        link = session.link_named("v0")
        assert link is not None and link.link_netnsid == session.nsid("b") is not None


def test_a_hop_without_a_gateway_is_its_link(kernel: Kernel) -> None:
    sh("ip link add v0 type veth peer name v1; ip link set v0 up; ip route add 10.9.0.0/16 dev v0")
    with kernel.open("") as session:
        (route,) = session.routes(254)[:1]
        assert route.nexthops == (Nexthop("", session.link_named("v0").index),)  # type: ignore[union-attr]
