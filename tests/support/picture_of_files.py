"""All that a directory has, byte for byte: content, mode, owner, and where links lead; hidden entries too."""

from __future__ import annotations

import os
from pathlib import Path


def picture(directory: Path) -> dict[str, tuple[object, ...]]:
    """{path below the directory: mode, owner, group, and content}."""
    found: dict[str, tuple[object, ...]] = {}
    for path in sorted(directory.rglob("*")):
        about = path.lstat()
        content: object = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else None
        found[str(path.relative_to(directory))] = (about.st_mode, about.st_uid, about.st_gid, content)
    return found
