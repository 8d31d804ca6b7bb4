"""Writes completions for shells from netd's own command line: ``python package/completion.py bash >netd``."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import shtab

from netd.cli.main import VERBS, build_parser

#: The commands that list names. Namespaces are those that a command can enter, with the daemon or without it.
LISTS = {
    "namespaces": "ip netns list 2>/dev/null | cut -d' ' -f1",
    "links": "netd status --list links 2>/dev/null",
    "objects": "netd status --list objects 2>/dev/null",
    "names": "netd status --list names 2>/dev/null",
}
#: What an argument means, by a word of its metavar: a list of names, or files. An argument is completed by all that
#: its metavar mentions ("NAME|FILE").
MEANINGS = {
    "NAMESPACE": "namespaces", "LINK": "links", "OBJECT": "objects", "NAME": "names", "FROM": "namespaces",
    "TO": "namespaces", "PATH": "files", "FILE": "files", "FOLDER": "directories", "DIR": "directories",
}  # fmt: skip
#: The rest of another command line.
COMMAND = {"bash": "_shtab_compgen_files", "zsh": "_netd_command"}
COMPLETERS: dict[str, Mapping[str, Any]] = {
    "files": shtab.FILE,
    "directories": shtab.DIRECTORY,
    **{name: {"bash": f"_netd_{name}", "zsh": f"_netd_{name}"} for name in LISTS},
}
ZSH = """
_netd_command() {
    shift words
    (( CURRENT -= 1 ))
    _normal
}"""
BASH = """
# Names of objects have colons, at which bash breaks words; after "exec NAMESPACE" comes another command line.
_netd() {
    local -a words=()
    local i cword=0 verb=0
    for ((i = 0; i < ${#COMP_WORDS[@]}; i++)); do
        if ((i)) && [[ ${COMP_WORDS[i]} == :* || ${words[-1]} == *: ]]; then
            words[-1]+=${COMP_WORDS[i]}
        else
            words+=("${COMP_WORDS[i]}")
        fi
        ((i != COMP_CWORD)) || cword=$((${#words[@]} - 1))
    done
    for ((i = 1; i < cword && !verb; i++)); do
        case ${words[i]} in
            --config-dir | --state-dir | --cache-dir) i=$((i + 1)) ;;
            -*) ;;
            *) verb=$i ;;
        esac
    done
    local word=${words[cword]}
    local COMP_WORDS=("${words[@]}") COMP_CWORD=$cword
    if ((verb && cword > verb + 1)) && [[ ${words[verb]} == exec ]]; then
        if declare -F _comp_command_offset >/dev/null; then
            _comp_command_offset $((verb + 2))
        elif declare -F _command_offset >/dev/null; then
            _command_offset $((verb + 2))
        elif ((cword == verb + 2)); then
            COMPREPLY=($(compgen -c -- "$word"))
        else
            COMPREPLY=($(compgen -f -- "$word"))
        fi
        return
    fi
    _shtab_netd netd "$word" "${words[cword - 1]}"
    if [[ $word == *:* && $COMP_WORDBREAKS == *:* ]]; then
        COMPREPLY=("${COMPREPLY[@]#"${word%"${word##*:}"}"}")
    fi
}
complete -o bashdefault -F _netd netd"""


def functions(shell: str) -> str:
    """The functions that list names."""
    body = 'compgen -W "$(%s)" -- "$1"' if shell == "bash" else 'compadd -- ${(f)"$(%s)"}'
    found = "\n".join(f"_netd_{name}() {{ {body % command}; }}" for name, command in LISTS.items())
    return found if shell == "bash" else found + ZSH


def completer(action: argparse.Action) -> Mapping[str, Any] | None:
    """How an argument is completed, None where only its user knows what to write."""
    if action.nargs == argparse.REMAINDER:
        return COMMAND
    metavar = action.metavar if isinstance(action.metavar, str) else " ".join(action.metavar or ())
    meant = [MEANINGS[word] for word in re.split(r"\W+", metavar) if word in MEANINGS]
    # What a name can be includes files and namespaces.
    return COMPLETERS["names" if "names" in meant else meant[0]] if meant else None


def parser() -> argparse.ArgumentParser:
    """The command line with all its verbs, and how their arguments are completed."""
    whole = build_parser(*VERBS)
    for one in every_parser(whole):
        for action in one._actions:
            how = None if action.choices else completer(action)
            if how:
                action.complete = how  # type: ignore[attr-defined]
    return whole


def every_parser(one: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """A parser and those of its verbs, and of theirs."""
    yield one
    for sub in verbs_of(one).values():
        yield from every_parser(sub)


def verbs_of(whole: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The parser of each verb."""
    for action in whole._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


if __name__ == "__main__":
    print(shtab.complete(parser(), shell=sys.argv[1], preamble=functions(sys.argv[1])))
    if sys.argv[1] == "bash":
        print(BASH)
