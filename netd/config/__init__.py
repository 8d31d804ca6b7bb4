"""Files → tables → desired objects, with every mistake at its line and column."""

from .folder import Config, FileState, Folder
from .mistake import Mistake, printable
from .paths import load, named

__all__ = ["Config", "FileState", "Folder", "Mistake", "load", "named", "printable"]
