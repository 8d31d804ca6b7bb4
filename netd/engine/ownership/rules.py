"""Whose an object is: one table, from the ledger's record, netd's mark and the identity to what netd may do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from enum import Enum, Flag
from itertools import product
from typing import Literal, NamedTuple

from netd.engine.record import Record
from netd.kinds import registry
from netd.kinds.base.kind import Kind
from netd.kinds.base.setting_kind import ValueKind
from netd.kinds.link.link_kind import LinkKind
from netd.model.desired import Desired, Observed


class May(Flag):
    """What netd may do with an object that it finds."""

    #: Declared: it is netd's own, so that what no file says is kept too (its mark, its name). Without: it is adopted.
    KEEP = 1
    #: Declared: it is recreated where it cannot be changed in place. Without: that is a conflict.
    REPLACE = 2
    #: Not declared: it is deleted; without a record it is an orphan. Without: it is left alone.
    DELETE = 4


class Proof(Enum):
    """What shows that netd made an object of some kind."""

    #: The kernel keeps netd's mark on it, and the identity is the link's itself.
    LINK = "link"
    #: The kernel keeps netd's mark on it; the identity is that of the namespace, or of the link that it is on.
    MARK = "mark"
    #: The identity. Only some kernels keep a mark on it.
    IDENTITY = "identity"
    #: Only netd creates such objects.
    KIND = "kind"


class Identity(Enum):
    """Whether the object that is found is the one that the ledger's record is about."""

    SAME = "same"
    #: The record has no identity: the object was made and not read back yet. Or there is no record.
    UNREAD = "unread"
    OTHER = "other"


RecordState = Literal["none", "intent", "made", "adopted"]
STATES: tuple[RecordState, ...] = ("none", "intent", "made", "adopted")
LETTERS = {"k": May.KEEP, "r": May.REPLACE, "d": May.DELETE, "-": May(0)}

#: {what shows it: {state of the record: one word of LETTERS for each column}}.
ROWS: Mapping[Proof, Mapping[RecordState, str]] = {
    # columns:    with netd's mark      without it
    #             same unread other     same unread other
    Proof.LINK: {
        "none":    "krd krd krd          --- --- ---",
        "intent":  "krd krd krd          --- --- ---",
        # Its mark was removed: it is still netd's own, but it is not deleted.
        "made":    "krd krd kr-          kr- kr- -r-",
        "adopted": "kr- kr- kr-          --- --- ---",
    },
    Proof.MARK: {
        "none":    "krd krd krd          --- --- ---",
        "intent":  "krd krd krd          --- --- ---",
        # netd's own was replaced: one that is as declared is adopted, another one is replaced.
        "made":    "krd krd kr-          -r- kr- -r-",
        "adopted": "kr- kr- kr-          --- --- ---",
    },
    Proof.IDENTITY: {
        "none":    "krd krd krd          --- --- ---",
        "intent":  "krd krd krd          krd --- ---",
        "made":    "krd krd -r-          krd kr- -r-",
        "adopted": "--- --- ---          --- --- ---",
    },
    Proof.KIND: {
        "none":    "krd krd krd          kr- kr- kr-",
        "intent":  "krd krd krd          kr- kr- kr-",
        "made":    "krd krd krd          kr- kr- kr-",
        "adopted": "kr- kr- kr-          kr- kr- kr-",
    },
}  # fmt: skip


def _permissions(word: str) -> May:
    may = May(0)
    for letter in word:
        may |= LETTERS[letter]
    return may


TABLE: Mapping[tuple[Proof, RecordState, bool, Identity], May] = {
    (proof, state, marked, identity): _permissions(word)
    for proof, rows in ROWS.items()
    for state, row in rows.items()
    for (marked, identity), word in zip(product((True, False), Identity), row.split(), strict=True)
}


def proof_of(kind: Kind) -> Proof:
    """What shows that netd made an object of this kind."""
    if kind.traits.never_adopted:
        return Proof.KIND
    if not kind.traits.has_mark:
        return Proof.IDENTITY
    return Proof.LINK if kind.traits.provides_links else Proof.MARK


def identity_of(record: Record | None, observed: Observed) -> Identity:
    """Whether this is the object that the record is about, as far as the record says."""
    if record is None or not record.identity:
        return Identity.UNREAD
    return Identity.SAME if record.identity.items() <= observed.identity.items() else Identity.OTHER


def found_on_another(record: Record, observed: Observed) -> bool:
    """Whether what the record holds was found on another link, or in another namespace, than this object."""
    return bool(observed.identity) and identity_of(record, observed) is Identity.OTHER


class Ownership(NamedTuple):
    """What netd may do with an object that it found, and from what that follows."""

    may: May
    proof: Proof
    identity: Identity


def ownership(record: Record | None, observed: Observed, kind: Kind) -> Ownership:
    """Whose an object is that was found."""
    proof, identity = proof_of(kind), identity_of(record, observed)
    state = record.state if record is not None else "none"
    may = TABLE[proof, state, observed.marked, identity]
    if observed.includes_own and not observed.marked:
        # Of several routes of one key netd's may not be the first: declared, that one counts; deleted is netd's.
        may |= TABLE[proof, state, True, identity] & May.DELETE
    return Ownership(may, proof, identity)


def is_own(record: Record | None, observed: Observed, kind: Kind) -> bool:
    """Whether it is netd's own, while it is declared."""
    return May.KEEP in ownership(record, observed, kind).may


def without_other(one: Desired, record: Record, observed: Observed) -> Record:
    """Without the values of another link or namespace: to this one nothing was written yet."""
    kind = registry()[one.key.kind]
    moves = isinstance(kind, LinkKind) and kind.must_leave_namespace(one.locator)
    if moves or not found_on_another(record, observed):
        return record
    return replace(record, fields={}, identity=dict(observed.identity))


def lacks_displaced(record: Record, observed: Observed | None) -> bool:
    """Whether netd's own is gone, by a netd that was killed then, and what it displaced is not restored yet."""
    there = set(observed.displaced) if observed is not None and not observed.marked else set()
    return there < set(record.displaced) and (observed is None or bool(there))


def state_before_write(kind: Kind, *, making: bool) -> Literal["intent", "adopted"]:
    """The state of a first record, before anything is written."""
    return "intent" if (making and not isinstance(kind, ValueKind)) or kind.traits.never_adopted else "adopted"


def state_as_found(record: Record | None, observed: Observed, kind: Kind) -> Literal["made", "adopted"]:
    """The state of the record of a declared object that is as it should be."""
    return "made" if is_own(record, observed, kind) else "adopted"
