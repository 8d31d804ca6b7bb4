"""``netd run`` in which something throws, as NETD_THROW says: "module:Class.method:Exception:NAMESPACE:TIMES".

NAMESPACE narrows methods of sessions and of the kernel ("*" any); TIMES is how often it throws ("-" for ever).
"""

from __future__ import annotations

import builtins
import functools
import importlib
import os
import sys
from typing import Any

from netd.cli.main import main


def throw() -> None:
    """Puts the exception where it belongs."""
    module, path, name, netns, times = os.environ["NETD_THROW"].split(":")
    *owners, attribute = path.split(".")
    owner: Any = functools.reduce(getattr, owners, importlib.import_module(module))
    error = getattr(builtins, name)
    real = getattr(owner, attribute)
    left = [int(times) if times != "-" else 1 << 60]

    @functools.wraps(real)
    def throwing(*args: Any, **others: Any) -> Any:
        where = getattr(args[0], "netns", args[1] if len(args) > 1 else "") if args else ""
        if left[0] > 0 and netns in ("*", where):
            left[0] -= 1
            raise error("thrown by the test")
        return real(*args, **others)

    setattr(owner, attribute, throwing)


if __name__ == "__main__":
    throw()
    sys.exit(main())
