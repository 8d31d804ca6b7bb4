"""The real kernel and the fake one, side by side: the same operations, the same answers, the same state after each.

Where they differ the fake is wrong.
"""

from __future__ import annotations

import errno
import inspect
import socket
import struct
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from netd.engine.ledger import Ledger
from netd.engine.reconciler import Reconciler
from netd.kernel.kernel import Kernel
from netd.kernel.session import Session
from netd.kinds.link.bridge_port import PORT_SETTINGS
from netd.model import operations as do
from netd.model.firewall import Match
from netd.model.operations import (
    CreateLink,
    CreateRoute,
    DeleteAddress,
    DeleteFdb,
    Hop,
    LinkSettings,
    PutAddress,
    PutFdb,
    PutNeighbor,
    SetLink,
    WriteSysctl,
)
from netd.model.state import PolicyRule, attributes
from tests.fakekernel import FakeKernel, fake_machine
from tests.fakekernel.session import FakeSession
from tests.fakekernel.space import Chain
from tests.support.both import On, look
from tests.support.kernel_sandbox import eventually, lonely_kernel, sh
from tests.support.labs import BOX, ENGINE, FIRST, LEGACY, SECOND, declared
from tests.support.snapshot import differences

V4, V6 = int(socket.AF_INET), int(socket.AF_INET6)
U32 = struct.Struct("=I").pack
MAC = "02:00:00:00:00:{:02x}"


def bridge(name: str, ns: str = "", **settings: Any) -> CreateLink:
    return CreateLink(ns, name, "bridge", LinkSettings(**settings))


def veth(name: str, peer: str, ns: str = "", peer_ns: str = "", **settings: Any) -> CreateLink:
    return CreateLink(ns, name, "veth", LinkSettings(**settings), "", peer, peer_ns, LinkSettings(group=7))


def vxlan(name: str, vni: int, dev: str = "", ns: str = "", **more: Any) -> CreateLink:
    info = {1: U32(vni), 15: struct.pack("!H", 4789), **more.pop("info", {})}
    return CreateLink(ns, name, "vxlan", LinkSettings(info=info, **more), dev, dev_option=3)


def change(link: str, ns: str = "", kind: str = "", /, **settings: Any) -> SetLink:
    return SetLink(ns, link, LinkSettings(**settings), kind)


def delete(name: str, ns: str = "") -> Callable[[On], do.Operation]:
    return lambda on: do.DeleteLink(ns, on.index(ns, name))


def delete_keeping(name: str) -> Callable[[On], do.Operation]:
    """Remembers what is on the link, for ``back``."""

    def step(on: On) -> do.Operation:
        index = on.index("", name)
        with on.kernel.open("") as session:
            link = session.link(index)
            assert link is not None
            port = do.RestorePort(
                "", name, "br0", {n: raw for n, raw in attributes(link.port).items() if n in PORT_SETTINGS}
            )
            neighbors = [do.RestoreNeighbor("", name, one.raw) for one in session.kept_neighbors(index)]
            ways = sorted(session.routes_through(index), key=lambda one: (one.family, one.to))
            routes = [do.RestoreRoute("", one.raw, name, index) for one in ways if one.protocol == 3]
        on.kept = {"port": [port], "neighbor": neighbors, "route": routes}
        return do.DeleteLink("", index)

    return step


def back(what: str, number: int = 0) -> Callable[[On], do.Operation]:
    return lambda on: on.kept[what][number]


def route(to: str, metric: int = 0, ns: str = "", **more: Any) -> CreateRoute:
    hops = tuple(Hop(*each) for each in more.pop("hops", ()))
    return CreateRoute(ns, V6 if ":" in to else V4, 254, to, metric, hops=hops, **more)


def no_route(to: str, ns: str = "") -> Callable[[On], do.Operation]:
    def step(on: On) -> do.Operation:
        with on.kernel.open(ns) as session:
            return do.DeleteRoute(ns, next(one for one in session.routes(254) if one.to == to))

    return step


def no_namespace(name: str) -> Callable[[On], do.Operation]:
    return lambda on: do.DeleteNamespace(name, on.kernel.cookie(name) or 0)


UP = [
    bridge("br0"), change("br0", up=True), PutAddress("", "br0", "10.1.0.1/24"),
    PutAddress("", "br0", "fd01::1/64", True),
]  # fmt: skip

