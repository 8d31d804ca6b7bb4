"""Whether a path leads where root says: who may write to a directory on the way can make it lead anywhere."""

from __future__ import annotations

import os
import re
import stat

#: The path of "pid:N": no user can replace what is there.
OF_PROCESS = re.compile(r"/proc/[1-9][0-9]*/ns/net")
#: Links that are followed, as the kernel does (MAXSYMLINKS).
MOST_LINKS = 40


def distrust(path: str) -> str:
    """Why a path cannot be trusted, "" where it can: only root can change each directory and link on its path.

    Its end is a namespace or nothing, so that has no relevant owner. If the path ends early, only root can complete it.
    """
    if OF_PROCESS.fullmatch(path):
        return ""
    left, here, links = path.split("/"), "/", 0
    while left:
        name = left.pop(0)
        if name in ("", "."):
            continue
        if name == "..":
            here = os.path.dirname(here)
            continue
        reason = _not_roots(here)
        if reason:
            return reason
        here = os.path.join(here, name)
        try:
            if not stat.S_ISLNK(os.lstat(here).st_mode):
                continue
            target = os.readlink(here)
        except OSError:
            return ""
        links += 1
        if links > MOST_LINKS:
            return f"{path} has too many links"
        left = [*target.split("/"), *left]
        here = "/" if target.startswith("/") else os.path.dirname(here)
    return ""


def _not_roots(directory: str) -> str:
    """Why a user other than root can own an entry of a directory."""
    try:
        found = os.lstat(directory)
    except OSError:
        return ""
    if found.st_uid != 0:
        return f"{directory} belongs to user {found.st_uid}, not to root"
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return f"users other than root can write to {directory}"
    return ""
