"""``netd test``: tries the checks of the files. Exit: 0 all hold, 1 not."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from netd.config import Config, load, printable
from netd.config.checks.table import Check
from netd.config.facts import assigned_address
from netd.errors import NetdError, UsageError
from netd.kernel.kernel import Kernel
from netd.probes.run import Prober, Result
from netd.trace.steps import Answer

from .main import did_you_mean, need_root
from .setup import print_problems
from .view.style import colored, has_color
from .view.way import answer_lines
from .why import traces

#: Said after Ctrl-C.
INTERRUPTED = "interrupted: not all checks have ended; nothing was changed"
VERSION = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``netd test``."""
    parser.add_argument(
        "names",
        metavar="NAME",
        nargs="*",
        help="only these checks: a name, a file, or the namespace they are tried from",
    )
    parser.add_argument("--json", action="store_true", help="print the results as JSON, at the end")
    parser.add_argument("--junit", metavar="FILE", help="write the results to a file, as JUnit XML")
    parser.add_argument("--watch", action="store_true", help="try them again on each change of the network or a file")


def run(options: argparse.Namespace) -> int:
    """Prints each result as it comes."""
    need_root("test")
    if not options.watch:
        return once(options)
    from netd.probes.changes import Changes

    with Changes(options.config_dir) as changes:
        while True:
            print(time.strftime("--- %H:%M:%S"), flush=True)
            try:
                once(options)
            except NetdError as error:
                print(f"netd: {error}", file=sys.stderr)
            changes.wait()


def once(options: argparse.Namespace) -> int:
    """All chosen checks, once; the exit status."""
    files = [name for name in options.names if is_file(name)]
    config, narrowed = load(options.config_dir, options.cache_dir, files, trusted=True, wait=1.0, write=False)
    print_problems(config)
    checks = chosen(config, [name for name in options.names if name not in files], narrowed)
    if not checks and not options.json:
        print("no checks: [[check]] declares one (netd.toml(5))")
    results = asyncio.run(tried(checks, config, show=not options.json))
    ways = traces(options, results)
    if options.junit:
        write_junit(options.junit, results)
    failed = [each for each in results if not each.holds]
    if options.json:
        found = [as_json(each, ways.get(number)) for number, each in enumerate(results)]
        print(json.dumps({"version": VERSION, "checks": found}, indent=2))
    elif checks:
        for text in (text for number, way in ways.items() for text in way_of(results[number], way)):
            print(text)
        if ways:
            print()
        word = "check holds" if len(results) - len(failed) == 1 else "checks hold"
        more = f", {len(failed)} {'does' if len(failed) == 1 else 'do'} not" if failed else ""
        print(f"{len(results) - len(failed)} {word}{more}")
    return 1 if failed or config.errors else 0


def is_file(name: str) -> bool:
    """Whether an argument means a file or a directory."""
    return "/" in name or name.endswith(".toml")


def chosen(config: Config, names: Sequence[str], files: Iterable[str] | None) -> list[Check]:
    """The checks of these files, names and namespaces. UsageError for a name that is none of them."""
    within = None if files is None else frozenset(files)
    checks = [
        each
        for each in config.checks
        if within is None or not within.isdisjoint((each.origin.file, os.path.dirname(each.origin.file)))
    ]
    for path in within or ():
        if not os.path.lexists(path):
            raise UsageError(f"{printable(path)}: there is no such file or directory")
    spaces = {key.name for key in config.desired if key.is_namespace} | {each.netns for each in checks}
    known = {each.name for each in checks} | spaces | {"host"}
    for name in names:
        if name not in known:
            raise UsageError(f"no check and no namespace is called '{name}'{did_you_mean(name, known)}")
    wanted = {"" if name == "host" and "host" not in spaces else name for name in names}
    return [each for each in checks if not names or each.name in wanted or each.netns in wanted]


def addresses(config: Config) -> Mapping[str, Sequence[str]]:
    """The addresses of each namespace that the files declare, without their lengths."""
    found: dict[str, list[str]] = {}
    for key in config.desired:
        assigned = assigned_address(key)
        if assigned is not None and key.netns:
            found.setdefault(key.netns, []).append(assigned[1].partition("/")[0])
    return found


async def tried(checks: Sequence[Check], config: Config, show: bool) -> list[Result]:
    """All results, in the order of the files; each is printed as it comes."""
    prober = Prober(Kernel(), addresses(config))
    color = has_color(sys.stdout)
    results: list[Result] = []
    async for each in prober.run(checks):
        results.append(each)
        if show:
            print(line(each, color), flush=True)
    order = {id(check): number for number, check in enumerate(checks)}
    return sorted(results, key=lambda each: order[id(each.check)])


def line(result: Result, color: bool) -> str:
    """ "ok    web answers (status 200)"."""
    state = colored("ok   ", "green", color) if result.holds else colored("FAIL ", "red", color)
    return f"{state} {printable(result.check.name)}: {printable(explained(result))}"


def explained(result: Result) -> str:
    """Why a check does not hold, or what was measured."""
    if result.check.table.expect == "ok":
        return result.said
    return f"{result.said}, as expected" if result.holds else f"it succeeds ({result.said}), and must not"


def way_of(result: Result, way: Answer) -> Iterator[str]:
    """Why a check does not hold."""
    yield f"\nthe way of {printable(result.check.name)}:"
    yield from answer_lines(way, has_color(sys.stdout))


def as_json(result: Result, way: Answer | None) -> dict[str, Any]:
    """One result, with the way of its packet if it does not hold."""
    check = result.check
    return {
        "name": check.name,
        "type": check.table.type,
        "target": check.table.target,
        "from": check.netns,
        "expect": check.table.expect,
        "state": "ok" if result.holds else "failed",
        "reason": "" if result.holds else explained(result),
        "result": result.said,
        "seconds": round(result.seconds, 6),
        "attempts": result.attempts,
        "file": check.origin.file,
    } | ({"trace": way.document()} if way is not None else {})


def write_junit(path: str, results: Sequence[Result]) -> None:
    """UsageError where it cannot be written."""
    from netd.probes.junit import junit

    try:
        with open(path, "wb") as file:
            file.write(junit(results))
    except OSError as error:
        raise UsageError(f"{printable(path)}: {error.strerror}") from None
