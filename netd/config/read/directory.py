"""The configuration directory: each version of a file is read once, and all files are merged into one."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Literal

from netd.config.checks.table import Check
from netd.config.diagnostics.problem import Problem, Source, collapsed
from netd.config.lint.lint import warnings
from netd.config.merge.completed import with_all
from netd.config.merge.gateways import with_ways
from netd.config.merge.merge import clash_problem, merge
from netd.config.parse.hosts import Hosts
from netd.config.parse.parser import Parsed, parse
from netd.config.parse.this_host import this_host
from netd.kinds import registry
from netd.kinds.base.group_kind import GroupKind
from netd.model.desired import Desired
from netd.model.key import Key

from .files import (
    TICK_NS,
    HeldOpen,
    Stamp,
    Unreadable,
    config_files,
    distrust,
    distrust_directory,
    identity,
    read_file,
    stamp,
)
from .last_good import LastGoodCopies, LastGoodCopy, assign, digest

#: Seconds between two checks of a file that is open for writing.
LOOK_AGAIN = 0.02


@dataclass(frozen=True, slots=True)
class FileState:
    """``partial``: a clash or cycle cost it objects; ``invalid``: its last good version (or nothing) is in force."""

    path: str
    state: Literal["ok", "partial", "invalid"]
    errors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Config:
    """What all files together want. ``problems`` are errors and warnings, in the order of files and lines.

    ``unknown``: files of which the objects are unknown: broken, and without a last good version. ``checks``: of the
    versions that are in force.
    """

    desired: Mapping[Key, Desired]
    files: tuple[FileState, ...] = ()
    problems: tuple[Problem, ...] = ()
    unknown: frozenset[str] = frozenset()
    checks: tuple[Check, ...] = ()

    @property
    def errors(self) -> tuple[Problem, ...]:
        """Problems that keep something from being applied."""
        return tuple(problem for problem in self.problems if not problem.warning)

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """Problems that may be intended."""
        return tuple(problem for problem in self.problems if problem.warning)


@dataclass(frozen=True, slots=True)
class FileVersion:
    """One version of one file. ``stamp`` None: it was not read; ``held``: because it is open for writing."""

    path: str
    parsed: Parsed
    stamp: Stamp | None = None
    surely: bool = False
    digest: str = ""
    identity: str = ""
    distrust: str = ""
    held: bool = False

    @property
    def good(self) -> bool:
        """Whether it is valid in itself."""
        return not self.held and not self.parsed.problems


def unread(path: str, text: str, held: bool = False) -> FileVersion:
    """The version of a file that cannot be read."""
    wrong = Problem(path, (), text)
    parsed = Parsed(Source(path, ""), problems=(wrong,), readable=False)
    return FileVersion(path, parsed, identity=identity(path), held=held)


class ConfigDirectory:
    """Reads the directory again and again; one changed file costs one parse.

    ``cache_dir`` None: no last good copies. ``trusted``: files that others could have written are refused.
    ``paths`` are read instead of the directory's files, where given.
    """

    def __init__(
        self, config_dir: str, cache_dir: str | None, *, trusted: bool, paths: Sequence[str] | None = None
    ) -> None:
        self._directory = os.path.abspath(config_dir)
        self._trusted = trusted
        self._paths = paths
        self._copies = LastGoodCopies(cache_dir, trusted=trusted)
        self._versions: dict[str, FileVersion] = {}
        self._copied: dict[str, Parsed] = {}
        #: By file: from which number on its objects count, and they so numbered.
        self._numbered: dict[str, tuple[Parsed, int, Sequence[Desired]]] = {}
        self._machine = this_host()
        self._held: list[str] = []
        #: Files that had changed at the last ``read``, or had come or gone.
        self.changed: Set[str] = set()
        #: Last versions of files that are away: many an editor moves the old one away before it writes the new one.
        self._gone: dict[str, FileVersion] = {}
        #: Copies of files that may be on their way to another name, while theirs is taken already.
        self._nameless: list[LastGoodCopy] = []

    @property
    def busy(self) -> tuple[str, ...]:
        """Files that were open for writing at the last ``read``: to be read again once they are closed."""
        return tuple(self._held)

    @property
    def parsed(self) -> Sequence[Parsed]:
        """The files as they were read last."""
        return [version.parsed for version in self._versions.values()]

    def read(self, *, wait: float = 0.0, write: bool = False, warn: bool = False, forget: bool = True) -> Config:
        """All files as they are now.

        ``wait`` seconds for files that are open for writing; ``write``: last good copies are kept (else by ``save``);
        ``warn``: look for warnings too; ``forget`` False: a file that is gone may come back, its last good version is
        kept until ``forget_gone``. ConfigError if the directory itself cannot be read: then the files are unknown.
        """
        deadline = time.monotonic() + wait
        self._held = []
        self._know_machine()
        paths = self._list()
        found = (self._take(path, deadline) for path in paths)
        versions = {version.path: version for version in found if version is not None}
        versions |= {version.path: version for version in self._removed_by_others(versions.keys())}
        if len(versions) < len(paths):
            # If the directory was moved away after it was listed, its files would look deleted: ConfigError then.
            self._list()
        away = {} if forget else self._gone | self._versions
        self._note_changes(versions)
        self._gone = {path: version for path, version in away.items() if path not in versions}
        self._keep_copies(versions)
        self._versions = {path: version for path, version in versions.items() if not version.held}
        # Without waiting for writers, there is nothing to report about them.
        reported = (version for version in versions.values() if wait or not version.held)
        problems = [problem for version in reported for problem in version.parsed.problems]
        if write:
            try:
                self.save()
            except OSError as error:
                text = f"last good versions cannot be kept: {error.strerror}"
                problems.append(Problem(error.filename or self._copies.directory, (), text, warning=True))
        return self._settled(versions, problems, warn)

    def _note_changes(self, versions: Mapping[str, FileVersion]) -> None:
        before = self._gone | self._versions
        self.changed = {
            path
            for path in before.keys() | versions.keys()
            if path not in before or path not in versions or before[path].digest != versions[path].digest
        }

    def _know_machine(self) -> None:
        """If the machine's name has changed, everything is read again."""
        machine, before = this_host(), self._machine
        if machine != before:
            self._machine, self._versions, self._copied = machine, {}, {}

    def forget_gone(self) -> None:
        """Files that are missing now count as deleted."""
        for path in self._gone:
            self._copies.drop(path)
        self._gone, self._nameless = {}, []

    def save(self) -> None:
        """Writes the last good copies that changed; OSError where that fails."""
        self._copies.save()

    def _list(self) -> list[str]:
        if self._paths is None:
            return config_files(self._directory)
        found = [config_files(path) if os.path.isdir(path) else [path] for path in self._paths]
        return sorted({path for paths in found for path in paths})

    def _covers(self, path: str) -> bool:
        """Whether the file would have been read, were it there."""
        if self._paths is None:
            return os.path.dirname(path) == self._directory
        return path in self._paths or os.path.dirname(path) in self._paths

    def _removed_by_others(self, there: Set[str]) -> Iterator[FileVersion]:
        """Files that are missing from a directory to which others can write: their last good versions stay in force."""
        known = {*self._versions, *self._gone, *self._copies.all} - there
        missing = sorted(path for path in known if self._covers(path)) if self._trusted else []
        reasons = {directory: distrust_directory(directory) for directory in {*map(os.path.dirname, missing)}}
        for path in missing:
            if reason := reasons[os.path.dirname(path)]:
                yield unread(path, f"is missing, and that is refused: {reason}")

    def _take(self, path: str, deadline: float) -> FileVersion | None:
        """The version of a file that counts now; None: it is gone."""
        previous = self._versions.get(path) or self._gone.get(path)
        reason = distrust(path)
        if reason and self._trusted:
            return unread(path, f"is refused: {reason}") if os.path.lexists(path) else None
        try:
            if previous and previous.surely and previous.stamp == stamp(os.stat(path)):
                return replace(previous, distrust=reason)
            content, found = self._read_closed(path, deadline)
        except FileNotFoundError:
            return unread(path, "is a dangling symbolic link") if os.path.islink(path) else None
        except HeldOpen:
            self._held.append(path)
            return previous or unread(
                path, "is open for writing in another process: it is read once it is closed", True
            )
        except Unreadable as error:
            return unread(path, str(error))
        except OSError as error:
            return unread(path, f"cannot be read: {error.strerror}")
        mark = digest(content)
        if previous is None or previous.stamp is None or previous.digest != mark:
            previous = FileVersion(path, parse(path, content, self._machine), digest=mark)
        surely = abs(time.time_ns() - found.st_ctime_ns) > TICK_NS
        return replace(previous, stamp=stamp(found), surely=surely, identity=identity(path), distrust=reason)

    def _read_closed(self, path: str, deadline: float) -> tuple[bytes, os.stat_result]:
        while True:
            with contextlib.suppress(HeldOpen):
                return read_file(path)
            if time.monotonic() >= deadline:
                raise HeldOpen
            time.sleep(LOOK_AGAIN)

    def _keep_copies(self, versions: Mapping[str, FileVersion]) -> None:
        """Updates the copies of valid files. The copy of a broken file follows the file to a new name, or stays."""
        copies = [*(copy for path, copy in self._copies.all.items() if self._covers(path)), *self._nameless]
        found = assign(copies, list(versions.values()))
        there = {id(copy) for path, copy in found.items() if _has(versions[path], copy)}
        away = [copy for copy in copies if id(copy) not in there and copy.path not in self._gone]
        self._nameless = [replace(copy, path="", broken="") for copy in away] if self._gone else []
        for version in versions.values():
            copy = found.get(version.path)
            if version.good:
                self._copies.put(LastGoodCopy(version.path, version.parsed.source.text, version.identity))
            elif copy is None:
                self._copies.drop(version.path)
            elif version.digest:
                mark = {"broken": version.digest, "broken_identity": version.identity}
                self._copies.put(replace(copy, path=version.path, **mark))
            else:
                self._copies.put(replace(copy, path=version.path))
        for path in {copy.path for copy in copies} - versions.keys() - self._gone.keys():
            self._copies.drop(path)

    def _settled(self, versions: Mapping[str, FileVersion], problems: list[Problem], warn: bool) -> Config:
        good = [version.parsed for version in versions.values() if version.good]
        copied = list(self._in_force(version.path for version in versions.values() if not version.good))
        sources = {parsed.source.file: parsed.source for parsed in [*good, *copied]}
        files = {parsed.source.file: parsed.source for parsed in good}
        objects, hosts = self._in_order(good, copied), Hosts([*good, *copied], self._machine, files)
        settled = merge(hosts.resolved(objects), {parsed.source.file for parsed in copied}, whole=True)
        # If a last good copy loses, that is not reported: its file is reported anyway.
        clashes = [clash for clash in settled.clashes if clash.loser.origins[-1].file in files]
        lost = [*hosts.problems, *(clash_problem(clash, sources) for clash in clashes)]
        problems += lost
        desired = with_all(with_ways(arranged(sorted(settled.kept.values(), key=lambda each: each.order))))
        if warn:
            read = [version.parsed for version in versions.values()]
            problems += warnings(desired, read)
            problems += [_distrusted(version) for version in versions.values() if version.distrust and version.stamp]
        states = tuple(_state(version, lost) for version in versions.values())
        problems.sort(key=lambda problem: (problem.file, problem.line, problem.column))
        unknown = frozenset(versions.keys() - sources.keys())
        checks = sorted((check for parsed in [*good, *copied] for check in parsed.checks), key=_place)
        return Config(desired, states, collapsed(problems), unknown, tuple(checks))

    def _in_order(self, good: Sequence[Parsed], copied: Sequence[Parsed]) -> Iterator[Desired]:
        """All objects, last good copies last; ``order`` counts through all files in the order of their names."""
        known, self._numbered = self._numbered, {}
        start = 0
        for parsed in sorted([*good, *copied], key=lambda each: each.source.file):
            file = parsed.source.file
            before = known.get(file)
            if before is not None and before[0] is parsed and before[1] == start:
                self._numbered[file] = before
            else:
                objects = parsed.objects
                numbered = [replace(each, order=start + each.order) for each in objects] if start else objects
                self._numbered[file] = (parsed, start, numbered)
            start += len(parsed.objects)
        for parsed in [*good, *copied]:
            yield from self._numbered[parsed.source.file][2]

    def _in_force(self, paths: Iterable[str]) -> Iterator[Parsed]:
        """The last good versions of files that are not good now, as far as they are still valid for this netd."""
        copies = [copy for copy in map(self._copies.get, paths) if copy is not None]
        known, self._copied = self._copied, {}
        for copy in copies:
            parsed = known.get(copy.path)
            if parsed is None or parsed.source.text != copy.text:
                parsed = parse(copy.path, copy.text.encode(), self._machine)
            self._copied[copy.path] = parsed
            if not parsed.problems:
                yield parsed


def _place(check: Check) -> str:
    return check.origin.file


def arranged(ordered: Sequence[Desired]) -> dict[Key, Desired]:
    """The same objects, with their position in the order of all files where that matters."""
    desired = {each.key: each for each in ordered}
    groups: dict[tuple[str, str], list[Desired]] = {}
    for each in ordered:
        groups.setdefault((each.key.netns, each.key.kind), []).append(each)
    for (_, name), group in groups.items():
        kind = registry()[name]
        if isinstance(kind, GroupKind):
            desired.update({each.key: each for each in kind.arranged(group)})
    return desired


def _has(version: FileVersion, copy: LastGoodCopy) -> bool:
    """Whether a copy surely belongs to its file: a valid file may only have the same name."""
    return not version.good or version.identity in copy.marks


def _distrusted(version: FileVersion) -> Problem:
    return Problem(version.path, (), f"run and apply refuse it: {version.distrust}", warning=True)


def _state(version: FileVersion, lost: Sequence[Problem]) -> FileState:
    if not version.good:
        return FileState(version.path, "invalid", tuple(map(str, version.parsed.problems)))
    own = tuple(str(problem) for problem in lost if problem.file == version.path)
    return FileState(version.path, "partial" if own else "ok", own)
