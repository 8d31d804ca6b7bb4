"""Many links are deleted at once: what the kernel would look for once for each of them is out of the way before."""

from __future__ import annotations

from netd.model import operations as do
from tests.support.kernel_sandbox import eventually, execute, lonely_kernel, sh, shown

PAIRS = 70
BUILD = f"""
ip link add stays up type veth peer name stays1; ip link set stays1 up
ip address add fd00::1/64 dev stays nodad; ip route add fd99::/64 via fd00::2
for n in $(seq {PAIRS}); do
    echo "link add a$n up type veth peer name b$n"; echo "link set b$n up"; echo "address add fd01::$n/64 dev a$n nodad"
done | ip -batch -
"""


def ipv6() -> tuple[set[str], set[str]]:
    """The links with IPv6 addresses, and those with IPv6 routes, but for ``lo``."""
    with_addresses = {each["ifname"] for each in shown("ip -6 -j address show") if each.get("addr_info")}
    with_routes = {each["dev"] for each in shown("ip -6 -j route show table all") if "dev" in each}
    return with_addresses - {"lo"}, with_routes - {"lo"}


def test_ipv6_is_taken_off_links_that_are_deleted_together_and_off_no_others() -> None:
    with lonely_kernel() as kernel:
        sh(BUILD)
        indexes = [each["ifindex"] for each in shown("ip -j link") if each["ifname"].startswith("a")]
        eventually(lambda: len(ipv6()[0]) == 2 * PAIRS + 2, "every link has an address of IPv6")
        before = shown("ip -6 -j route show dev stays table all")
        with kernel.open("") as session:
            assert list(kernel.prepare_deletions(session, indexes))
        assert ipv6() == ({"stays", "stays1"}, {"stays", "stays1"})
        assert shown("ip -6 -j route show dev stays table all") == before
        answers = execute(kernel, "", *(do.DeleteLink("", index) for index in indexes))
        assert answers == [None] * PAIRS
        assert {each["ifname"] for each in shown("ip -j link")} == {"lo", "stays", "stays1"}
