"""The log: one event per change. Readable on a terminal, fields in the journal. It never blocks (``outlet``).

In the journal (systemd sets JOURNAL_STREAM) each event goes out in the native protocol
(systemd.io/JOURNAL_NATIVE_PROTOCOL), so that ``journalctl NETD_OBJECT=vxlan/vxlan0`` finds it.
"""

from __future__ import annotations

import json
import logging
import os
import struct
import sys
from collections.abc import Callable, MutableMapping
from typing import Any

from .messages import MESSAGES
from .outlet import Outlet, may_wait, to_descriptor, to_journal
from .structured import processors, structlog
from .terminal import escaped

JOURNAL = "/run/systemd/journal/socket"
#: Bytes of a datagram: far below what the kernel lets anyone send (net.core.wmem_max).
LARGEST = 128 << 10
#: Levels of structlog as those of syslog(3).
PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
Event = MutableMapping[str, Any]


def in_journal() -> bool:
    """Whether stderr is the journal's stream (systemd.exec(5), JOURNAL_STREAM)."""
    try:
        device, _, inode = os.environ.get("JOURNAL_STREAM", "").partition(":")
        stat = os.fstat(2)
        return (int(device), int(inode)) == (stat.st_dev, stat.st_ino)
    except (OSError, ValueError):
        return False


def journal_field(name: str, text: str) -> bytes:
    """One field; text with newlines is sent with its length."""
    data = text.encode("utf-8", "replace")
    if b"\n" not in data:
        return name.encode() + b"=" + data + b"\n"
    return name.encode() + b"\n" + struct.pack("<Q", len(data)) + data + b"\n"


def journal_message(event: Event) -> bytes:
    """An event as one datagram of the native protocol."""
    level = str(event.pop("level", "info"))
    message = str(event.pop("event", ""))
    if trace := event.pop("exception", ""):
        message += f"\n{trace}"
    kind = MESSAGES.get(str(event.pop("message", "")))
    parts = [
        journal_field("MESSAGE", message),
        journal_field("PRIORITY", str(kind.priority if kind else PRIORITIES.get(level, 6))),
        journal_field("SYSLOG_IDENTIFIER", "netd"),
    ]
    if kind:
        parts.append(journal_field("MESSAGE_ID", kind.id))
    for name, value in event.items():
        text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
        parts.append(journal_field(f"NETD_{name.upper()}", text))
    return b"".join(parts)


def lost_text(count: int) -> str:
    """The message about lost lines."""
    return f"{count} log lines were lost: their reader was too slow, and netd does not wait for it"


class Printer:
    """The logger at the end of structlog's chain: every level is a line for the outlet."""

    def __init__(self, outlet: Outlet) -> None:
        self._outlet = outlet

    def msg(self, line: str | bytes) -> None:
        """Hands the line over; never blocks."""
        self._outlet.put(line if isinstance(line, bytes) else f"{line}\n".encode(errors="backslashreplace"))

    debug = info = warning = error = critical = exception = log = msg


def for_journal(logger: Any, method: str, event: Event) -> str | bytes:
    """The last processor where stderr is the journal."""
    message = journal_message(event)
    if len(message) <= LARGEST:
        return message
    # An event that does not fit a datagram is sent without its fields.
    return journal_message({"level": method, "event": message.decode(errors="replace")[: LARGEST // 8]})


def plain_text(logger: Any, method: str, event: Event) -> str:
    """A line for files and pipes: the message, then the fields that are not in it."""
    level = event.pop("level", "info")
    message = escaped(str(event.pop("event", "")))
    rest = {"pass" if name == "round" else name: event[name] for name in ("file", "round", "ms") if name in event}
    if str(message).startswith(str(rest.get("file"))):
        del rest["file"]
    tail = escaped(" ".join(f"{name}={value}" for name, value in rest.items()))
    trace = escaped(f"\n{event['exception']}") if "exception" in event else ""
    return f"{event.get('time', '')} {level:7} {message}" + (f"  [{tail}]" if tail else "") + trace


def coloured_text(logger: Any, method: str, event: Event) -> str:
    """The same with the level in colour."""
    colour = {"warning": "33", "error": "31", "debug": "2"}.get(str(event.get("level")), "32")
    line = plain_text(logger, method, event)
    time, _, rest = line.partition(" ")
    return f"\x1b[2m{time}\x1b[0m \x1b[{colour}m{rest[:7]}\x1b[0m{rest[7:]}"


def start_log() -> structlog.stdlib.BoundLogger:
    """Sets structlog up for where stderr goes, once per process."""
    if in_journal():
        line = journal_message({"level": "warning", "event": "{}", "message": "lost"})
        outlet = Outlet(to_journal(JOURNAL), lambda count: line.replace(b"{}", lost_text(count).encode()))
        chain: list[Any] = [processors.add_log_level, processors.format_exc_info, for_journal]
    else:
        last: Callable[[Any, str, Event], Any] = coloured_text if sys.stderr.isatty() else plain_text
        stamp = processors.TimeStamper(fmt="%H:%M:%S.%f", utc=False, key="time")
        chain = [processors.add_log_level, processors.format_exc_info, stamp, last]
        send, patient = to_descriptor(sys.stderr.fileno()), may_wait(sys.stderr.fileno())
        outlet = Outlet(send, lambda count: f"{lost_text(count)}\n".encode(), patient=patient)
    printer = Printer(outlet)
    structlog.configure(
        processors=chain,
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=lambda *args: printer,
    )
    logger: structlog.stdlib.BoundLogger = structlog.get_logger()
    return logger
