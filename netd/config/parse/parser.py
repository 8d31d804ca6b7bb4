"""One file by itself: text → tables → objects, and every problem in it at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple, TypeVar

import tomli

from netd.config.checks.table import Check, CheckTable
from netd.config.checks.table import declared as declared_check
from netd.config.diagnostics.explain import explain, key_in, meant
from netd.config.diagnostics.hints import hinted, syntax_hint
from netd.config.diagnostics.positions import Position, TomlPath
from netd.config.diagnostics.problem import Problem, Source, by_line, collapsed
from netd.config.diagnostics.schema import (
    HOSTS,
    NAMESPACE,
    HostTable,
    form_of,
    host_keys,
    inner,
    known_keys,
    layout,
    outer,
    titled,
)
from netd.config.merge.merge import Clash, clash_problem, find, merge
from netd.config.patterns.expand import expand
from netd.kinds import registry
from netd.kinds.base.kind import Kind, TableContext
from netd.kinds.base.options import Table
from netd.kinds.base.reading import read, type_name
from netd.model.desired import Desired, Origin
from netd.model.key import HOST, LinkName
from netd.model.names import host_name, link_name, namespace_name

from .this_host import ThisHost, this_host

#: What tomli says of a table, or a key, that is there already; it points behind it.
TWICE = re.compile(r"(Cannot declare .* twice)|Cannot overwrite a value")
#: sysctl_dev_name_is_allowed(), include/linux/inetdevice.h: /proc/sys/net/ipv4/conf has these already.
RESERVED = frozenset({"all", "default"})
#: Replaces an invalid name. It would be a valid name that nobody uses.
NO_NAME = "?"
#: The most wrong keys of one table that are searched for one by one.
MOST_WRONG_KEYS = 50
#: The most problems of one file that are reported: more are no typing errors, and each suggestion takes time.
MOST_PROBLEMS = 1000

T = TypeVar("T", bound=Table)


class HostEntry(NamedTuple):
    """One ``[host.NAME]``: its name in lower case, its address ("": none is written), and where that is written."""

    name: str
    address: str
    origin: Origin


@dataclass(frozen=True, slots=True)
class Parsed:
    """One file. ``objects`` are those of its valid tables; ``links`` and ``namespaces`` what all its tables name.

    Tables of other hosts declare nothing. ``hosts`` are all that have a table; ``asked`` are those that are named as
    ``host:NAME``, with the places.
    """

    source: Source
    objects: tuple[Desired, ...] = ()
    problems: tuple[Problem, ...] = ()
    links: frozenset[LinkName] = frozenset()
    namespaces: frozenset[str] = frozenset()
    hosts: tuple[HostEntry, ...] = ()
    asked: tuple[tuple[str, Origin], ...] = ()
    checks: tuple[Check, ...] = ()
    #: False: it is not valid TOML, or a pattern in it is wrong, so the names in it are unknown.
    readable: bool = True


class Found(NamedTuple):
    """One table as it is in the file."""

    kind: Kind
    netns: str
    name: str
    path: TomlPath
    raw: Any


class Parser:
    """Collects what one file declares."""

    def __init__(self, source: Source, machine: ThisHost | None = None) -> None:
        self.source = source
        self._machine = machine
        self.hosts: list[HostEntry] = []
        self.asked: list[tuple[str, Origin]] = []
        self.checks: list[Check] = []
        self._elsewhere: list[tuple[TomlPath, Parser]] = []
        self.problems: list[Problem] = []
        self.objects: list[Desired] = []
        self.links: set[LinkName] = set()
        self.namespaces: set[str] = set()

    def read(self) -> None:
        """Declares every table, and checks what they are together."""
        self._declare_all(self._tables(self.source.data, outer(), HOST, ()))
        clashes = () if self._full else merge(self.objects).clashes
        for path, other in self._elsewhere if not self._full else ():
            clashes += self._clashes_elsewhere(path, other)
        self._tell_clashes(clashes)
        self.problems.sort(key=lambda problem: (problem.line, problem.column))
        if self._full:
            self.problems.append(Problem(self.source.file, (), f"has more errors than these {len(self.problems)}"))

    def _declare_all(self, tables: Iterable[Found]) -> None:
        for found in tables:
            self._declare(found)
            if self._full:
                break

    def _look_at(self, tables: Callable[[Parser], Iterable[Found]]) -> Parser:
        """Tables that declare nothing here: their errors, and the hosts that they name, are collected."""
        other = Parser(self.source)
        other._declare_all(tables(other))
        self._tell(other.problems)
        self.asked += other.asked
        return other

    def _unnamed_table(self, found: Found) -> None:
        """A table whose name is wrong may have other problems, too."""
        other = self._look_at(lambda other: other._named_table(found))
        self.links |= other.links
        self._tell_clashes(merge(other.objects).clashes)

    def _tell(self, problems: Iterable[Problem]) -> list[Problem]:
        """As many of them as there is room for."""
        reported = list(islice(problems, max(0, MOST_PROBLEMS - len(self.problems))))
        self.problems += reported
        return reported

    def _tell_clashes(self, clashes: Iterable[Clash]) -> None:
        sources = {self.source.file: self.source}
        self._tell(clash_problem(clash, sources) for clash in clashes)

    def _clashes_elsewhere(self, path: TomlPath, other: Parser) -> tuple[Clash, ...]:
        """Contradictions within a host's tables, or with those of all hosts: reported on every machine."""
        common = [each for each in self.objects if each.origins[0].path[:1] != (HOSTS,)]
        clashes = merge([*common, *other.objects]).clashes
        both = (clash.loser.origins + clash.winner.origins for clash in clashes)
        return tuple(
            clash
            for clash, origins in zip(clashes, both, strict=True)
            if any(origin.path[: len(path)] == path for origin in origins)
        )

    @property
    def _full(self) -> bool:
        """Whether there are enough problems: then the rest is not checked."""
        return len(self.problems) >= MOST_PROBLEMS

    def _wrong(self, path: TomlPath, text: str, *, name: bool = False, about: TomlPath | None = None) -> None:
        self.problems.append(self.source.problem(path, titled(path if about is None else about, text), name=name))

    def _tables(
        self, level: Mapping[str, Any], known: Mapping[str, Kind | None], netns: str, base: TomlPath
    ) -> Iterator[Found]:
        for key, value in level.items():
            entry, path = known.get(key), (*base, key)
            if self._full:
                return
            if entry is None and key in known:
                yield from self._host_tables(value, path)
            elif entry is None:
                text = (
                    f"unknown key '{key}'{meant(key, known)}" if base else f"unknown table '{key}'{meant(key, known)}"
                )
                self._wrong(path, text, name=True, about=base)
            else:
                yield from self._kind_tables(entry, value, netns, path)

    def _host_tables(self, value: Any, path: TomlPath) -> Iterator[Found]:
        if not isinstance(value, dict):
            self._wrong(path, f"must be a table, not {type_name(value)}")
            return
        for name, raw in value.items():
            if self._full:
                return
            if not isinstance(raw, dict):
                self._wrong((*path, name), f"must be a table, [{HOSTS}.NAME], not {type_name(raw)}")
            else:
                self._named(host_name, name, (*path, name))
                yield from self._host_table(name, raw, (*path, name))

    def _host_table(self, name: str, raw: dict[str, Any], path: TomlPath) -> Iterator[Found]:
        """The tables of this machine; those of other hosts are checked separately."""
        contents = {key: value for key, value in raw.items() if key in layout()}
        own = {key: value for key, value in raw.items() if key not in contents}
        if HOSTS in own:
            del own[HOSTS]
            self._wrong((*path, HOSTS), "a host is only allowed at the top level", name=True, about=path)
        table = self._validated(HostTable, own, path, host_keys())
        if isinstance(table, HostTable):
            origin = Origin(self.source.file, (*path, "address") if table.address else path)
            self.hosts.append(HostEntry(name.lower(), table.address or "", origin))
        if self._machine is None:
            self._machine = this_host()
        if self._machine.is_called(name):
            yield from self._tables(contents, layout(), HOST, path)
            return
        other = self._look_at(lambda other: other._tables(contents, layout(), HOST, path))
        self._elsewhere.append((path, other))

    def _validated(self, table: type[T], raw: Any, path: TomlPath, known: Collection[str]) -> T | list[Problem]:
        """The table, or its errors, which are collected; ``known``: all keys that it can have."""
        found = read(table, raw)
        return self._tell(explain(found, raw, known, path, self.source)) if isinstance(found, list) else found

    def _kind_tables(self, kind: Kind, value: Any, netns: str, path: TomlPath) -> Iterator[Found]:
        form = form_of(kind).form
        if form == "array":
            if not isinstance(value, list):
                self._wrong(path, f"must be an array of tables, [[{path[-1]}]], not {type_name(value)}")
                return
            for number, raw in enumerate(value):
                yield Found(kind, netns, "", (*path, number), raw)
        elif not isinstance(value, dict):
            self._wrong(path, f"must be a table, not {type_name(value)}")
        elif form == "single":
            yield Found(kind, netns, "", path, value)
        else:
            for name, raw in value.items():
                if self._full:
                    return
                if not isinstance(raw, dict):
                    self._wrong((*path, name), f"must be a table, [{path[-1]}.NAME], not {type_name(raw)}")
                elif self._named(namespace_name if form == "container" else link_name, name, (*path, name)):
                    yield from self._named_table(Found(kind, netns, name, (*path, name), raw))
                else:
                    unnamed = Found(kind, netns, NO_NAME, (*path, name), raw)
                    self._unnamed_table(unnamed)

    def _named(self, check: Callable[[str], str], name: str, path: TomlPath) -> bool:
        try:
            check(name)
        except ValueError as error:
            self._wrong(path, str(error), name=True)
            return False
        return True

    def _named_table(self, found: Found) -> Iterator[Found]:
        if form_of(found.kind).form != "container":
            self.links.add(LinkName(found.netns, found.name))
            yield found
            return
        self.namespaces.add(found.name)
        own = {key: value for key, value in found.raw.items() if key not in inner()}
        if NAMESPACE in own:
            del own[NAMESPACE]
            self._wrong(
                (*found.path, NAMESPACE),
                "a namespace is only allowed at the top level",
                name=True,
                about=found.path,
            )
        yield found._replace(raw=own)
        contents = {key: value for key, value in found.raw.items() if key in inner()}
        yield from self._tables(contents, inner(), found.name, found.path)

    def _declare(self, found: Found) -> None:
        """Validates one table and adds its objects."""
        table = self._table(found)
        if table is None:
            self._name_ends(found)
            return
        context = TableContext(found.netns, found.name, Origin(self.source.file, found.path))
        try:
            if isinstance(table, CheckTable):
                self.checks.append(declared_check(table, context))
            declared = list(found.kind.declare(table, context))
        except ValueError as error:
            self._wrong((*found.path, *key_in(found.raw, str(error))), str(error), about=found.path)
            return
        for each in self._as_written(declared, found):
            # Just created, and not shared yet: copying would take a tenth of the time of a large file.
            object.__setattr__(each, "order", len(self.objects))
            self.objects.append(each)
            self.links.update(each.provides)
            if each.hosts and not each.provides and not registry()[each.key.kind].traits.mergeable:
                self.asked += [(name, each.origins[0]) for name in each.hosts]
            self._not_reserved(each, found)

    def _as_written(self, declared: list[Desired], found: Found) -> list[Desired]:
        """TOML keeps no order between two arrays of tables: where it counts, it is that of the text."""
        inside = len(found.path)
        arrays = {origin.path[inside] for each in declared for origin in each.origins if len(origin.path) > inside}
        if len(arrays & form_of(found.kind).ordered_arrays) < 2:
            return declared
        return sorted(declared, key=lambda each: self.source.position(each.origins[0].path) or Position(0, 0, 0))

    def _not_reserved(self, each: Desired, found: Found) -> None:
        for link in each.provides:
            if link.name in RESERVED:
                text = f"'{link.name}' cannot be the name of a link: the kernel keeps it for its sysctls"
                inside = () if found.name == link.name else find(found.raw, link.name)
                self._wrong((*found.path, *inside), text, name=True, about=found.path)

    def _table(self, found: Found) -> Table | None:
        form, raw = form_of(found.kind), found.raw
        for _ in range(MOST_WRONG_KEYS):
            table = self._validated(form.model, raw, found.path, known_keys(found.kind))
            if isinstance(table, Table):
                return table
            if form.form != "single" or self._full:
                return None
            # Its keys are independent of each other: the rest is checked without these.
            for each in table:
                raw = without(raw, each.path[len(found.path) :])
        return None

    def _name_ends(self, found: Found) -> None:
        """Also a wrong table names its links: others that refer to them are right."""
        if not isinstance(found.raw, dict):
            return
        for value in found.raw.values():
            if isinstance(value, dict) and isinstance(value.get("name"), str):
                netns = value.get("namespace", HOST)
                self.links.add(LinkName(netns if isinstance(netns, str) else HOST, value["name"]))