#: {what: operations, in order}.
SCRIPTS: dict[str, list[Any]] = {
    "links are made once, and their ends with them": [
        bridge("br0", mtu=1400, group=7), bridge("br0"), veth("v0", "v1"), veth("v0", "x"), veth("x", "v1"),
        veth("y", "y"), delete("v1"), delete("br0"), CreateLink("", "z", "nonsense", LinkSettings()),
    ],
    "ports leave a bridge that goes, and its MTU follows them": [
        bridge("br0"), veth("v0", "v1", mtu=1300), change("v0", master="br0"), change("v1", master="v0"),
        change("v0", port={33: b"\1", 3: U32(50)}), change("v0", master=""), change("v0", port={33: b"\1"}),
        change("v0", master="br0"), bridge("br1"), change("br1", master="br0"), change("v0", mtu=1200),
        change("br0", mtu=1100), change("v0", mtu=1250), delete("br0"),
    ],
    "a pair between namespaces goes with either of them": [
        do.CreateNamespace("a"), do.CreateNamespace("a"), veth("v0", "v1", peer_ns="a"), veth("v0", "v2", peer_ns="a"),
        veth("w0", "w1", peer_ns="nowhere"), PutAddress("a", "v1", "10.1.0.1/24"), change("v1", "a", up=True),
        do.CreateNamespace("b", ipv6=False), veth("x0", "x1", "a", "b"), delete("x1", "b"),
    ],
    "options of a bridge change in place": [
        bridge("br0", info={1: U32(400)}), change("br0", "", "bridge", info={4: U32(6000), 23: b"\0"}),
    ],
    "a tunnel changes what it can": [
        veth("u0", "u1"), vxlan("vx0", 24, "u0", info={2: socket.inet_aton("10.0.0.2")}), vxlan("vx1", 24, "u0"),
        change("vx0", "", "vxlan", info={2: socket.inet_aton("10.0.0.3")}),
        change("vx0", "", "vxlan", info={5: b"\7"}), change("vx0", "", "vxlan", info={1: U32(25)}),
        change("vx0", "", "vxlan", info={2: bytes(4)}), change("vx0", mtu=1300), delete("u0"),
    ],
    "a tunnel is no larger than what carries it": [
        veth("u0", "u1", mtu=9000), vxlan("vx0", 24, "u0", mtu=9000), vxlan("vx1", 25, "u0", mtu=1300),
        vxlan("vx2", 26, "u0", info={17: bytes(15) + b"\1"}), vxlan("vx3", 27), vxlan("vx4", 28, mtu=9000),
        change("u0", mtu=1400), change("vx0", mtu=1351), change("vx0", mtu=1350), change("vx2", mtu=1331),
        change("vx2", mtu=1330), change("vx3", mtu=9000),
    ],
    "entries of a tunnel": [
        vxlan("vx0", 24), PutFdb("", "vx0", MAC.format(0).replace("02", "00"), "10.0.0.2"),
        PutFdb("", "vx0", MAC.format(0).replace("02", "00"), "10.0.0.3", 4790, 7),
        PutFdb("", "vx0", MAC.format(1), "10.0.0.2"), PutFdb("", "vx0", MAC.format(1), "10.0.0.4"),
        DeleteFdb("", "vx0", MAC.format(1), "10.0.0.2"), DeleteFdb("", "vx0", MAC.format(1), "10.0.0.4"),
        bridge("br0"), PutFdb("", "nowhere", MAC.format(1), "10.0.0.2"), change("vx0", up=True),
        change("vx0", up=False), delete("vx0"),
    ],
    "an address brings the route to its network, and takes others along": [
        *UP, route("10.9.0.0/16", hops=[("10.1.0.7",)]), route("10.8.0.0/16", hops=[("", "br0")], src="10.1.0.1"),
        route("fd09::/64", hops=[("fd01::7", "br0")]), PutAddress("", "br0", "10.1.0.2/24"),
        PutAddress("", "br0", "10.2.0.1/24"), PutAddress("", "br0", "fd01::1/48"), PutAddress("", "br0", "10.1.0.1/24"),
        DeleteAddress("", "br0", "10.1.0.1/24"), DeleteAddress("", "br0", "10.1.0.1/24"),
        DeleteAddress("", "br0", "10.2.0.1/24"), DeleteAddress("", "br0", "fd01::1/64"),
        PutAddress("", "nowhere", "10.1.0.1/24"),
    ],
    "an address goes alone": [
        *UP, PutAddress("", "br0", "10.1.0.2/24"), PutAddress("", "br0", "10.1.0.3/24"),
        route("10.9.0.0/16", hops=[("10.1.0.7",)]), route("10.8.0.0/16", hops=[("", "br0")], src="10.1.0.1"),
        DeleteAddress("", "br0", "10.1.0.1/24", alone=True), DeleteAddress("", "br0", "10.1.0.3/24", alone=True),
        route("10.7.0.0/16", hops=[("", "br0")]), route("10.6.0.0/16", 5, hops=[("10.1.0.7",)]),
        DeleteAddress("", "br0", "10.1.0.2/24", alone=True), DeleteAddress("", "br0", "10.1.0.2/24", alone=True),
    ],
    "a link that goes down takes routes, and IPv6 addresses": [
        *UP, route("10.9.0.0/16", hops=[("10.1.0.7",)]), PutNeighbor("", "br0", "10.1.0.9", MAC.format(9), 110),
        change("br0", up=False), route("10.9.0.0/16", hops=[("", "br0")]), change("br0", up=True),
    ],
    "routes are checked": [
        *UP, route("10.9.0.0/16", hops=[("10.3.0.7",)]), route("fd09::/64", hops=[("fd03::7",)]),
        route("10.9.0.0/16", hops=[("10.3.0.7", "br0", 1, True)]), route("10.9.0.0/16", hops=[("10.1.0.7",)]),
        route("10.9.0.0/16", 5, hops=[("10.1.0.7",)], mtu=1300), route("10.7.0.0/16", type="blackhole"),
        route("fd07::/64", type="unreachable"), route("10.6.0.0/16", hops=[("", "br0")], src="10.3.0.3"),
        route("10.5.0.0/16", hops=[("10.1.0.7",), ("10.1.0.8", "", 3)]), route("10.4.0.0/16", hops=[("10.1.0.1",)]),
        no_route("10.7.0.0/16"), no_route("10.5.0.0/16"), no_route("fd07::/64"),
        route("10.3.0.0/16", hops=[("", "nowhere")]), delete("br0"),
    ],
    "rules": [
        do.CreateRule("", PolicyRule(V4, 100, 7, "10.0.0.0/8")),
        do.CreateRule("", PolicyRule(V4, 100, 7, "10.0.0.0/8")),
        do.CreateRule("", PolicyRule(V6, 100, 300, to="fd00::/8", fwmark=3)),
        do.DeleteRule("", PolicyRule(V4, 100, 7, "10.0.0.0/8", protocol=110)),
        do.DeleteRule("", PolicyRule(V4, 100, 7, "10.0.0.0/8", protocol=110)),
    ],
    "a link that is made again gets what was on it": [
        *UP, veth("v0", "v1"), veth("u0", "u1"), PutAddress("", "u0", "10.3.0.1/24"), change("u0", up=True),
        change("v0", master="br0", up=True), change("v0", port={33: b"\1", 4: b"\1"}),
        PutAddress("", "v0", "10.2.0.1/24"), PutNeighbor("", "v0", "10.2.0.9", MAC.format(9), 7),
        PutNeighbor("", "v0", "fd02::9", MAC.format(9)), route("10.9.0.0/16", hops=[("10.2.0.7",)], protocol=3),
        route("10.8.0.0/16", hops=[("10.2.0.7", "", 2), ("10.3.0.7", "", 3)], protocol=3),
        delete_keeping("v0"), back("port"), back("neighbor"), back("route"), veth("v0", "v1"), back("route"),
        back("port"), back("port"), back("neighbor"), back("neighbor"), back("neighbor", 1), change("v0", up=True),
        back("route"), PutAddress("", "v0", "10.2.0.1/24"), back("route"), back("route"), back("route", 1),
        back("route", 1), delete("br0"), back("port"),
    ],
    "neighbours": [
        *UP, PutNeighbor("", "br0", "10.1.0.9", MAC.format(9)), PutNeighbor("", "br0", "10.1.0.9", MAC.format(8), 110),
        PutNeighbor("", "br0", "fd01::9", MAC.format(9), 110), do.DeleteNeighbor("", "br0", "10.1.0.9"),
        do.DeleteNeighbor("", "nowhere", "10.1.0.9"), delete("br0"),
    ],
    "a parameter changes others": [
        bridge("br0"), WriteSysctl("", "net/ipv4/conf/br0/rp_filter", "2"), WriteSysctl("", "net/ipv4/ip_forward", "1"),
        WriteSysctl("", "net/ipv4/conf/default/rp_filter", "1"), WriteSysctl("", "net/ipv4/ip_default_ttl", "x"),
        WriteSysctl("", "net/ipv4/nonsense", "1"), delete("br0"), bridge("br0"), PutAddress("", "br0", "fd01::1/64"),
        WriteSysctl("", "net/ipv6/conf/all/disable_ipv6", "1"), PutAddress("", "br0", "fd01::1/64"),
    ],
    "names": [
        *UP, bridge("br1"), change("br0", name="br1"), change("br1", name="br2"), change("br0", name="br7"),
        change("br0", mtu=1300),
    ],
    "a link moves without what hung on it": [
        do.CreateNamespace("a"), veth("v0", "v1", group=9), change("v0", up=True), PutAddress("", "v0", "10.1.0.1/24"),
        change("v0", netns="a"), bridge("br0"), change("br0", netns="a"), change("v0", "a", netns=""),
        change("v0", netns="nowhere"), bridge("v0", "a"), change("v0", netns="a"),
    ],
    "a tunnel is made in one namespace and sends its packets in another": [
        do.CreateNamespace("a"), veth("u0", "u1", mtu=1400), bridge("br0", "a", mac=MAC.format(5)),
        vxlan("vx0", 24, "u0", netns="a", mac=MAC.format(4), group=7, master="br0"), vxlan("vx0", 25, "u0", netns="a"),
        vxlan("vx1", 24), vxlan("vx1", 24, "", "a"), vxlan("vx2", 25, "u0", netns="nowhere"),
        vxlan("vx2", 25, "br0", netns="a"), change("vx0", "a", mtu=1351), change("vx0", "a", mtu=1300, up=True),
        change("vx0", "a", netns=""), change("vx0", netns="a"), vxlan("vx3", 26, netns="a"), delete("u0"),
    ],
    "entries of a tunnel whose packets are sent elsewhere": [
        do.CreateNamespace("a"), veth("u0", "u1"), veth("u2", "u3"), veth("u4", "u5"),
        vxlan("vx0", 24, "u4", netns="a", info={2: socket.inet_aton("10.0.0.2")}),
        PutFdb("a", "vx0", MAC.format(0).replace("02", "00"), "10.0.0.3"),
        PutFdb("a", "vx0", MAC.format(1), "10.0.0.3"), DeleteFdb("a", "vx0", MAC.format(1), "10.0.0.3"), delete("u5"),
    ],
    "a tunnel ends with the namespace that it sends its packets in": [
        do.CreateNamespace("a"), vxlan("v0", 24, ns="a", netns=""), bridge("br0"), change("v0", master="br0"),
        no_namespace("a"), vxlan("v0", 24),
    ],
    "a namespace takes all with it": [
        do.CreateNamespace("a", ipv6=False), veth("v0", "v1", peer_ns="a"), PutAddress("a", "v1", "fd01::1/64"),
        do.DeleteNamespace("a", 99999999), no_namespace("a"), do.DeleteNamespace("a", 1),
        PutAddress("", "v0", "10.1.0.1/8"),
    ],
}  # fmt: skip


