"""Files → tables → desired objects, with every mistake at its line and column."""

from .diagnostics.mistake import Mistake, printable
from .read.folder import Config, FileState, Folder
from .read.selection import load, named

__all__ = ["Config", "FileState", "Folder", "Mistake", "load", "named", "printable"]
