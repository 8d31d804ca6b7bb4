"""Files → tables → desired objects, with every mistake at its line and column."""

from .folder import Config, FileState, Folder, load
from .mistake import Mistake

__all__ = ["Config", "FileState", "Folder", "Mistake", "load"]
