"""Impairments of what a link sends: ``netem`` of every end of a link, tc-netem(8). It is the link's root qdisc.

The codec is netd's own, and not a library's: it has sixty lines, says nanoseconds, and its requests share sockets and
sends with all others, so that a link never sends a packet before its impairment is there.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, Any

from netd.model.change import Phase, Step
from netd.model.desired import Desired, Observed, Origin, View
from netd.model.invalidation import WatchKey
from netd.model.key import Key, LinkName
from netd.model.marks import QDISC
from netd.model.operations import DeleteQdisc, PutQdisc
from netd.model.state import Qdisc, attributes

from .base.kind import Kind, Traits, link_by_identity, link_identity
from .base.options import Table, option
from .base.tc_values import (
    Delay,
    Jitter,
    Rate,
    Share,
    bytes_per_second,
    nanoseconds,
    share,
    shown_rate,
    shown_share,
    shown_time,
)
from .base.values import Range

#: struct tc_netem_qopt: latency (in ticks; LATENCY64 counts), limit, loss, gap, duplicate, jitter (JITTER64 counts).
HEAD = struct.Struct("=IIIIII")
#: TCA_NETEM_*, include/uapi/linux/pkt_sched.h.
CORR, REORDER, CORRUPT, LOSS, RATE, ECN, RATE64, LATENCY64, JITTER64, SLOT, SEED = 1, 3, 4, 5, 6, 7, 8, 10, 11, 12, 14
#: struct tc_netem_corr, _reorder and _corrupt (both: probability, correlation), and _rate.
CORR_FORM, PAIR, RATE_FORM = struct.Struct("=III"), struct.Struct("=II"), struct.Struct("=IiIi")
#: The name of the kernel's module, and its value where a table does not say one.
NETEM, LIMIT, NO_RATE = "netem", 1000, "none"
UNKNOWN_SEED = "unknown to this kernel (Linux 6.6 is the first that has it)"


class NetemTable(Table):
    """What a link sends is delayed, lost, changed. What is not written does not happen."""

    delay: Delay | None = option("time that each packet is held back", default=None, absent="none")
    jitter: Jitter | None = option("the delay varies by so much; requires `delay`", default=None, absent="none")
    loss: Share | None = option("packets that are lost", default=None, absent="none")
    duplicate: Share | None = option("packets that are sent twice", default=None, absent="none")
    corrupt: Share | None = option("packets in which one bit is changed", default=None, absent="none")
    reorder: Share | None = option(
        "packets that are sent at once, before those that are delayed; requires `delay`", default=None, absent="none"
    )
    rate: Rate | None = option("the speed of the link", default=None, absent="not limited")
    limit: Annotated[int, Range(1, 2**32 - 1)] | None = option(
        "packets that can be held back at once; further ones are lost", default=None, absent=f"{LIMIT}"
    )
    seed: Annotated[int, Range(0, 2**63 - 1)] | None = option(
        "start of the random numbers, for the same losses in each run; Linux 6.6", default=None, absent="random"
    )

    def check(self) -> None:
        if all(value is None for value in vars(self).values()):
            raise ValueError('netem: it says nothing: write what happens to packets, such as delay = "20ms"')
        for key in ("jitter", "reorder"):
            if getattr(self, key) not in (None, "0ms", "0%") and self.delay in (None, "0ms"):
                raise ValueError(f"{key}: without a delay it has no effect: write delay, too")


def netem_key(link: LinkName) -> Key:
    """The object that impairs what a link sends."""
    return Key(link.netns, "qdisc", link.name)


def netem_object(link: LinkName, table: NetemTable, origin: Origin) -> Desired:
    """What a link sends is impaired so."""
    return Desired(
        key=netem_key(link),
        fields=netem_fields(table),
        origins=(origin,),
        requires=(link,),
    )


def netem_fields(table: NetemTable) -> dict[str, Any]:
    """All that is compared: what is not written does not happen, and nothing else is set ("other")."""
    fields: dict[str, Any] = {
        "delay": table.delay or "0ms", "jitter": table.jitter or "0ms", "loss": table.loss or "0%",
        "duplicate": table.duplicate or "0%", "corrupt": table.corrupt or "0%", "reorder": table.reorder or "0%",
        "rate": table.rate or NO_RATE, "limit": table.limit or LIMIT, "other": "",
    }  # fmt: skip
    return fields if table.seed is None else {**fields, "seed": table.seed}


def encode_netem(fields: Mapping[str, Any]) -> bytes:
    """TCA_OPTIONS. All of it is said each time: a change leaves what is not said as it is."""
    rate = 0 if fields["rate"] == NO_RATE else bytes_per_second(fields["rate"])
    reorder = share(fields["reorder"])
    more = {
        CORR: CORR_FORM.pack(0, 0, 0),
        REORDER: PAIR.pack(reorder, 0),
        CORRUPT: PAIR.pack(share(fields["corrupt"]), 0),
        RATE: RATE_FORM.pack(min(rate, 2**32 - 1), 0, 0, 0),
        RATE64: struct.pack("=Q", rate),
        ECN: struct.pack("=I", 0),
        LATENCY64: struct.pack("=q", nanoseconds(fields["delay"])),
        JITTER64: struct.pack("=q", nanoseconds(fields["jitter"])),
    }
    if fields.get("seed") is not None:
        more[SEED] = struct.pack("=Q", fields["seed"])
    # As tc does it: a gap of one means that each packet may be the one that overtakes.
    head = HEAD.pack(0, fields["limit"], share(fields["loss"]), int(reorder > 0), share(fields["duplicate"]), 0)
    return head + b"".join(
        struct.pack("=HH", len(payload) + 4, number) + payload + bytes(-len(payload) & 3)
        for number, payload in more.items()
    )


def decode_netem(options: bytes) -> dict[str, Any]:
    """The fields of TCA_OPTIONS. "other" names what is set and no table can say."""
    if len(options) < HEAD.size:
        return {}
    _, limit, loss, gap, duplicate, _ = HEAD.unpack_from(options)
    found = attributes(options[HEAD.size :])

    def numbers(number: int, form: struct.Struct) -> tuple[int, ...]:
        raw = found.get(number, b"").ljust(form.size, b"\0")
        return form.unpack_from(raw)

    reorder, reorder_correlation = numbers(REORDER, PAIR)
    corrupt, corrupt_correlation = numbers(CORRUPT, PAIR)
    rate, *overheads = numbers(RATE, RATE_FORM)
    rate = numbers(RATE64, struct.Struct("=Q"))[0] or rate
    others = {
        "correlation": any((*numbers(CORR, CORR_FORM), reorder_correlation, corrupt_correlation)),
        "gap": gap != int(reorder > 0),
        "loss model": LOSS in found,
        "rate overhead": any(overheads),
        "ecn": any(found.get(ECN, b"")),
        "slot": any(found.get(SLOT, b"")),
    }
    seed = found.get(SEED)
    return {
        "delay": shown_time(numbers(LATENCY64, struct.Struct("=q"))[0]),
        "jitter": shown_time(numbers(JITTER64, struct.Struct("=q"))[0]),
        "loss": shown_share(loss),
        "duplicate": shown_share(duplicate),
        "corrupt": shown_share(corrupt),
        "reorder": shown_share(reorder),
        "rate": shown_rate(rate) if rate else NO_RATE,
        "limit": limit,
        "seed": UNKNOWN_SEED if seed is None else int.from_bytes(seed[:8], sys.byteorder),
        "other": ", ".join(name for name, is_set in others.items() if is_set),
    }


class QdiscKind(Kind):
    """qdisc/DEV."""

    name = "qdisc"
    traits = Traits(has_mark=True, guard_fields=frozenset({"other"}))

    def observe(
        self, key: Key, locator: Mapping[str, Any], view: View, identity: Mapping[str, Any] = MappingProxyType({})
    ) -> Observed | None:
        link = link_by_identity(LinkName(key.netns, key.name), identity, view)
        found = view.qdisc(key.netns, link.index) if link is not None else None
        if link is None or found is None:
            return None
        is_netem = found.kind == NETEM
        return Observed(
            fields=decode_netem(found.options) if is_netem else {},
            identity={"cookie": view.cookie(key.netns), "index": link.index},
            marked=found.handle == QDISC,
            conflict="" if is_netem else f"a root qdisc {found.kind} ('tc qdisc show dev {link.name}' shows it)",
            renamed_away=link.name != key.name,
            handle=found,
        )

    def expected_identity(self, key: Key, locator: Mapping[str, Any], view: View) -> Mapping[str, Any] | None:
        return link_identity(LinkName(key.netns, key.name), view)

    def watch_keys(self, key: Key, locator: Mapping[str, Any]) -> Iterable[WatchKey]:
        return (WatchKey("link", key.netns, key.name), WatchKey("qdisc", key.netns, key.name))

    def marked(self, netns: str, view: View) -> Iterable[tuple[Key, Mapping[str, Any]]]:
        for link in view.links(netns):
            found = view.qdisc(netns, link.index)
            if found is not None and found.handle == QDISC:
                yield Key(netns, self.name, link.name), {}

    def create(self, desired: Desired, view: View, memory: Mapping[str, Any]) -> Sequence[Step]:
        return self._put(desired.key, QDISC, desired.fields)

    def _put(self, key: Key, handle: int, fields: Mapping[str, Any]) -> Sequence[Step]:
        # Before the link is set up: its first packet is impaired, too.
        return [Step(Phase.LINK_SYSCTL, PutQdisc(key.netns, key.name, NETEM, handle, encode_netem(fields)))]

    def change(
        self, key: Key, locator: Mapping[str, Any], observed: Observed, fields: Mapping[str, Any], view: View
    ) -> Sequence[Step]:
        found: Qdisc = observed.handle
        known = {name: value for name, value in observed.fields.items() if value != UNKNOWN_SEED}
        steps = self._put(key, found.handle, {**known, **fields})
        # What no table can say has no value that takes it back: only a new one is without it.
        return [*self.delete(key, locator, observed, view), *steps] if "other" in fields else steps

    def delete(self, key: Key, locator: Mapping[str, Any], observed: Observed, view: View) -> Sequence[Step]:
        found: Qdisc = observed.handle
        return [Step(Phase.LINK_SYSCTL, DeleteQdisc(key.netns, key.name, found.handle, found.index))]
