"""The C library of this process, for calls that Python does not have; ``ctypes.get_errno()`` says why one failed."""

from __future__ import annotations

import ctypes

LIBC = ctypes.CDLL(None, use_errno=True)
