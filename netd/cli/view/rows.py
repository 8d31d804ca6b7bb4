"""Sections of rows: a table by rich on a terminal, aligned columns in a pipe. The text is the same."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from netd.config import printable

from .style import STATE_COLORS, has_color

if TYPE_CHECKING:
    from rich.console import Console

#: Between two columns.
GAP = "  "


@dataclass(frozen=True, slots=True)
class Row:
    """``cells`` begin with a state, which decides the color; ``below`` are lines under the row, such as errors."""

    cells: tuple[str, ...]
    below: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Section:
    """Rows below the heads of their columns; ``more`` says what was left out."""

    heads: tuple[str, ...]
    rows: Sequence[Row]
    more: str = ""


def show(head: str, sections: Sequence[Section]) -> None:
    """Prints them."""
    print("\n".join(lines_of(head, sections)))


def lines_of(head: str, sections: Sequence[Section]) -> list[str]:
    """The first line, then the sections that are not empty, as the lines of this terminal or of a pipe."""
    sections = [each for each in sections if each.rows or each.more]
    if has_color(sys.stdout):
        return _colored(head, sections)
    found = [safe(head)]
    for section in sections:
        found += ["", *plain_lines(section)]
    return found


def safe(text: str) -> str:
    """The text with control characters escaped, so that it cannot move the cursor."""
    return printable(text.replace("\t", "    "))


def plain_lines(section: Section) -> Iterator[str]:
    """The lines of a section, with aligned columns."""
    table = [section.heads, *(tuple(map(safe, row.cells)) for row in section.rows)]
    widths = [max(len(cells[number]) for cells in table) for number in range(len(section.heads))]
    lines = [GAP.join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip() for cells in table]
    for line, below in zip(lines, [(), *(row.below for row in section.rows)], strict=True):
        yield line
        yield from (f"    {safe(each)}".rstrip() for each in below)
    if section.more:
        yield section.more


def _colored(head: str, sections: Sequence[Section]) -> list[str]:
    # Takes a tenth of a second: nothing else imports it.
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, markup=False, emoji=False)
    state, colon, rest = safe(head).partition(":")
    with console.capture() as captured:
        console.print(Text.assemble((state, f"bold {STATE_COLORS.get(state, '')}".strip()), colon, rest))
        for section in sections:
            console.print()
            _print_table(console, section)
            if section.more:
                console.print(Text(section.more, "dim"))
    return [line.rstrip() for line in captured.get().splitlines()]


def _print_table(console: Console, section: Section) -> None:
    """Lines under a row have the whole width: there the table ends, and goes on without its heads."""
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    widths = _widths(section, console.width)

    def table(heads: bool) -> Table:
        made = Table(box=None, pad_edge=False, padding=(0, len(GAP), 0, 0), header_style="bold", show_header=heads)
        for name, width in zip(section.heads, widths, strict=True):
            made.add_column(name, width=width, overflow="fold")
        return made

    part = table(heads=True)
    for row in section.rows:
        first, *others = map(safe, row.cells)
        part.add_row(Text(first, STATE_COLORS.get(first, "")), *(Text(each) for each in others))
        if row.below:
            console.print(part)
            console.print(Padding(Text("\n".join(map(safe, row.below))), (0, 0, 0, 4)))
            part = table(heads=False)
    if part.row_count:
        console.print(part)


def _widths(section: Section, columns: int) -> Sequence[int]:
    """As wide as their widest cell; where that is too much, the two widest share what the others leave."""
    from rich.cells import cell_len

    table = [section.heads, *(row.cells for row in section.rows)]
    widths = [max(cell_len(safe(cells[number])) for cells in table) for number in range(len(section.heads))]
    room = columns - len(GAP) * len(widths)
    if sum(widths) > room:
        narrow, wide = sorted(range(len(widths)), key=lambda number: widths[number])[-2:]
        room -= sum(widths) - widths[narrow] - widths[wide]
        widths[narrow] = max(1, min(widths[narrow], room // 2))
        widths[wide] = max(1, room - widths[narrow])
    return widths
