"""``netd run`` with a full pass every few seconds."""

import sys

import netd.daemon.daemon
from netd.cli.main import main

if __name__ == "__main__":
    netd.daemon.daemon.RESYNC = 3.0
    sys.exit(main())
