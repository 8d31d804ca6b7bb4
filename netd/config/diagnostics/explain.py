"""The errors of one table, as problems at their lines and columns."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from netd.kinds.base.reading import Violation

from .positions import TomlPath
from .problem import Problem, Source
from .schema import titled


def meant(word: str, known: Iterable[str]) -> str:
    """ ": did you mean 'vni'?", or nothing."""
    close = difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.6)
    return f": did you mean '{close[0]}'?" if close else ""


def explain(
    violations: Sequence[Violation], raw: Any, known: Collection[str], base: TomlPath, source: Source
) -> Iterator[Problem]:
    """All problems of one table: ``raw`` as it was read, ``base`` its path, ``known`` the keys that it can have."""
    for each in violations:
        path = base + each.path
        if each.known is not None:
            text = each.text + meant(str(path[-1]), known if len(each.path) == 1 else each.known)
            yield source.problem(path, titled(path[:-1], text), name=True)
        else:
            inside = () if each.missing else key_in(_at(raw, each.path), each.text)
            yield source.problem(path + inside, titled(path, each.text))


def _at(raw: Any, path: TomlPath) -> Any:
    for part in path:
        raw = raw[part]
    return raw


def key_in(raw: Any, text: str) -> TomlPath:
    """The path of the key that a message begins with ("peer.mtu: ..."), () where it begins with none."""
    key, colon, _ = text.partition(": ")
    return (resolve(raw, key) if colon and " " not in key else None) or ()


def resolve(raw: Any, text: str) -> TomlPath | None:
    """The path of a key that is written dotted, whether its parts are quoted together or tables of their own."""
    if not isinstance(raw, dict):
        return None
    if text in raw:
        return (text,)
    for end in (at for at, character in enumerate(text) if character == "."):
        if text[:end] in raw:
            below = resolve(raw[text[:end]], text[end + 1 :])
            if below is not None:
                return (text[:end], *below)
    return None
