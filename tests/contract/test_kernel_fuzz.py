"""Messages that make no sense decode to nothing, and raise nothing but a declared error."""

from __future__ import annotations

import functools
import os
import struct
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netd.errors import KernelError
from netd.kernel.events import Events
from netd.kernel.kernel import Kernel
from netd.kernel.rtnl import decode, wire
from netd.kernel.rtnl.encode import ENCODERS, encode
from netd.kernel.rtnl.encode_link import ifinfomsg
from netd.kernel.rtnl.netlink_socket import HEADER, messages, refusal
from netd.kernel.session import Session
from netd.model import operations as do
from netd.model.invalidation import ANY_ROUTE
from netd.model.operations import Hop, LinkSettings
from netd.model.state import Nexthop, PolicyRule, Route
from tests.support import tally
from tests.support.fuzzing import FACTOR, spoilt, tried
from tests.support.kernel_sandbox import lonely_kernel, sh

LAB = """
ip netns add far; ip link add br0 type bridge; ip link add v0 type veth peer name v1 netns far
ip link set v0 master br0 up alias words; ip link set br0 up; ip address add 10.0.0.1/24 dev br0
ip address add fd00::1/64 dev br0 nodad; ip link add vx type vxlan id 7 dstport 4789 remote 10.0.0.7
ip route add 10.9.0.0/16 nexthop via 10.0.0.8 dev br0 nexthop via 10.0.0.9 dev br0 onlink mtu 1300 2>/dev/null || true
ip route add 10.8.0.0/16 nexthop via 10.0.0.8 dev br0 nexthop via 10.0.0.9 dev br0
ip -4 route add 10.7.0.0/16 via inet6 fd00::9 dev br0; ip -6 route add fd09::/64 via fd00::9 mtu 1280
ip rule add priority 7 from 10.0.0.0/8 iif lo fwmark 1/3 table 9; ip neigh add 10.0.0.9 lladdr 02:00:00:00:00:01 dev br0
"""
DECODERS: dict[str, Callable[[bytes], object]] = {
    "link": decode.link, "address": decode.address, "route": decode.route, "rule": decode.rule,
    "neighbor": decode.neighbor, "fdb": decode.fdb,
}  # fmt: skip
DUMPS = {
    "link": (wire.RTM_GETLINK, ifinfomsg()),
    "address": (wire.RTM_GETADDR, bytes(8)),
    "route": (wire.RTM_GETROUTE, bytes(12)),
    "rule": (wire.RTM_GETRULE, bytes(12)),
    "neighbor": (wire.RTM_GETNEIGH, bytes(12)),
    "fdb": (wire.RTM_GETNEIGH, struct.pack("=B", wire.AF_BRIDGE) + bytes(11)),
}


@functools.cache
def real_messages() -> dict[str, tuple[bytes, ...]]:
    """What a kernel with a small lab sends, by decoder."""
    with lonely_kernel() as kernel:
        sh(LAB)
        with kernel.open("") as session:
            return {name: tuple(session.rtnl.dump(*dump)) for name, dump in DUMPS.items()}


@pytest.fixture
def kernel() -> Iterator[Kernel]:
    with lonely_kernel() as kernel:
        yield kernel


@st.composite
def mutated(draw: st.DrawFn, seeds: tuple[bytes, ...]) -> bytes:
    """A real message with some bytes changed, cut, doubled or put in."""
    return spoilt(draw, draw(st.sampled_from(seeds)))


@pytest.mark.parametrize("name", DECODERS)
@tried(300)
@given(data=st.data())
def test_mutated_messages_decode_or_are_nothing(name: str, data: st.DataObject) -> None:
    seeds = real_messages()
    assert seeds[name]
    value = DECODERS[name](data.draw(mutated(seeds[name]) | st.binary(max_size=64)))
    if isinstance(value, (Route, PolicyRule)):
        assert len(value.raw) >= 12
    repr(value)


@tried(300)
@given(st.binary(max_size=200))
def test_decoding_random_datagrams_ends(data: bytes) -> None:
    for message in messages(data):
        refusal(message)


@tried(200)
@given(data=st.data())
def test_random_events_raise_nothing(data: st.DataObject) -> None:
    seeds = tuple(body for bodies in real_messages().values() for body in bodies)
    body = data.draw(mutated(seeds))
    kind = data.draw(st.sampled_from([16, 17, 20, 21, 24, 25, 28, 29, 32, 33, 80, 81, 88, 89, 0, 999]))
    events = rubbish_listener()
    length = data.draw(st.sampled_from([16 + len(body), 0, 15, 70000]))
    datagram = HEADER.pack(length, kind, 0, 0, 0) + body
    list(events._from_rtnl(memoryview(datagram), ("a",)))
    nft = HEADER.pack(length, 10 << 8 | 15, 0, 0, 0) + body
    list(events._from_nft(memoryview(nft), ("a",)))


@functools.cache
def rubbish_listener() -> Events:
    """Listens in the namespace of the test run, and changes nothing there."""
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    return Events(lambda what, netns, index: frozenset(), lambda netns, family: {ANY_ROUTE}, home)


class Anywhere:
    """Every link has index 7."""

    def index(self, netns: str, name: str) -> int:
        return 7

    def descriptor(self, netns: str) -> int | None:
        return 3 if netns else None


