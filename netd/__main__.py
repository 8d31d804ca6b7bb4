"""python -m netd."""

import sys

from .cli.main import main

sys.exit(main())
