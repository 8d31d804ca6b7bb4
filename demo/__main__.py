"""Builds a sample lab in a pretend host, breaks it step by step, and shows how netd repairs it.

Exit status: 0 if everything worked and was repaired, 1 if not.
"""

from __future__ import annotations

import os
import sys

from demo.show import Show

from . import sandbox

INSIDE = "--inside"


def main(arguments: list[str]) -> int:
    """Outside: creates the pretend host and runs itself in it. Inside: runs the demonstration."""
    if arguments == [INSIDE]:
        sandbox.furnish()
        return Show().run()
    if os.geteuid() != 0:
        print("demo: run this as root: it creates network namespaces", file=sys.stderr)
        return 1
    print("netd demo: a lab in its own network namespaces. It does not touch the network of this machine.", flush=True)
    return sandbox.enter("demo", INSIDE)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
