"""The engines side by side: one lookup of where a foreign namespace is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from netd.model.attach import CONTAINER, AttachTarget

from .docker import Docker
from .podman import Podman
from .runtime import ContainerRuntime


class Containers:
    """Until ``start``, each lookup asks the engine, and waits for it a moment. After that the engines are watched,
    by a thread for each that is needed, and lookups only return what is known."""

    def __init__(self) -> None:
        self._engines: Mapping[str, ContainerRuntime] = {"docker": Docker(), "podman": Podman()}

    def locate(self, source: str) -> AttachTarget:
        """Where ``source`` is: itself, or what the engine says of that container."""
        found = CONTAINER.fullmatch(source)
        if found is None:
            return AttachTarget(source)
        return self._engines[found[1]].locate(found[2])

    def start(self, moved: Callable[[str], None], sources: Iterable[str]) -> None:
        """``moved`` is called, in another thread, with each source of which the location changed."""
        for prefix, engine in self._engines.items():

            def report(name: str, prefix: str = prefix) -> None:
                moved(f"{prefix}:{name}")

            engine.start(report)
        self.follow(sources)

    def follow(self, sources: Iterable[str]) -> None:
        """The containers that matter from now on. An engine without any of them is not asked."""
        found = [match.groups() for match in map(CONTAINER.fullmatch, sources) if match]
        for prefix, engine in self._engines.items():
            engine.follow({name for each, name in found if each == prefix})

    def close(self) -> None:
        """Ends the threads."""
        for engine in self._engines.values():
            engine.close()