#: The step of a script with which ``v0`` ends: a namespace dies a little later than its name.
DEATHS = {"a namespace takes all with it": 4, "a tunnel ends with the namespace that it sends its packets in": 4}


def gone(on: On, name: str) -> None:
    eventually(lambda: on.index("", "v0") == 0, name)


@pytest.mark.parametrize("what", SCRIPTS)
def test_the_fake_kernel_answers_and_ends_as_the_real_one(what: str) -> None:
    wrong: list[str] = []
    with lonely_kernel() as kernel:
        pair = real, fake = On(kernel), On(FakeKernel(fake_machine()))
        assert not differences(look(fake.kernel), look(kernel))
        for number, step in enumerate(SCRIPTS[what]):
            answers = [on.do(step) for on in pair]
            if number == DEATHS.get(what):
                gone(real, what)
            shown = "a deletion" if callable(step) else step
            if answers[0] != answers[1]:
                wrong.append(f"{number}. {shown}: errno {answers[1]} instead of {answers[0]}")
            wrong += [f"{number}. {shown}: {each}" for each in differences(look(fake.kernel), look(kernel))]
            if wrong:
                break
    assert not wrong, "\n".join(wrong)


def attach(source: str = BOX) -> Callable[[On], do.Operation]:
    def found_there(on: On) -> do.Operation:
        on.kernel.attach("box", source)
        return do.AttachNamespace("box")

    return found_there


