"""Containers by name: where the namespace of each is, according to its engine, or why it has none.

Nothing here changes anything, at the engine or in the kernel.
"""

from .containers import Containers

__all__ = ["Containers"]
