"""What ``addresses = [...]`` says of one address besides its prefix length."""

from __future__ import annotations

from typing import Annotated

from .options import Table, option
from .values import Cidr, Form

#: A lifetime without end, in the word of iproute2.
FOREVER = "forever"


def checked_label(text: str) -> str:
    """A label of an IPv4 address (IFALABEL)."""
    if not 0 < len(text.encode()) < 16 or not text.isprintable() or " " in text:
        raise ValueError(f"'{text}' cannot be a label: 1 to 15 bytes, without spaces")
    return text


def checked_lifetime(value: int | str) -> int | str:
    """0 or "forever"; others would run out under netd's eyes."""
    if value not in (0, FOREVER):
        raise ValueError(f'must be 0 (deprecated: no new connection chooses it as its source) or "{FOREVER}"')
    return value


class AddressTable(Table):
    """One address with more than its prefix length, ip-address(8)."""

    address: Cidr = option("address with its prefix length")
    label: Annotated[str, Form(checked_label, "string")] | None = option(
        "label of an IPv4 address, such as `eth0:old`", default=None, absent="the name of the link"
    )
    preferred_lft: Annotated[int | str, Form(checked_lifetime, '`0` or `"forever"`')] | None = option(
        "`0`: deprecated, no new connection chooses it as its source", default=None, absent='`"forever"`'
    )

    def check(self) -> None:
        if self.label is not None and ":" in self.address:
            raise ValueError("label: only IPv4 addresses have one")


def cidr_of(entry: str | AddressTable) -> str:
    """The address of an entry of ``addresses``."""
    return entry if isinstance(entry, str) else entry.address