def detach(on: On) -> do.Operation:
    return do.DetachNamespace("box", on.kernel.entry("box") or 0)


def foreign_entry(on: On) -> do.Operation:
    on.kernel.attach("box", None)
    return do.CreateNamespace("box")


def test_the_fake_kernel_attaches_and_detaches_as_the_real_one() -> None:
    steps = (
        do.DetachNamespace("box", 7), attach(), attach(), bridge("br0", "box"), do.DetachNamespace("box", 7),
        attach(""), attach(), detach, detach, bridge("br1", "box"), foreign_entry, attach(""), attach(),
        bridge("br2", "box"), detach, attach(), attach("/run/netns/box"),
    )  # fmt: skip
    with lonely_kernel() as kernel:
        pair = real, fake = On(kernel), On(FakeKernel(fake_machine()))
        assert [on.do(attach()) for on in pair] == [errno.ENOENT] * 2
        sh(ENGINE)
        fake.kernel.someone_opens(BOX)
        for number, step in enumerate(steps):
            answers = [on.do(step) for on in pair]
            assert answers[0] == answers[1], f"{number}. {step}"
            for ask in ("attached", "names", "entry", "cookie"):
                told = [getattr(on.kernel, ask)(*() if ask == "names" else ["box"]) for on in pair]
                assert told[0] == told[1] or (all(told) and ask in ("entry", "cookie")), f"{number}. {step}: {ask}"
            for place in (BOX, "/run/netns/box", "/run/netns/nowhere"):
                assert len({on.kernel.find(place) is None for on in pair}) == 1, f"{number}. {step}: {place}"
            assert differences(look(fake.kernel), look(real.kernel)) == []


