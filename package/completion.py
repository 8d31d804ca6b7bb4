"""Writes completions for shells from netd's own command line: ``python package/completion.py bash >netd``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from typing import Any

import shtab

from netd.cli.main import VERBS, build_parser
from netd.kinds import registry

#: What a shell can know beyond words and files: {verb: {argument: shell function}}.
NAMESPACES = {"bash": "_netd_namespaces", "zsh": "_netd_namespaces"}
OBJECTS = {"bash": "_netd_objects", "zsh": "_netd_objects"}
NAMES = {"bash": "_netd_names", "zsh": "_netd_names"}
COMPLETED = {
    ("exec", "namespace"): NAMESPACES,
    ("exec", "command"): {"bash": "_shtab_compgen_files", "zsh": "_command_names -e"},
    ("wait", "objects"): OBJECTS,
    ("status", "names"): NAMES,
    ("graph", "names"): NAMES,
}
FILES = frozenset({"paths", "metrics_file", "against"})
DIRECTORIES = frozenset({"config_dir", "state_dir", "cache_dir"})
#: What `netd status --all` lists: the second column below the head of that name; links also without their kind.
LISTED = "netd status --all 2>/dev/null | awk '{}'"
HEAD = '$1 == "STATE" {h = $2; next} '
OBJECT = 'h == "OBJECT" {print $2} '
LINK = 'h == "OBJECT" && $2 ~ /^([^:\\/]+:)?(KINDS)\\/[^\\/]+$/ {sub(/(KINDS)\\//, "", $2); print $2} '
OTHERS = 'h == "NAMESPACE" && $2 != "(host)" || h == "FILE" && /^[^ ]/ {print $2} '
LISTS = {
    "_netd_namespaces": "ip netns list 2>/dev/null | cut -d' ' -f1",
    "_netd_objects": LISTED.format(HEAD + OBJECT),
    "_netd_names": LISTED.format(HEAD + OBJECT + OTHERS + LINK),
}
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
    body = '%s() { compgen -W "$(%s)" -- "$1"; }' if shell == "bash" else '%s() { compadd ${(f)"$(%s)"}; }'
    kinds = "|".join(name for name, kind in registry().items() if kind.traits.provides_links or kind.traits.is_foreign)
    return "\n".join(body % (name, command.replace("KINDS", kinds)) for name, command in LISTS.items())


def parser() -> argparse.ArgumentParser:
    """The command line with all its verbs, and how their arguments are completed."""
    whole = build_parser(*VERBS)
    for verb, sub in verbs_of(whole).items():
        for action in (*whole._actions, *sub._actions):
            how: Mapping[str, Any] | None = COMPLETED.get((verb, action.dest))
            if action.dest in FILES:
                how = shtab.FILE
            elif action.dest in DIRECTORIES:
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
    if sys.argv[1] == "bash":
        print(BASH)
