"""Where a foreign namespace is found: a path, a process, or a container by its name."""

from __future__ import annotations

import re
from dataclasses import dataclass

#: Engines that find containers by name.
RUNTIMES = ("docker", "podman")
#: A container by its engine and its name (or id).
CONTAINER = re.compile(rf"({'|'.join(RUNTIMES)}):([a-zA-Z0-9][a-zA-Z0-9_.-]*)")


@dataclass(frozen=True, slots=True)
class AttachTarget:
    """``path``: "/path" or "pid:N", "" if there is none at the moment.

    ``waits_for``: what is missing, in words, as long as there is no namespace at ``path``.
    """

    path: str
    waits_for: str = ""
