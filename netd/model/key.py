"""The name of an object, the same in the files, the kernel, the log and the JSON."""

from __future__ import annotations

from typing import NamedTuple

#: The namespace without a name.
HOST = ""
#: The kind of the objects that contain others. Who asks for it asks ``Key.is_namespace``, or ``namespace_key``.
NAMESPACE_KIND = "namespace"


class Key(NamedTuple):
    """One object: ``netns`` ("" is the host), ``kind`` ("veth"), ``name`` ("veth0")."""

    netns: str
    kind: str
    name: str

    @property
    def is_namespace(self) -> bool:
        """Whether it is a namespace: the objects in it have its name as their ``netns``."""
        return self.kind == NAMESPACE_KIND

    def __str__(self) -> str:
        own = f"{self.kind}/{self.name}"
        return f"{self.netns}:{own}" if self.netns else own


def namespace_key(netns: str) -> Key:
    """The object that is the namespace of that name."""
    return Key(HOST, NAMESPACE_KIND, netns)


def parse_key(text: str) -> Key:
    """The key that prints as ``text``; ValueError where none does."""
    head, _, _ = text.partition("/")
    netns, colon, kind = head.rpartition(":")
    name = text[len(head) + 1 :]
    if not kind or not name or (colon and not netns):
        raise ValueError(f"not the name of an object: {text!r}")
    return Key(netns, kind, name)


class LinkName(NamedTuple):
    """A link by its namespace and name: objects refer to it, whether netd creates it or not."""

    netns: str
    name: str

    def __str__(self) -> str:
        return f"{self.netns}:{self.name}" if self.netns else self.name
