"""iptables-legacy: its filter table, by its own programs, and only where that table exists already.

It tells no one of its changes, and asking it for a table that is not there makes it. ``iptables-legacy-save`` reads
without the lock file that every other command would create.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import re
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress

from netd.errors import Refused
from netd.model.firewall import BaseChain, ChainRule, Hook, Match, Verdict
from netd.model.marks import TABLE
from netd.model.operations import LegacyAccept

from .base_chains import matters

#: The program and the list of existing tables of each family.
FAMILIES = {"ip": ("iptables-legacy", "ip_tables_names"), "ip6": ("ip6tables-legacy", "ip6_tables_names")}
GATES: Mapping[str, Hook] = {"FORWARD": "forward", "INPUT": "input"}
VERDICTS: Mapping[str, Verdict] = {
    "ACCEPT": "accept", "DROP": "drop", "REJECT": "drop", "TARPIT": "drop", "RETURN": "return",
}  # fmt: skip
#: Options with one value: the field of a Match, and how the value reads there.
OPTIONS: Mapping[str, tuple[str, Callable[[str], str]]] = {
    "-i": ("iif", str),
    "-o": ("oif", str),
    "-s": ("source", lambda text: str(ipaddress.ip_network(text, strict=False))),
    "-d": ("destination", lambda text: str(ipaddress.ip_network(text, strict=False))),
    "-p": ("protocol", str),
    "--dport": ("port", lambda text: "-".join(str(int(part)) for part in text.split(":"))),
}
#: A line of iptables-save: a comment is in quotes, and has newlines in it as its author liked.
RECORD = re.compile(r'(?:(?<= )"(?:[^"\\]|\\.)*"|[^\n])+', re.DOTALL)
WORD = re.compile(r'"((?:[^"\\]|\\.)*)"|(\S+)', re.DOTALL)
#: Seconds that one of the programs may take, and bytes that it may print: a table can have any number of rules.
PATIENCE, LONGEST = 2.0, 16 << 20
#: A rule that cannot be parsed.
PERHAPS = ChainRule(verdict="drop", certain=False)
#: Matches that ask nothing by themselves.
PLAIN = frozenset({"udp", "tcp", "comment", "conntrack", "state"})


def read() -> list[BaseChain]:
    """The calling thread's namespace.

    Without the programs every chain may drop: who needs a way through fails, and says what is missing.
    """
    found: list[BaseChain] = []
    for family, (program, names) in FAMILIES.items():
        if not _has_filter(names):
            continue
        try:
            found += base_chains(family, _call([f"{program}-save", "-t", "filter"]))
        except Refused as error:
            if error.code != errno.EOPNOTSUPP:
                raise
            lines = dict.fromkeys(GATES, (PERHAPS,))
            found += [
                BaseChain(hook, family, "filter", chain, legacy=True, rules=lines) for chain, hook in GATES.items()
            ]
    return found


def loaded() -> bool:
    """Whether a filter table is there in the calling thread's namespace."""
    return any(_has_filter(names) for _, names in FAMILIES.values())


def execute(operation: LegacyAccept) -> None:
    """Puts one accept rule at the top of its chain, or takes it away; KernelError with the program's words."""
    program, names = FAMILIES[operation.family]
    if not _has_filter(names):
        return
    _call([program, "-w", "-D" if operation.delete else "-I", operation.chain, *words(operation.match)])


def words(match: Match) -> list[str]:
    """The rule that accepts it."""
    asked = match._asdict()
    found = [word for option, (name, _) in OPTIONS.items() if asked[name] for word in (option, asked[name])]
    return [*found, "-m", "comment", "--comment", TABLE, "-j", "ACCEPT"]


