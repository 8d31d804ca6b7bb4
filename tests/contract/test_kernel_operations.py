"""Every operation is carried out, and iproute2 shows what it did."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterator

import pytest

from netd.errors import Changed, KernelError
from netd.kernel.kernel import Kernel
from netd.model import operations as do
from netd.model.marks import GROUP
from netd.model.operations import Hop, LinkSettings
from netd.model.state import Link
from tests.support.kernel_sandbox import done, execute, lonely_kernel, sh, shown

MAC, OTHER_MAC = "02:00:00:00:00:01", "02:00:00:00:00:02"


@pytest.fixture
def kernel() -> Iterator[Kernel]:
    with lonely_kernel() as kernel:
        yield kernel


@pytest.fixture
def cable(kernel: Kernel) -> Kernel:
    """v0 (10.0.0.1/24, fd00::1/64) and v1, both up."""
    sh(
        """
        ip link add v0 type veth peer name v1; ip link set v0 up; ip link set v1 up
        ip address add 10.0.0.1/24 dev v0; ip address add fd00::1/64 dev v0 nodad
        """
    )
    return kernel


def link(name: str, where: str = "") -> dict[str, object]:
    """A link as iproute2 shows it."""
    found: dict[str, object] = shown(f"ip {where} -d -j link show dev {name}")[0]
    return found


def bridge(name: str = "br0") -> do.CreateLink:
    return do.CreateLink("", name, "bridge", LinkSettings(mac=MAC, group=GROUP, up=True))


def test_a_bridge_is_made_with_its_mac_its_mark_and_up(kernel: Kernel) -> None:
    forward_delay = {1: struct.pack("=I", 400)}
    settings = LinkSettings(mac=MAC, group=GROUP, up=True, mtu=1400, info=forward_delay, alias="lab.toml")
    (answer,) = done(kernel, "", do.CreateLink("", "br0", "bridge", settings))
    seen = link("br0")
    assert isinstance(answer, Link)
    assert (answer.index, answer.name, answer.group) == (seen["ifindex"], "br0", GROUP)
    assert (seen["address"], seen["mtu"], seen["ifalias"]) == (MAC, 1400, "lab.toml")
    assert seen["group"] in (str(GROUP), "netd")
    assert "UP" in seen["flags"]  # type: ignore[operator]
    assert seen["linkinfo"]["info_data"]["forward_delay"] == 400  # type: ignore[index]


def test_a_pair_is_made_in_one_message_with_both_ends_marked(kernel: Kernel) -> None:
    sh("ip netns add far")
    near = LinkSettings(mac=MAC, group=GROUP, mtu=1400, master="br0", up=True)
    made = do.CreateLink(
        "", "v0", "veth", near, peer_name="eth0", peer_netns="far",
        peer=LinkSettings(mac=OTHER_MAC, group=GROUP, mtu=1400),
    )  # fmt: skip
    answers = done(kernel, "", bridge(), made)
    assert isinstance(answers[1], Link)
    near_seen, far_seen = link("v0"), link("eth0", "-n far")
    assert answers[1].link == far_seen["ifindex"]
    assert (near_seen["master"], near_seen["address"], near_seen["num_tx_queues"]) == ("br0", MAC, 1)
    assert (far_seen["address"], far_seen["mtu"], far_seen["num_rx_queues"]) == (OTHER_MAC, 1400, 1)
    assert far_seen["group"] == near_seen["group"]


def test_a_pair_within_one_namespace(kernel: Kernel) -> None:
    pair = do.CreateLink("", "v0", "veth", LinkSettings(), peer_name="v1", peer=LinkSettings(mac=MAC))
    done(kernel, "", pair, do.SetLink("", "v1", LinkSettings(up=True)))
    assert link("v1")["address"] == MAC
    assert "UP" in link("v1")["flags"]  # type: ignore[operator]


def test_a_pair_from_a_namespace_to_the_host(kernel: Kernel) -> None:
    sh("ip netns add far")
    done(kernel, "far", do.CreateLink("far", "eth0", "veth", LinkSettings(), peer_name="v0", peer_netns=""))
    assert link("eth0", "-n far")["ifname"] == "eth0"
    assert link("v0")["ifname"] == "v0"


def test_a_vxlan_on_a_lower_link(cable: Kernel) -> None:
    info = {1: struct.pack("=I", 24), 15: struct.pack("!H", 4790), 4: socket.inet_aton("10.0.0.1")}
    done(cable, "", do.CreateLink("", "vx", "vxlan", LinkSettings(info=info, mac=MAC), dev="v0", dev_option=3))
    data = link("vx")["linkinfo"]["info_data"]  # type: ignore[index]
    assert (data["id"], data["port"], data["link"], data["local"]) == (24, 4790, "v0", "10.0.0.1")
    done(cable, "", do.SetLink("", "vx", LinkSettings(info={5: b"\x09"}), "vxlan"))
    assert link("vx")["linkinfo"]["info_data"]["ttl"] == 9  # type: ignore[index]


def test_creating_an_existing_link_is_an_error_to_read_again_after(kernel: Kernel) -> None:
    first, second = execute(kernel, "", bridge(), bridge())
    assert isinstance(first, Link)
    assert isinstance(second, Changed) and second.code == errno.EEXIST


def test_an_error_has_the_message_of_the_kernel(cable: Kernel) -> None:
    (answer,) = execute(cable, "", do.CreateRoute("", 2, 254, "10.9.0.0/16", 0, hops=(Hop("10.77.0.1", "v0"),)))
    assert isinstance(answer, KernelError)
    assert answer.text == "Nexthop has invalid gateway"


def test_an_operation_that_fails_does_not_stop_the_others(kernel: Kernel) -> None:
    answers = execute(
        kernel, "", bridge(), do.PutAddress("", "nowhere", "10.0.0.1/24"), do.PutAddress("", "br0", "10.0.0.2/24"),
        do.PutAddress("", "br0", "rubbish/24"), do.CreateLink("", "x", "nonsense", LinkSettings()),
        do.PutAddress("", "br0", "10.0.0.3/24"),
    )  # fmt: skip
    assert [isinstance(answer, KernelError) for answer in answers] == [False, True, False, True, True, False]
    assert [answer.code for answer in answers if isinstance(answer, KernelError)] == [
        errno.ENODEV, errno.EINVAL, errno.EOPNOTSUPP,
    ]  # fmt: skip
    assert sh("ip -br -4 address show br0").split()[2:] == ["10.0.0.2/24", "10.0.0.3/24"]


def test_settings_of_a_link_change_in_place(cable: Kernel) -> None:
    index = link("v0")["ifindex"]
    done(
        cable, "", bridge(),
        do.SetLink("", "v0", LinkSettings(mtu=1300, mac=MAC, up=False, alias="x", group=5)),
        do.SetLink("", "v0", LinkSettings(master="br0", port={4: b"\1", 33: b"\1"})),
    )  # fmt: skip
    seen = link("v0")
    assert (seen["ifindex"], seen["mtu"], seen["address"], seen["ifalias"], seen["group"]) == (
        index, 1300, MAC, "x", "5",
    )  # fmt: skip
    assert "UP" not in seen["flags"]  # type: ignore[operator]
    port = seen["linkinfo"]["info_slave_data"]  # type: ignore[index]
    assert (seen["master"], port["hairpin"], port["isolated"]) == ("br0", True, True)
    done(cable, "", do.SetLink("", "v0", LinkSettings(master="", alias="", up=True)))
    assert "master" not in link("v0") and "ifalias" not in link("v0")


def test_a_port_is_made_with_its_settings(kernel: Kernel) -> None:
    settings = LinkSettings(master="br0", port={8: b"\0"})
    done(kernel, "", bridge(), do.CreateLink("", "v0", "veth", settings, peer_name="v1"))
    assert link("v0")["linkinfo"]["info_slave_data"]["learning"] is False  # type: ignore[index]


def test_setting_a_group_touches_one_link_only(cable: Kernel) -> None:
    done(cable, "", do.SetLink("", "v0", LinkSettings(group=GROUP)))
    assert link("v1")["group"] == "default"


def test_a_renamed_link_is_found_by_its_new_name_at_once(cable: Kernel) -> None:
    done(
        cable, "", do.SetLink("", "v0", LinkSettings(up=False)), do.SetLink("", "v0", LinkSettings(name="lan")),
        do.PutAddress("", "lan", "10.5.0.1/24"),
    )  # fmt: skip
    assert "10.5.0.1/24" in sh("ip -br address show lan")


def test_a_link_moves_to_another_namespace_and_back(cable: Kernel) -> None:
    sh("ip netns add far")
    done(cable, "", do.SetLink("", "v1", LinkSettings(netns="far")))
    assert link("v1", "-n far")["ifname"] == "v1"
    done(cable, "far", do.SetLink("far", "v1", LinkSettings(netns="")))
    assert link("v1")["ifname"] == "v1"


def test_one_link_is_deleted_by_its_index(cable: Kernel) -> None:
    index = int(str(link("v0")["ifindex"]))
    gone, again = execute(cable, "", do.DeleteLink("", index)), execute(cable, "", do.DeleteLink("", index))
    assert gone == [None]
    assert isinstance(again[0], Changed)
    assert isinstance(execute(cable, "", do.DeleteLink("", 0))[0], Changed)
    assert [one["ifname"] for one in shown("ip -j link")] == ["lo"]


def test_many_links_are_deleted_together_and_no_others(kernel: Kernel) -> None:
    sh("for i in $(seq 9); do ip link add br$i group 77 type bridge; done; ip link add keep group 77 type bridge")
    victims = [one["ifindex"] for one in shown("ip -j link") if one["ifname"].startswith("br")]
    answers = execute(kernel, "", *(do.DeleteLink("", index) for index in [*victims, 999]))
    assert answers[:-1] == [None] * 9
    assert isinstance(answers[-1], Changed)
    assert [one["ifname"] for one in shown("ip -j link")] == ["lo", "keep"]


def test_both_ends_of_a_pair_are_deleted_together(cable: Kernel) -> None:
    indexes = [int(str(link(name)["ifindex"])) for name in ("v0", "v1")]
    assert execute(cable, "", *(do.DeleteLink("", index) for index in indexes)) == [None, None]
    assert [one["ifname"] for one in shown("ip -j link")] == ["lo"]


def test_a_link_that_cannot_be_deleted_keeps_its_group_and_the_others_are_deleted(cable: Kernel) -> None:
    index = int(str(link("v0")["ifindex"]))
    answers = execute(cable, "", do.DeleteLink("", 1), do.DeleteLink("", index))
    assert isinstance(answers[0], KernelError) and answers[1] is None
    assert [(one["ifname"], one["group"]) for one in shown("ip -j link")] == [("lo", "default")]


def test_a_link_is_replaced_in_one_list(cable: Kernel) -> None:
    old = int(str(link("v0")["ifindex"]))
    made = do.CreateLink("", "v0", "veth", LinkSettings(mac=MAC, up=True), peer_name="v1")
    answers = done(cable, "", do.DeleteLink("", old), made, do.PutAddress("", "v0", "10.3.0.1/24"))
    assert isinstance(answers[1], Link) and answers[1].index != old
    assert "10.3.0.1/24" in sh("ip -br address show v0")


def test_sysctls_are_written_between_the_links(kernel: Kernel) -> None:
    done(
        kernel, "", do.CreateLink("", "v0", "veth", LinkSettings(), peer_name="v1"),
        do.WriteSysctl("", "net/ipv6/conf/v0/disable_ipv6", "1"), do.SetLink("", "v0", LinkSettings(up=True)),
        do.SetLink("", "v1", LinkSettings(up=True)),
    )  # fmt: skip
    assert sh("sysctl -n net.ipv6.conf.v0.disable_ipv6").strip() == "1"
    assert "inet6" not in sh("ip address show v0")


def test_every_operation_of_a_list_longer_than_one_send_is_answered(kernel: Kernel) -> None:
    operations = [bridge(), *(do.PutAddress("", "br0", f"10.{n // 250}.{n % 250}.1/24") for n in range(500))]
    answers = done(kernel, "", *operations)
    assert len(answers) == 501
    assert len(sh("ip -4 -o address show br0").splitlines()) == 500


def test_an_unknown_operation_is_refused(kernel: Kernel) -> None:
    (answer,) = execute(kernel, "", do.Operation(""))
    assert isinstance(answer, KernelError) and answer.code == errno.EOPNOTSUPP
    refused = kernel.execute_namespace(do.DeleteLink("", 1))
    assert isinstance(refused, KernelError)


@pytest.mark.parametrize("index", [0, -1, 999, (1 << 31) - 1])
def test_an_index_without_a_link_deletes_nothing(kernel: Kernel, index: int) -> None:
    sh("ip link add keep type bridge")
    assert isinstance(execute(kernel, "", do.DeleteLink("", index))[0], Changed)
    assert shown("ip -j link show keep")
