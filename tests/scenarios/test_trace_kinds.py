"""``netd trace`` through every kind of link: right where ping says so."""

from __future__ import annotations

import pytest

from tests.support.host import Host

#: Two hosts on two networks, with the machine as their router.
ROUTED = """
ip link set lo up; ip netns add a; ip netns add b
ip link add u0 up type veth peer name eth0 netns a; ip link add u1 up type veth peer name eth0 netns b
ip -n a link set eth0 up; ip -n b link set eth0 up
ip address add 10.1.0.254/24 dev u0; ip address add 10.2.0.254/24 dev u1
ip -n a address add 10.1.0.1/24 dev eth0; ip -n b address add 10.2.0.1/24 dev eth0
ip -n a route add default via 10.1.0.254; ip -n b route add default via 10.2.0.254
sysctl -qw net.ipv4.ip_forward=1
"""
TUNNEL = """
ip -n a link add t0 up type {kind} local 10.1.0.1 remote 10.2.0.1 {more}
ip -n b link add t0 up type {kind} local 10.2.0.1 remote 10.1.0.1 {more}
ip -n a address add {one} dev t0 nodad; ip -n b address add {two} dev t0 nodad
"""
TAGS = """
ip link set lo up; ip netns add a; ip netns add b; ip netns add c
ip link add br0 up type bridge vlan_filtering 1
for n in a b c; do
    ip link add port-$n up master br0 type veth peer name eth0 netns $n; ip -n $n link set eth0 up
done
for n in a b; do bridge vlan add dev port-$n vid 10 pvid untagged; done
bridge vlan add dev port-c vid 10; bridge vlan add dev br0 vid 10 self
ip -n a address add 10.5.0.1/24 dev eth0; ip -n b address add 10.5.0.2/24 dev eth0
ip -n c link add link eth0 name eth0.10 up type vlan id 10; ip -n c address add 10.5.0.3/24 dev eth0.10
ip link add link br0 name br0.10 up type vlan id 10; ip address add 10.5.0.254/24 dev br0.10
"""
VRF = """
ip link set lo up; ip netns add a; ip link add v10 type vrf table 10; ip link set v10 up
ip link add vp up master v10 type veth peer name eth0 netns a; ip -n a link set eth0 up
ip address add 10.9.0.254/24 dev vp; ip -n a address add 10.9.0.1/24 dev eth0
"""
BOND = """
ip link set lo up; ip netns add a; ip link add b0 type bond mode active-backup miimon 100
for n in 0 1; do ip link add m$n type veth peer name e$n netns a; ip link set m$n master b0; done
ip link set b0 up; ip -n a link add br0 type bridge
for n in 0 1; do ip -n a link set e$n master br0 up; done
ip -n a link set br0 up; ip -n a address add 10.10.0.1/24 dev br0; ip address add 10.10.0.2/24 dev b0
"""
MACVLAN = """
ip link set lo up; ip netns add a; ip netns add m; ip netns add n
ip link add d0 up type veth peer name eth1 netns a; ip -n a link set eth1 up
ip address add 10.8.0.1/24 dev d0
for n in m n; do ip -n a link add link eth1 name mv0 netns $n type {kind}; ip -n $n link set mv0 up; done
ip -n m address add 10.8.0.2/24 dev mv0; ip -n n address add 10.8.0.3/24 dev mv0
"""


def both(host: Host, begin: str, address: str) -> bool:
    """Whether a ping arrives; ``netd trace`` must say the same, before and after."""
    said = [host.netd("trace", begin, address, check=None)]
    done = host.result("ping", "-c", "3", "-i", "0.2", "-W", "2", address, ns="" if begin == "host" else begin)
    said.append(host.netd("trace", begin, address, check=None))
    assert [each.returncode for each in said] == [0 if done.returncode == 0 else 2] * 2, said[0].text
    return done.returncode == 0


@pytest.mark.needs_kernel("gre", "gretap", "ipip", "sit", "geneve")
@pytest.mark.parametrize("kind", ["gre", "gretap", "ipip", "sit", "geneve"])
def test_a_tunnel_is_followed_through_its_outer_packets(host: Host, kind: str) -> None:
    ends = ("fd34::1/64", "fd34::2/64") if kind == "sit" else ("10.34.0.1/24", "10.34.0.2/24")
    more = {"gre": "key 7", "gretap": "key 8", "geneve": "id 5"}.get(kind, "")
    text = TUNNEL.format(kind=kind, more=more, one=ends[0], two=ends[1])
    if kind == "geneve":
        text = text.replace("local 10.1.0.1 ", "").replace("local 10.2.0.1 ", "")
    host.sh(ROUTED + text)
    target = ends[1].partition("/")[0]
    host.until(lambda: host.result("ping", "-c", "1", "-W", "1", target, ns="a").returncode == 0, "the tunnel is up")
    assert both(host, "a", target)
    host.sh("ip -n b link set t0 down")
    assert not both(host, "a", target)


@pytest.mark.needs_kernel("vlan", "bridge vlan")
def test_vlans_of_a_bridge_are_followed_with_and_without_a_tag(host: Host) -> None:
    host.sh(TAGS)
    for address in ("10.5.0.2", "10.5.0.3", "10.5.0.254"):
        assert both(host, "a", address)
    host.sh("bridge vlan del dev port-b vid 10; bridge vlan add dev port-b vid 20 pvid untagged")
    assert not both(host, "a", "10.5.0.2")
    assert "the port port-b is not in VLAN 10" in host.netd("trace", "a", "10.5.0.2", check=2).text


@pytest.mark.needs_kernel("vrf")
def test_the_answer_of_a_vrf_leaves_by_its_table(host: Host) -> None:
    host.sh(VRF)
    assert both(host, "a", "10.9.0.254")


@pytest.mark.needs_kernel("bond")
def test_a_bond_sends_by_a_member_that_is_up(host: Host) -> None:
    host.sh(BOND)
    host.until(lambda: host.result("ping", "-c", "1", "-W", "1", "10.10.0.1").returncode == 0, "the bond is up")
    assert both(host, "host", "10.10.0.1")
    assert both(host, "a", "10.10.0.2")


@pytest.mark.parametrize("kind", ["macvlan mode bridge", "macvlan mode private"])
def test_links_beside_each_other_on_one_link_reach_each_other_as_their_mode_says(host: Host, kind: str) -> None:
    host.sh(MACVLAN.format(kind=kind))
    assert both(host, "m", "10.8.0.1")
    assert both(host, "m", "10.8.0.3") is kind.endswith("bridge")
