"""Filters of captures in the language of pcap-filter(7), compiled by tcpdump(8)."""

from __future__ import annotations

import subprocess

from netd.errors import UsageError
from netd.kernel.packets.ring import Instruction


def compile_filter(expression: str, *, ethernet: bool) -> tuple[Instruction, ...]:
    """The program of an expression, for frames with or without an Ethernet header. UsageError with tcpdump's reason."""
    if not expression.strip():
        return ()
    command = ["tcpdump", "-ddd", "-y", "EN10MB" if ethernet else "RAW", "--", expression]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    except FileNotFoundError:
        raise UsageError("a filter is compiled by tcpdump, which is not installed: 'apt install tcpdump'") from None
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise UsageError(f"the filter '{expression}' could not be compiled: {error}") from None
    if done.returncode:
        reason = done.stderr.strip().splitlines()[-1:] or ["tcpdump refused it"]
        raise UsageError(
            f"-f '{expression}': {reason[0].removeprefix('tcpdump: ')} (pcap-filter(7) explains the language)"
        )
    return tuple(Instruction(*map(int, line.split())) for line in done.stdout.splitlines()[1:])
