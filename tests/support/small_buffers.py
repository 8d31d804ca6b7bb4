"""``netd run`` with event sockets of a few bytes, which overrun; it says so each time that all is unknown."""

import sys
from collections.abc import Iterator
from typing import Any

from netd.cli.main import main
from netd.kernel.events import Events
from netd.kernel.sysctl.watch import SysctlWatch
from netd.model.invalidation import EVERYTHING, Invalidation

#: What SO_RCVBUF is asked for: the kernel doubles it.
BUFFER = 4096


def telling(source: type[Events] | type[SysctlWatch]) -> None:
    """Prints a line for each loss that ``source`` reports."""
    drain = source.drain

    def told(self: Events | SysctlWatch, *args: Any) -> Iterator[Invalidation]:
        for dirty in drain(self, *args):  # type: ignore[arg-type]
            if dirty == EVERYTHING:
                print(f"lost events of {source.__name__}", file=sys.stderr, flush=True)
            yield dirty

    source.drain = told  # type: ignore[method-assign, assignment]


if __name__ == "__main__":
    Events.__init__.__defaults__ = (BUFFER,)
    telling(Events)
    telling(SysctlWatch)
    sys.exit(main())
