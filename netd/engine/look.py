"""One look at objects: each compared once, what others hang on before them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from netd.errors import KernelError
from netd.model.key import Key, LinkName
from netd.model.status import State

from .diff import Comparison, Verdict
from .index import Index
from .ledger import Ledger
from .mirror import Mirror
from .rows import Rows
from .sources import Sources

#: States of what cannot be relied on.
BLOCKING = frozenset({State.FAILED, State.CONFLICT})


class Look:
    """Judges objects by what is there now. ``forced``: undeclared objects that go although netd did not make them."""

    def __init__(self, index: Index, rows: Rows, ledger: Ledger, mirror: Mirror, sources: Sources) -> None:
        self._index = index
        self._rows = rows
        self._ledger = ledger
        self._mirror = mirror
        self._sources = sources
        self.forced: set[Key] = set()

    def judge(self, keys: Iterable[Key], *, withdraw: bool) -> dict[Key, Verdict]:
        """Compares these objects; ``withdraw`` as of ``Comparison``."""
        verdicts: dict[Key, Verdict] = {}

        def blocked(what: LinkName | str) -> str:
            return self._blocked(what, verdicts)

        index = self._index
        comparison = Comparison(
            self._mirror, index.desired, index.providers, self._ledger.get, blocked, self._sources.why, index.resolved,
            withdraw=withdraw,
        )  # fmt: skip
        with self._mirror.looking():
            for key in self._ordered(keys):
                try:
                    verdicts[key] = self._judge_one(key, comparison)
                except KernelError as error:
                    verdicts[key] = Verdict(State.FAILED, f"cannot be read: {error}", error=error)
        return verdicts

    def _judge_one(self, key: Key, comparison: Comparison) -> Verdict:
        one, record = self._index.desired.get(key), self._ledger.get(key)
        if one is not None:
            return comparison.judge(one)
        forced = key in self.forced
        change = comparison.judge_undeclared(key, record, force=forced) if record is not None else None
        return Verdict(State.OK, change=change)

    def _blocked(self, what: LinkName | str, verdicts: Mapping[Key, Verdict]) -> str:
        """Why a declared link or namespace cannot be relied on, "" where it can. ``verdicts``: of this look."""
        provider = self._index.providers.get(what) if isinstance(what, LinkName) else Key("", "namespace", what)
        if provider is None:
            return ""
        known = verdicts.get(provider) or self._rows.get(provider)
        return f"{provider}: {known.state.value}" if known is not None and known.state in BLOCKING else ""

    def _ordered(self, keys: Iterable[Key]) -> list[Key]:
        """Namespaces, then links from the ground up, then what hangs on them; undeclared objects first of all."""
        levels = {key: self._index.level(key) for key in keys}
        return sorted(
            levels, key=lambda key: (key.kind != "namespace", levels[key] is None, levels[key] or 0, key.netns, key)
        )
