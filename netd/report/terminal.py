"""Text from outside on a terminal: names, comments and other tools' words may hold what moves the cursor, or worse."""

from __future__ import annotations

from typing import Any, TextIO

#: What a line may hold that is not printable.
LAYOUT = frozenset("\n\t")
DELETE = "\x7f"


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
    """A text stream through which nothing gets that a terminal would obey; all else is the stream's own."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """As of a text stream."""
        self._stream.write(escaped(text))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
