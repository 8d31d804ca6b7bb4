"""python -m netd."""

import sys

from netd.cli.main import main

sys.exit(main())
