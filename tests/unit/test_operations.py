"""What each operation makes stale."""

from __future__ import annotations

import pytest

from netd.model import operations as do
from netd.model.invalidation import Invalidation
from netd.model.key import LinkName
from tests.support.operations import OPERATIONS


def stale(operation: do.Operation, **indexes: int) -> set[object]:
    """What it makes stale, where links of these names have these indexes."""

    def index(netns: str, name: str) -> int:
        return indexes.get(name, 0)

    return {one for effect in operation.stale for one in effect(operation, index)}


@pytest.mark.parametrize("kind", OPERATIONS, ids=lambda kind: kind.__name__)
def test_every_operation_says_what_it_makes_stale(kind: type[do.Operation]) -> None:
    assert kind.stale or kind is do.DropFlows  # conntrack is not read


def test_the_last_address_of_a_link_takes_routes_with_it() -> None:
    found = stale(do.DeleteAddress("web", "eth0", "10.0.0.1/24"), eth0=7)
    assert found == {Invalidation("addresses", "web", 7), Invalidation("routes", "web")}


def test_an_index_that_is_known_is_not_looked_up() -> None:
    found = stale(do.DeleteNeighbor("web", "eth0", "10.0.0.1", index=9), eth0=7)
    assert found == {Invalidation("neighbors", "web", 9)}


def test_a_link_that_is_renamed_is_stale_by_its_index_and_its_new_name() -> None:
    found = stale(do.SetLink("", "eth0", do.LinkSettings(name="uplink")), eth0=7)
    assert found == {Invalidation("link", "", 7), LinkName("", "uplink")}


def test_both_ends_of_a_veth_are_stale_by_their_names() -> None:
    created = do.CreateLink("", "a", "veth", do.LinkSettings(), "", "b", "web", do.LinkSettings())
    assert stale(created) == {LinkName("", "a"), LinkName("web", "b")}


@pytest.mark.parametrize(
    ("path", "read_again"),
    [
        ("net/ipv4/conf/eth0/rp_filter", "net/ipv4/conf/eth0/rp_filter"),
        ("net/ipv4/conf/all/rp_filter", ""),
        ("net/ipv6/conf/default/forwarding", ""),
        ("net/ipv4/ip_forward", ""),
    ],
)
def test_a_key_that_changes_others_makes_all_of_them_stale(path: str, read_again: str) -> None:
    assert stale(do.WriteSysctl("", path, "1")) == {Invalidation("sysctl", "", path=read_again)}