def base_chains(family: str, saved: str) -> Iterator[BaseChain]:
    """The rules in the output of iptables-save."""
    drops: dict[str, bool] = {}
    rules: dict[str, list[ChainRule]] = {}
    for text in RECORD.findall(saved):
        found = words_of(text)
        if len(found) > 1 and found[0].startswith(":"):
            drops[found[0][1:]] = found[1] == "DROP"
        elif len(found) > 2 and found[0] == "-A":
            line = line_of(family, found[2:])
            # What is no chain is a target that lets the packet go on (LOG).
            if line is not None and (not line.chain or line.chain in drops):
                rules.setdefault(found[1], []).append(line)
    lines = {name: tuple(found) for name, found in rules.items()}
    for chain, hook in GATES.items():
        base = BaseChain(hook, family, "filter", chain, legacy=True, drops=drops.get(chain, False), rules=lines)
        if matters(base):
            yield base


def words_of(record: str) -> list[str]:
    """The words of a line. What is in quotes is never an option; quotes, apostrophes and backslashes in it have a
    backslash before them."""
    found = []
    for quoted, word in WORD.findall(record):
        text = re.sub(r"\\(.)", r"\1", quoted, flags=re.DOTALL)
        found.append(f" {text}" if text.startswith(("-", "!")) else text or word)
    return found


def line_of(family: str, rule: Sequence[str]) -> ChainRule | None:
    """One rule; None, where it concerns no new packet or sends it nowhere."""
    asked = {"family": family}
    certain, comment = True, ""
    for option, value, negated in _options(rule):
        if option in ("-j", "-g"):
            verdict = VERDICTS.get(value, "goto" if option == "-g" else "jump")
            own = verdict == "accept" and certain and comment == TABLE
            chain = value if verdict in ("jump", "goto") else ""
            return ChainRule(Match(**asked), verdict, chain, certain, own)
        if option in OPTIONS and not negated and _ask(asked, *OPTIONS[option], value):
            continue
        if option in ("--ctstate", "--state") and not negated:
            if certain and "NEW" not in value.split(","):
                return None
        elif option == "--comment":
            comment = value
        elif option != "-m" or value not in PLAIN:
            certain = False
    return None


def _options(rule: Sequence[str]) -> Iterator[tuple[str, str, bool]]:
    """Each option with its (last) value, and whether it is negated."""
    left, negated = list(rule), False
    while left:
        option, value = left.pop(0), ""
        while left and not left[0].startswith("-") and left[0] != "!":
            value = left.pop(0)
        if option == "!":
            negated = True
            continue
        yield option, value, negated
        negated = False


def _ask(asked: dict[str, str], name: str, reading: Callable[[str], str], value: str) -> bool:
    """Whether the value is understood."""
    try:
        found = reading(value)
    except ValueError:
        return False
    if value.endswith("+"):
        return False
    asked[name] = found
    return True


def _has_filter(names: str) -> bool:
    """Whether the table exists; looking here does not make it."""
    try:
        with open(f"/proc/thread-self/net/{names}", encoding="ascii") as file:
            return "filter" in file.read().split()
    except OSError:
        return False


def _call(command: Sequence[str]) -> str:
    """What a program prints, whatever bytes it is; Refused with its words, or where it takes too much."""
    try:
        # A session of its own: what it may have started ends with it.
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        if error.errno == errno.ENOENT:
            raise Refused(errno.EOPNOTSUPP, f"{command[0]} is not installed (Debian, Ubuntu: iptables)") from None
        raise Refused(error.errno or errno.EIO, command[0]) from None

    def end() -> None:
        with suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)

    late = threading.Timer(PATIENCE, end)
    late.start()
    with process:
        assert process.stdout is not None and process.stderr is not None
        try:
            # Nothing that these programs complain of fills a pipe.
            printed = process.stdout.read(LONGEST)
            if len(printed) == LONGEST:
                end()
            process.stdout.close()
            said = process.stderr.read(1 << 16).decode(errors="backslashreplace").strip()
            process.wait()
        finally:
            late.cancel()
    if process.returncode < 0 or len(printed) == LONGEST:
        raise Refused(errno.EFBIG, f"{command[0]}: there are too many rules")
    if process.returncode:
        raise Refused(errno.EINVAL, (said or f"{command[0]} failed").splitlines()[0])
    return printed.decode(errors="backslashreplace")
