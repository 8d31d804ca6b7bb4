"""Builds the sample lab in a pretend host, breaks it before the reader's eyes, and shows how netd mends it.

Exit status: 0 when everything worked and healed, 1 when not.
"""

from __future__ import annotations

import os
import sys

from demo.show import Show

from . import sandbox

INSIDE = "--inside"


def main(arguments: list[str]) -> int:
    """Outside: makes the pretend host and runs itself in it. Inside: the show."""
    if arguments == [INSIDE]:
        sandbox.furnish()
        return Show().run()
    if os.geteuid() != 0:
        print("demo: it makes network namespaces: run it as root", file=sys.stderr)
        return 1
    print("netd's demo: a lab in namespaces of its own. This machine's network is not touched.", flush=True)
    return sandbox.enter("demo", INSIDE)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
