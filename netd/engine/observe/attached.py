"""Where the namespaces of others are found: told to the kernel's side, which knows paths only."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set

from netd.engine.ledger import Ledger
from netd.kernel.kernel import Kernel
from netd.model.attach import AttachTarget
from netd.model.desired import Desired
from netd.model.key import Key


class AttachedNamespaces:
    """What is written (``attach``) of each such namespace, and where that is now."""

    def __init__(self, kernel: Kernel, locate: Callable[[str], AttachTarget]) -> None:
        self._kernel = kernel
        self._locate = locate
        self._written: dict[str, str] = {}

    def written(self) -> Set[str]:
        """All that is written, of what is declared or not taken away yet."""
        return set(self._written.values())

    def set_desired(self, desired: Mapping[Key, Desired], ledger: Ledger) -> Set[str]:
        """A new configuration; returns the namespaces that are looked for elsewhere now."""
        written = {one.key.name: one.source for one in desired.values() if one.source}
        for key, source in ledger.attached().items():
            if key not in desired:
                written.setdefault(key.name, source)
        before, self._written = self._written, written
        for name in before.keys() - written.keys():
            self._kernel.attach(name, None)
            self._kernel.stop_watching(name)
        for name, source in written.items():
            self._kernel.attach(name, self._locate(source).path)
        return {name for name in before.keys() | written.keys() if before.get(name) != written.get(name)}

    def target_moved(self, source: str) -> Set[str]:
        """It is somewhere else now; returns the namespaces that are looked for there."""
        names = {name for name, one in self._written.items() if one == source}
        for name in names:
            self._kernel.attach(name, self._locate(source).path)
        return names

    def cookie(self, source: str) -> int | None:
        """The identity of the namespace that is there now; None where there is none."""
        return self._kernel.find(self._locate(source).path)

    def entry(self, name: str) -> str:
        """Where the namespace is found that ``ip netns`` knows by this name."""
        return self._kernel.entry_path(name)

    def missing(self, source: str) -> str:
        """What is waited for where no namespace is found, in words."""
        missing = self._locate(source).waits_for
        return f"{source}: {missing}" if missing else source
