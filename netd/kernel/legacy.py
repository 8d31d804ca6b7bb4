"""iptables-legacy: its FORWARD chains, by its own programs, and only where its filter table exists already.

It tells no one of its changes, and asking it for a table that is not there makes it. ``iptables-legacy-save`` reads
without the lock file that every other command would create.
"""

from __future__ import annotations

import errno
import itertools
import shlex
import subprocess
from collections.abc import Iterable, Sequence

from netd.errors import Refused
from netd.model.firewall import Accept, Direction, ForwardChain
from netd.model.marks import TABLE
from netd.model.operations import LegacyForward

#: The program and the list of existing tables of each family.
FAMILIES = {"ip": ("iptables-legacy", "ip_tables_names"), "ip6": ("ip6tables-legacy", "ip6_tables_names")}
OPTIONS: dict[str, Direction] = {"-i": "in", "-o": "out"}
USER_CHAIN = "DOCKER-USER"
DROPS = frozenset({"DROP", "REJECT", "TARPIT"})

Rules = dict[str, list[list[str]]]


def read() -> list[ForwardChain]:
    """The calling thread's namespace: chains where an accept is needed, or where one of netd's is.

    Without the programs FORWARD counts as one that drops: who needs a way through it fails, and says what is missing.
    """
    found: list[ForwardChain] = []
    for family, (program, names) in FAMILIES.items():
        if not _has_filter(names):
            continue
        try:
            found += chains(family, _call([f"{program}-save", "-t", "filter"]))
        except Refused:
            found.append(ForwardChain(family, "filter", "FORWARD", legacy=True))
    return found


def loaded() -> bool:
    """Whether a filter table is there in the calling thread's namespace."""
    return any(_has_filter(names) for _, names in FAMILIES.values())


def execute(operation: LegacyForward) -> None:
    """Puts one accept rule at the top of its chain, or takes it away; KernelError with the program's words."""
    program, names = FAMILIES[operation.family]
    if not _has_filter(names):
        return
    option = "-i" if operation.direction == "in" else "-o"
    rule = [option, operation.dev, "-m", "comment", "--comment", TABLE, "-j", "ACCEPT"]
    _call([program, "-w", "-D" if operation.delete else "-I", operation.chain, *rule])


def chains(family: str, saved: str) -> list[ForwardChain]:
    """The forward chains in the output of iptables-save."""
    policy = "ACCEPT"
    rules: Rules = {}
    for line in saved.splitlines():
        words = shlex.split(line, comments=True)
        if words and words[0] == ":FORWARD":
            policy = words[1]
        elif len(words) > 2 and words[0] == "-A":
            rules.setdefault(words[1], []).append(words[2:])
    forward = rules.get("FORWARD", [])
    needed = policy == "DROP" or any(_may_drop(rule, rules) for rule in forward)
    target = _target(forward, rules)
    found = []
    for name in dict.fromkeys((target, "FORWARD")):
        accepted = tuple(_accepts(rules.get(name, ()), rules))
        if accepted or (needed and name == target):
            found.append(ForwardChain(family, "filter", name, True, needed and name == target, accepted))
    return found


def _target(forward: Iterable[Sequence[str]], rules: Rules) -> str:
    for rule in forward:
        if rule[-2:] == ["-j", USER_CHAIN]:
            return USER_CHAIN
        if _may_drop(rule, rules):
            break
    return "FORWARD"


def _accepts(rules: Iterable[Sequence[str]], table: Rules) -> Iterable[Accept]:
    effective = True
    for rule in rules:
        if len(rule) == 8 and rule[0] in OPTIONS and rule[2:] == ["-m", "comment", "--comment", TABLE, "-j", "ACCEPT"]:
            yield Accept(OPTIONS[rule[0]], rule[1], 0, effective)
        elif _may_drop(rule, table) or _goes_to(rule) == "RETURN":
            effective = False


def _goes_to(rule: Sequence[str]) -> str:
    """The target, or the chain, of a rule."""
    for option, value in itertools.pairwise(rule):
        if option in ("-j", "-g"):
            return value
    return ""


def _may_drop(rule: Sequence[str], table: Rules, seen: frozenset[str] = frozenset()) -> bool:
    target = _goes_to(rule)
    if target in DROPS:
        return True
    if target in seen:
        return False
    return any(_may_drop(below, table, seen | {target}) for below in table.get(target, ()))


def _has_filter(names: str) -> bool:
    """Whether the table exists; looking here does not make it."""
    try:
        with open(f"/proc/thread-self/net/{names}", encoding="ascii") as file:
            return "filter" in file.read().split()
    except OSError:
        return False


def _call(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise Refused(errno.EOPNOTSUPP, f"{command[0]} is not installed (Debian, Ubuntu: iptables)") from None
    if done.returncode != 0:
        raise Refused(errno.EINVAL, (done.stderr.strip() or f"{command[0]} failed").splitlines()[0])
    return done.stdout
