"""``python -m tests.uml COMMAND``: runs a command under the User-Mode Linux kernel."""

import sys

from .machine import main

sys.exit(main(sys.argv[1:]))
