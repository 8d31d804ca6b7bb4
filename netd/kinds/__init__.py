"""One module per kind. Every subclass of Kind in this directory is registered."""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Mapping
from types import MappingProxyType

from .base.kind import Kind


@functools.cache
def registry() -> Mapping[str, Kind]:
    """Every kind by its name, in the order of the modules' names."""
    found: dict[str, Kind] = {}
    for module in pkgutil.iter_modules(__path__):
        namespace = vars(importlib.import_module(f"{__name__}.{module.name}"))
        for value in namespace.values():
            if isinstance(value, type) and issubclass(value, Kind) and "name" in vars(value):
                found.setdefault(value.name, value())
    return MappingProxyType(found)
