"""Whose an object is: each cell of the table, and what netd does with a real object in that cell."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product

import pytest

from netd.engine.ownership.rules import (
    STATES,
    TABLE,
    Identity,
    May,
    Proof,
    RecordState,
    lacks_displaced,
    ownership,
    proof_of,
)
from netd.engine.record import Record
from netd.engine.scope import Scope
from netd.kinds import registry
from netd.model.change import Change
from netd.model.desired import Observed
from netd.model.key import Key
from netd.model.status import State
from tests.support.labs import declared
from tests.support.world import World, world

Cell = tuple[Proof, RecordState, bool, Identity]
CELLS: list[Cell] = list(product(Proof, STATES, (True, False), Identity))
KINDS = {Proof.LINK: "bridge", Proof.MARK: "route", Proof.IDENTITY: "address", Proof.KIND: "nat"}


def name_of(cell: Cell) -> str:
    proof, state, marked, identity = cell
    return f"{proof.value}-{state}-{'marked' if marked else 'unmarked'}-{identity.value}"


def is_kept(proof: Proof, state: RecordState, marked: bool, identity: Identity) -> bool:
    """The rule of the documents, in words of its own."""
    if proof is Proof.KIND:
        return True
    if marked and (proof is not Proof.IDENTITY or state in ("none", "intent")):
        return True  # any other mark counts only where the ledger says nothing else
    if state == "made" and identity is Identity.UNREAD:
        return True  # the kernel took it a moment ago
    if identity is not Identity.SAME or state not in ("intent", "made"):
        return False
    if proof is Proof.MARK:
        return False  # the place is netd's, but what stands there is not: it would carry the mark
    return proof is Proof.IDENTITY or state == "made"  # a link is known by its index also without the mark


def is_deleted(proof: Proof, state: RecordState, marked: bool, identity: Identity) -> bool:
    """No mark where there should be one, or another identity: it is left alone."""
    if state == "adopted":
        return False
    if proof is Proof.KIND:
        return marked
    if state in ("none", "intent") or identity is Identity.UNREAD:
        return marked or (state == "intent" and proof is Proof.IDENTITY and identity is Identity.SAME)
    return identity is Identity.SAME and (marked or proof is Proof.IDENTITY)


@pytest.mark.parametrize("cell", CELLS, ids=name_of)
def test_each_cell_is_what_the_rule_says(cell: Cell) -> None:
    kept, deleted = is_kept(*cell), is_deleted(*cell)
    replaced = kept or cell[1] == "made"
    assert TABLE[cell] == (May.KEEP if kept else May(0)) | (May.REPLACE if replaced else May(0)) | (
        May.DELETE if deleted else May(0)
    )


def test_the_table_has_a_cell_for_everything_and_each_kind_a_proof() -> None:
    assert set(TABLE) == set(CELLS)
    assert {kind.name for kind in registry().values() if proof_of(kind) is Proof.LINK} >= {"bridge", "veth", "vxlan"}
    assert {proof_of(registry()[name]) for name in KINDS.values()} == set(Proof)


@pytest.mark.parametrize("cell", CELLS, ids=name_of)
def test_records_and_observations_find_their_cell(cell: Cell) -> None:
    proof, state, marked, identity = cell
    known = {Identity.SAME: {"cookie": 7}, Identity.OTHER: {"cookie": 8}, Identity.UNREAD: {}}[identity]
    record = None if state == "none" else Record(state, identity=known)
    if record is None and identity is not Identity.UNREAD:
        return
    found = Observed({}, {"cookie": 7, "index": 3}, marked=marked)
    assert ownership(record, found, registry()[KINDS[proof]]).may == TABLE[cell]


def test_of_several_routes_of_one_key_the_first_is_kept_and_netds_is_deleted() -> None:
    record, found = Record("made", identity={"cookie": 7}), Observed({}, {"cookie": 7}, includes_own=True)
    assert ownership(record, found, registry()["route"]).may == May.REPLACE | May.DELETE
    assert ownership(Record("adopted", identity={"cookie": 7}), found, registry()["route"]).may == May(0)


@pytest.mark.parametrize(
    ("found", "lacks"),
    [
        (None, True),
        (Observed({}, displaced=("a",)), True),
        (Observed({}, displaced=("a", "b")), False),
        (Observed({}, displaced=("a",), marked=True), False),
        (Observed({}), False),
    ],
    ids=["nothing there", "one of two is back", "both are back", "netd's own is there", "something else is there"],
)
def test_what_was_displaced_is_missing_once_netds_own_is_gone(found: Observed | None, lacks: bool) -> None:
    assert lacks_displaced(Record("made", displaced=("a", "b")), found) is lacks


# The same cells as an operator meets them: a real object of each kind, whose record and mark are changed behind netd.

SUBJECTS: dict[Proof, tuple[Key, str]] = {
    Proof.LINK: (Key("", "vxlan", "vx0"), '[vxlan.vx0]\nvni = 24\ndev = "eth0"\n'),
    Proof.MARK: (Key("", "route", "main/10.77.0.0/16/0"), '[[route]]\nto = "10.77.0.0/16"\ndev = "eth0"\n'),
    Proof.IDENTITY: (Key("", "address", "eth0/10.77.0.1/24"), '[interface.eth0]\naddresses = ["10.77.0.1/24"]\n'),
}
#: Cells that can be met: without a record there is no identity.
MET = [cell for cell in CELLS if cell[0] in SUBJECTS and (cell[1] != "none" or cell[3] is Identity.UNREAD)]


def remove_mark(each: World, proof: Proof) -> None:
    space = each.machine.space("")
    if proof is Proof.LINK:
        link = space.named("vx0")
        assert link is not None
        space.put(link, group=0)
    elif proof is Proof.MARK:
        space.routes = [replace(one, protocol=3) if one.to == "10.77.0.0/16" else one for one in space.routes]
    else:
        addresses = space.addresses[each.index("", "eth0")]
        addresses["10.77.0.1/24"] = replace(addresses["10.77.0.1/24"], protocol=0)


@pytest.fixture
def cell_world(cell: Cell) -> Iterator[World]:
    """A world in which netd, newly started, finds the object of a cell."""
    proof, state, marked, identity = cell
    key, text = SUBJECTS[proof]
    with world() as each:
        each.take(text)
        each.settle()
        record = each.engine.ledger.get(key)
        assert record is not None and record.state == "made"
        if state == "none":
            each.engine.ledger.forget(key)
        else:
            changed = {
                Identity.SAME: record.identity,
                Identity.UNREAD: {},
                Identity.OTHER: {**record.identity, "cookie": -1},
            }[identity]
            each.engine.ledger.put(key, replace(record, state=state, identity=changed))
        if not marked:
            remove_mark(each, proof)
        each.engine.ledger.flush()
        each.stop()
        each.start()
        yield each


def compared(each: World, key: Key, text: str) -> tuple[Change | None, State | None]:
    """What netd would do to the object, and its state."""
    each.engine.set_desired(declared(text))
    changes, rows = each.engine.compare(Scope())
    return (
        next((one for one in changes if one.key == key), None),
        next((row.state for row in rows if row.key == key), None),
    )


@pytest.mark.parametrize("cell", MET, ids=name_of)
def test_what_is_no_longer_declared_is_deleted_or_left_alone(cell_world: World, cell: Cell) -> None:
    key, _ = SUBJECTS[cell[0]]
    change, _ = compared(cell_world, key, "")
    orphans = cell_world.engine.find_orphans()
    if cell[1] == "none":
        assert change is None
        # An address carries a mark on newer kernels only, so none is looked for by it.
        assert (key in orphans) is (May.DELETE in TABLE[cell] and cell[0] is not Proof.IDENTITY)
    else:
        assert (change is not None and change.action == "delete") is (May.DELETE in TABLE[cell])
        assert key not in orphans


@pytest.mark.parametrize("cell", MET, ids=name_of)
def test_what_is_as_declared_is_netds_own_or_adopted(cell_world: World, cell: Cell) -> None:
    key, text = SUBJECTS[cell[0]]
    cell_world.take(text)
    cell_world.settle()
    record = cell_world.engine.ledger.get(key)
    assert record is not None and record.state == ("made" if May.KEEP in TABLE[cell] else "adopted")
    assert not cell_world.states()


@pytest.mark.parametrize("cell", [cell for cell in MET if cell[0] is Proof.LINK], ids=name_of)
def test_what_cannot_be_changed_in_place_is_recreated_or_a_conflict(cell_world: World, cell: Cell) -> None:
    key, text = SUBJECTS[cell[0]]
    change, state = compared(cell_world, key, text.replace("24", "25"))
    if May.REPLACE in TABLE[cell]:
        assert change is not None and change.action == "recreate" and state is State.OK
    else:
        assert change is None and state is State.CONFLICT
