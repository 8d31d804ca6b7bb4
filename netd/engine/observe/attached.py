"""Where attached namespaces (``attach``) are found; the kernel's side knows only their paths."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set

from netd.engine.ledger import Ledger
from netd.kernel.kernel import Kernel
from netd.kernel.netns.trust import distrust
from netd.model.attach import AttachTarget
from netd.model.desired import Desired
from netd.model.key import Key


class AttachedNamespaces:
    """The attached namespaces, each with the ``attach`` of its table or of the ledger, and where that is now."""

    def __init__(self, kernel: Kernel, locate: Callable[[str], AttachTarget]) -> None:
        self._kernel = kernel
        self._locate = locate
        self._written: dict[str, str] = {}

    def written(self) -> Set[str]:
        """All values of ``attach``: of what is declared, or not removed yet."""
        return set(self._written.values())

    def set_desired(self, desired: Mapping[Key, Desired], ledger: Ledger) -> Set[str]:
        """A new configuration; returns the namespaces that are to be found elsewhere now."""
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
        """The target is somewhere else now; returns the namespaces that are attached to it."""
        names = {name for name, one in self._written.items() if one == source}
        for name in names:
            self._kernel.attach(name, self._locate(source).path)
        return names

    def cookie(self, source: str) -> int | None:
        """The identity of the namespace that is there now, None where there is none."""
        return self._kernel.find(self._locate(source).path)

    def entry(self, name: str) -> str:
        """The path of the namespace that ``ip netns`` knows by this name."""
        return self._kernel.entry_path(name)

    def missing(self, source: str) -> str:
        """What netd waits for where no namespace is found, for ``netd status``."""
        missing = self._locate(source).waits_for
        if source.startswith("/") and (reason := distrust(source)):
            missing = f"it is refused: {reason}"
        return f"{source}: {missing}" if missing else source
