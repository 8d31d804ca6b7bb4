"""The real kernel or the fake one, asked in the same way."""

from __future__ import annotations

from typing import Any

from netd.errors import KernelError
from netd.model import operations as do

from .kernel_needs import has
from .snapshot import snapshot, without_vlans


def look(kernel: Any) -> dict[str, Any]:
    """What is there, as far as this machine's kernel has it."""
    found = snapshot(kernel)
    return found if has("vlan_filtering") else without_vlans(found)


class On:
    """One of the two kernels."""

    def __init__(self, kernel: Any) -> None:
        self.kernel = kernel
        self.kept: dict[str, list[Any]] = {}

    def index(self, netns: str, name: str) -> int:
        with self.kernel.open(netns) as session:
            link = session.link_named(name)
        return link.index if link is not None else 0

    def do(self, step: Any) -> int:
        """Carries out a step; 0, or the errno."""
        operation = step(self) if callable(step) else step
        if isinstance(operation, do.NamespaceOperation):
            answer = self.kernel.execute_namespace(operation)
        else:
            with self.kernel.open(operation.netns) as session:
                (answer,) = self.kernel.execute(session, [operation], self.index)
        return answer.code if isinstance(answer, KernelError) else 0
