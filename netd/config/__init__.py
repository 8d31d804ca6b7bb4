"""Files → tables → desired objects, with every problem at its line and column."""

from .diagnostics.problem import Problem, printable
from .read.directory import Config, ConfigDirectory, FileState
from .read.selection import load, named

__all__ = ["Config", "ConfigDirectory", "FileState", "Problem", "load", "named", "printable"]
