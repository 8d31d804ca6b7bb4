"""The faults that are to be kept, and the file that they are in.

They live as long as the kernel's state, as the ledger does: a restart of the daemon does not end them, a reboot does.
Times are those of the monotonic clock, which begins with the boot; the file says with which.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from netd.kinds.link.fault_effects import checked_netem, faulty_objects, with_fault
from netd.model.desired import Desired
from netd.model.fault import Fault, Sort
from netd.model.key import Key, LinkName

FILE = "faults.json"
BOOT = Path("/proc/sys/kernel/random/boot_id")
#: A link and the sort of its fault.
Slot = tuple[LinkName, Sort]


class Faults:
    """The faults of all links, in the file ``path`` ("": in memory only). A file that makes no sense has none."""

    def __init__(self, path: str = "") -> None:
        self._path = path
        self._faults: dict[Slot, Fault] = {}
        #: Why the file cannot be written, "" while it can.
        self.trouble = ""
        if path:
            with suppress(OSError, ValueError, TypeError, LookupError, AttributeError):
                raw = json.loads(Path(path).read_text(encoding="utf-8"))
                if raw["boot"] == boot():
                    for one in map(read_fault, raw["faults"]):
                        self._faults[one.link, one.sort] = one

    def all(self) -> list[Fault]:
        """All that are kept, by their links."""
        return sorted(self._faults.values(), key=lambda one: (one.link, one.sort))

    def put(self, fault: Fault) -> Fault | None:
        """Keeps a fault, before it has an effect; returns the one that it takes the place of."""
        former = self._faults.get((fault.link, fault.sort))
        self._faults[fault.link, fault.sort] = fault
        self._write()
        return former

    def drop(self, faults: Iterable[Fault]) -> None:
        """Ends these, before that has an effect."""
        for one in faults:
            self._faults.pop((one.link, one.sort), None)
        self._write()

    def drop_over(self, now: float) -> list[Fault]:
        """Ends those whose time is over, and returns them."""
        over = [one for one in self.all() if one.is_over(now)]
        if over:
            self.drop(over)
        return over

    def next_change(self, now: float) -> float | None:
        """When the next of them changes, or ends."""
        known = [at for one in self._faults.values() if (at := one.next_change(now)) is not None]
        return min(known, default=None)

    def applied(self, desired: Mapping[Key, Desired], now: float) -> Mapping[Key, Desired]:
        """What the files declare, with what is another one because of a fault."""
        active = [one for one in self.all() if not one.is_over(now)]
        if not active:
            return desired
        links = {one.link for one in active}
        providers = {link: one.key for one in desired.values() for link in one.provides if link in links}
        found = dict(desired)
        for fault in active:
            if fault.link in providers:
                provider = found[providers[fault.link]]
                found |= {one.key: one for one in with_fault(found, provider, fault, now)}
        return found

    def shown(self, providers: Mapping[LinkName, Key], now: float) -> Mapping[Key, str]:
        """The objects that have a fault, each with a text that says which."""
        found: dict[Key, list[str]] = {}
        for fault in self.all():
            if fault.link in providers and not fault.is_over(now):
                for key in faulty_objects(providers[fault.link], fault):
                    found.setdefault(key, []).append(f"{fault.link}: {fault.text(now)}")
        return {key: "; ".join(texts) for key, texts in found.items()}

    def _write(self) -> None:
        if not self._path:
            return
        fresh = f"{self._path}.new"
        text = json.dumps({"boot": boot(), "faults": [asdict(one) for one in self.all()]}, indent=1)
        try:
            Path(fresh).write_text(text, encoding="utf-8")
            os.replace(fresh, self._path)
            self.trouble = ""
        except OSError as error:
            self.trouble = f"{self._path} cannot be written: {error.strerror}"


def boot() -> str:
    """What tells this boot from all others."""
    with suppress(OSError):
        return BOOT.read_text().strip()
    return ""


def read_fault(raw: Mapping[str, Any]) -> Fault:
    """A fault of the file, or of a request; ValueError, TypeError, LookupError where it is none."""
    fault = Fault(
        link=LinkName(str(raw["link"][0]), str(raw["link"][1])),
        form=raw["form"],
        began=float(raw["began"]),
        until=None if raw.get("until") is None else float(raw["until"]),
        netem=dict(raw.get("netem") or {}),
        down=float(raw.get("down", 0)),
        up=float(raw.get("up", 0)),
        times=int(raw.get("times", 0)),
    )
    if fault.form not in ("down", "flap", "netem"):
        raise ValueError(f"there is no fault '{fault.form}'")
    if fault.form == "netem":
        checked_netem(fault.netem)
    if fault.form == "flap" and (min(fault.down, fault.up) < 0.1 or fault.times < 0):
        raise ValueError("a link flaps ten times in a second at most: --down and --up are 100ms or more")
    return fault
