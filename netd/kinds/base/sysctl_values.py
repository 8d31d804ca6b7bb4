"""Values of kernel parameters that can be written in more ways than one, as the kernel shows them."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping

#: Parameters that start an action when they are written, and have no value.
WRITE_ONLY = frozenset({"net/ipv4/route/flush", "net/ipv6/route/flush"})
#: proc_dointvec() takes what strtol(3) takes with base 0, and shows decimal numbers (kernel/sysctl.c).
NUMBER = re.compile(r"([+-]?)(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)")


def meaning(path: str, text: str) -> str:
    """The value as the kernel shows it; an invalid one stays as it is written."""
    spell = SPELLINGS.get(path.rpartition("/")[2], _numbers)
    try:
        return spell(text)
    except ValueError:
        return text


def _numbers(text: str) -> str:
    words = text.split()
    found = [NUMBER.fullmatch(word) for word in words]
    if not all(found):
        return text
    return " ".join(str(_number(match[1], match[2])) for match in found if match is not None)


def _number(sign: str, digits: str) -> int:
    base = 16 if digits[:2].lower() == "0x" else 8 if digits[0] == "0" else 10
    return int(digits, base) * (-1 if sign == "-" else 1)


def _ports(text: str) -> str:
    """A bitmap, shown as its ranges (proc_do_large_bitmap() in kernel/sysctl.c)."""
    ports: set[int] = set()
    for part in filter(None, re.split(r"[,\s]+", text)):
        first, _, last = part.partition("-")
        ports.update(range(int(first), int(last or first) + 1))
    return ",".join(f"{first}-{last}" if first < last else str(first) for first, last in _ranges(sorted(ports)))


def _ranges(numbers: Iterable[int]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for number in numbers:
        if found and found[-1][1] == number - 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return found


def _secret(text: str) -> str:
    return ipaddress.IPv6Address(text).exploded


def _keys(text: str) -> str:
    """Up to two keys of four hexadecimal words each (proc_tcp_fastopen_key() in net/ipv4/sysctl_net_ipv4.c)."""
    keys = [key.strip().split("-") for key in text.split(",")]
    return ",".join("-".join(f"{int(word, 16):08x}" for word in key) for key in keys)


def _mask(text: str) -> str:
    """Words of 32 bits, separated by commas ("%*pb")."""
    words = text.split(",")
    return f"{int(''.join([words[0], *(word.zfill(8) for word in words[1:])]), 16):x}"


def _set(text: str) -> str:
    return " ".join(sorted(set(text.split())))


SPELLINGS: Mapping[str, Callable[[str], str]] = {
    "ip_local_reserved_ports": _ports,
    "stable_secret": _secret,
    "tcp_fastopen_key": _keys,
    "flow_limit_cpu_bitmap": _mask,
    "rps_default_mask": _mask,
    "tcp_allowed_congestion_control": _set,
}
