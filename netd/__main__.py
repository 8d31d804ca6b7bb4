"""``python -m netd``, and the command ``netd``: imported by nothing else, because it takes over Ctrl-C."""

import sys

from netd.cli import interrupt

interrupt.guard_imports()

from netd.cli.main import main  # noqa: E402 - Ctrl-C may come during this import

if __name__ == "__main__":
    sys.exit(main())
