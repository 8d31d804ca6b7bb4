"""Faults on purpose, as functions of time."""

from __future__ import annotations

from pathlib import Path

import pytest

from netd.engine.faults import Faults
from netd.model.fault import Fault
from netd.model.key import LinkName
from tests.support.labs import declared

LINK = LinkName("a", "eth0")
LAB = '[namespace.a.veth.eth0]\nmtu = 1400\npeer = { name = "p" }\n'


def flap(times: int = 0, until: float | None = None) -> Fault:
    return Fault(LINK, "flap", began=100.0, down=1.0, up=4.0, times=times, until=until)


@pytest.mark.parametrize(
    ("now", "down", "following"),
    [(100.0, True, 101.0), (100.9, True, 101.0), (101.0, False, 105.0), (104.9, False, 105.0), (105.0, True, 106.0)],
)
def test_a_flapping_link_keeps_the_beat_of_the_clock(now: float, down: bool, following: float) -> None:
    assert (flap().is_down(now), flap().next_change(now)) == (down, following)


def test_it_ends_after_so_many_times_or_at_its_time_whichever_comes_first() -> None:
    assert flap().end is None
    assert flap(times=3).end == 111.0
    assert flap(times=3, until=104.0).end == 104.0
    assert not flap(times=3).is_over(110.9) and flap(times=3).is_over(111.0)
    assert [flap(times=3).done(now) for now in (100.0, 104.9, 105.0, 110.0)] == [1, 1, 2, 3]


def test_a_link_has_one_fault_of_each_sort_and_they_are_read_again_as_they_were(tmp_path: Path) -> None:
    path = str(tmp_path / "faults.json")
    faults = Faults(path)
    netem = Fault(LINK, "netem", 5.0, 9.0, netem={"delay": "50ms", "limit": 7})
    assert faults.put(Fault(LINK, "down", 1.0)) is None
    assert faults.put(netem) is None
    assert faults.put(flap(times=2)) == Fault(LINK, "down", 1.0)
    assert Faults(path).all() == faults.all() == [netem, flap(times=2)]
    assert Faults(path).drop_over(9.0) == [netem]
    assert Faults(path).all() == [flap(times=2)]


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"boot": 1}', '{"boot": "another", "faults": [{"link": ["a", "b"]}]}']
)
def test_a_file_that_makes_no_sense_or_is_of_another_boot_has_no_faults(text: str, tmp_path: Path) -> None:
    path = tmp_path / "faults.json"
    path.write_text(text)
    assert Faults(str(path)).all() == []


def test_only_what_the_fault_names_is_another_one() -> None:
    desired = declared(LAB)
    faults = Faults()
    assert faults.applied(desired, 0.0) is desired
    faults.put(Fault(LINK, "down", 1.0, until=5.0))
    faults.put(Fault(LinkName("", "p"), "netem", 1.0, netem={"loss": "1%"}))
    faults.put(Fault(LinkName("", "gone"), "down", 1.0))
    found = faults.applied(desired, 2.0)
    differing = {str(key) for key in found if found[key] != desired.get(key)}
    assert differing == {"a:veth/eth0", "qdisc/p"}
    pair = next(one for key, one in found.items() if key.kind == "veth")
    before = next(one for key, one in desired.items() if key.kind == "veth")
    assert {**pair.fields, "up": True} == before.fields and pair.fields["up"] is False
    assert {str(key) for key in faults.applied(desired, 5.0)} - {str(key) for key in desired} == {"qdisc/p"}
    shown = faults.shown({link: one.key for one in desired.values() for link in one.provides}, 2.0)
    assert {str(key): text for key, text in shown.items()} == {
        "a:veth/eth0": "p: netem loss=1%, until it is cleared; a:eth0: down, 3 s left",
        "qdisc/p": "p: netem loss=1%, until it is cleared",
    }