def without(raw: Any, path: TomlPath) -> Any:
    """``raw`` without the value at ``path``; tables that are empty then are removed, too."""
    if not path or not isinstance(raw, dict):
        return {}
    below = without(raw.get(str(path[0])), path[1:]) if len(path) > 1 else {}
    rest = {key: value for key, value in raw.items() if key != path[0]}
    return rest | {str(path[0]): below} if below else rest


def parse(file: str, content: bytes, machine: ThisHost | None = None) -> Parsed:
    """One file's content, on ``machine`` (None: this one); never raises, whatever the content."""
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        before = content[: error.start]
        source = Source(file, content.decode(errors="replace"))
        line = before.count(b"\n") + 1
        column = len(before.rpartition(b"\n")[2].decode(errors="replace")) + 1
        wrong = source.problem_at(Position(line, column, 1), (), f"byte 0x{content[error.start]:02x} is not UTF-8")
        return Parsed(source, problems=(wrong,), readable=False)
    source = Source(file, text)
    try:
        source.data = tomli.loads(text)
        mistaken = expand(source)
    except tomli.TOMLDecodeError as error:
        return Parsed(source, problems=(_syntax(source, error),), readable=False)
    except RecursionError:
        return Parsed(source, problems=(Problem(file, (), "is nested too deeply"),), readable=False)
    except ValueError as error:
        return Parsed(source, problems=(Problem(file, (), f"is not TOML: {error}"),), readable=False)
    parser = Parser(source, machine)
    parser.read()
    found = sorted([*mistaken, *(hinted(each, source.data) for each in parser.problems)], key=by_line)
    return Parsed(
        source, tuple(parser.objects), collapsed(found), frozenset(parser.links), frozenset(parser.namespaces),
        tuple(parser.hosts), tuple(parser.asked), tuple(parser.checks), not mistaken,
    )  # fmt: skip


def _syntax(source: Source, error: tomli.TOMLDecodeError) -> Problem:
    line, column = getattr(error, "lineno", 1), getattr(error, "colno", 1)
    text = getattr(error, "msg", str(error))
    if source.text.startswith("\ufeff"):
        return source.problem_at(Position(1, 1, 1), (), "starts with a byte order mark: save the file without it")
    twice = TWICE.match(text)
    if twice:
        row = source.text.split("\n")[line - 1]
        start = len(row) - len(row.lstrip())
        place = Position(line, start + 1, max(1, len(row.strip())))
        return source.problem_at(place, (), "this table is written twice" if twice[1] else "this key is written twice")
    row = source.text.split("\n")[line - 1] if line <= source.text.count("\n") + 1 else ""
    hint = syntax_hint(row, line, column)
    if hint is not None:
        return source.problem_at(hint[0], (), hint[1])
    return source.problem_at(Position(line, column, 1), (), text[:1].lower() + text[1:])
