"""The valid names of links, namespaces and hosts."""

from __future__ import annotations

import re
import unicodedata

#: IFNAMSIZ less the closing NUL, include/uapi/linux/if.h.
LINK_BYTES = 15
#: NAME_MAX: the name of a namespace is a file under /run/netns.
NAMESPACE_BYTES = 255
#: HOST_NAME_MAX is 64; hostname(7).
HOST_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
#: Ordinary names, which need no further check.
ORDINARY = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")
FORBIDDEN = frozenset("/:%*'\"`")


def link_name(text: str) -> str:
    """The name of a link, or ValueError that says what is wrong with it."""
    checked = _checked(text, LINK_BYTES, "a link")
    if b"\xa0" in text.encode():
        # dev_valid_name(), net/core/dev.c, checks bytes, and its isspace() is that of Latin-1.
        raise ValueError(f"'{text}' cannot be the name of a link: the kernel takes one of its bytes (0xa0) for a space")
    return checked


def namespace_name(text: str) -> str:
    """The name of a network namespace, or ValueError that says what is wrong with it."""
    return _checked(text, NAMESPACE_BYTES, "a namespace")


def host_name(text: str) -> str:
    """The name of a machine (its hostname, or its machine-id) in lower case, or ValueError."""
    if not HOST_NAME.fullmatch(text):
        raise ValueError(f"{_shown(text)} cannot be the name of a host: it is letters, digits, '-', '_' and '.'")
    return text.lower()


def _checked(text: str, limit: int, what: str) -> str:
    if len(text) <= limit and ORDINARY.fullmatch(text):
        return text
    if not text:
        raise ValueError(f"the name of {what} cannot be empty")
    if text in (".", ".."):
        raise ValueError(f"'{text}' cannot be the name of {what}")
    for character in text:
        if character in FORBIDDEN:
            raise ValueError(f"{_shown(text)} cannot be the name of {what}: it contains {_shown(character)}")
        if character.isspace():
            raise ValueError(f"{_shown(text)} cannot be the name of {what}: it contains a space")
        if unicodedata.category(character) in ("Cc", "Cs"):
            raise ValueError(f"{_shown(text)} cannot be the name of {what}: it contains a control character")
    length = len(text.encode())
    if length > limit:
        raise ValueError(f"'{text}' is too long for the name of {what}: {length} bytes, at most {limit} fit")
    return text


def _shown(text: str) -> str:
    return repr(text) if "'" in text or not text.isprintable() else f"'{text}'"
