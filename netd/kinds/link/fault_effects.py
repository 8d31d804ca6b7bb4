"""What the faults of a link change in the objects that are declared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from netd.kinds.base.reading import checked
from netd.kinds.qdisc import NetemTable, netem_key, netem_object
from netd.model.desired import Desired
from netd.model.fault import Fault
from netd.model.key import Key


def checked_netem(netem: Mapping[str, Any]) -> None:
    """ValueError where that is no impairment."""
    checked(NetemTable, dict(netem))


def with_fault(desired: Mapping[Key, Desired], provider: Desired, fault: Fault, now: float) -> Iterable[Desired]:
    """The objects that are other ones while a link has that fault; ``provider`` declares the link."""
    end = next(end for end in provider.ends if end.link == fault.link)
    if fault.form == "netem":
        made = netem_object(fault.link, checked(NetemTable, dict(fault.netem)), provider.origins[0])
        before = desired.get(made.key)
        yield made if before is None else replace(before, fields=made.fields)
    elif fault.is_down(now):
        yield replace(provider, fields={**provider.fields, end.up_field: False})


def faulty_objects(provider: Key, fault: Fault) -> Iterable[Key]:
    """The objects at which a fault is shown: its link, and what impairs that."""
    yield provider
    if fault.form == "netem":
        yield netem_key(fault.link)
