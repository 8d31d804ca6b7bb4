"""structlog without rich: structlog.dev imports that where it is installed, and the daemon has no use for it.

It would cost each start a twentieth of a second and 5 MB.
"""

from __future__ import annotations

import sys
from typing import Any, cast

_modules = cast(dict[str, Any], sys.modules)
_hidden = "rich" not in _modules
if _hidden:
    # PEP 328: None means a module that cannot be imported.
    _modules["rich"] = None

import structlog  # noqa: E402
from structlog import processors  # noqa: E402
from structlog.stdlib import BoundLogger  # noqa: E402

if _hidden:
    del _modules["rich"]

__all__ = ["BoundLogger", "processors", "structlog"]
