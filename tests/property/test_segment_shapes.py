"""Segments of any shape: what follows has the smallest of what does not, however it came about, and rests there."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from netd.model import operations as do
from netd.model.key import HOST
from netd.model.operations import CreateLink, LinkSettings, SetLink
from netd.model.state import Link
from tests.fakekernel.space import FakeNamespace
from tests.support.fuzzing import tried
from tests.support.world import World, world

SPACES = (HOST, "a", "b")
MTUS = st.sampled_from([None, "auto", "auto", "auto", 1280, 1400, 1500, 3000])
PORTS = st.sampled_from([None, "br0", "br1"])
#: (namespace, master, MTU) of both ends of a pair.
PAIRS = st.lists(st.tuples(*[st.tuples(st.sampled_from(SPACES), PORTS, MTUS)] * 2), max_size=6)
#: What others do: (which, to what).
WHO = st.sampled_from(["underlay", "tap", "plug", "drift", "delete"])
DEEDS = st.lists(st.tuples(WHO, st.integers(0, 9)), max_size=8)
SIZES = (1280, 1350, 1400, 1450, 1500, 1600, 2000, 3000, 8000, 9000)


def key(mtu: int | str | None) -> str:
    return "" if mtu is None else f"mtu = {mtu!r}\n".replace("'", '"')


def lab(bridges: dict[tuple[str, str], int | str | None], pairs: list[tuple], tunnel: int | str | None) -> str:  # type: ignore[type-arg]
    text = "[namespace.a]\n[namespace.b]\n"
    for (netns, name), mtu in bridges.items():
        text += f"[{'namespace.' + netns + '.' if netns else ''}bridge.{name}]\n{key(mtu)}"
    for number, ((netns, master, mtu), (there, port, other)) in enumerate(pairs):
        text += f"[{'namespace.' + netns + '.' if netns else ''}veth.v{number}]\n{key(mtu)}"
        text += f'master = "{master}"\n' if master else ""
        inside = [f'name = "p{number}"']
        inside += [f'namespace = "{there}"'] if there else []
        inside += [f'master = "{port}"'] if port else []
        inside += [key(other).strip()] if other else []
        text += f"peer = {{ {', '.join(inside)} }}\n"
    return text + f'[vxlan.vx0]\nvni = 24\ndev = "eth0"\nremote = "10.230.4.2"\nmaster = "br0"\n{key(tunnel)}'


class Oracle:
    """What is to be, from the files' policies and the end state of the fake kernel's own tables."""

    def __init__(self, each: World, policies: dict[tuple[str, str], int | str | None]) -> None:
        self.each, self.policies = each, policies
        self.spaces = {each.machine.space(netns).cookie: netns for netns in SPACES}

    def space(self, netns: str) -> FakeNamespace:
        return self.each.machine.space(netns)

    def all(self) -> dict[tuple[str, str], Link]:
        return {(netns, link.name): link for netns in SPACES for link in self.space(netns).links.values()}

    def component(self, start: tuple[str, str]) -> set[tuple[str, str]]:
        links, found, before = self.all(), {start}, set[tuple[str, str]]()
        while found != before:
            before = set(found)
            for (netns, name), link in links.items():
                inside = self.space(netns).links
                beside = {(netns, inside[link.master].name)} if link.master in inside else set()
                cable = self.each.machine.cables.get((self.space(netns).cookie, link.index))
                if cable and cable[0] in self.spaces:
                    peer = self.spaces[cable[0]]
                    beside.add((peer, self.space(peer).links[cable[1]].name))
                if (netns, name) in found or beside & found:
                    found |= {(netns, name)} | beside
        return found

    def wanted(self, start: tuple[str, str]) -> int:
        limits = []
        for each in self.component(start):
            link, policy = self.all()[each], self.policies.get(each)
            if isinstance(policy, int):
                limits.append(policy)
                continue
            if link.kind == "vxlan":
                limits.append(self.space(HOST).named("eth0").mtu - 50)  # type: ignore[union-attr]
            if policy != "auto" and link.kind != "bridge":
                limits.append(link.mtu)
        return max(68, min(limits, default=1500))


def others(each: World, deed: str, value: int, followers: list[tuple[str, str]]) -> None:
    size = SIZES[value]
    if deed == "underlay":
        each.someone_does(SetLink(HOST, "eth0", LinkSettings(mtu=size)))
    elif deed == "tap":
        each.someone_does(SetLink(HOST, f"tap{value % 3}", LinkSettings(mtu=size)))
    elif deed == "plug":
        each.someone_does(SetLink(HOST, f"tap{value % 3}", LinkSettings(master=("", "br0", "br1")[value // 3 % 3])))
    elif followers:
        netns, name = followers[value % len(followers)]
        if deed == "drift":
            each.someone_does(SetLink(netns, name, LinkSettings(mtu=1234)))
        else:
            each.someone_does(do.DeleteLink(netns, each.index(netns, name)))


@tried(60)
@given(
    st.fixed_dictionaries({(netns, name): MTUS for netns in SPACES for name in ("br0", "br1")}),
    PAIRS, MTUS, DEEDS, st.integers(0, 3),
)  # fmt: skip
def test_followers_have_the_smallest_of_what_does_not_follow(
    bridges: dict[tuple[str, str], int | str | None], pairs: list, tunnel: int | str | None,  # type: ignore[type-arg]
    deeds: list[tuple[str, int]], seed: int,
) -> None:  # fmt: skip
    policies = {**bridges, (HOST, "vx0"): None if isinstance(tunnel, int) and tunnel > 1450 else tunnel}
    for number, ((netns, _, mtu), (there, _, other)) in enumerate(pairs):
        policies |= {(netns, f"v{number}"): mtu, (there, f"p{number}"): other}
    followers = [link for link, policy in policies.items() if policy == "auto"]
    text = lab(bridges, pairs, policies[HOST, "vx0"])
    with world() as each:
        for number in range(3):
            end = LinkSettings()
            each.someone_does(CreateLink(HOST, f"tap{number}", "veth", end, "", f"far{number}", "theirs", end))
        each.hand.order = lambda events: random.Random(seed).sample(events, len(events))
        each.take(text)
        each.settle()
        for deed, value in [("", 0), *deeds]:
            if deed:
                others(each, deed, value, followers)
                each.settle()
            assert not each.states() and not each.differing()
            found = {link: each.machine.space(link[0]).named(link[1]) for link in followers}
            oracle = Oracle(each, policies)
            assert {link: one.mtu for link, one in found.items() if one} == {
                link: oracle.wanted(link) for link in followers
            }
