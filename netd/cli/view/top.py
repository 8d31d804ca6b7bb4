"""The screen of ``netd top``: rich draws it, keys sort, filter, and open ``netd show``."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from netd.errors import NetdError

from .keyboard import Keyboard
from .load import Load, Rate
from .rows import safe
from .show import show_lines
from .style import STATE_COLORS
from .watch import event_line

#: The columns by which links are sorted, in the order of the key "s".
SORTS: Mapping[str, Callable[[Rate], Any]] = {
    "rate": lambda each: -(each.rx_bits + each.tx_bits),
    "drops": lambda each: -each.drops,
    "packets": lambda each: -each.packets,
    "name": lambda each: each.link,
}
HELP = "q quit   s sort: {}   / filter: {}   up, down select   Enter show"
#: Lines that are no links: heads, events, the help.
FRAME, EVENT_LINES = 8, 6


class Screen:
    """``run`` ends with "q". ``details`` returns what ``netd show`` says of a name."""

    def __init__(
        self,
        load: Load,
        keyboard: Keyboard,
        options: argparse.Namespace,
        details: Callable[[str], Mapping[str, Any]],
    ) -> None:
        self._details = details
        self._load = load
        self._keyboard = keyboard
        self._options = options
        self._console = Console(highlight=False, markup=False, emoji=False)
        self._sort, self._filter, self._selected = "rate", "", 0
        self._typing = False

    def run(self, counters: Callable[[], dict[str, Any]]) -> int:
        """Draws the screen each interval, and after each key."""
        self._load.take(counters())
        number, due = 0, time.monotonic() + self._options.delay
        with Live(self._drawn(), console=self._console, screen=True, auto_refresh=False) as live:
            while not self._options.count or number < self._options.count:
                key = self._keyboard.key(due - time.monotonic())
                if key and not self._pressed(key, live):
                    return 0
                if time.monotonic() >= due:
                    self._load.take(counters())
                    number, due = number + 1, time.monotonic() + self._options.delay
                live.update(self._drawn(), refresh=True)
        return 0

    # keys ------------------------------------------------------------------------------------------------------

    def _pressed(self, key: str, live: Live) -> bool:
        """What a key does; False: it ends the screen."""
        if self._typing:
            self._type(key)
        elif key == "q":
            return False
        elif key == "s":
            names = list(SORTS)
            self._sort = names[(names.index(self._sort) + 1) % len(names)]
        elif key == "/":
            self._typing, self._filter = True, ""
        elif key in ("up", "k", "down", "j"):
            self._selected = max(0, self._selected + (1 if key in ("down", "j") else -1))
        elif key == "enter":
            self._open(live)
        return True

    def _type(self, key: str) -> None:
        if key in ("enter", "escape"):
            self._typing = False
            self._filter = "" if key == "escape" else self._filter
        elif key == "backspace":
            self._filter = self._filter[:-1]
        elif len(key) == 1 and key.isprintable():
            self._filter += key
        self._selected = 0

    def _open(self, live: Live) -> None:
        """``netd show`` of the selected link, until a key is pressed."""
        links = self._links()
        if not links:
            return
        chosen = links[min(self._selected, len(links) - 1)]
        try:
            document = self._details(chosen.link)
            lines = list(show_lines(document, False))
        except NetdError as error:
            lines = [f"{error}"]
        room = max(1, self._console.height - 2)
        live.update(Text("\n".join([*lines[:room], "", "any key: back"])), refresh=True)
        while not self._keyboard.key(60.0):
            pass

    # drawing ---------------------------------------------------------------------------------------------------

    def _links(self) -> list[Rate]:
        return sorted((each for each in self._load.rates if self._filter in each.link), key=SORTS[self._sort])

    def _drawn(self) -> Group:
        load = self._load
        counts = ", ".join(f"{number} {state}" for state, number in sorted(load.counts().items()))
        head = Text.assemble(
            (load.whole, f"bold {STATE_COLORS.get(load.whole, '')}".strip()),
            f"  {counts or 'nothing declared'}   {load.repairs():.1f} repairs/s",
        )
        wrong = [name for name, state in list(load.states.items()) if state != "ok"]
        troubles = [Text(safe(f"{load.states.get(n, '')} {n}: {load.reasons.get(n, '')}"), "yellow") for n in wrong[:3]]
        room = max(3, self._console.height - FRAME - EVENT_LINES - len(troubles))
        events = [Text(event_line(each, False)) for each in list(load.events)[-EVENT_LINES:]]
        shown_filter = f"{self._filter}_" if self._typing else self._filter or "none"
        return Group(
            head, *troubles, self._table(room), Text("last changes", "bold"), *events,
            Text(HELP.format(self._sort, shown_filter), "dim"),
        )  # fmt: skip

    def _table(self, room: int) -> Table:
        made = Table(box=None, pad_edge=False, header_style="bold", expand=False)
        for name in ("LINK", "RECEIVED/s", "SENT/s", "PACKETS/s", "DROPS/s"):
            made.add_column(name, justify="left" if name == "LINK" else "right", no_wrap=True)
        links = self._links()
        self._selected = min(self._selected, max(0, len(links) - 1))
        first = max(0, self._selected - room + 1)
        for number, each in enumerate(links[first : first + room], first):
            cells = (each.link, bits(each.rx_bits), bits(each.tx_bits), f"{each.packets:.0f}", f"{each.drops:.0f}")
            made.add_row(*map(safe, cells), style="reverse" if number == self._selected else "")
        return made


def bits(value: float) -> str:
    """Bits per second in a readable unit."""
    for unit in ("", "k", "M", "G"):
        if value < 1000:
            return f"{value:.0f} {unit}bit" if not unit else f"{value:.1f} {unit}bit"
        value /= 1000
    return f"{value:.1f} Tbit"