WORD = st.text(max_size=20) | st.sampled_from(["10.0.0.1", "fd00::1", "10.0.0.0/8", "::/0", "02:00:00:00:00:01", ""])
NUMBER = st.integers(-1, 1 << 33) | st.integers(0, 300)
PAYLOAD = st.dictionaries(st.integers(0, 70000), st.binary(max_size=9), max_size=3)
SETTINGS = st.builds(
    LinkSettings, mtu=st.none() | NUMBER, mac=st.none() | WORD, group=st.none() | NUMBER, alias=st.none() | WORD,
    name=st.none() | WORD, netns=st.none() | WORD, info=PAYLOAD, port=PAYLOAD,
)  # fmt: skip
HOPS = st.lists(st.builds(Hop, WORD, WORD, NUMBER, st.booleans()), max_size=3).map(tuple)
NEXTHOPS = st.lists(st.builds(Nexthop, WORD, NUMBER, NUMBER, st.booleans()), max_size=3).map(tuple)
ROUTE = st.builds(Route, NUMBER, NUMBER, WORD, NUMBER, st.just("unicast") | WORD, NUMBER, NUMBER, nexthops=NEXTHOPS)
RULE = st.builds(PolicyRule, NUMBER, NUMBER, NUMBER, WORD, WORD, WORD, WORD, NUMBER, NUMBER)
PAIRS = st.lists(st.tuples(NUMBER, NUMBER), max_size=3).map(tuple)
VLAN_RANGES = st.lists(st.builds(do.VlanRange, NUMBER, NUMBER, NUMBER), max_size=3).map(tuple)
ANY: dict[type[do.Operation], st.SearchStrategy[do.Operation]] = {
    do.CreateLink: st.builds(do.CreateLink, WORD, WORD, WORD | st.just("veth"), SETTINGS, WORD, WORD, WORD, SETTINGS),
    do.SetLink: st.builds(do.SetLink, WORD, WORD, SETTINGS, WORD),
    do.PutAddress: st.builds(do.PutAddress, WORD, WORD, WORD, st.booleans()),
    do.DeleteAddress: st.builds(do.DeleteAddress, WORD, WORD, WORD),
    do.RestoreAddress: st.builds(do.RestoreAddress, WORD, WORD, st.binary(max_size=40)),
    do.CreateRoute: st.builds(do.CreateRoute, WORD, NUMBER, NUMBER, WORD, NUMBER, WORD, WORD, NUMBER, HOPS),
    do.DeleteRoute: st.builds(do.DeleteRoute, WORD, ROUTE),
    do.RestorePort: st.builds(do.RestorePort, WORD, WORD, WORD, PAYLOAD),
    do.RestoreRoute: st.builds(do.RestoreRoute, WORD, st.binary(max_size=60), WORD, NUMBER),
    do.CreateRule: st.builds(do.CreateRule, WORD, RULE),
    do.DeleteRule: st.builds(do.DeleteRule, WORD, RULE),
    do.RestoreRule: st.builds(do.RestoreRule, WORD, st.binary(max_size=40)),
    do.PutNeighbor: st.builds(do.PutNeighbor, WORD, WORD, WORD, WORD, NUMBER),
    do.RestoreNeighbor: st.builds(do.RestoreNeighbor, WORD, WORD, st.binary(max_size=40)),
    do.DeleteNeighbor: st.builds(do.DeleteNeighbor, WORD, WORD, WORD),
    do.PutFdb: st.builds(do.PutFdb, WORD, WORD, WORD, WORD, NUMBER, NUMBER),
    do.DeleteFdb: st.builds(do.DeleteFdb, WORD, WORD, WORD, WORD, NUMBER, NUMBER),
    do.PutQdisc: st.builds(do.PutQdisc, WORD, WORD, WORD, NUMBER, st.binary(max_size=60)),
    do.SetVlans: st.builds(
        do.SetVlans, WORD, WORD, VLAN_RANGES, PAIRS, st.booleans(), PAIRS, st.lists(NUMBER).map(tuple)
    ),
    do.SetVnis: st.builds(do.SetVnis, WORD, WORD, PAIRS, PAIRS),
    do.DeleteQdisc: st.builds(do.DeleteQdisc, WORD, WORD, NUMBER, NUMBER),
}


def test_every_operation_of_rtnetlink_is_tried() -> None:
    assert ANY.keys() == ENCODERS.keys()


@tried(600)
@given(st.one_of(*ANY.values()))
def test_random_operations_are_encoded_or_refused(operation: do.Operation) -> None:
    try:
        requests = encode(operation, Anywhere())
    except KernelError:
        return
    assert all(isinstance(request.body, bytes) for request in requests)


def test_the_kernel_answers_random_requests(kernel: Kernel) -> None:
    @settings(max_examples=150 * FACTOR, deadline=None, database=None)
    @given(st.one_of(st.binary(max_size=60), st.just(b"")), st.sampled_from([16, 20, 24, 28, 32]))
    def requests(body: bytes, kind: int) -> None:
        tally.count("generated examples")
        with kernel.open("") as session:
            assert isinstance(session, Session)
            (answer,) = session.rtnl.request([wire.Request(kind, 0, body)])
            assert answer[0] is None or isinstance(answer[0], KernelError)

    requests()
