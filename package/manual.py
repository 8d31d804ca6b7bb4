"""Writes the manual pages, in markdown, from the reference documentation: ``python package/manual.py netd.8``.

The text comes from docs/reference/*.md. Tables become lists of terms, as usual in manual pages. For netd(8), the
arguments of each command come from its parser, as in ``--help``.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from completion import verbs_of

from netd import __version__
from netd.cli.main import VERBS, build_parser

DOCS = Path(__file__).resolve().parent.parent / "docs" / "reference"
#: {page: (one-line description, sections)}. A section is (document, heading), in the order of the page; a heading that
#: has a name of its own in manual pages is renamed.
PAGES = {
    "netd.8": (
        "builds and repairs the virtual network that /etc/netd declares",
        [
            ("config", "Exit status"), ("config", "Changes with confirmation"),
            ("config", "JSON"), ("config", "Object names and states"), ("service", ""),
            ("config", "Environment"), ("config", "Paths"), ("../../README", "Everyday commands"),
        ],
    ),
    "netd.toml.5": (
        "the configuration files in /etc/netd",
        [
            ("config", name)
            for name in (
                "Files", "Namespaces and the host", "Hosts", "Patterns and variables", "Links",
                "Routes, rules and neighbors", "Sysctls", "Address translation", "Firewalls", "Checks",
                "Errors and warnings", "Ownership", "Examples",
            )
        ],
    ),
}  # fmt: skip
RENAMED = {"PATHS": "FILES", "EVERYDAY COMMANDS": "EXAMPLES"}
SEE = {
    "netd.8": "netd.toml(5), ip-netns(8), nft(8), systemd.service(5), journalctl(1)",
    "netd.toml.5": "netd(8), ip-link(8), ip-route(8), ip-rule(8), ip-neighbour(8), sysctl.d(5), nft(8)",
}
LINK = re.compile(r"\[([^\]]+)\]\((?!http)[^)]*\)")


def sections(name: str, wanted: str) -> Iterator[str]:
    """The lines of one section of a document, or of all sections if ``wanted`` is "".

    Headings of level 2 become those of the page. Comments (the marks around generated tables) are left out.
    """
    inside = False
    fenced = False
    for line in (DOCS / f"{name}.md").read_text(encoding="utf-8").splitlines():
        fenced ^= line.lstrip().startswith("```")
        if not fenced and line.startswith("## "):
            inside = not wanted or line[3:] == wanted
        if inside and (fenced or not line.startswith("<!--")):
            if line.startswith("## ") and not fenced:
                yield f"# {RENAMED.get(line[3:].upper(), line[3:].upper())}"
            elif line.startswith("### ") and not fenced:
                yield f"## {line[4:]}"
            else:
                yield line if fenced else LINK.sub(r"\1", line)
    if not inside and wanted and not any(sections_found(name, wanted)):
        raise SystemExit(f"docs/reference/{name}.md has no section '{wanted}'")


def sections_found(name: str, wanted: str) -> Iterator[bool]:
    """Whether the document has this section."""
    yield f"\n## {wanted}\n" in (DOCS / f"{name}.md").read_text(encoding="utf-8")


def cells(row: str) -> list[str]:
    """The cells of a row of a table. A "|" inside a cell is escaped as "\\|"."""
    return [cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", row.strip())[1:-1]]


def without_tables(lines: Iterable[str]) -> Iterator[str]:
    """The same lines, with each row of a table as a term (its first cell) and a description."""
    table: list[list[str]] = []
    for line in [*lines, ""]:
        if line.startswith("|"):
            table.append(cells(line))
            continue
        if table:
            yield from terms(table[0], table[2:])
            table = []
        yield line


def terms(head: list[str], rows: list[list[str]]) -> Iterator[str]:
    """The column "meaning", or else the widest one, is the description; the heads of the other columns label them."""
    columns = range(1, len(head))
    widest = max(columns, key=lambda column: sum(len(row[column]) for row in rows))
    explains = head.index("meaning") if "meaning" in head else widest
    for row in rows:
        named = [f"{head[column]}: {row[column]}" for column in columns if column != explains and row[column]]
        labels = "; ".join(named)
        text = f"{row[explains]} ({labels})" if row[explains] and labels else row[explains] or labels
        yield from ("", row[0] if row[0].startswith("`") else f"**{row[0]}**", "")
        if text:
            yield from (f":   {text}", "")


def plain(text: str) -> str:
    """Text of a help message, with the special characters of markdown escaped."""
    return re.sub(r"([_*\[\]<>])", r"\\\1", text.replace("%%", "%"))


def arguments(parser: argparse.ArgumentParser) -> Iterator[str]:
    """The arguments of a parser as a list of terms, with their help."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction) or action.help in (None, argparse.SUPPRESS):
            continue
        names = ", ".join(action.option_strings) or str(action.metavar or action.dest)
        words = action.metavar if isinstance(action.metavar, str) else " ".join(action.metavar or ())
        value = f" {words}" if action.option_strings and words else ""
        yield from (f"`{names}{value}`", "", f":   {plain(str(action.help))}", "")


