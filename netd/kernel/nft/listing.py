"""All rules of a namespace, to be read by ``netd trace``: nft(8) as JSON, iptables as iptables-save writes it.

Programs print what the kernel has. None of them makes a table that is not there.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Sequence
from typing import Any

from netd.errors import Refused

from .iptables_legacy import FAMILIES as LEGACY

CHAIN, DEVICES = re.compile(r"\s*chain (\S+) {"), re.compile(r" devices? (=? ?{[^}]*}|\S+) priority")
NAME = re.compile(r'[^\s{},="]+')
#: Seconds that a program may take.
PATIENCE = 20.0


def nft_ruleset() -> list[dict[str, Any]]:
    """The objects of ``nft -j list ruleset``, libnftables-json(5); Refused where it cannot be read."""
    printed = _call(["nft", "-j", "list", "ruleset"])
    found = json.loads(printed or "{}").get("nftables", [])
    return found if isinstance(found, list) else []


def nft_rule(family: str, table: str, chain: str, handle: int) -> str:
    """The text of one rule, "" where it is not found."""
    mark = f" # handle {handle}"
    try:
        lines = _call(["nft", "-a", "list", "chain", family, table, chain]).splitlines()
    except Refused:
        return ""
    return next((line.removesuffix(mark).strip() for line in lines if line.endswith(mark)), "")


def nft_devices(table: str) -> dict[str, str]:
    """{chain: its devices, with commas} of a table of family netdev: JSON of nft before 1.0.8 leaves them out."""
    found: dict[str, str] = {}
    chain = ""
    for line in _call(["nft", "list", "table", "netdev", table]).splitlines():
        head = CHAIN.match(line)
        chain = head[1] if head else chain
        devices = DEVICES.search(line)
        if devices:
            found[chain] = ",".join(NAME.findall(devices[1]))
    return found


def iptables(family: str, *, legacy: bool) -> str:
    """The output of iptables-save (family "ip") or ip6tables-save ("ip6"); "" where legacy iptables has no table."""
    program, names = LEGACY[family]
    if not legacy:
        return _call([program.replace("legacy", "nft") + "-save"])
    try:
        with open(f"/proc/thread-self/net/{names}", encoding="ascii") as file:
            tables = file.read().split()
    except OSError:
        return ""
    return "".join(_call([f"{program}-save", "-t", table]) for table in tables)


def _call(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, timeout=PATIENCE)
    except FileNotFoundError:
        raise Refused(2, f"{command[0]} is not installed") from None
    except (OSError, subprocess.SubprocessError) as error:
        raise Refused(5, f"{command[0]}: {error}") from None
    if done.returncode:
        said = done.stderr.decode(errors="backslashreplace").strip().splitlines() or ["failed"]
        raise Refused(22, f"{command[0]}: {said[0]}")
    return done.stdout.decode(errors="backslashreplace")
