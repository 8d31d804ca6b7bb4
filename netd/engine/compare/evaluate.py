"""One look at objects: each compared once, what others hang on before them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache

from netd.engine.graph.dependencies import Index
from netd.engine.ledger import Ledger
from netd.engine.observe.attached import Sources
from netd.engine.observe.mirror import Mirror
from netd.engine.status.table import Rows
from netd.errors import KernelError
from netd.kinds import registry
from netd.model.key import HOST, Key, LinkName
from netd.model.status import State

from .diff import Comparison, Verdict

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

        index, unready = self._index, cache(self._unready)
        comparison = Comparison(
            self._mirror, index.desired, index.providers, self._ledger.get, blocked, unready, self._sources.why,
            index.resolved, withdraw=withdraw,
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
        twin = self._index.twin(key.name) if one is not None and one.source else ""
        if twin:
            return Verdict(State.CONFLICT, f"it is {twin}: write there what is to be in it, and take this table out")
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

    def _unready(self, netns: str) -> str:
        """Why what a name stands for now is not to be built into yet, "" for nothing."""
        key = Key(HOST, "namespace", netns)
        one, record = self._index.desired.get(key), self._ledger.get(key)
        if one is None or not (one.source or (record and "attach" in record.identity)):
            return ""
        observed = registry()[key.kind].observe(key, one.data, self._mirror, record.identity if record else {})
        if observed is not None and observed.leftover:
            return "its name is taken off another namespace first"
        if (observed is not None and observed.conflict) or (one.source and self._index.twin(netns)):
            return f"{key}: {State.CONFLICT.value}"
        cookie = self._mirror.cookie(netns)
        for other in self._index.former if cookie else ():
            former = self._ledger.get(other)
            if former is not None and former.identity.get("cookie") == cookie and any(self._index.left_in(other.name)):
                return f"what netd made there as {other.name} goes first"
        return ""

    def _ordered(self, keys: Iterable[Key]) -> list[Key]:
        """Namespaces, then links from the ground up, then what hangs on them; undeclared objects first of all."""
        levels = {key: self._index.level(key) for key in keys}
        return sorted(
            levels, key=lambda key: (key.kind != "namespace", levels[key] is None, levels[key] or 0, key.netns, key)
        )
