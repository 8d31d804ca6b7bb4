"""Merges objects of one file, or of all: equal ones become one, clashes are reported, cycles are cut.

The same rules hold within a file and between files; only what follows is different. Within a file a clash is a problem
of that file; between files it costs the later one the object.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from netd.config.diagnostics.explain import key_in
from netd.config.diagnostics.positions import TomlPath, member
from netd.config.diagnostics.problem import Problem, Source
from netd.config.diagnostics.schema import titled
from netd.kinds import registry
from netd.kinds.base.kind import Kind
from netd.kinds.base.roles import Distinguished
from netd.model.desired import Desired, Origin
from netd.model.key import HOST, Key, LinkName

from .routing import with_tables
from .stacking import carrier_clashes, master_clashes, member_address_clashes, receiver_clashes, vlan_clashes


@dataclass(frozen=True, slots=True)
class Clash:
    """``loser`` clashes with ``winner``; ``{place}`` in ``text`` is where ``winner`` is. ``name`` is the link."""

    loser: Desired
    winner: Desired
    text: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Merged:
    """``kept`` is in the order in which it was given."""

    kept: Mapping[Key, Desired]
    clashes: tuple[Clash, ...]


Finder = Callable[[list[Desired]], Iterator[Clash]]


def merge(objects: Iterable[Desired], copied: Collection[str] = (), *, whole: bool = False) -> Merged:
    """What remains of ``objects``: of two that clash, the first. ``whole``: they are those of all files.

    ``copied`` are files of which the last good copy counts: their objects lose against those of valid files.
    """
    clashes: list[Clash] = []
    left = _drop(_distinguished(with_tables(objects)), clashes, _link_clashes)
    if copied:
        left = _drop(left, clashes, lambda all: _claim_clashes(all, copied))
    kept = _merge(left, clashes)
    joined = _drop_all(list(kept.values()), clashes, lambda all: _stacking_clashes(all, copied, whole=whole))
    lent = _drop_all(joined, clashes, _loan_clashes)
    checked = _drop_all(lent, clashes, _cross_clashes)
    found = _drop_all(checked, clashes, _cycles)
    return Merged({each.key: each for each in found}, tuple(clashes))


def _distinguished(objects: list[Desired]) -> list[Desired]:
    """The same objects, in their order, under the names that their kinds give them beside each other."""
    for name, kind in registry().items():
        if not isinstance(kind, Distinguished):
            continue
        found = [number for number, each in enumerate(objects) if each.key.kind == name]
        for number, each in zip(found, kind.distinguish([objects[number] for number in found]), strict=True):
            objects[number] = each
    return objects


def _drop_all(objects: list[Desired], clashes: list[Clash], look: Finder) -> list[Desired]:
    """A lost object may have caused another clash, or have hidden one: so it repeats until there is none."""
    found = _drop(objects, clashes, look)
    while len(found) < len(objects):
        objects, found = found, _drop(found, clashes, look)
    return found


def _drop(objects: list[Desired], clashes: list[Clash], look: Finder) -> list[Desired]:
    """Without the losers, and the objects from the tables of lost links (their addresses, their routes)."""
    new = list(look(objects))
    if not new:
        return objects
    clashes += new
    losers = {id(clash.loser) for clash in new}
    tables = {origin for clash in new if clash.loser.provides for origin in clash.loser.origins}
    left = []
    for each in objects:
        origins = tuple(origin for origin in each.origins if not _within(origin, tables))
        if id(each) not in losers and origins:
            left.append(each if len(origins) == len(each.origins) else replace(each, origins=origins))
    return left


def _within(origin: Origin, tables: set[Origin]) -> bool:
    return any(Origin(origin.file, origin.path[:length]) in tables for length in range(1, len(origin.path) + 1))


def _link_clashes(objects: list[Desired]) -> Iterator[Clash]:
    """The name of a link is unique in its namespace, across all kinds and both ends of pairs."""
    taken: dict[LinkName, Desired] = {}
    for each in objects:
        if not each.provides:
            continue
        own: set[LinkName] = set()
        for link in each.provides:
            other = each if link in own else taken.get(link)
            own.add(link)
            if other is not None:
                yield _link_clash(each, other, link)
                break
        else:
            taken.update(dict.fromkeys(each.provides, each))


def _link_clash(loser: Desired, winner: Desired, link: LinkName) -> Clash:
    if loser is winner:
        return Clash(loser, winner, f"both ends are called '{link.name}' in one namespace", link.name)
    if loser.key == winner.key:
        return Clash(loser, winner, "declared at {place} already: a link is declared once")
    if len(loser.provides) > 1 and set(loser.provides) == set(winner.provides):
        text = f"both ends of this pair are declared, the other as {winner.key} at {{place}}: declare it once"
        return Clash(loser, winner, text)
    return Clash(loser, winner, f"the name '{link.name}' is taken by {winner.key} at {{place}}", link.name)


def _claim_clashes(objects: list[Desired], copied: Collection[str]) -> Iterator[Clash]:
    """For a unique value (a VNI, an address), a valid file wins over a last good copy."""
    claimed = {claim: each for each in objects if each.file not in copied for claim in each.claims}
    for each in objects:
        if each.file in copied:
            winners = (claimed[claim] for claim in each.claims if claim in claimed and claimed[claim].key != each.key)
            winner = next(winners, None)
            if winner is not None:
                yield Clash(each, winner, "declared differently at {place}")


def _merge(objects: list[Desired], clashes: list[Clash]) -> dict[Key, Desired]:
    """Equal declarations in several files are one object; for a namespace also those of several hosts in one file."""
    kept: dict[Key, Desired] = {}
    parts: dict[Key, list[Desired]] = {}
    for each in objects:
        other = kept.get(each.key)
        if other is None:
            kept[each.key] = each
        elif not _shared(each.key) and any(origin.file == each.file for origin in other.origins):
            clashes.append(Clash(each, other, f"{each.key} is declared at {{place}} already"))
        else:
            merged = _merge_namespaces(other, each) if each.key.is_namespace else other
            if merged is None or (not each.key.is_namespace and not _alike(each, other)):
                # Not the first file that declares it, but the first one that differs.
                different = (one for one in parts.get(each.key, ()) if _merge_namespaces(one, each) is None)
                text = f"{each.key} is declared differently at {{place}}"
                clashes.append(Clash(each, next(different, other), text))
            else:
                kept[each.key] = replace(merged, origins=other.origins + each.origins)
                if each.key.is_namespace:
                    parts.setdefault(each.key, [other]).append(each)
    return kept


def _shared(key: Key) -> bool:
    """Whether several tables of one file may declare it alike."""
    return key.is_namespace or registry()[key.kind].traits.mergeable


def _alike(one: Desired, other: Desired) -> bool:
    return (one.fields, one.requires, one.after, one.namespaces) == (
        other.fields, other.requires, other.after, other.namespaces,
    )  # fmt: skip


def _merge_namespaces(one: Desired, other: Desired) -> Desired | None:
    """Each file declares some fields of a namespace; None where two files differ in one."""
    if one.source and other.source and one.source != other.source:
        return None
    if any(one.fields[name] != other.fields[name] for name in one.fields.keys() & other.fields.keys()):
        return None
    chosen = one if one.source else other
    # Defaults come from the file with ``attach``: a foreign namespace does not get those of netd's own.
    guards = registry()[one.key.kind].traits.guard_fields
    fields = {name: value for name, value in {**one.fields, **other.fields}.items() if name not in guards}
    fields |= {name: value for name, value in chosen.fields.items() if name in guards}
    return replace(one, fields=fields, locator=chosen.locator, source=chosen.source)


def _cross_clashes(objects: list[Desired]) -> Iterator[Clash]:
    """What a kind finds wrong with two of its objects in one namespace (overlapping port ranges)."""
    groups: dict[tuple[str, str], list[Desired]] = {}
    rank: dict[Key, int] = {}
    kinds = {name: kind for name, kind in registry().items() if type(kind).cross_check is not Kind.cross_check}
    for number, each in enumerate(objects):
        if each.key.kind in kinds:
            rank[each.key] = number
            # Tunnels clash where they send their packets.
            netns = next((end.tunnel.netns for end in each.ends if end.tunnel is not None), each.key.netns)
            groups.setdefault((netns, each.key.kind), []).append(each)
    for (_, name), group in groups.items():
        for later, earlier, text in kinds[name].cross_check(group):
            if rank[later.key] < rank[earlier.key]:
                # It comes later, but wins: the other one is from a last good copy.
                later, earlier = earlier, later
            yield Clash(later, earlier, f"{text} (the other is at {{place}})")


def _stacking_clashes(objects: list[Desired], copied: Collection[str], *, whole: bool) -> Iterator[Clash]:
    """Links that do not fit on others: the first thing that is wrong with each."""
    lost: set[int] = set()
    for wrong in (
        *master_clashes(objects, copied, whole=whole),
        *carrier_clashes(objects),
        *receiver_clashes(objects),
        *member_address_clashes(objects),
        *vlan_clashes(objects),
    ):
        if id(wrong.loser) not in lost:
            lost.add(id(wrong.loser))
            yield Clash(*wrong)


def _loan_clashes(objects: list[Desired]) -> Iterator[Clash]:
    """``from_host`` of links that netd itself creates on the host: each move would delete them there."""
    makers = {
        link: each for each in objects for link in each.provides if not registry()[each.key.kind].traits.is_foreign
    }
    for each in objects:
        maker = makers.get(LinkName(HOST, each.key.name)) if each.fields.get("from_host") else None
        if maker is not None:
            yield Clash(
                each, maker, f"from_host: '{each.key.name}' is {maker.key} at {{place}}: it can be created here"
            )


def _cycles(objects: list[Desired]) -> Iterator[Clash]:
    """Cycles of links, without a common link. A link may not be below itself, by ``dev``, ``master`` or namespace."""
    links = [each for each in objects if each.provides]
    makers = {link: each for each in links for link in each.provides}
    rank = {each.key: number for number, each in enumerate(links)}
    by_key = {each.key: each for each in links}
    lost: set[Key] = set()
    after: dict[Key, list[Key]] = {}
    above: dict[Key, list[Key]] = {}
    for each in links:
        for link in each.requires:
            if link in makers:
                after.setdefault(each.key, []).append(makers[link].key)
                above.setdefault(each.key, []).append(makers[link].key)
        for link in each.after:
            if link in makers:
                # A bridge lies above its ports, a tunnel above what carries it.
                after.setdefault(each.key, []).append(makers[link].key)
                above.setdefault(makers[link].key, []).append(each.key)
    for graph in (after, above):
        for cycle in _loops(graph):
            if lost & set(cycle):
                continue
            last, *others = sorted(cycle, key=lambda key: rank[key], reverse=True)
            lost.add(last)
            winner = by_key[others[0] if others else last]
            start = cycle.index(last)
            shown = " → ".join(str(key) for key in (*cycle[start:], *cycle[:start], last))
            text = (
                "this link depends on itself (a cycle)"
                if not others
                else f"cycle of links: {shown} (the other is at {{place}})"
            )
            yield Clash(by_key[last], winner, text)


def _loops(graph: Mapping[Key, list[Key]]) -> Iterator[list[Key]]:
    """Paths that return to their start, each link before its dependents; visits each link once."""
    seen: set[Key] = set()
    for start in graph:
        way, left = {start: None}, [iter(graph[start])]
        if start in seen:
            continue
        while left:
            below = next(left[-1], None)
            if below is None:
                left.pop()
                seen.add(way.popitem()[0])
            elif below in way:
                keys = list(way)
                yield keys[keys.index(below) :][::-1]
            elif below not in seen:
                way[below] = None
                left.append(iter(graph.get(below, ())))


def clash_problem(clash: Clash, sources: Mapping[str, Source]) -> Problem:
    """The problem of the file that loses, with both places in it."""
    origin, other = clash.loser.origins[-1], clash.winner.origins[0]
    source = sources[origin.file]
    place = shown_place(other, origin, sources)
    path = origin.path
    table = table_at(source.data, path)
    path = path + (find(table, clash.name) if clash.name and path[-1] != clash.name else key_in(table, clash.text))
    keeps = "" if other.file == origin.file else f"; {other.file.rpartition('/')[2]} keeps it"
    about = origin.path
    text = clash.text.replace("{place}", place) + keeps
    return source.problem(path, titled(about, text), other="" if other.file == origin.file else other.file)


def shown_place(origin: Origin, seen_from: Origin, sources: Mapping[str, Source]) -> str:
    """The position of an object, as a problem in another place shows it."""
    line = sources[origin.file].shown_line(origin.path)
    return f"line {line}" if origin.file == seen_from.file else f"{origin.file}:{line}"


def table_at(raw: object, path: TomlPath) -> object:
    """The value at a path, None where there is none."""
    for part in path:
        raw = member(raw, part)
    return raw


def find(raw: object, text: str) -> TomlPath:
    """The path of a value below ``raw`` that is ``text``; () where there is none."""
    if isinstance(raw, dict):
        entries: Iterable[tuple[str | int, object]] = raw.items()
    elif isinstance(raw, list):
        entries = enumerate(raw)
    else:
        return ()
    for key, value in entries:
        if value == text:
            return (key,)
        below = find(value, text)
        if below:
            return (key, *below)
    return ()
