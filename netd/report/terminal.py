"""Text from outside on a terminal: names, comments and other tools' words may hold what moves the cursor, or worse."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, TextIO, cast

#: What a line may hold that is not printable.
LAYOUT = frozenset("\n\t")
DELETE = "\x7f"
#: What netd itself sends to a terminal: colors, bold and dim, and the start of a line that is rewritten.
OURS = re.compile(r"\x1b\[(?:(?:[0124]|2[24]|3[0-79]|9[0-7])(?:;(?:[0124]|2[24]|3[0-79]|9[0-7]))*)?m|\r\x1b\[K")


def escaped(text: str) -> str:
    """The text with everything that a terminal would obey written out: "\\x1b"."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() or each in LAYOUT else _written_out(each) for each in text)


def one_line(text: str) -> str:
    """The same, where a newline would pass for another line of ours."""
    return escaped(text).replace("\n", "\\n").replace("\t", "\\t")


def _written_out(character: str) -> str:
    # The one that json.dumps leaves as it is: this form is JSON, too.
    return "\\u007f" if character == DELETE else character.encode("unicode_escape").decode()


class Escaping:
    """A text stream through which nothing gets that a terminal would obey, but colors; all else is the stream's own."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._terminal = stream.isatty()

    def writelines(self, lines: Iterable[str]) -> None:
        """As of a text stream."""
        for line in lines:
            self.write(line)

    def write(self, text: str) -> int:
        """As of a text stream."""
        if not self._terminal:
            self._stream.write(escaped(text))
            return len(text)
        at = 0
        for ours in OURS.finditer(text):
            self._stream.write(escaped(text[at : ours.start()]) + ours.group())
            at = ours.end()
        self._stream.write(escaped(text[at:]))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def escaping(stream: TextIO) -> TextIO:
    """The stream with nothing in it that a terminal would obey; who draws on one writes to ``buffer``."""
    return stream if isinstance(stream, Escaping) else cast(TextIO, Escaping(stream))
