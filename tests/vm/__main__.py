"""``python -m tests.vm DIRECTORY COMMAND``: runs a command under Debian's kernel, which is kept in DIRECTORY."""

import sys

from .machine import main

sys.exit(main(sys.argv[1:]))
