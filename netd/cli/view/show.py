"""``netd show`` for a person: a head, then sections of what there is to say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from netd.report.text import value_text

from .rows import Row, Section, plain_lines, safe
from .style import STATE_COLORS, colored
from .watch import event_line

Document = Mapping[str, Any]
UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def show_lines(document: Document, color: bool) -> Iterator[str]:
    """All of it."""
    state = str(document["state"])
    yield f"{safe(document['name'])}: {document['kind']}, {colored(state, STATE_COLORS.get(state, ''), color)}"
    if document["reason"]:
        yield f"  why: {safe(document['reason'])}"
    if document["at"]:
        yield f"  declared at {document['at']}" + (f" as {document['object']}" if document["object"] else "")
    elif document["kind"] in ("link", "namespace"):
        yield "  no file declares it"
    if document["kind"] == "link":
        yield from _link_lines(document)
    if document["kind"] == "namespace":
        yield from _namespace_lines(document)
    for section in _sections(document):
        if section.rows:
            yield ""
            yield from plain_lines(section)
    if document["changes"]:
        yield ""
        yield "LAST CHANGES"
        yield from (event_line(each, color) for each in document["changes"])


def _link_lines(document: Document) -> Iterator[str]:
    if not document["present"]:
        yield "  not there"
        return
    identity = document["identity"]
    parts = [identity["type"], f"index {identity['index']}", identity["mac"] and f"mac {identity['mac']}"]
    carrier = "up" if document["running"] else "up, without a carrier"
    parts += [carrier if document["up"] else "down", identity["made_by_netd"] and "made by netd"]
    yield "  " + ", ".join(each for each in parts if each)
    yield f"  mtu {document['mtu']['value']}: {document['mtu']['from']}"
    for name, words in (("peer", "other end"), ("master", "port of"), ("carrier", "on")):
        if document[name]:
            yield f"  {words} {safe(document[name])}"
    for name, words in (("ports", "ports"), ("carried", "carries"), ("remotes", "sends to")):
        if document[name]:
            yield f"  {words}: {safe(', '.join(document[name]))}"
    for one in document["addresses"]:
        mark = f" [{one['state']}]" if one["state"] not in ("ok", "foreign") else ""
        yield f"  address {one['address']}" + "".join(f" {flag}" for flag in one["flags"]) + mark
    counters = document["counters"]
    if counters:
        for way, words in (("rx", "received"), ("tx", "sent")):
            size, packets = counters[f"{way}_bytes"], counters[f"{way}_packets"]
            bad = f", {counters[f'{way}_dropped']} dropped, {counters[f'{way}_errors']} errors"
            yield f"  {words} {amount(size)} in {packets} packets{bad}"


def _namespace_lines(document: Document) -> Iterator[str]:
    if document["states"]:
        yield "  objects: " + ", ".join(f"{number} {state}" for state, number in document["states"].items())
    yield f"  identity: cookie {document['identity']['cookie']}"


def _sections(document: Document) -> Iterator[Section]:
    fields = document["fields"].items()
    rows = [
        Row((("" if each["declared"] is None or each["declared"] == each["actual"] else "differs"), name,
             value_text(each["declared"]), value_text(each["actual"])))
        for name, each in fields
    ]  # fmt: skip
    yield Section(("", "FIELD", "DECLARED", "ACTUAL"), rows)
    yield Section(("STATE", "LINK"), [Row((each["state"], each["id"])) for each in document.get("links", ())])
    parts = [Row((each["state"], each["object"], each.get("reason", ""))) for each in document.get("objects", ())]
    yield Section(("STATE", "PART" if document["kind"] == "link" else "OBJECT", "REASON"), parts)
    yield Section(("DEPENDENT",), [Row((each,)) for each in document["dependents"]])
    routes = [
        Row((each["to"], " ".join(each["via"]), str(each["table"]), str(each["metric"])))
        for each in document.get("routes", ())
    ]
    yield Section(("ROUTE", "VIA", "TABLE", "METRIC"), routes)
    yield _table(document, "neighbors", ("NEIGHBOR", "MAC", "STATE"), ("address", "mac", "state"))
    yield _table(document, "fdb", ("FDB MAC", "PORT", "DST", "VLAN", "STATE"), ("mac", "port", "dst", "vlan", "state"))


def _table(document: Document, name: str, heads: tuple[str, ...], keys: Sequence[str]) -> Section:
    # What the kernel has for groups is no news.
    found = [each for each in document.get(name, ()) if not each["mac"].startswith(("33:33:", "01:00:5e:"))]
    rows = [Row(tuple(str(each[key] or "") for key in keys)) for each in found]
    number = document.get({"neighbors": "neighbor_entries", "fdb": "fdb_entries"}[name], 0)
    left = number - len(document.get(name, ()))
    return Section(heads, rows, f"and {left} more" if left > 0 else "")


def amount(size: float) -> str:
    """Bytes in a readable unit."""
    number = 0
    while size >= 1024 and number < len(UNITS) - 1:
        size, number = size / 1024, number + 1
    return f"{size:.1f} {UNITS[number]}" if number else f"{size:.0f} B"
