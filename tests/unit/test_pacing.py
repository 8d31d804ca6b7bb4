"""When an object may be touched again."""

from __future__ import annotations

from netd.engine.status.backoff import CONTENDED_LONGEST, REFILL, RETRY_FIRST, RETRY_LONGEST, Backoff
from netd.engine.status.objects import BUDGET, ObjectStates
from netd.engine.status.table import StatusTable
from netd.model.key import Key

KEY = Key("", "bridge", "br0")
OTHER = Key("", "bridge", "br1")


def test_a_failure_waits_longer_each_time_but_never_more_than_a_minute() -> None:
    pacing, now, waits = Backoff({}), 0.0, []
    for _ in range(12):
        pacing.failed(KEY, now)
        due = pacing.next_due()
        assert due is not None
        waits.append(round(due - now, 6))
        now = due
    assert waits[:3] == [RETRY_FIRST, 2 * RETRY_FIRST, 4 * RETRY_FIRST]
    assert waits[-1] == RETRY_LONGEST
    assert sorted(waits) == waits


def test_an_event_brings_a_failed_object_forward() -> None:
    pacing = Backoff({})
    for _ in range(10):
        pacing.failed(KEY, 0.0)
    pacing.relevant_events([KEY], 1.0)
    assert not pacing.due([KEY], 1.0)
    assert pacing.due([KEY], 1.0 + RETRY_FIRST)


def test_ten_repairs_in_a_row_are_granted_the_next_are_not() -> None:
    pacing = Backoff({})
    granted = [not pacing.repaired(KEY, 0.0) for _ in range(int(BUDGET) + 3)]
    assert granted.count(True) in (BUDGET - 1, BUDGET)
    assert granted[-1] is False
    assert pacing.due([OTHER], 0.0)


def test_repairs_of_a_contended_object_become_rarer() -> None:
    pacing, now = Backoff({}), 0.0
    while not pacing.repaired(KEY, now):
        pass
    pauses = []
    for _ in range(10):
        due = pacing.next_due()
        assert due is not None
        pauses.append(due - now)
        now = due
        pacing.repaired(KEY, now)
    assert pauses == sorted(pauses)
    assert pauses[0] == 1.0
    assert pauses[-1] == CONTENDED_LONGEST


def test_a_fight_that_is_over_is_forgotten() -> None:
    pacing, now = Backoff({}), 0.0
    while not pacing.repaired(KEY, now):
        pass
    assert pacing.contended(KEY, now)
    assert not pacing.contended(KEY, now + 2 * REFILL)


def test_who_waited_is_named_once() -> None:
    pacing = Backoff({})
    pacing.failed(KEY, 0.0)
    assert pacing.take_due(0.01) == set()
    assert pacing.take_due(5.0) == {KEY}
    assert pacing.take_due(5.0) == set()
    assert pacing.next_due() is None


def test_a_reset_object_waits_for_nothing() -> None:
    states: ObjectStates = {}
    backoff = Backoff(states)
    backoff.failed(KEY, 0.0)
    backoff.reset(KEY)
    assert backoff.next_due() is None
    assert backoff.due([KEY], 0.0)
    StatusTable(states, lambda key: "", lambda status, before: None).keep([])
    assert not states
