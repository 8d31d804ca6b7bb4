"""What others do to what netd declares on the fake kernel, once or in a fight, and what of it is theirs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from netd.engine.status.backoff import REFILL
from netd.engine.status.objects import BUDGET
from netd.errors import KernelError
from netd.kernel.session import Answer
from netd.kinds.qdisc import NetemTable, encode_netem, netem_fields
from netd.model.key import Key
from netd.model.marks import QDISC
from netd.model.operations import (
    DeleteAddress,
    DeleteNeighbor,
    DeleteQdisc,
    LinkSettings,
    Operation,
    PutQdisc,
    RunNft,
    SetLink,
    SetVlans,
    VlanRange,
    WriteSysctl,
)
from netd.model.state import VLAN_UNTAGGED
from tests.support.labs import declared
from tests.support.world import World


@dataclass(frozen=True, repr=False)
class Harm:
    """What is done to one object, or to one field of it. Only what is declared is harmed: else it is others' business.

    ``place`` is where a value of others' own stands in a snapshot, with what is ``written`` there by this, and what was
    ``found`` before netd came.
    """

    key: Key
    field: str
    operation: Operation
    place: tuple[str, ...] = ()
    written: Any = None
    found: Any = None

    def __repr__(self) -> str:
        return f"<{self.key} {self.field}>"

    def is_declared(self, text: str) -> bool:
        """Whether netd keeps this."""
        wanted = declared(text).get(self.key)
        field = self.field or ("value" if self.key.kind == "sysctl" else "")
        return wanted is not None and (not field or field in wanted.fields)

    def forgive(self, look: Any) -> None:
        """In a snapshot: what others wrote is as good as what was found."""
        for step in self.place[:-1]:
            look = look[step]
        if look[self.place[-1]] == self.written:
            look[self.place[-1]] = self.found


LOSSY = encode_netem(netem_fields(NetemTable(loss="100%")))

HARM = (
    Harm(Key("", "bridge", "br0"), "mtu", SetLink("", "br0", LinkSettings(mtu=1290))),
    Harm(Key("", "bridge", "br0"), "", SetLink("", "br0", LinkSettings(up=False))),
    Harm(Key("a", "veth", "eth0"), "", SetLink("a", "eth0", LinkSettings(up=False))),
    Harm(Key("a", "veth", "eth0"), "", SetLink("a", "eth0", LinkSettings(name="eth7"))),
    Harm(Key("a", "veth", "eth0"), "", SetLink("", "port-a", LinkSettings(master=""))),
    Harm(Key("a", "veth", "eth0"), "", SetLink("", "port-a", LinkSettings(name="port-z"))),
    Harm(Key("a", "veth", "eth0"), "peer.bridge_port.isolated", SetLink("", "port-a", LinkSettings(port={33: b"\0"}))),
    Harm(Key("a", "qdisc", "eth0"), "", PutQdisc("a", "eth0", "netem", QDISC, LOSSY)),
    Harm(Key("a", "qdisc", "eth0"), "", DeleteQdisc("a", "eth0", QDISC)),
    Harm(Key("", "vlans", "port-a"), "", SetVlans("", "port-a", (VlanRange(7, 9, VLAN_UNTAGGED),))),
    Harm(Key("", "vlans", "port-a"), "", SetVlans("", "port-a", remove=((1, 4094),))),
    Harm(Key("", "vxlan", "vx0"), "", SetLink("", "vx0", LinkSettings(up=False))),
    Harm(Key("", "vxlan", "vx0"), "master", SetLink("", "vx0", LinkSettings(master=""))),
    Harm(Key("", "vxlan", "vx0"), "mtu", SetLink("", "vx0", LinkSettings(mtu=1290))),
    Harm(
        Key("", "interface", "eth0"),
        "mtu",
        SetLink("", "eth0", LinkSettings(mtu=1470)),
        ("", "links", "eth0", "mtu"),
        1470,
        1500,
    ),
    Harm(Key("", "address", "br0/10.1.0.254/24"), "", DeleteAddress("", "br0", "10.1.0.254/24")),
    Harm(Key("a", "address", "eth0/10.1.0.1/24"), "", DeleteAddress("a", "eth0", "10.1.0.1/24")),
    Harm(Key("a", "address", "eth0/fd01::1/64"), "", DeleteAddress("a", "eth0", "fd01::1/64")),
    Harm(Key("", "address", "eth0/10.231.0.1/24"), "", DeleteAddress("", "eth0", "10.231.0.1/24")),
    Harm(Key("", "neighbor", "br0/10.1.0.7"), "", DeleteNeighbor("", "br0", "10.1.0.7")),
    Harm(Key("", "neighbor", "eth0/10.230.4.9"), "", DeleteNeighbor("", "eth0", "10.230.4.9")),
    Harm(
        Key("", "sysctl", "net.ipv4.ip_default_ttl"),
        "",
        WriteSysctl("", "net/ipv4/ip_default_ttl", "5"),
        ("", "sysctls", "net/ipv4/ip_default_ttl"),
        "5",
        "64",
    ),
    Harm(Key("", "sysctl", "net.ipv4.conf.eth0.proxy_arp"), "", WriteSysctl("", "net/ipv4/conf/eth0/proxy_arp", "0")),
    Harm(Key("", "namespace", "a"), "ipv6", WriteSysctl("a", "net/ipv6/conf/all/disable_ipv6", "1")),
    Harm(Key("", "nat", "masquerade/ip/10.1.0.0/24,eth0"), "", RunNft("", "delete table inet netd")),
    Harm(Key("a", "nat", "snat/ip/10.1.0.1/32,*"), "", RunNft("a", "delete table inet netd")),
)


def fight(each: World, harm: Operation, seconds: float, pause: float) -> tuple[Counter[str], Counter[str]]:
    """Someone does this again and again; how often netd did what, and what it was refused how often."""
    done: Counter[str] = Counter()
    refused: Counter[str] = Counter()

    def after(operation: Operation, answer: Answer) -> None:
        (refused if isinstance(answer, KernelError) else done)[str(operation)] += 1

    each.hand.after = after
    end = each.clock.now + seconds
    while each.clock.now < end:
        each.someone_does(harm)
        each.settle(pause)
        each.clock.now += pause
    each.hand.after = lambda operation, answer: None
    return done, refused


def assert_few(fought: tuple[Counter[str], Counter[str]], seconds: float) -> None:
    """The budget of one object, and what it is refilled by, bound its writes; what hangs on it is tried with it."""
    done, refused = (counts.most_common(1) for counts in fought)
    assert not done or done[0][1] <= BUDGET + seconds / REFILL, done
    assert not refused or refused[0][1] <= 3 * (BUDGET + seconds / REFILL), refused
