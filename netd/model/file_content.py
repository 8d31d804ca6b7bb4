"""The content of a file as a value that is compared, recorded and shown in short."""

from __future__ import annotations

import hashlib

#: Hexadecimal digits of the digest: two contents that are not the same have different ones.
DIGITS = 16


class FileContent(str):
    """How many lines there are, and a digest of them: what is compared, and what the ledger has. ``text`` is all."""

    __slots__ = ("text",)
    text: str

    def __new__(cls, text: str) -> FileContent:
        lines = text.count("\n")
        digest = hashlib.sha256(text.encode()).hexdigest()[:DIGITS]
        made = super().__new__(cls, f"{lines} {'line' if lines == 1 else 'lines'} ({digest})")
        made.text = text
        return made
