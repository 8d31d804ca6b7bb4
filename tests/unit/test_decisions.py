"""The decision on one declared object: each check, and which of them comes first."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from netd.engine.compare.checks import Case, decide
from netd.engine.ownership.rules import May
from netd.kinds import registry
from netd.model.change import Change, FieldDiff
from netd.model.desired import Desired, Observed, Origin
from netd.model.key import Key
from netd.model.status import State

KEY = Key("", "vxlan", "vx0")
DESIRED = Desired(KEY, {"vni": 7, "mtu": 1450, "master": "br0"}, (Origin("/etc/netd/a.toml", ("vxlan", "vx0")),))
REDUCED = replace(DESIRED, fields={"vni": 7, "mtu": 1450})
FOUND = Observed({"vni": 7, "mtu": 1450, "master": "br0"}, {"index": 3})
OTHER = replace(FOUND, conflict="a dummy link of this name")
MTU = {"mtu": FieldDiff(1450, 1500)}
VNI = {"vni": FieldDiff(7, 5)}
OWN = May.KEEP | May.REPLACE | May.DELETE
LEAVING = Change(KEY, "update")


def case(**parts: Any) -> Case:
    whole: dict[str, Any] = {
        "desired": DESIRED, "reduced": DESIRED, "kind": registry()["vxlan"], "observed": FOUND, "may": OWN,
        "owes_restore": False, "missing": "", "reduced_by": "", "owner": "", "blocked": False, "leaving": None,
        "differing": {},
    }  # fmt: skip
    return Case(**whole | parts)


DECISIONS: dict[str, tuple[Case, State, str, str]] = {
    # name: (what is known, the state, the beginning of the reason, what is done)
    "as declared": (case(), State.OK, "", ""),
    "a foreign one as declared": (case(may=May(0)), State.OK, "", ""),
    "as declared, but reduced": (case(reduced_by="waits for br0"), State.PENDING, "waits for br0", ""),
    "differs": (case(differing=MTU), State.OK, "", "update"),
    "a foreign one differs": (case(differing=MTU, may=May(0)), State.OK, "", "update"),
    "differs, and is reduced": (case(differing=MTU, reduced_by="waits for br0"), State.PENDING, "waits for", "update"),
    "differs, and something is to be restored on it": (case(owes_restore=True), State.OK, "", "update"),
    "differs, and its link failed": (
        case(differing=MTU, missing="waits for eth1 (it failed)", blocked=True), State.PENDING, "waits for eth1", "",
    ),
    "differs, and waits for a link that did not fail": (
        case(differing=MTU, missing="waits for eth1"), State.OK, "", "update",
    ),
    "cannot be changed in place": (case(differing=VNI), State.OK, "", "recreate"),
    "cannot be changed in place, in the place of netd's own": (
        case(differing=VNI, may=May.REPLACE), State.OK, "", "recreate",
    ),
    "a foreign one cannot be changed in place": (case(differing=VNI, may=May(0)), State.CONFLICT, "the ", ""),
    "that is a conflict also while a link failed": (
        case(differing=VNI, may=May(0), missing="waits for eth1", blocked=True), State.CONFLICT, "the ", "",
    ),
    "not there": (case(observed=None), State.OK, "", "create"),
    "not there, and will be reduced": (
        case(observed=None, reduced=REDUCED, reduced_by="waits for br0"), State.PENDING, "waits for br0", "create",
    ),
    "not there, and waits": (case(observed=None, missing="waits for eth1"), State.PENDING, "waits for eth1", ""),
    "not there, and not netd's to make": (
        case(observed=None, owner="waits for vx0"), State.PENDING, "waits for vx0", "",
    ),
    "something else in the place of netd's own": (case(observed=OTHER), State.OK, "", "recreate"),
    "something else, and it waits": (
        case(observed=OTHER, missing="waits for eth1"), State.PENDING, "waits for eth1", "",
    ),
    "something else that is foreign": (
        case(observed=OTHER, may=May(0), missing="waits for eth1"), State.CONFLICT, "a dummy link of this name", "",
    ),
    "with residue": (case(observed=replace(FOUND, residue="its name")), State.OK, "", "update"),
    "with residue, and waits": (
        case(observed=replace(FOUND, residue="its name"), missing="waits"), State.PENDING, "waits", "update",
    ),
    "on a link that was renamed": (case(leaving=LEAVING, observed=OTHER), State.PENDING, "is removed", "update"),
}  # fmt: skip


@pytest.mark.parametrize("name", DECISIONS)
def test_each_case_has_one_decision(name: str) -> None:
    each, state, reason, action = DECISIONS[name]
    decision = decide(each)
    assert decision.state is state
    assert decision.reason.startswith(reason) and bool(decision.reason) is bool(reason)
    assert (decision.change.action if decision.change is not None else "") == action


def test_what_is_created_reduced_is_created_with_what_can_be_had() -> None:
    change = decide(case(observed=None, reduced=REDUCED, reduced_by="waits for br0")).change
    assert change is not None and change.desired == REDUCED
    assert dict(change.fields) == {"vni": FieldDiff(7, None), "mtu": FieldDiff(1450, None)}


def test_a_foreign_one_is_changed_as_a_foreign_one() -> None:
    for may, own in ((OWN, True), (May(0), False)):
        change = decide(case(differing=MTU, may=may)).change
        assert change is not None and change.observed is not None and change.observed.includes_own is own


def test_a_conflict_says_what_differs_and_that_netd_did_not_make_it() -> None:
    reason = decide(case(differing={**VNI, **MTU}, may=May(0))).reason
    assert "vni is 5, not 7" in reason and "mtu" not in reason and "netd did not" in reason
