"""Builds a sample lab in a pretend host, breaks it step by step, and shows how netd repairs it.

Exit status: 0 if everything worked and was repaired, 1 if not.
"""

from __future__ import annotations

import argparse
import os
import sys

from demo.show import Show

from . import sandbox

INSIDE = "--inside"


def main(arguments: list[str]) -> int:
    """Outside: creates the pretend host and runs itself in it. Inside: runs the demonstration."""
    parser = argparse.ArgumentParser(prog="demo", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("-v", "--verbose", action="store_true", help="show netd's log, too")
    parser.add_argument("--step", action="store_true", help="wait for Enter before each break")
    parser.add_argument(INSIDE, action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    try:
        if options.inside:
            sandbox.furnish()
            return Show(verbose=options.verbose, step=options.step).run()
        if os.geteuid() != 0:
            print("demo: run this as root: it creates network namespaces", file=sys.stderr)
            return 1
        print("netd demo: a lab in network namespaces. It does not touch the network of this machine.", flush=True)
        return sandbox.enter("demo", INSIDE, *arguments)
    except KeyboardInterrupt:
        if not options.inside:
            print("\ndemo: interrupted; the pretend host has ended and leaves nothing behind", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
