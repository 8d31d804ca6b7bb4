"""The lines of ``netd watch``: one ring for all readers, and a reader that is too slow knows what it has lost."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from netd.daemon import feed as module
from netd.daemon.feed import HISTORY, Feed
from netd.model.change import Change, ChangeResult, FieldDiff
from netd.model.key import Key
from netd.model.status import State, Status
from netd.report.turns import Turns


def feed() -> Feed:
    rows = [Status(Key("", "bridge", "br0"), State.OK, file="/etc/netd/lab.toml")]
    return Feed(Turns(), lambda: rows, tuple, lambda: "converged")


def repair(number: int) -> ChangeResult:
    change = Change(Key("", "bridge", f"br{number}"), "update", {"mtu": FieldDiff(1400, number)})
    return ChangeResult(change, 1, 0.001, drift=True)


async def take(reader: AsyncGenerator[bytes, None], number: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while len(found) < number:
        found += map(json.loads, (await anext(reader)).splitlines())
    return found


def test_a_reader_gets_the_state_and_then_what_happened_since_it_came() -> None:
    async def story() -> None:
        one = feed()
        one.done(repair(1))
        reader = one.lines(state=True)
        whole, row = await take(reader, 2)
        assert (whole["type"], whole["state"], row["object"], row["state"]) == (
            "state",
            "converged",
            "bridge/br0",
            "ok",
        )
        one.done(repair(2))
        one.state(Status(Key("", "bridge", "br2"), State.CONTENDED, "ten repairs"), State.OK)
        change, state = await take(reader, 2)
        assert (change["object"], change["fields"]) == ("bridge/br2", {"mtu": {"want": 1400, "have": 2}})
        assert (state["type"], state["state"], state["reason"]) == ("object", "contended", "ten repairs")

    asyncio.run(story())


def test_a_slow_reader_is_reported_how_many_lines_it_lost_and_a_fast_one_loses_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "RING", 256)

    async def story() -> None:
        one = feed()
        slow, fast = one.lines(state=False), one.lines(state=False)
        both = [asyncio.ensure_future(take(each, 1)) for each in (slow, fast)]
        await asyncio.sleep(0)
        one.done(repair(0))
        await asyncio.gather(*both)
        seen: list[str] = []
        for start in range(0, 3 * 256, 64):
            for number in range(start, start + 64):
                one.done(repair(number))
            seen += [each["object"] for each in await take(fast, 64)]
        assert seen == [f"bridge/br{number}" for number in range(3 * 256)]
        (lost,) = await take(slow, 1)
        assert (lost["type"], lost["lost"]) == ("lost", 2 * 256)
        rest = await take(slow, 256)
        assert [rest[0]["object"], rest[-1]["object"]] == [f"bridge/br{2 * 256}", f"bridge/br{3 * 256 - 1}"]

    asyncio.run(story())


def test_the_last_changes_of_an_object_are_kept_without_any_reader() -> None:
    async def story() -> None:
        one = feed()
        for number in (*range(30), *[7] * 12):
            one.done(repair(number))
        found = one.changes_of([Key("", "bridge", "br7")], 10)
        assert len(found) == 10 and {each["object"] for each in found} == {"bridge/br7"}
        assert len(one.history) == 42 <= HISTORY

    asyncio.run(story())