def test_the_fake_kernel_has_the_same_legacy_rules_as_the_real_one() -> None:
    put = do.LegacyAccept("", "ip", "FORWARD", Match("ip", iif="br0"))
    steps = (put, replace(put, match=Match("ip", oif="br0")), put, replace(put, delete=True), replace(put, delete=True),
             replace(put, delete=True), replace(put, chain="NOWHERE"))  # fmt: skip
    with lonely_kernel() as kernel:
        pair = real, fake = On(kernel), On(FakeKernel(fake_machine()))
        sh(LEGACY)
        fake.kernel.machine.space("").firewall.chains.append(Chain("ip", "filter", "FORWARD", legacy=True))
        for number, step in enumerate(steps):
            answers = [on.do(step) for on in pair]
            assert answers[0] == answers[1], f"{number}. {step}"
            assert [on.kernel.has_legacy("") for on in pair] == [True, True]
            assert differences(look(fake.kernel), look(real.kernel)) == []


@pytest.mark.parametrize("texts", [[FIRST], [SECOND], [FIRST, SECOND, FIRST, ""], [SECOND, FIRST, ""]])
def test_netd_builds_the_same_on_both(texts: list[str], tmp_path: Any) -> None:
    with lonely_kernel() as kernel:
        ends: list[Any] = []
        for name, on in (("real", On(kernel)), ("fake", On(FakeKernel(fake_machine())))):
            for step in (veth("eth0", "cable"), veth("port9", "eth9"), PutAddress("", "eth0", "10.230.4.1/24")):
                assert on.do(step) == 0
            for link in ("eth0", "cable"):
                assert on.do(change(link, up=True)) == 0
            engine = Reconciler(on.kernel, Ledger(str(tmp_path / name)))
            seen = []
            for text in texts:
                engine.set_desired(declared(text))
                for _ in engine.converge():
                    pass
                told = [f"{row.key} {row.state} {row.reason}" for row in engine.statuses() if row.state != "ok"]
                seen.append((told, look(on.kernel)))
            ends.append(seen)
        wrong = [
            line
            for (real_told, real), (fake_told, fake) in zip(*ends, strict=True)
            for line in [*differences(fake_told, real_told, "states"), *differences(fake, real)]
        ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(("fake", "real"), [(FakeKernel, Kernel), (FakeSession, Session)])
def test_the_fake_has_what_the_engine_asks_the_real_one(fake: type, real: type) -> None:
    # What works on descriptors is asked by commands and sessions, not by the engine.
    unlike = {"rtnl", "inside", "close", "sysctls", "descriptor", "cookie_of_namespace"}
    for name, method in vars(real).items():
        if name.startswith("_") or name in unlike or not callable(method):
            continue
        assert list(inspect.signature(getattr(fake, name)).parameters) == list(inspect.signature(method).parameters)