def command_line() -> Iterator[str]:
    """SYNOPSIS, OPTIONS, and the arguments of each command."""
    whole = build_parser(*VERBS)
    yield from ("# SYNOPSIS", "", "**netd** [*options*] *command* [*arguments*]", "")
    yield from ("# OPTIONS", "", "These options are valid for every command.", "", *arguments(whole))
    yield from ("# COMMANDS", "", *without_table("config", "Commands"))
    rows = list(verb_rows())
    for verb, sub in verbs_of(whole).items():
        yield from (f"## {sub.prog} {usage_of(sub)}".rstrip(), "")
        own = [row for row in rows if row[0].split()[1] == verb]
        if not own:
            yield from (f"{VERBS[verb][0].upper()}{VERBS[verb][1:]}.", "")
        for number, (form, does, status) in enumerate(own):
            text = f"`{form}` {does}." if number else f"{does[0].upper()}{does[1:]}."
            yield from (f"{LINK.sub(chr(92) + '1', text)} Exit status: {status}.", "")
        yield from arguments(own_arguments(sub))
        for inner in verbs_of(sub).values():
            yield from (f"**{inner.prog}** {usage_of(inner)}", "", f":   {plain(inner.description or '')}", "")
            yield from arguments(own_arguments(inner))


def usage_of(parser: argparse.ArgumentParser) -> str:
    """Its arguments, as ``--help`` has them, without those that all commands share."""
    usage = " ".join(parser.format_usage().split()[1:]).removeprefix(parser.prog).strip()
    return plain(re.sub(r"\[-h\] ?|\[--(config|state|cache)-dir DIR\] ?", "", usage).strip())


def verb_rows() -> Iterator[tuple[str, str, str]]:
    """(usage, what it does, exit status) of each row of the table of commands."""
    for line in sections("config", "Commands"):
        if line.startswith("| `netd "):
            usage, does, status = cells(line)
            yield usage.strip("`"), does, status


def without_table(name: str, wanted: str) -> Iterator[str]:
    """The prose of a section, without its heading and its tables: they are sections of their own here."""
    yield from (line for line in sections(name, wanted) if not line.startswith(("#", "|")))


def own_arguments(sub: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """The parser without the arguments that all commands share."""
    kept = argparse.ArgumentParser(add_help=False)
    kept._actions = [each for each in sub._actions if each.dest not in ("help", "config_dir", "state_dir", "cache_dir")]
    return kept


def page(name: str) -> Iterator[str]:
    """One page in markdown, with the metadata for lowdown."""
    title, _, section = name.rpartition(".")
    what, parts = PAGES[name]
    yield from (f"title: {title}", f"section: {section}", f"source: netd {__version__}", "")
    yield from ("# NAME", "", f"{title} - {what}", "")
    if section == "8":
        yield from command_line()
    for document, heading in parts:
        lines: Iterable[str] = sections(document, heading)
        if heading == "Everyday commands":
            lines = (line for line in lines if line.startswith(("#", "|")))
        yield from without_tables(lines)
        yield ""
    yield from ("# SEE ALSO", "", SEE[name])


if __name__ == "__main__":
    print("\n".join(page(sys.argv[1])))
