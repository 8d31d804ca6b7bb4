"""The operations on the kernel: values, not calls. ``kernel`` executes them; the fake kernel of the tests, too.

Links are named, not numbered: their index is looked up when the operation is sent, because an earlier one may have
made the link. Every operation names the namespace it works in ("" is the host).

A new operation is a class in one of these modules, with what it makes stale, and an encoder in ``kernel.rtnl.encode``.
"""

from __future__ import annotations

from .base import (
    Deletion,
    NamespaceOperation,
    Operation,
    Restoration,
)
from .links import (
    AttachNamespace,
    CreateLink,
    CreateNamespace,
    DeleteLink,
    DeleteNamespace,
    DeleteQdisc,
    DetachNamespace,
    LinkSettings,
    PutQdisc,
    RestorePort,
    SetLink,
    SetVlans,
    SetVnis,
    SetWireguard,
    VlanRange,
)
from .routing import (
    CreateRoute,
    CreateRule,
    DeleteAddress,
    DeleteFdb,
    DeleteNeighbor,
    DeleteRoute,
    DeleteRule,
    Hop,
    PutAddress,
    PutFdb,
    PutNeighbor,
    RestoreAddress,
    RestoreNeighbor,
    RestoreRoute,
    RestoreRule,
)
from .settings import (
    DeleteFile,
    DropFlows,
    LegacyAccept,
    RunNft,
    WriteFile,
    WriteSysctl,
)

__all__ = [
    "AttachNamespace",
    "CreateLink",
    "CreateNamespace",
    "CreateRoute",
    "CreateRule",
    "DeleteAddress",
    "DeleteFdb",
    "DeleteFile",
    "DeleteLink",
    "DeleteNamespace",
    "DeleteNeighbor",
    "DeleteQdisc",
    "DeleteRoute",
    "DeleteRule",
    "Deletion",
    "DetachNamespace",
    "DropFlows",
    "Hop",
    "LegacyAccept",
    "LinkSettings",
    "NamespaceOperation",
    "Operation",
    "PutAddress",
    "PutFdb",
    "PutNeighbor",
    "PutQdisc",
    "Restoration",
    "RestoreAddress",
    "RestoreNeighbor",
    "RestorePort",
    "RestoreRoute",
    "RestoreRule",
    "RunNft",
    "SetLink",
    "SetVlans",
    "SetVnis",
    "SetWireguard",
    "VlanRange",
    "WriteFile",
    "WriteSysctl",
]
