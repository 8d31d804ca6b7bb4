"""Writes completions for shells from netd's own command line: ``python package/completion.py bash >netd``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from typing import Any

import shtab

from netd.cli.main import VERBS, build_parser

#: What a shell can know beyond words and files: {verb: {argument: shell function}}.
NAMESPACES = {"bash": "_netd_namespaces", "zsh": "_netd_namespaces"}
OBJECTS = {"bash": "_netd_objects", "zsh": "_netd_objects"}
COMPLETED = {
    ("exec", "namespace"): NAMESPACES,
    ("exec", "command"): {"bash": "_shtab_compgen_files", "zsh": "_command_names -e"},
    ("wait", "objects"): OBJECTS,
}
FILES = frozenset({"paths", "metrics_file"})
FOLDERS = frozenset({"config_dir", "state_dir", "cache_dir"})
LIST_NAMESPACES = "ip netns list 2>/dev/null | cut -d' ' -f1"
LIST_OBJECTS = """netd status --all 2>/dev/null | awk '$2 ~ "^([^/]+:)?[a-z]+/" {print $2}'"""
FUNCTIONS = {
    "bash": """_netd_namespaces() { compgen -W "$(NAMESPACES)" -- "$1"; }
_netd_objects() { compgen -W "$(OBJECTS)" -- "$1"; }
""",
    "zsh": """_netd_namespaces() { compadd ${(f)"$(NAMESPACES)"}; }
_netd_objects() { compadd ${(f)"$(OBJECTS)"}; }
""",
}


def functions(shell: str) -> str:
    """The functions that know namespaces and objects."""
    return FUNCTIONS[shell].replace("NAMESPACES", LIST_NAMESPACES).replace("OBJECTS", LIST_OBJECTS)


def parser() -> argparse.ArgumentParser:
    """The command line with all its verbs, and how their arguments are completed."""
    whole = build_parser(*VERBS)
    for verb, sub in verbs_of(whole).items():
        for action in (*whole._actions, *sub._actions):
            how: Mapping[str, Any] | None = COMPLETED.get((verb, action.dest))
            if action.dest in FILES:
                how = shtab.FILE
            elif action.dest in FOLDERS:
                how = shtab.DIRECTORY
            if how:
                action.complete = how  # type: ignore[attr-defined]
    return whole


def verbs_of(whole: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The parser of each verb."""
    for action in whole._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


if __name__ == "__main__":
    print(shtab.complete(parser(), shell=sys.argv[1], preamble=functions(sys.argv[1])))
