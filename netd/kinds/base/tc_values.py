"""Times, percentages and rates as tc(8) writes them, and the one spelling in which netd compares and shows them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Annotated

from .values import Form

NUMBER = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*([a-zA-Z%]*)")
#: Nanoseconds, by the units of tc(8) and by the one that is shown.
TIMES = {
    "ns": 1, "nsec": 1, "nsecs": 1, "us": 1000, "usec": 1000, "usecs": 1000, "ms": 10**6, "msec": 10**6, "msecs": 10**6,
    "s": 10**9, "sec": 10**9, "secs": 10**9,
}  # fmt: skip
SHOWN_TIMES = {"s": 10**9, "ms": 10**6, "us": 1000, "ns": 1}
#: Longer units, for the command line: durations of faults.
SPANS = {**TIMES, "m": 60 * 10**9, "min": 60 * 10**9, "h": 3600 * 10**9, "d": 86400 * 10**9}
#: Bits per second, by the units of tc(8): those in "bps" are bytes.
RATES = {
    f"{prefix}{unit}": factor * bits
    for prefix, factor in {
        "": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12,
        "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40,
    }.items()
    for unit, bits in (("bit", 1), ("bps", 8))
}  # fmt: skip
SHOWN_RATES = {"gbit": 10**9, "mbit": 10**6, "kbit": 1000, "bit": 1}
#: What the kernel counts as 100 percent (struct tc_netem_qopt, include/uapi/linux/pkt_sched.h).
WHOLE = 2**32 - 1
#: The longest delay that is taken, and INT_MAX nanoseconds: the kernel makes a larger jitter that (sch_netem.c).
LONGEST, MOST_JITTER = 3600 * 10**9, 2**31 - 1


def measured(text: str, units: Mapping[str, int], what: str, example: str) -> int:
    """A number with one of these units, in the smallest; ValueError."""
    found = NUMBER.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"'{text}' is not {what}, such as {example}")
    number, unit = found.groups()
    if not unit and not Fraction(number):
        return 0
    factor = units.get(unit.lower())
    if factor is None:
        said = f"'{text}' has no unit" if not unit else f"'{unit}' is not a unit of {what}"
        raise ValueError(f"{said}: write {example}")
    return round(Fraction(number) * factor)


def nanoseconds(text: str) -> int:
    """A time of tc(8)."""
    return measured(text, TIMES, "a time", "20ms")


def span_seconds(text: str) -> float:
    """A duration on the command line, in seconds: longer than none."""
    found = measured(text, SPANS, "a duration", "10s") / 10**9
    if found <= 0:
        raise ValueError(f"'{text}' is no time at all: write 10s")
    return found


def share(text: str) -> int:
    """A percentage of tc(8), in parts of ``WHOLE``."""
    found = NUMBER.fullmatch(text.strip())
    if found is None or found[2] not in ("%", ""):
        raise ValueError(f"'{text}' is not a percentage, such as 1%")
    if not found[2] and Fraction(found[1]):
        raise ValueError(f"'{text}' has no unit: write {text.strip()}%")
    percent = Fraction(found[1])
    if percent > 100:
        raise ValueError(f"'{text}' is more than 100%")
    return round(percent * WHOLE / 100)


def bytes_per_second(text: str) -> int:
    """A rate of tc(8), which the kernel keeps in bytes."""
    found = measured(text, RATES, "a rate", "10mbit") // 8
    if not found:
        raise ValueError(f"'{text}' is less than 8bit, one byte in a second")
    if found >= 2**63:
        raise ValueError(f"'{text}' is more than the kernel can count")
    return found


def _shown(value: int, units: Mapping[str, int]) -> str:
    unit, factor = next(((unit, factor) for unit, factor in units.items() if value >= factor), list(units.items())[-1])
    whole, rest = divmod(value, factor)
    digits = f"{rest:0{len(str(factor)) - 1}d}".rstrip("0") if rest else ""
    return f"{whole}.{digits}{unit}" if digits else f"{whole}{unit}"


def shown_time(value: int) -> str:
    """ "20ms"."""
    return _shown(value, SHOWN_TIMES) if value else "0ms"


def shown_share(value: int) -> str:
    """ "1%", "0.1%": so exact that what tc(8) can say stays apart."""
    return f"{round(value * 100 / WHOLE, 5):.5f}".rstrip("0").rstrip(".") + "%"


def shown_rate(value: int) -> str:
    """ "10mbit"."""
    return _shown(value * 8, SHOWN_RATES)


def canonical_delay(text: str) -> str:
    """A time that a packet can be held back for."""
    found = nanoseconds(text)
    if found > LONGEST:
        raise ValueError(f"'{text}' is more than {LONGEST // 10**9}s")
    return shown_time(found)


def canonical_jitter(text: str) -> str:
    """A time that varies."""
    found = nanoseconds(text)
    if found > MOST_JITTER:
        raise ValueError(f"'{text}' is more than {shown_time(MOST_JITTER)}, the most that the kernel can do")
    return shown_time(found)


def canonical_share(text: str) -> str:
    """A percentage."""
    return shown_share(share(text))


def canonical_rate(text: str) -> str:
    """A rate."""
    return shown_rate(bytes_per_second(text))


Delay = Annotated[str, Form(canonical_delay, "time", r"^[0-9.]+ *(s|ms|us|ns)[a-z]*$|^0$")]
Jitter = Annotated[str, Form(canonical_jitter, "time", r"^[0-9.]+ *(s|ms|us|ns)[a-z]*$|^0$")]
Share = Annotated[str, Form(canonical_share, "percentage", r"^[0-9.]+ *%$|^0$")]
Rate = Annotated[str, Form(canonical_rate, "rate", r"^[0-9.]+ *[kmgtKMGT]?[iI]?(bit|bps)$")]
